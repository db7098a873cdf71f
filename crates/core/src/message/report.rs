//! What becomes of an attempt, on a subject of its own: the claim first, the end last.

mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::MachineId;
use crate::{
    end_notes::EndNotes,
    id::{AttemptId, Nonce},
    name::AgentName,
    outcome::LostReason,
};

/// A message on an attempt's own subject. The first one is [`AttemptEvent::Claimed`], `Revoked` or `Cancelled`, the last one
/// terminal; each is a compare-and-set, so that exactly one writer wins (protocol, "Life").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// Schema version.
    pub schema: u32,
    pub attempt: AttemptId,
    /// The agent that the attempt is bound to.
    pub agent: AgentName,
    /// The writer's clock, for people.
    pub at: Timestamp,
    /// What happened. Stored in a form that the release before understands.
    #[serde(with = "wire")]
    pub event: AttemptEvent,
}

/// What happened to an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AttemptEvent {
    /// The agent made it its own. A container may exist from now on.
    Claimed {
        /// This process, this try (protocol rule P7).
        nonce: Nonce,
        /// The agent's host.
        machine: MachineId,
    },
    /// It will never be claimed, and counts for nothing.
    Revoked {
        /// Who says so.
        by: Revoker,
        /// Why, for people.
        reason: String,
    },
    /// The agent gives it back after the claim: its engine does not answer, and was never asked to start a container. It counts
    /// for nothing. The release before reads this as [`AttemptEvent::Revoked`] by the agent.
    Returned {
        /// Why, for people.
        reason: String,
    },
    /// It was stopped, before or after it was claimed.
    Cancelled {
        /// Exit code, if there was a process.
        exit_code: Option<i64>,
    },
    /// The container exited by itself.
    Exited {
        exit_code: i64,
        /// The kernel killed a process of it for want of memory.
        oom_killed: bool,
        /// Its health check failed when it ended.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unhealthy: bool,
        /// When the process began, by the engine's clock.
        started_at: Option<Timestamp>,
        /// When it ended, by the engine's clock.
        finished_at: Option<Timestamp>,
    },
    /// The container ran longer than it may, and was stopped.
    TimedOut {
        /// Exit code, if there was a process.
        exit_code: Option<i64>,
        /// What else the engine says of it.
        #[serde(default, skip_serializing_if = "EndNotes::is_empty")]
        notes: EndNotes,
    },
    /// There was never a process.
    CouldNotStart {
        /// What the engine or the registry said.
        reason: String,
        /// Trying again is pointless: the host's policy refuses the container.
        permanent: bool,
    },
    /// Nobody knows how it ended.
    Lost {
        /// What became of it.
        reason: LostReason,
    },
}

/// Who took an attempt back before it was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoker {
    Leader,
    Agent,
}

impl AttemptEvent {
    /// What the engine tells of the container's end besides its exit code.
    pub fn notes(&self) -> EndNotes {
        match self {
            Self::Exited { oom_killed, unhealthy, .. } => EndNotes { oom_killed: *oom_killed, unhealthy: *unhealthy },
            Self::TimedOut { notes, .. } => *notes,
            Self::Claimed { .. }
            | Self::Revoked { .. }
            | Self::Returned { .. }
            | Self::Cancelled { .. }
            | Self::CouldNotStart { .. }
            | Self::Lost { .. } => EndNotes::default(),
        }
    }

    /// Whether nothing can follow on the attempt's subject.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Claimed { .. } => false,
            Self::Revoked { .. }
            | Self::Returned { .. }
            | Self::Cancelled { .. }
            | Self::Exited { .. }
            | Self::TimedOut { .. }
            | Self::CouldNotStart { .. }
            | Self::Lost { .. } => true,
        }
    }
}
