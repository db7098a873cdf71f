//! Stopping in order, and giving up a lost name.

use std::time::Duration;

use tickmesh_core::message::MeshEvent;

use super::{
    AgentCore, Stage,
    deposition::{Deposition, Next},
    io::{Effect, Shutdown},
};
use crate::{
    engine,
    error::{Error, chain},
};

/// How long a stopping agent waits for what is under way: a claim without its container costs the replica an attempt.
const CALM_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an agent whose host goes down waits for its containers to end. The service manager kills it after 30 s.
pub(super) const HOST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the farewell of an agent that stops may take. Without it the agent is lost by silence, which only takes longer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(3);

impl AgentCore {
    /// Another process has the name.
    pub(super) fn depose(&mut self, now: Duration) -> Vec<Effect> {
        tracing::error!(agent = %self.ownership.owner().agent, "another process has this agent's name");
        let (deposition, next) = Deposition::begin(self.attempts.own_claims(), now);
        self.stage = Stage::Deposed(deposition);
        let mut effects = vec![Effect::Abandon];
        effects.extend(self.follow(next));
        effects
    }

    pub(super) fn own_not_removed(&mut self, error: &engine::Error, now: Duration) -> Vec<Effect> {
        tracing::error!(error = %chain(error), "containers not removed yet");
        self.deposition(|deposition| deposition.failed(now))
    }

    pub(super) fn deposition(&mut self, go_on: impl FnOnce(&mut Deposition) -> Next) -> Vec<Effect> {
        let Stage::Deposed(deposition) = &mut self.stage else { return Vec::new() };
        let next = go_on(deposition);
        self.follow(next)
    }

    pub(super) fn follow(&mut self, next: Next) -> Vec<Effect> {
        match next {
            Next::Do(effect) => vec![effect],
            Next::Wait => Vec::new(),
            Next::Done => {
                let agent = self.ownership.owner().agent.clone();
                self.end(Err(Error::Deposed { agent }))
            }
        }
    }

    /// Stops in order. Containers go on, unless the host goes down.
    pub(super) fn shutdown(&mut self, of: Shutdown, now: Duration) -> Vec<Effect> {
        match self.stage {
            // Nobody has seen a sign of life.
            Stage::Locking
            | Stage::ClaimingName(_)
            | Stage::Arming
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing => self.end(Ok(())),
            Stage::Appearing | Stage::Serving { .. } => {
                let (tasks, timeout) = match of {
                    Shutdown::OfProcess => (Vec::new(), CALM_TIMEOUT),
                    Shutdown::OfHost => (self.attempts.evict(), HOST_TIMEOUT),
                };
                self.stage = Stage::Finishing { of, until: now + timeout };
                let mut effects = self.for_attempts(tasks);
                effects.extend(self.leave_once_finished(now));
                effects
            }
            Stage::Finishing { .. } | Stage::Leaving { .. } | Stage::Deposed(_) | Stage::Ended => Vec::new(),
        }
    }

    pub(super) fn leave_once_finished(&mut self, now: Duration) -> Vec<Effect> {
        match self.stage {
            Stage::Finishing { of: Shutdown::OfProcess, .. } if self.attempts.survives_restart() => {
                self.say_farewell(now)
            }
            Stage::Finishing { of: Shutdown::OfHost, .. } if self.attempts.held().is_empty() => self.say_farewell(now),
            Stage::Locking
            | Stage::ClaimingName(_)
            | Stage::Arming
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Serving { .. }
            | Stage::Finishing { .. }
            | Stage::Leaving { .. }
            | Stage::Deposed(_)
            | Stage::Ended => Vec::new(),
        }
    }

    pub(super) fn say_farewell(&mut self, now: Duration) -> Vec<Effect> {
        self.stage = Stage::Leaving { until: now + FAREWELL_TIMEOUT };
        self.heartbeat.begin_farewell(now).into_iter().collect()
    }

    pub(super) fn leave(&mut self) -> Vec<Effect> {
        let agent = self.ownership.owner().agent.clone();
        let mut effects = vec![Effect::Announce(MeshEvent::AgentStopped { agent })];
        // With anything held, the guard stays: containers go on, and somebody must end them if nobody comes back.
        if self.guard_client.is_up() && self.attempts.held().is_empty() {
            effects.push(Effect::DismissGuard);
        }
        effects.extend(self.end(Ok(())));
        effects
    }

    pub(super) fn end(&mut self, ended: Result<(), Error>) -> Vec<Effect> {
        self.stage = Stage::Ended;
        vec![Effect::End(ended)]
    }
}
