use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Carried;
use crate::{
    id::{RequestId, RunNumber},
    message::RunRequest,
};

/// Why a run exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// An instant of the schedule.
    Schedule,
    /// Instants that were missed, coalesced into the latest.
    CatchUp {
        /// How many.
        missed: u64,
    },
    /// A person.
    Manual {
        /// Who.
        by: String,
        /// The command.
        request: RequestId,
    },
    /// A person, for what did not succeed in an earlier run.
    Retry {
        /// That run.
        of: RunNumber,
        /// Who.
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

/// A run that waits for its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Why it is to run.
    pub cause: Cause,
    /// Its instant, if a schedule asked for it; of a retry, that of the earlier run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Since when it waits.
    pub enqueued_at: Timestamp,
    /// Changes that a person asked for.
    #[serde(default, skip_serializing_if = "RunRequest::is_empty")]
    pub request: RunRequest,
    /// What need not run again.
    #[serde(default, skip_serializing_if = "Carried::is_empty")]
    pub carried: Carried,
}
