//! The life of one attempt on its agent. Pure: events in, effects out.
//!
//! ```text
//!  Claiming -> Pulling -> Queued -> Creating -> Starting -> Running -> Ending -> Collecting -> Removing -> Gone
//!      |          |         |          |           |           |          ^           (its output)
//!      |          +---------+----------+-----------+-----------+----------+  (stopped, failed: the end is reported)
//!      |                                           +-> Stopping +---------+  (by order, or its time is up)
//!      +-> Gone  (somebody else wrote first)       +-> Clearing (removed *before* the end is reported)
//! ```
//!
//! An attempt is *held* from before its claim is sent until its end is stored, or its claim is known to have failed (protocol
//! rule P1): [`State::is_held`]. [`State::apply`] is the whole legal life, and [`Phase`] the part of it that is claimed. An event that
//! neither takes is an [`IllegalEvent`].

mod end;
mod event;
mod phase;
mod step;

use std::sync::Arc;

use tickmesh_core::message::{AttemptEvent, Awaited, PullProgress};

pub(crate) use self::end::{EXIT_KILLED, NO_ENGINE};
pub use self::{
    end::disposal_after,
    event::{
        Claimed, Disposal, Effect, Event, IllegalEvent, Job, LastReport, OutputFrom, Remains, Stop, Terms, Watched,
        Wish,
    },
    phase::Phase,
};
use self::{
    end::{not_started, removed},
    step::{claim_stored, clear, gone, not_claimed, run, still},
};
use crate::engine::ContainerId;

/// Where an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was never ours: a first message that ends it at once is on its way. Not held.
    Declining,
    /// The claim is on its way, its fate unknown.
    Claiming {
        /// What follows if it is stored.
        job: Arc<Job>,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// It is ours until its end is stored.
    Claimed {
        /// The claim.
        claimed: Claimed,
        /// How far it has come.
        phase: Phase,
    },
    /// The end is stored, and the rest of the container's output is on its way: nothing else may take the container. Not held.
    Collecting {
        container: ContainerId,
        /// What becomes of it afterwards.
        disposal: Disposal,
    },
    /// The end is stored, and the container is being removed. Not held.
    Removing,
    /// Nothing is left to do.
    Gone,
}

/// The next state and what to do.
pub type Step = (State, Vec<Effect>);

impl State {
    /// A new attempt: held from now on, the claim is sent afterwards.
    pub fn claim(job: Job) -> Step {
        let nonce = job.nonce;
        (Self::Claiming { job: Arc::new(job), wish: Wish::Run }, vec![Effect::Claim { nonce }])
    }

    /// An attempt that will not be taken, or was stopped before it was known.
    pub fn decline(event: AttemptEvent) -> Step {
        (Self::Declining, vec![Effect::Decline { event }])
    }

    /// A container of an earlier process that has been started. If it has ended meanwhile, the watch says so; it is never
    /// started again.
    pub fn adopt_started(claimed: Claimed, container: ContainerId) -> Step {
        run(claimed, container, OutputFrom::LastStored)
    }

    /// A container of an earlier process that never ran, as far as known.
    pub fn adopt_created(claimed: Claimed, container: ContainerId) -> Step {
        clear(claimed, container, not_started())
    }

    /// A container that ran under an attempt whose end is stored, which does not say that its output is.
    pub fn adopt_ended(container: ContainerId, disposal: Disposal) -> Step {
        let collect = Effect::Collect { container: container.clone() };
        (Self::Collecting { container, disposal }, vec![collect])
    }

    /// A container that nobody needs anything of.
    pub fn adopt_leftover(container: ContainerId) -> Step {
        (Self::Removing, vec![Effect::Remove { container }])
    }

    /// Whether a heartbeat lists the attempt (protocol rule P1).
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Claiming { .. } | Self::Claimed { .. })
    }

    /// Whether nobody knows yet whose it is.
    pub fn is_claiming(&self) -> bool {
        matches!(self, Self::Claiming { .. })
    }

    /// Whether its container has ended, and only its end is still on its way.
    pub fn has_ended(&self) -> bool {
        matches!(self.phase(), Some(Phase::Ending { .. }))
    }

    /// Whether it waits for its turn to start a container.
    pub fn is_queued(&self) -> bool {
        matches!(self.phase(), Some(Phase::Queued { .. }))
    }

    /// Whether the engine is busy bringing its container up: such attempts are limited.
    pub fn takes_a_turn(&self) -> bool {
        matches!(self.phase(), Some(Phase::Creating { .. } | Phase::Starting { .. }))
    }

    /// Whether the engine is busy taking its container away, which costs it about as much.
    pub fn clears_away(&self) -> bool {
        matches!(self.phase(), Some(Phase::Clearing { .. })) || *self == Self::Removing
    }

    /// Whether the next agent process finds all it needs to go on, if this one stops now.
    pub fn survives_restart(&self) -> bool {
        !self.is_held() || self.started().is_some()
    }

    /// What is left to say when this process gives everything up and its container is removed: the claim's sequence and the
    /// end of the attempt. `None`: there is no claim, as far as known.
    pub fn last_words(&self) -> Option<(u64, AttemptEvent)> {
        let Self::Claimed { claimed, phase } = self else { return None };
        let event = match phase {
            Phase::Pulling { .. }
            | Phase::Queued { .. }
            | Phase::Creating { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. } => removed(),
            Phase::Clearing { end: event } | Phase::Ending { event, .. } => event.clone(),
        };
        Some((claimed.sequence, event))
    }

    /// How far it has come, if it is claimed.
    fn phase(&self) -> Option<&Phase> {
        if let Self::Claimed { phase, .. } = self { Some(phase) } else { None }
    }

    /// The pull of an image has come this far. It changes nothing but what people are told.
    pub fn pull_moved(&mut self, image: &str, moved: PullProgress) {
        if let Self::Claimed { phase: Phase::Pulling { job, progress }, .. } = self
            && job.order.container.image == image
        {
            *progress = moved;
        }
    }

    /// What it waits for, if that may take long.
    pub fn awaited(&self) -> Option<Awaited> {
        match self.phase()? {
            Phase::Pulling { progress, .. } => Some(Awaited::Pulling(*progress)),
            Phase::Queued { .. } => Some(Awaited::Queued),
            Phase::Creating { .. }
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. }
            | Phase::Ending { .. } => None,
        }
    }

    /// The container, once it has been started.
    pub fn started(&self) -> Option<&ContainerId> {
        match self.phase()? {
            Phase::Running { container, .. } | Phase::Stopping { container, .. } => Some(container),
            Phase::Pulling { .. }
            | Phase::Queued { .. }
            | Phase::Creating { .. }
            | Phase::Starting { .. }
            | Phase::Clearing { .. }
            | Phase::Ending { .. } => None,
        }
    }

    /// One word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Declining => "declining",
            Self::Claiming { .. } => "claiming",
            Self::Claimed { phase, .. } => phase.name(),
            Self::Collecting { .. } => "collecting",
            Self::Removing => "removing",
            Self::Gone => "gone",
        }
    }

    /// The whole legal life.
    pub fn apply(self, event: Event) -> Result<Step, IllegalEvent> {
        use Event as E;
        use State as S;
        Ok(match (self, event) {
            (S::Claimed { claimed, phase }, event) => return phase.apply(claimed, event),

            (S::Declining, E::Declined) => gone(),

            (S::Claiming { job, wish }, E::ClaimStored { sequence, at }) => claim_stored(job, wish, sequence, at),
            (S::Claiming { .. }, E::ClaimRefused) => gone(),
            (S::Claiming { wish, .. }, E::Fenced) => S::decline(not_claimed(wish)),
            (S::Claiming { job, wish }, E::StopWanted(stop)) => still(S::Claiming { job, wish: wish.or(stop) }),
            (S::Claiming { job, wish }, E::EngineLost) => still(S::Claiming { job, wish: wish.or_give_back() }),

            (S::Collecting { container, disposal: Disposal::Remove }, E::Collected) => S::adopt_leftover(container),
            (S::Collecting { disposal: Disposal::Keep, .. }, E::Collected) => gone(),

            (S::Removing, E::Removed) => gone(),
            // The pull ended just before it was given up.
            (S::Removing, E::ImageReady | E::CouldNotPull { .. }) => still(S::Removing),

            // It is over, and the leader repeats a stop while the attempt is held.
            (state @ (S::Declining | S::Collecting { .. } | S::Removing), E::StopWanted(_) | E::EngineLost) => {
                still(state)
            }

            (state, event) => return Err(IllegalEvent { state: state.name(), event: event.name() }),
        })
    }
}

#[cfg(test)]
mod tests;
