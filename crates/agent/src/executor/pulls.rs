//! Images for attempts: one pull for all attempts that wait for the same image.
//!
//! A pull costs the registry a login and a manifest even where the engine has every layer, so a run of many replicas on a host
//! must not ask for each of them. An attempt that stops waiting leaves the pull to the others; the last one gives it up, for a
//! shared future that nobody holds is dropped. A pull that has ended is never joined: by then its tag may have moved.

use std::{collections::BTreeMap, convert::Infallible, future::pending, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tickmesh_core::{message::PullProgress, spec::PullPolicy};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::surroundings::reason;
use crate::{
    agent_core,
    backoff::Backoff,
    engine::{ContainerEngine, Error, Image},
    error::chain,
};

/// Pause between two tellings of a pull's progress: a heartbeat takes the last one with it, and is sent every other second.
const TELL_PAUSE: Duration = Duration::from_secs(1);
/// Pause between two log lines about one pull: few for an image of seconds, and a large one is seen to move.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// What comes of looking for an image: it is there, or the reason why it cannot be.
pub(super) type Brought = Result<(), String>;

/// The wait for an image. Dropped, it leaves the pull to whoever else waits.
pub(super) type Wait = Shared<BoxFuture<'static, Brought>>;

/// The pulls that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Pulls(BTreeMap<(Image, PullPolicy), WeakShared<BoxFuture<'static, Brought>>>);

impl Pulls {
    /// Joins those who wait for the image under the same policy. If nobody does, the pull is begun, and moves while it is waited
    /// for.
    pub(super) fn join(
        &mut self,
        image: &Image,
        policy: PullPolicy,
        begin: impl FnOnce() -> BoxFuture<'static, Brought>,
    ) -> Wait {
        // One that has ended lives on until the last of those who shared it has noticed.
        let under_way = |pull: &WeakShared<_>| pull.upgrade().filter(|pull: &Wait| pull.peek().is_none());
        self.0.retain(|_, pull| under_way(pull).is_some());
        let key = (image.clone(), policy);
        if let Some(pull) = self.0.get(&key).and_then(under_way) {
            return pull;
        }
        let pull = begin().shared();
        self.0.extend(pull.downgrade().map(|pull| (key, pull)));
        pull
    }
}

/// Sees that an image is there.
#[derive(Debug)]
pub(super) struct Fetch<E> {
    pub(super) engine: E,
    pub(super) news: mpsc::Sender<agent_core::Event>,
    pub(super) image: Image,
    pub(super) policy: PullPolicy,
}

impl<E: ContainerEngine> Fetch<E> {
    /// Tries until the engine answers. What the engine or the registry refuses is the attempt's failure, to be tried again by
    /// its own policy.
    pub(super) async fn run(self) -> Brought {
        let mut backoff = Backoff::default();
        loop {
            match self.bring().await {
                Ok(brought) => return brought,
                Err(error @ Error::Unavailable { .. }) => {
                    tracing::warn!(image = %self.image.name, error = %chain(&error), "no image yet, trying again");
                    backoff.pause().await;
                }
                Err(error) => {
                    tracing::warn!(image = %self.image.name, error = %chain(&error), "no image");
                    return Err(reason(&error));
                }
            }
        }
    }

    async fn bring(&self) -> Result<Brought, Error> {
        let image = &self.image;
        let is_present = match self.policy {
            PullPolicy::Always => false,
            PullPolicy::Missing | PullPolicy::Never => self.engine.image_present(image).await?,
        };
        if !is_present && self.policy == PullPolicy::Never {
            return Ok(Err(format!("the host does not have image {image}, and `pull_policy` is `never`")));
        }
        if !is_present {
            self.pull().await?;
        }
        Ok(Ok(()))
    }

    async fn pull(&self) -> Result<(), Error> {
        tracing::info!(image = %self.image.name, "pulling");
        let (begun, progress) = (Instant::now(), watch::Sender::default());
        tokio::select! {
            pulled = self.engine.pull(&self.image, &progress) => pulled?,
            never = self.tell(progress.subscribe()) => match never {},
        }
        let PullProgress { done_bytes, .. } = *progress.borrow();
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(image = %self.image.name, done_bytes, took_ms, "pulled");
        Ok(())
    }

    /// Tells how far a pull has come, until nobody listens to this any more.
    async fn tell(&self, mut progress: watch::Receiver<PullProgress>) -> Infallible {
        let mut logged_at = Instant::now();
        while progress.changed().await.is_ok() {
            let moved = *progress.borrow_and_update();
            // If the main loop is busy, the next telling is as good.
            let _ =
                self.news.try_send(agent_core::Event::PullMoved { image: self.image.name.clone(), progress: moved });
            if logged_at.elapsed() >= LOG_PAUSE {
                logged_at = Instant::now();
                let PullProgress { done_bytes, total_bytes } = moved;
                tracing::info!(image = %self.image.name, done_bytes, total_bytes, "still pulling");
            }
            sleep(TELL_PAUSE).await;
        }
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// A pull that ends when the test says how.
    fn gated() -> (oneshot::Sender<Brought>, impl FnOnce() -> BoxFuture<'static, Brought>) {
        let (end, ended) = oneshot::channel();
        (end, || async { ended.await.expect("the test says how it ends") }.boxed())
    }

    fn none_begins() -> BoxFuture<'static, Brought> {
        panic!("no other pull begins")
    }

    #[tokio::test]
    async fn all_who_wait_for_an_image_share_one_pull_and_its_failure() {
        let mut pulls = Pulls::default();
        let (end, begin) = gated();
        let first = pulls.join(&"job:1".into(), PullPolicy::Missing, begin);
        let others = [(); 3].map(|()| pulls.join(&"job:1".into(), PullPolicy::Missing, none_begins));
        end.send(Err("no".to_owned())).unwrap();
        for wait in [first].into_iter().chain(others) {
            assert_eq!(wait.await, Err("no".to_owned()));
        }
    }

    #[tokio::test]
    async fn other_images_and_other_policies_are_other_pulls() {
        let mut pulls = Pulls::default();
        let ready = || std::future::ready(Ok(())).boxed();
        let _first = pulls.join(&"job:1".into(), PullPolicy::Missing, ready);
        let _second = pulls.join(&"job:2".into(), PullPolicy::Missing, ready);
        let _third = pulls.join(&"job:1".into(), PullPolicy::Always, ready);
        assert_eq!(pulls.0.len(), 3);
    }

    #[tokio::test]
    async fn a_pull_that_has_ended_is_not_joined_while_others_have_yet_to_notice() {
        let mut pulls = Pulls::default();
        let (end, begin) = gated();
        let first = pulls.join(&"job:1".into(), PullPolicy::Always, begin);
        let _slow = pulls.join(&"job:1".into(), PullPolicy::Always, none_begins);
        end.send(Ok(())).unwrap();
        first.await.unwrap();
        let again =
            pulls.join(&"job:1".into(), PullPolicy::Always, || std::future::ready(Err("moved".to_owned())).boxed());
        assert_eq!(again.await, Err("moved".to_owned()));
    }

    #[tokio::test]
    async fn a_pull_is_given_up_by_the_last_who_waits_and_by_no_one_before() {
        let mut pulls = Pulls::default();
        let (end, begin) = gated();
        let waits = [pulls.join(&"job:1".into(), PullPolicy::Missing, begin), {
            pulls.join(&"job:1".into(), PullPolicy::Missing, none_begins)
        }];
        let [first, second] = waits;
        drop(first);
        assert!(!end.is_closed());
        drop(second);
        assert!(end.is_closed());
        let again = pulls.join(&"job:1".into(), PullPolicy::Missing, || std::future::ready(Ok(())).boxed());
        assert_eq!(again.await, Ok(()));
    }
}
