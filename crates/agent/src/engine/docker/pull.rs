//! The progress of a pull: read to its end or until it stalls, and summed up over the image's layers.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use bollard::{errors::Error as DockerError, models::CreateImageInfo};
use futures_util::{Stream, StreamExt};
use tickmesh_core::message::PullProgress;
use tokio::sync::watch;

use super::convert;
use crate::engine::Error;

/// Longest silence of a pull. The engine tells of every step several times a second; the longest steps without a word are the
/// check of a large layer and a registry's own time limits, and both are over by then. Without a limit a registry that stops in
/// the middle would hold the attempt, and its slot, for ever.
pub(super) const STALL_MAX: Duration = Duration::from_secs(5 * 60);
/// Layers that are counted. No engine runs an image of more than 127; what a registry invents beyond that is not kept.
const LAYERS_MAX: usize = 256;
/// What the engine says of a layer while it arrives, with the bytes that have arrived and its size.
const DOWNLOADING: &str = "Downloading";
/// What the engine says of a layer once it is there, whole.
const DOWNLOADED: [&str; 4] = ["Verifying Checksum", "Download complete", "Extracting", "Pull complete"];

/// Reads what the engine says of a pull. A failure can come as any item: only its end is success.
pub(super) async fn finish(
    attempted: &str,
    said: impl Stream<Item = Result<CreateImageInfo, DockerError>>,
    progress: &watch::Sender<PullProgress>,
    stall_max: Duration,
) -> Result<(), Error> {
    let mut said = pin!(said);
    let mut layers = Layers::default();
    loop {
        match tokio::time::timeout(stall_max, said.next()).await {
            Ok(Some(Ok(info))) => {
                layers.fold(info);
                progress.send_replace(layers.sum());
            }
            Ok(Some(Err(error))) => return Err(convert::refusal(attempted)(error)),
            Ok(None) => return Ok(()),
            Err(_) => {
                let message = format!("there was no progress for {} s", stall_max.as_secs());
                return Err(Error::CouldNotStart { attempted: attempted.to_owned(), message });
            }
        }
    }
}

/// The layers of an image that is being pulled, as far as their size is known.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, PullProgress>);

impl Layers {
    fn fold(&mut self, info: CreateImageInfo) {
        let (Some(id), Some(status)) = (info.id, info.status) else { return };
        if status == DOWNLOADING {
            let detail = info.progress_detail.unwrap_or_default();
            let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            let total_bytes = bytes(detail.total);
            if self.0.len() < LAYERS_MAX || self.0.contains_key(&id) {
                self.0.insert(id, PullProgress { done_bytes: bytes(detail.current).min(total_bytes), total_bytes });
            }
        } else if DOWNLOADED.contains(&status.as_str())
            && let Some(layer) = self.0.get_mut(&id)
        {
            layer.done_bytes = layer.total_bytes;
        }
    }

    fn sum(&self) -> PullProgress {
        let sum = |of: fn(&PullProgress) -> u64| self.0.values().map(of).fold(0, u64::saturating_add);
        PullProgress { done_bytes: sum(|layer| layer.done_bytes), total_bytes: sum(|layer| layer.total_bytes) }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;
    use futures_util::stream;

    use super::*;

    const ATTEMPTED: &str = "pull image `job:1`";
    const STALL: Duration = Duration::from_secs(1);
    /// So far from the limit that a loaded machine does not make a stall of it.
    const STEP: Duration = Duration::from_millis(200);

    fn step() -> CreateImageInfo {
        CreateImageInfo { status: Some("Pulling from job".to_owned()), ..CreateImageInfo::default() }
    }

    fn layer(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        let progress_detail = bytes.map(|(done, total)| ProgressDetail { current: Some(done), total: Some(total) });
        CreateImageInfo { id: Some(id.to_owned()), status: Some(status.to_owned()), progress_detail, ..step() }
    }

    async fn finished(said: impl Stream<Item = Result<CreateImageInfo, DockerError>>) -> Result<(), Error> {
        finish(ATTEMPTED, said, &watch::Sender::default(), STALL).await
    }

    #[tokio::test]
    async fn a_pull_that_stalls_is_given_up_with_the_reason() {
        let said = stream::iter([Ok(step())]).chain(stream::pending());
        let pulled = tokio::time::timeout(STALL * 30, finished(said)).await;
        let error = pulled.expect("the pull ends before the deadline").unwrap_err();
        assert!(matches!(error, Error::CouldNotStart { .. }), "{error:?}");
        assert_eq!(error.to_string(), "cannot pull image `job:1`: there was no progress for 1 s");
    }

    #[tokio::test]
    async fn a_slow_pull_that_moves_may_take_longer_than_a_stall() {
        let begun = tokio::time::Instant::now();
        let said = stream::iter(0..7).then(async |_| {
            tokio::time::sleep(STEP).await;
            Ok(step())
        });
        finished(said).await.unwrap();
        assert!(begun.elapsed() > STALL, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_is_no_success() {
        let failure = DockerError::DockerStreamError { error: "manifest unknown".to_owned() };
        let error = finished(stream::iter([Ok(step()), Err(failure), Ok(step())])).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot pull image `job:1`: manifest unknown");
    }

    #[test]
    fn progress_is_what_has_arrived_of_the_layers_whose_size_is_known() {
        let mut layers = Layers::default();
        let mut check = |info, done_bytes, total_bytes| {
            layers.fold(info);
            assert_eq!(layers.sum(), PullProgress { done_bytes, total_bytes });
        };
        check(layer("a", "Pulling fs layer", None), 0, 0);
        check(layer("a", DOWNLOADING, Some((100, 1_000))), 100, 1_000);
        check(layer("b", DOWNLOADING, Some((0, 500))), 100, 1_500);
        check(layer("a", "Download complete", None), 1_000, 1_500);
        // Extracting counts anew, from the beginning.
        check(layer("a", "Extracting", Some((1, 1_000))), 1_000, 1_500);
        check(layer("c", "Already exists", None), 1_000, 1_500);
        check(layer("b", DOWNLOADING, Some((-1, -1))), 1_000, 1_000);
        check(step(), 1_000, 1_000);
    }

    #[test]
    fn a_registry_cannot_make_the_sum_endless() {
        let mut layers = Layers::default();
        for id in 0..LAYERS_MAX + 10 {
            layers.fold(layer(&id.to_string(), DOWNLOADING, Some((i64::MAX, i64::MAX))));
        }
        assert_eq!((layers.0.len(), layers.sum().total_bytes), (LAYERS_MAX, u64::MAX));
    }
}
