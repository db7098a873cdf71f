//! What people should hear of an app, on `notice.<app>`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::DropReason;
use crate::{id::RunNumber, name::AppName, outcome::Outcome};

/// Something about an app that people should hear of, on `notice.<app>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// Schema version.
    pub schema: u32,
    /// Number of this notice among those of its app. Later notices have higher numbers; some numbers are never used.
    pub number: u64,
    pub app: AppName,
    /// When it was decided.
    pub at: Timestamp,
    /// What there is to tell.
    pub notice: AppNotice,
}

/// What people should hear of an app. Most come in pairs: one opens an incident, the other closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum AppNotice {
    /// A run did not succeed, and nobody had cancelled it.
    Failed {
        run: RunNumber,
        outcome: Outcome,
        /// Failed runs since the last success, this one included.
        failures: u32,
    },
    /// A run succeeded after one that did not.
    Recovered {
        run: RunNumber,
        /// Failed runs before it.
        failures: u32,
    },
    /// A run has found no agent for [`crate::timing::Timing::tell_pending`], and nothing of it runs.
    Pending {
        run: RunNumber,
        since: Timestamp,
        /// What agents lack.
        reason: String,
    },
    /// A run that was told to be pending goes on, or has ended.
    Placed { run: RunNumber },
    /// No run has succeeded for as long as `expect_success` says.
    Overdue {
        /// When the last run succeeded, or since when one is expected.
        since: Timestamp,
        expect_success_ms: u64,
    },
    /// The app is not overdue any more.
    OnTime {
        /// The run that succeeded; `None`: no success is expected any more.
        run: Option<RunNumber>,
    },
    /// A run goes on for longer than `warn_after` says.
    Long { run: RunNumber, started_at: Timestamp, warn_after_ms: u64 },
    /// A run that was told to be long has ended.
    LongOver { run: RunNumber, outcome: Outcome },
    /// Ticks will have no run: as many wait as may.
    Dropped {
        /// Number of the last tick message among them.
        tick: u64,
        /// The last instant among them.
        scheduled_at: Timestamp,
        reason: DropReason,
        /// How many they are.
        ticks: u64,
    },
    /// The stored file is not valid any more.
    Invalid {
        /// The first problem.
        reason: String,
    },
    /// The app is valid again, or removed.
    Valid,
}
