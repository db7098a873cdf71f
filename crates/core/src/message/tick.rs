//! What became of an instant, on `tick.<app>`.

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
    /// No run will come of it: too much waits already.
    Drop { reason: DropReason },
    /// No run will come of these instants: none was wanted.
    Skip {
        reason: SkipReason,
        /// How many they are; [`TickRecord::scheduled_at`] is the latest.
        instants: u64,
    },
    /// These ticks waited, and no run will come of them. A second word on instants that were enqueued before.
    Discard {
        reason: DiscardReason,
        /// How many they are; [`TickRecord::scheduled_at`] is the latest.
        ticks: u64,
    },
}

impl Admission {
    /// Whether an instant was decided when it was due. What waited is thrown out long after, and what a pause left out is told
    /// when the app is resumed: neither says how late the mesh is.
    pub fn is_when_due(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Enqueue { .. } | Self::Drop { .. } => true,
            Self::Skip { reason, .. } => match reason {
                SkipReason::Overlap | SkipReason::Misfire | SkipReason::Deadline => true,
                SkipReason::Paused => false,
            },
            Self::Discard { .. } => false,
        }
    }

    /// One word for what became of the instant.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Start { .. } => "started",
            Self::Enqueue { .. } => "enqueued",
            Self::Drop { .. } => "dropped",
            Self::Skip { .. } => "skipped",
            Self::Discard { .. } => "discarded",
        }
    }
}

/// Why too much waits for another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// As many ticks wait as may.
    QueueFull,
    /// The runs by hand that wait carry as much as a ledger takes.
    QueueTooLarge,
}

/// Why no run of an instant or a command was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The app was paused.
    Paused,
    /// A run was active, and `overlap` is `skip`.
    Overlap,
    /// Nobody was there to decide in time, and `misfire` is `skip`.
    Misfire,
    /// It was decided later than `start_deadline` allows.
    Deadline,
}

/// Why what waited was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscardReason {
    /// It waited for longer than `start_deadline` allows.
    Expired,
    /// Somebody emptied the queue, or removed the app.
    Flushed,
    /// A newer one took its place: `overlap` is `replace`.
    Replaced,
}

impl fmt::Display for DropReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::QueueFull => "the queue is full",
            Self::QueueTooLarge => "the runs that wait carry too many variables and arguments",
        })
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Paused => "the app was paused",
            Self::Overlap => "a run is active",
            Self::Misfire => "it was missed",
            Self::Deadline => "its start deadline was over",
        })
    }
}

impl fmt::Display for DiscardReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Expired => "it waited longer than its start deadline",
            Self::Flushed => "the queue was emptied",
            Self::Replaced => "a newer one took its place",
        })
    }
}
