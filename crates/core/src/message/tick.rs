use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{id::RunNumber, name::AppName};

/// One decision of the clock about an app, on `tick.<app>`: the public record of what became of every instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickRecord {
    /// Schema version.
    pub schema: u32,
    /// Number of this decision, from 1 without gaps. A message may come twice, with the same number.
    pub number: u64,
    /// The app.
    pub app: AppName,
    /// The instant.
    pub scheduled_at: Timestamp,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What became of it.
    pub admission: Admission,
    /// Missed instants before it that were folded into it.
    pub coalesced: u64,
}

/// What becomes of an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "admission", rename_all = "snake_case")]
pub enum Admission {
    /// A run began.
    Start {
        /// Its number.
        run: RunNumber,
    },
    /// It waits for the active run to end.
    Enqueue {
        /// Ticks that wait now, this one included.
        waiting: u32,
    },
    /// No run will come of it.
    Drop {
        /// Why.
        reason: DropReason,
    },
}

/// Why no run comes of an instant or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// As many ticks wait as may.
    QueueFull,
    /// The runs by hand that wait carry as much as a ledger takes.
    QueueTooLarge,
}

impl fmt::Display for DropReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => formatter.write_str("the queue is full"),
            Self::QueueTooLarge => formatter.write_str("the runs that wait carry too many variables and arguments"),
        }
    }
}
