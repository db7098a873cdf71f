//! Waiting with a deadline, and saying what for.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

/// Looks until `look` finds something.
///
/// # Panics
///
/// If it finds nothing within `patience`.
pub async fn until<T, F>(what: &str, patience: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        sleep(LOOK_PAUSE).await;
    }
}
