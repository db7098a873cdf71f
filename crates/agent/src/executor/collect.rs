//! Sees that the output of a container is stored before anything else takes the container away.
//!
//! While its attempt is held, nothing presses: the output is stored as long as it takes. Once the end is stored, only the container
//! waits for its output, and it would fill the host's disk for ever if the output could never be stored; so then there is a limit, which
//! is said in the stored output when it is met.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::unit::Unit;
use crate::{
    attempt::{Event, OutputFrom},
    backoff::Backoff,
    engine::{ContainerEngine, ContainerId},
    output::Pump,
};

/// How long an output may still take once the end of its attempt is stored. A tail takes some seconds, and is made beside three others,
/// so this is enough for hundreds that end at once.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10 * 60);
/// How long it may take to store that an output was given up.
const LAST_BATCH_WITHIN: Duration = Duration::from_secs(20);

/// The output of an attempt that this process stores.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    /// Tells that all of it is stored, or given up.
    pub(super) stored: CancellationToken,
    given_up: CancellationToken,
}

impl Output {
    /// Stores it with a pump, unless it is given up. Dropped, it says that nothing follows.
    pub(super) fn store<E: ContainerEngine>(
        self,
        pump: Pump<E>,
        from: OutputFrom,
        ended: CancellationToken,
    ) -> impl Future<Output = ()> {
        let stored = self.stored.drop_guard();
        async move {
            let _stored = stored;
            self.given_up.run_until_cancelled(pump.run(from, ended)).await;
        }
    }
}

impl<E: ContainerEngine> Unit<E> {
    /// Waits for the output that is `under_way`. If this process has not followed it, an earlier one may not have come to its end,
    /// and nobody has seen the container's.
    pub(super) async fn collect(self, container: ContainerId, under_way: Option<Output>) {
        let pump = self.pump(&container);
        let is_stored = match &under_way {
            Some(output) => timeout(GIVEN_UP_AFTER, output.stored.cancelled()).await.is_ok(),
            None => {
                self.kill(&container).await;
                timeout(GIVEN_UP_AFTER, pump.clone().finish()).await.is_ok()
            }
        };
        if !is_stored {
            tracing::warn!(attempt_id = %self.attempt, "the last output could not be stored");
            if let Some(output) = under_way {
                output.given_up.cancel();
            }
            let _ = timeout(LAST_BATCH_WITHIN, pump.give_up()).await;
        }
        self.tell(Event::Collected).await;
    }

    async fn kill(&self, container: &ContainerId) {
        let mut backoff = Backoff::default();
        while let Err(error) = self.surroundings.engine.kill(container).await {
            self.again("kill", &error, &mut backoff).await;
        }
    }

    /// The way of this attempt's output.
    pub(super) fn pump(&self, container: &ContainerId) -> Pump<E> {
        let surroundings = &self.surroundings;
        Pump {
            engine: surroundings.engine.clone(),
            logs: surroundings.logs.logs(),
            agent: surroundings.ownership.owner().agent.clone(),
            attempt: self.attempt.clone(),
            container: container.clone(),
            allowance: surroundings.allowance,
            tails: surroundings.tails.clone(),
        }
    }
}
