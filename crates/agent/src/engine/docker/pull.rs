//! The progress of a pull, read to its end or until it stalls.

use std::{pin::pin, time::Duration};

use bollard::errors::Error as DockerError;
use futures_util::{Stream, StreamExt};

use super::convert;
use crate::engine::Error;

/// Longest silence of a pull. The engine tells of every step several times a second; the longest steps without a word are the
/// check of a large layer and a registry's own time limits, and both are over by then. Without a limit a registry that stops in
/// the middle would hold the attempt, and its slot, for ever.
pub(super) const STALL_MAX: Duration = Duration::from_secs(5 * 60);

/// Reads a pull's progress. A failure can come as any item: only its end is success.
pub(super) async fn finish<T>(
    image: &str,
    progress: impl Stream<Item = Result<T, DockerError>>,
    stall_max: Duration,
) -> Result<(), Error> {
    let attempted = format!("pull image `{image}`");
    let mut progress = pin!(progress);
    loop {
        match tokio::time::timeout(stall_max, progress.next()).await {
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(convert::refusal(&attempted)(error)),
            Ok(None) => return Ok(()),
            Err(_) => {
                let message = format!("there was no progress for {} s", stall_max.as_secs());
                return Err(Error::CouldNotStart { attempted, message });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const STALL: Duration = Duration::from_secs(1);
    /// So far from the limit that a loaded machine does not make a stall of it.
    const STEP: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_pull_that_stalls_is_given_up_with_the_reason() {
        let progress = stream::iter([Ok("a step")]).chain(stream::pending());
        let pulled = tokio::time::timeout(STALL * 30, finish("job:1", progress, STALL)).await;
        let error = pulled.expect("the pull ends before the deadline").unwrap_err();
        assert!(matches!(error, Error::CouldNotStart { .. }), "{error:?}");
        assert_eq!(error.to_string(), "cannot pull image `job:1`: there was no progress for 1 s");
    }

    #[tokio::test]
    async fn a_slow_pull_that_moves_may_take_longer_than_a_stall() {
        let begun = tokio::time::Instant::now();
        let progress = stream::iter(0..7).then(async |step| {
            tokio::time::sleep(STEP).await;
            Ok(step)
        });
        finish("job:1", progress, STALL).await.unwrap();
        assert!(begun.elapsed() > STALL, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_is_no_success() {
        let failure = DockerError::DockerStreamError { error: "manifest unknown".to_owned() };
        let error = finish("job:1", stream::iter([Ok("a step"), Err(failure), Ok("a step")]), STALL).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot pull image `job:1`: manifest unknown");
    }
}
