//! The start of every effect: its attempt, its surroundings, and the channel for its events.

use std::sync::Arc;

use tickmesh_core::id::AttemptId;
use tokio::sync::mpsc;

use super::surroundings::Surroundings;
use crate::{agent_core, attempt::Event, backoff::Backoff, engine::ContainerEngine, error::chain};

/// One effect of an attempt, before it is known which.
///
/// Each kind of effect is a method in `effects` or `collect`.
pub(crate) struct Unit<E> {
    pub(super) surroundings: Arc<Surroundings<E>>,
    pub(super) news: mpsc::Sender<agent_core::Event>,
    pub(super) attempt: AttemptId,
}

impl<E: ContainerEngine> Unit<E> {
    /// Logs a failed try, and waits before the next one.
    pub(super) async fn again(
        &self,
        verb: &str,
        error: &(dyn std::error::Error + Send + Sync + 'static),
        backoff: &mut Backoff,
    ) {
        tracing::warn!(attempt_id = %self.attempt, verb, error = %chain(error), "not done yet, trying again");
        backoff.pause().await;
    }

    /// Sends an event of the attempt to the main loop.
    pub(super) async fn tell(&self, event: Event) {
        let news = agent_core::Event::Attempt { attempt: self.attempt.clone(), event };
        // Nobody listens any more when the agent is ending: then nobody needs to know.
        let _ = self.news.send(news).await;
    }
}
