//! What happens to an attempt, and what is to be done for it.

use std::{sync::Arc, time::Duration};

use tickmesh_core::{
    id::Nonce,
    message::{AttemptEvent, StartOrder},
    spec::{OnDisconnect, PullPolicy, RemoveContainers},
};

use crate::{
    engine::{ContainerId, ExitState, Image},
    policy::Refusal,
};

/// What is to be done for an attempt that has no container yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Nonce of the claim: this process, this try (protocol rule P7).
    pub nonce: Nonce,
    pub order: Box<StartOrder>,
    /// When the order arrived, as uptime of the host.
    pub ordered_at: Duration,
    /// Sequence of the last report of whatever attempt that the agent knew to be stored by then. The claim comes behind it,
    /// unless the store was put back to an older copy meanwhile.
    pub results_seen: u64,
    /// What the host's policy says. A refused job is claimed all the same: its end is the answer.
    pub verdict: Result<(), Refusal>,
}

/// What the order says about the container's time on its host. The container carries it, for the next agent process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Whether it is removed after its end.
    pub remove_containers: RemoveContainers,
    /// How long it may run.
    pub attempt_timeout: Option<Duration>,
    /// Whether it goes on while the host is cut off from the mesh.
    pub on_disconnect: OnDisconnect,
}

impl Terms {
    /// Those of an order.
    pub fn of(order: &StartOrder) -> Self {
        let StartOrder { remove_containers, attempt_timeout, on_disconnect, .. } = *order;
        Self { remove_containers, attempt_timeout, on_disconnect }
    }
}

/// A claim that is stored, and the terms of what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The claim's sequence: the end is a compare-and-set on it.
    pub sequence: u64,
    pub terms: Terms,
}

/// The last message on an attempt's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastReport {
    pub sequence: u64,
    /// What it says.
    pub event: AttemptEvent,
}

/// Whether somebody wants it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Run,
    /// It is to be given back as soon as what is under way has been answered: the engine does not answer.
    GiveBack,
    /// It is to stop for this reason, as soon as what is under way has been answered.
    Stop(Stop),
}

impl Wish {
    /// Returns the wish after somebody wants the attempt stopped: the first reason counts.
    #[must_use]
    pub fn or(self, stop: Stop) -> Self {
        match self {
            Self::Run | Self::GiveBack => Self::Stop(stop),
            Self::Stop(_) => self,
        }
    }

    /// Returns the wish after the engine was lost: whoever wants the attempt stopped does not want it elsewhere.
    #[must_use]
    pub fn or_give_back(self) -> Self {
        match self {
            Self::Run | Self::GiveBack => Self::GiveBack,
            Self::Stop(_) => self,
        }
    }
}

/// Whether the container was watched all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// It was.
    Throughout,
    /// The engine, or this agent, was away for a while: the engine may have stopped the container itself.
    WithGaps,
}

/// Why a container is being stopped. The first reason counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The leader ordered it.
    Ordered,
    /// It ran for as long as it may.
    TimedOut,
    /// Its host is drained, and it had time enough.
    Drained,
}

/// What becomes of a container once the end of its attempt is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposal {
    /// It is kept, for people to look at.
    Keep,
    /// It is removed.
    Remove,
}

/// What an attempt leaves on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    /// A container that never had a process. It shows nobody anything: it goes whatever the policy says.
    Unused(ContainerId),
    /// A container that ran.
    Ended {
        container: ContainerId,
        /// What becomes of it once the end is stored. If somebody else has ended the attempt, it goes for certain.
        disposal: Disposal,
    },
}

/// From where a container's output is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFrom {
    /// Nothing of it was stored.
    Beginning,
    /// An earlier process may have stored some.
    LastStored,
}

/// What happens to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first message of an attempt that is not ours was stored, or somebody else had written.
    Declined,
    ClaimStored {
        sequence: u64,
        /// When that was known, as uptime of the host.
        at: Duration,
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
    /// The host does not allow what it would have got.
    NotAllowed {
        /// What that is, and what would allow it.
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
    /// The guard killed the container (protocol rule P16).
    KilledByGuard(ExitState),
    ContainerGone,
    /// A deadline of the guard passed since the order came: what was to be done next is not done (protocol rule P4).
    Fenced,
    /// Somebody wants it stopped.
    StopWanted(Stop),
    /// The engine has not answered for so long that whatever it was not asked to start is given back.
    EngineLost,
    EndStored,
    /// Somebody else ended the attempt: the leader declared it lost.
    EndRefused,
    /// The output is stored to its end, or given up.
    Collected,
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
    Claim { nonce: Nonce },
    /// See that the image is there. Answer: `ImageReady`, `CouldNotPull`.
    Pull {
        image: Image,
        /// Whether it is brought also where it is there, or not at all.
        policy: PullPolicy,
    },
    /// Give the pull up. No answer.
    AbandonPull,
    /// Give the creation up. The engine may have it yet; what it says on the way is passed over. No answer.
    AbandonCreate,
    /// Create the container. Answer: `Created`, `CouldNotCreate`, `NotAllowed`.
    Create {
        claim_sequence: u64,
        /// What to create.
        job: Arc<Job>,
    },
    /// Start the container. Answer: `Started`, `CouldNotStart`, `StartUnanswered`, `ContainerGone`.
    Start { container: ContainerId },
    /// Follow its output, and wait for its end. Answer: `WatchInterrupted` at any time; `Exited` or `ContainerGone`.
    Watch {
        container: ContainerId,
        /// From where its output is followed.
        output: OutputFrom,
    },
    /// Tell when the container has run for so long, by the engine's clock, whoever started it. Answer: `StopWanted`, unless the attempt
    /// ended before.
    Time {
        container: ContainerId,
        /// How long it may run.
        limit: Duration,
    },
    /// Stop it, until it does not run. The answer comes from the watch.
    Stop { container: ContainerId },
    /// Store the end. Answer: `EndStored`, `EndRefused`.
    Report {
        claim_sequence: u64,
        /// The end.
        event: AttemptEvent,
    },
    /// See that a container does not run, and that its output is stored to its end, whichever process began. Answer: `Collected`.
    Collect { container: ContainerId },
    /// Kill and remove the container. Answer: `Removed`.
    Remove { container: ContainerId },
}

/// An event that cannot happen in that state: a mistake in this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}` cannot happen to an attempt that is {state}")]
pub struct IllegalEvent {
    pub(super) state: &'static str,
    pub(super) event: &'static str,
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
            Self::NotAllowed { .. } => "not-allowed",
            Self::Started => "started",
            Self::CouldNotStart { .. } => "could-not-start",
            Self::StartUnanswered => "start-unanswered",
            Self::WatchInterrupted => "watch-interrupted",
            Self::Exited(_) => "exited",
            Self::KilledByGuard(_) => "killed-by-guard",
            Self::ContainerGone => "container-gone",
            Self::Fenced => "fenced",
            Self::StopWanted(_) => "stop-wanted",
            Self::EngineLost => "engine-lost",
            Self::EndStored => "end-stored",
            Self::EndRefused => "end-refused",
            Self::Collected => "collected",
            Self::Removed => "removed",
        }
    }
}
