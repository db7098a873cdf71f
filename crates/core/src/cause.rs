//! Why a run exists, and who asked for it.

use serde::{Deserialize, Serialize};

use crate::id::{RequestId, RunNumber};

/// Why a run exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// An instant of the schedule.
    Schedule,
    /// Instants that were missed, coalesced into the latest.
    CatchUp { missed: u64 },
    /// A person.
    Manual {
        by: String,
        /// The command.
        request: RequestId,
    },
    /// A person, for what did not succeed in an earlier run.
    Retry {
        /// That run.
        of: RunNumber,
        by: String,
        /// The command.
        request: RequestId,
    },
}

/// Who asked for a run: each has counters of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The clock.
    Tick,
    /// A person.
    Manual,
    /// A person, for an earlier run.
    Retry,
}

impl Cause {
    /// One word for tables and environments.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::CatchUp { .. } => "catch_up",
            Self::Manual { .. } => "manual",
            Self::Retry { .. } => "retry",
        }
    }

    /// Who asked.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Schedule | Self::CatchUp { .. } => Origin::Tick,
            Self::Manual { .. } => Origin::Manual,
            Self::Retry { .. } => Origin::Retry,
        }
    }
}
