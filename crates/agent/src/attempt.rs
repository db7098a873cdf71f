//! The life of one attempt on its agent. Pure: events in, effects out.
//!
//! ```text
//!  Claiming -> Pulling -> Queued -> Creating -> Starting -> Running -> Ending -> Removing -> Gone
//!      |          |         |          |           |           |          ^
//!      |          +---------+----------+-----------+-----------+----------+  (stopped, failed: the end is reported)
//!      |                                           +-> Stopping +---------+
//!      +-> Gone  (somebody else wrote first)       +-> Clearing (removed *before* the end is reported)
//! ```
//!
//! An attempt is *held* from before its claim is sent until its end is stored, or its claim is known to have failed (protocol
//! rule P1): [`State::is_held`]. [`State::apply`] is the whole legal life; whatever is not in it is an [`IllegalEvent`].

use std::sync::Arc;

use tickmesh_core::{
    id::Nonce,
    message::{AttemptEvent, StartOrder},
    outcome::LostReason,
    spec::RemoveContainers,
};

use crate::{
    engine::{ContainerId, ExitState},
    policy::Refusal,
};

/// Exit code of a process that SIGKILL ended.
const EXIT_KILLED: i64 = 137;
/// Exit code of a process that SIGTERM ended.
const EXIT_TERMINATED: i64 = 143;

/// What is to be done for an attempt that has no container yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Nonce of the claim: this process, this try (protocol rule P7).
    pub nonce: Nonce,
    /// The order.
    pub order: Box<StartOrder>,
    /// What the host's policy says. A refused job is claimed all the same: its end is the answer.
    pub verdict: Result<(), Refusal>,
}

/// A claim that is stored, and the policy for what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The claim's sequence: the end is a compare-and-set on it.
    pub sequence: u64,
    /// Whether the container is removed after its end.
    pub remove_containers: RemoveContainers,
}

/// Whether a stop was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is to run.
    Run,
    /// It is to stop, as soon as what is under way has been answered.
    Stop,
}

/// Whether the container was watched all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// It was.
    Throughout,
    /// The engine, or this agent, was away for a while: the engine may have stopped the container itself.
    WithGaps,
}

/// What becomes of a container once the end of its attempt is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposal {
    /// There is none, or it is kept for people to look at.
    Leave,
    /// It is removed.
    Remove(ContainerId),
}

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
    /// The image is looked for, and fetched.
    Pulling {
        /// The claim.
        claimed: Claimed,
        /// What to create.
        job: Arc<Job>,
    },
    /// It waits for its turn to start a container.
    Queued {
        /// The claim.
        claimed: Claimed,
        /// What to create.
        job: Arc<Job>,
    },
    /// The engine creates the container.
    Creating {
        /// The claim.
        claimed: Claimed,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The engine starts the container.
    Starting {
        /// The claim.
        claimed: Claimed,
        /// The container.
        container: ContainerId,
        /// Whether a stop came meanwhile.
        wish: Wish,
    },
    /// The container runs.
    Running {
        /// The claim.
        claimed: Claimed,
        /// The container.
        container: ContainerId,
        /// Whether we saw all of it.
        watched: Watched,
    },
    /// The container is being stopped because somebody ordered it.
    Stopping {
        /// The claim.
        claimed: Claimed,
        /// The container.
        container: ContainerId,
    },
    /// A container that may be about to start is being removed; only then may the end be known (protocol rule P6).
    Clearing {
        /// The claim.
        claimed: Claimed,
        /// How the attempt will have ended.
        end: AttemptEvent,
    },
    /// It ended, and its end is on its way.
    Ending {
        /// What becomes of the container after that.
        disposal: Disposal,
        /// The container, which goes for certain if somebody else has ended the attempt.
        container: Option<ContainerId>,
    },
    /// The end is stored, and the container is being removed. Not held.
    Removing,
    /// Nothing is left to do.
    Gone,
}

/// What happens to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first message of an attempt that is not ours was stored, or somebody else had written.
    Declined,
    /// The claim is stored.
    ClaimStored {
        /// Its sequence.
        sequence: u64,
    },
    /// Somebody else wrote first.
    ClaimRefused,
    /// The image is there.
    ImageReady,
    /// It cannot be had.
    CouldNotPull {
        /// What the registry said.
        reason: String,
    },
    /// It may create and start its container now.
    TurnCame,
    /// The container is created.
    Created {
        /// Its id.
        container: ContainerId,
    },
    /// The engine refused to create it.
    CouldNotCreate {
        /// What it said.
        reason: String,
    },
    /// The container runs, or has run.
    Started,
    /// The engine refused to start it.
    CouldNotStart {
        /// What it said.
        reason: String,
    },
    /// The engine did not answer the start, and has the container created still: the start may yet take effect.
    StartUnanswered,
    /// The engine was away; the container is watched again.
    WatchInterrupted,
    /// The container ended.
    Exited(ExitState),
    /// The container is gone.
    ContainerGone,
    /// The leader wants it stopped.
    StopOrdered,
    /// The end is stored.
    EndStored,
    /// Somebody else ended the attempt: the leader declared it lost.
    EndRefused,
    /// The container is removed.
    Removed,
}

/// What is to be done for an attempt. Each is answered by events; none is waited for here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write a first message that ends the attempt at once. Answer: `Declined`.
    Decline {
        /// Cancelled or revoked.
        event: AttemptEvent,
    },
    /// Write the claim, again and again with the same nonce, until its fate is known. Answer: `ClaimStored`, `ClaimRefused`.
    Claim {
        /// The nonce.
        nonce: Nonce,
    },
    /// See that the image is there. Answer: `ImageReady`, `CouldNotPull`.
    Pull {
        /// The image.
        image: String,
    },
    /// Give the pull up. No answer.
    AbandonPull,
    /// Create the container. Answer: `Created`, `CouldNotCreate`.
    Create {
        /// The claim.
        claim_sequence: u64,
        /// What to create.
        job: Arc<Job>,
    },
    /// Start the container. Answer: `Started`, `CouldNotStart`, `StartUnanswered`, `ContainerGone`.
    Start {
        /// The container.
        container: ContainerId,
    },
    /// Follow its output, and wait for its end. Answer: `WatchInterrupted` at any time; `Exited` or `ContainerGone`.
    Watch {
        /// The container.
        container: ContainerId,
    },
    /// Stop it, until it does not run. The answer comes from the watch.
    Stop {
        /// The container.
        container: ContainerId,
    },
    /// Store the end. Answer: `EndStored`, `EndRefused`.
    Report {
        /// The claim.
        claim_sequence: u64,
        /// The end.
        event: AttemptEvent,
    },
    /// Kill and remove the container. Answer: `Removed`.
    Remove {
        /// The container.
        container: ContainerId,
    },
}

/// An event that cannot happen in that state: a mistake in this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}` cannot happen to an attempt that is {state}")]
pub struct IllegalEvent {
    state: &'static str,
    event: &'static str,
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

    /// A container of an earlier process that still runs.
    pub fn adopt_running(claimed: Claimed, container: ContainerId) -> Step {
        let watch = Effect::Watch { container: container.clone() };
        (Self::Running { claimed, container, watched: Watched::WithGaps }, vec![watch])
    }

    /// A container of an earlier process that has ended: it is never started again.
    pub fn adopt_exited(claimed: Claimed, container: ContainerId, exit: &ExitState) -> Step {
        exited(claimed, container, exit, Watched::WithGaps)
    }

    /// A container of an earlier process that never ran, as far as known.
    pub fn adopt_created(claimed: Claimed, container: ContainerId) -> Step {
        clear(claimed, container)
    }

    /// A container whose attempt has ended without it.
    pub fn adopt_leftover(container: ContainerId) -> Step {
        (Self::Removing, vec![Effect::Remove { container }])
    }

    /// Whether a heartbeat lists the attempt (protocol rule P1).
    pub fn is_held(&self) -> bool {
        match self {
            Self::Claiming { .. }
            | Self::Pulling { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. } => true,
            Self::Declining | Self::Removing | Self::Gone => false,
        }
    }

    /// Whether the engine is busy bringing its container up: such attempts are limited.
    pub fn takes_a_turn(&self) -> bool {
        matches!(self, Self::Creating { .. } | Self::Starting { .. })
    }

    /// The container that may have a process, with the claim under which it runs.
    pub fn live_container(&self) -> Option<(&Claimed, &ContainerId)> {
        match self {
            Self::Starting { claimed, container, .. }
            | Self::Running { claimed, container, .. }
            | Self::Stopping { claimed, container } => Some((claimed, container)),
            Self::Declining
            | Self::Claiming { .. }
            | Self::Pulling { .. }
            | Self::Queued { .. }
            | Self::Creating { .. }
            | Self::Clearing { .. }
            | Self::Ending { .. }
            | Self::Removing
            | Self::Gone => None,
        }
    }

    /// The whole legal life.
    pub fn apply(self, event: Event) -> Result<Step, IllegalEvent> {
        use Event as E;
        use State as S;
        Ok(match (self, event) {
            (S::Declining, E::Declined) => gone(),

            (S::Claiming { job, wish }, E::ClaimStored { sequence }) => claim_stored(job, wish, sequence),
            (S::Claiming { .. }, E::ClaimRefused) => gone(),
            (S::Claiming { job, .. }, E::StopOrdered) => still(S::Claiming { job, wish: Wish::Stop }),

            (S::Pulling { claimed, job }, E::ImageReady) => still(S::Queued { claimed, job }),
            (S::Pulling { claimed, .. }, E::CouldNotPull { reason }) => end_without(claimed, could_not_start(reason)),
            (S::Pulling { claimed, .. }, E::StopOrdered) => {
                let (state, mut effects) = end_without(claimed, cancelled(None));
                effects.insert(0, Effect::AbandonPull);
                (state, effects)
            }

            (S::Queued { claimed, job }, E::TurnCame) => {
                let create = Effect::Create { claim_sequence: claimed.sequence, job };
                (S::Creating { claimed, wish: Wish::Run }, vec![create])
            }
            (S::Queued { claimed, .. }, E::StopOrdered) => end_without(claimed, cancelled(None)),

            (S::Creating { claimed, wish: Wish::Run }, E::Created { container }) => {
                let start = Effect::Start { container: container.clone() };
                (S::Starting { claimed, container, wish: Wish::Run }, vec![start])
            }
            (S::Creating { claimed, wish: Wish::Stop }, E::Created { container }) => {
                end_and_remove(claimed, container, cancelled(None))
            }
            (S::Creating { claimed, wish }, E::CouldNotCreate { reason }) => {
                end_without(claimed, unless_stopped(wish, could_not_start(reason)))
            }
            (S::Creating { claimed, .. }, E::StopOrdered) => still(S::Creating { claimed, wish: Wish::Stop }),

            (S::Starting { claimed, container, wish }, E::Started) => started(claimed, container, wish),
            (S::Starting { claimed, container, wish }, E::CouldNotStart { reason }) => {
                end_and_remove(claimed, container, unless_stopped(wish, could_not_start(reason)))
            }
            (S::Starting { claimed, container, .. }, E::StartUnanswered) => clear(claimed, container),
            (S::Starting { claimed, wish, .. }, E::ContainerGone) => {
                end_without(claimed, unless_stopped(wish, removed()))
            }
            (S::Starting { claimed, container, .. }, E::StopOrdered) => {
                still(S::Starting { claimed, container, wish: Wish::Stop })
            }

            (S::Running { claimed, container, .. }, E::WatchInterrupted) => {
                still(S::Running { claimed, container, watched: Watched::WithGaps })
            }
            (S::Running { claimed, container, watched }, E::Exited(exit)) => exited(claimed, container, &exit, watched),
            (S::Running { claimed, .. }, E::ContainerGone) => end_without(claimed, removed()),
            (S::Running { claimed, container, .. }, E::StopOrdered) => {
                let stop = Effect::Stop { container: container.clone() };
                (S::Stopping { claimed, container }, vec![stop])
            }

            (S::Stopping { claimed, container }, E::Exited(exit)) => {
                end_by_policy(claimed, container, cancelled(Some(exit.code)))
            }
            (S::Stopping { claimed, .. }, E::ContainerGone) => end_without(claimed, cancelled(None)),
            (state @ S::Stopping { .. }, E::WatchInterrupted) => still(state),

            (S::Clearing { claimed, end }, E::Removed) => end_without(claimed, end),

            (S::Ending { disposal: Disposal::Leave, .. }, E::EndStored) => gone(),
            (S::Ending { disposal: Disposal::Remove(container), .. }, E::EndStored)
            | (S::Ending { container: Some(container), .. }, E::EndRefused) => S::adopt_leftover(container),
            (S::Ending { container: None, .. }, E::EndRefused) => gone(),

            (S::Removing, E::Removed) => gone(),

            // The leader repeats a stop while the attempt is held; it is on its way already.
            (
                state @ (S::Declining | S::Stopping { .. } | S::Clearing { .. } | S::Ending { .. } | S::Removing),
                E::StopOrdered,
            ) => still(state),
            // The pull ended just before it was given up.
            (state @ (S::Ending { .. } | S::Removing), E::ImageReady | E::CouldNotPull { .. }) => still(state),

            (state, event) => return Err(IllegalEvent { state: state.name(), event: event.name() }),
        })
    }

    /// One word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Declining => "declining",
            Self::Claiming { .. } => "claiming",
            Self::Pulling { .. } => "pulling",
            Self::Queued { .. } => "queued",
            Self::Creating { .. } => "creating",
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Stopping { .. } => "stopping",
            Self::Clearing { .. } => "clearing",
            Self::Ending { .. } => "ending",
            Self::Removing => "removing",
            Self::Gone => "gone",
        }
    }
}

impl Event {
    /// One word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::ClaimStored { .. } => "claim-stored",
            Self::ClaimRefused => "claim-refused",
            Self::ImageReady => "image-ready",
            Self::CouldNotPull { .. } => "could-not-pull",
            Self::TurnCame => "turn-came",
            Self::Created { .. } => "created",
            Self::CouldNotCreate { .. } => "could-not-create",
            Self::Started => "started",
            Self::CouldNotStart { .. } => "could-not-start",
            Self::StartUnanswered => "start-unanswered",
            Self::WatchInterrupted => "watch-interrupted",
            Self::Exited(_) => "exited",
            Self::ContainerGone => "container-gone",
            Self::StopOrdered => "stop-ordered",
            Self::EndStored => "end-stored",
            Self::EndRefused => "end-refused",
            Self::Removed => "removed",
        }
    }
}

fn still(state: State) -> Step {
    (state, Vec::new())
}

fn gone() -> Step {
    still(State::Gone)
}

fn claim_stored(job: Arc<Job>, wish: Wish, sequence: u64) -> Step {
    let claimed = Claimed { sequence, remove_containers: job.order.remove_containers };
    match (wish, &job.verdict) {
        (Wish::Stop, _) => end_without(claimed, cancelled(None)),
        (Wish::Run, Err(refusal)) => {
            end_without(claimed, AttemptEvent::CouldNotStart { reason: refusal.to_string(), permanent: true })
        }
        (Wish::Run, Ok(())) => {
            let pull = Effect::Pull { image: job.order.container.image.clone() };
            (State::Pulling { claimed, job }, vec![pull])
        }
    }
}

fn started(claimed: Claimed, container: ContainerId, wish: Wish) -> Step {
    let watch = Effect::Watch { container: container.clone() };
    match wish {
        Wish::Run => (State::Running { claimed, container, watched: Watched::Throughout }, vec![watch]),
        Wish::Stop => {
            let stop = Effect::Stop { container: container.clone() };
            (State::Stopping { claimed, container }, vec![watch, stop])
        }
    }
}

fn exited(claimed: Claimed, container: ContainerId, exit: &ExitState, watched: Watched) -> Step {
    end_by_policy(claimed, container, end_of(exit, watched))
}

/// What an exit that nobody here ordered means. A process killed while nobody watched was most likely killed by the engine
/// going down, or by the host: that says nothing about the job, so its end counts as unknown.
fn end_of(exit: &ExitState, watched: Watched) -> AttemptEvent {
    let by_signal = matches!(exit.code, EXIT_KILLED | EXIT_TERMINATED) && !exit.oom_killed;
    match watched {
        Watched::WithGaps if by_signal => AttemptEvent::Lost { reason: LostReason::EngineRestarted },
        Watched::WithGaps | Watched::Throughout => AttemptEvent::Exited {
            exit_code: exit.code,
            oom_killed: exit.oom_killed,
            started_at: exit.started_at,
            finished_at: exit.finished_at,
        },
    }
}

fn clear(claimed: Claimed, container: ContainerId) -> Step {
    let end = AttemptEvent::Lost { reason: LostReason::NotStarted };
    (State::Clearing { claimed, end }, vec![Effect::Remove { container }])
}

fn end_without(claimed: Claimed, event: AttemptEvent) -> Step {
    end(claimed, event, Disposal::Leave, None)
}

/// A container that never had a process shows nobody anything: it goes whatever the policy says.
fn end_and_remove(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    end(claimed, event, Disposal::Remove(container.clone()), Some(container))
}

fn end_by_policy(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    let disposal = if is_removed_after(&event, claimed.remove_containers) {
        Disposal::Remove(container.clone())
    } else {
        Disposal::Leave
    };
    end(claimed, event, disposal, Some(container))
}

fn end(claimed: Claimed, event: AttemptEvent, disposal: Disposal, container: Option<ContainerId>) -> Step {
    let report = Effect::Report { claim_sequence: claimed.sequence, event };
    (State::Ending { disposal, container }, vec![report])
}

/// Whether the container of an attempt that ended so is removed. The policy is for containers that ran to an end; one that
/// never had a process shows nothing, and one of a lost attempt may be a duplicate of its replacement.
pub fn is_removed_after(end: &AttemptEvent, policy: RemoveContainers) -> bool {
    match end {
        AttemptEvent::Exited { exit_code, .. } => policy.removes(*exit_code == 0),
        AttemptEvent::Cancelled { .. } => policy.removes(false),
        AttemptEvent::Lost { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Claimed { .. } => true,
    }
}

fn unless_stopped(wish: Wish, event: AttemptEvent) -> AttemptEvent {
    match wish {
        Wish::Run => event,
        Wish::Stop => cancelled(None),
    }
}

fn cancelled(exit_code: Option<i64>) -> AttemptEvent {
    AttemptEvent::Cancelled { exit_code }
}

fn could_not_start(reason: String) -> AttemptEvent {
    AttemptEvent::CouldNotStart { reason, permanent: false }
}

fn removed() -> AttemptEvent {
    AttemptEvent::Lost { reason: LostReason::ContainerRemoved }
}

#[cfg(test)]
mod tests;
