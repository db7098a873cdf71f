//! One replica of a service in an active run, and the attempt that it is in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stored::StoredReplica;
use crate::{end_notes::EndNotes, message::MachineDigest, name::AgentName, outcome::Outcome};

/// One replica of a service in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredReplica", try_from = "StoredReplica")]
pub struct Replica {
    /// Number of the last attempt that was ordered; 0: none.
    pub last_attempt: u32,
    /// Attempts that ran to an end and did not succeed. Forgotten when the replica has ended.
    pub failures: u32,
    /// Attempts that were lost. Forgotten when the replica has ended.
    pub losses: u32,
    /// What the engine said of the end of its last attempt, once the replica has ended and as far as its outcome does not say it.
    pub notes: EndNotes,
    /// What it is doing.
    pub state: ReplicaState,
}

/// What a replica is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaState {
    /// It wants an agent.
    Pending {
        /// Not before this moment: the pause before a retry.
        not_before: Timestamp,
        /// An agent that did not take it, to be chosen last (protocol rule P12).
        avoid: Option<AgentName>,
    },
    /// Its last attempt is bound to an agent.
    Open(OpenAttempt),
    Ended {
        outcome: Outcome,
        /// On which agent, if any.
        agent: Option<AgentName>,
    },
}

/// The last attempt of a replica: it is bound to an agent and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAttempt {
    /// The agent, for ever.
    pub agent: AgentName,
    /// How far it has come.
    pub progress: Progress,
    /// When its last order was sent; `None`: one is to be sent now. Not stored: whoever takes over sends its own.
    pub sent_at: Option<Timestamp>,
}

/// How far an open attempt has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The agent was told, or is about to be.
    Ordered {
        /// Since when it is bound to the agent.
        at: Timestamp,
    },
    /// The agent made it its own.
    Claimed(Claim),
}

/// The claim of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its sequence in the results stream: the terminal message is a compare-and-set on it.
    pub sequence: u64,
    /// The agent's host.
    pub machine: MachineDigest,
}

impl OpenAttempt {
    /// The agent's claim, once known.
    pub fn claim(&self) -> Option<&Claim> {
        match &self.progress {
            Progress::Ordered { .. } => None,
            Progress::Claimed(claim) => Some(claim),
        }
    }
}

impl Replica {
    /// Whether no attempt of it is open or will be.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ReplicaState::Ended { .. })
    }
}
