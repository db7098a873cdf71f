//! The services of a run, where their replicas are, and whether the run goes on.

use serde::{Deserialize, Serialize};

use super::replica::Replica;
use crate::{
    name::{AgentName, ServiceName},
    outcome::Outcome,
};

/// The replicas of one service within a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRun {
    /// The service.
    pub name: ServiceName,
    /// Of a global service, the agents of its replicas, by index. `None` where any agent will do, and until agents match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Vec<AgentName>>,
    /// Its replicas, by index.
    pub replicas: Vec<Replica>,
}

/// Which replica of a run: positions, as the run has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaPlace {
    /// Position of the service.
    pub service: u32,
    /// Index of the replica.
    pub replica: u32,
}

/// Whether a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Running,
    /// No attempt is started any more, and those that are open are being stopped.
    Stopping { reason: StopReason },
}

/// Why a run is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody asked for it.
    Cancelled {
        /// Who, for people.
        by: String,
    },
    /// It lasted longer than it may.
    TimedOut,
    /// A newer one takes its place.
    Replaced,
    /// The app was removed.
    Removed,
}

impl StopReason {
    /// How what is stopped ends.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut => Outcome::TimedOut,
            Self::Cancelled { .. } | Self::Replaced | Self::Removed => Outcome::Cancelled,
        }
    }

    /// Returns whether a person asked for the end of the run.
    pub fn is_asked_for(&self) -> bool {
        match self {
            Self::Cancelled { .. } | Self::Removed => true,
            Self::TimedOut | Self::Replaced => false,
        }
    }
}
