//! How long a leader goes on trying: until an effect is done, or can never be.

use std::time::Duration;

use tickmesh_messaging::Error;
use tokio::time::sleep;
use tracing::warn;

/// First pause after a failure; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Tries until it is done or can never be. Beside that only the end of the tenure gives up.
pub(crate) async fn until_done<T, F>(what: &'static str, attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = PAUSE_MIN;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) if !error.is_unavailable() => return Err(error),
            Err(error) => {
                warn!(what, error = &error as &dyn std::error::Error, "failed, trying again");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}
