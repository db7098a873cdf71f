//! What people have been told of an app: what the next notices are decided by.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{id::RunNumber, spec::is_default};

/// What people have been told of an app and not been told the end of, and what the next notices are decided by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Failed runs since the last success.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: u32,
    /// Since when a run has found no agent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub waits_since: Option<Timestamp>,
    /// The run that was told to be pending.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pending: Option<RunNumber>,
    /// Active runs that were told to be long.
    #[serde(default, skip_serializing_if = "is_default")]
    pub long: Vec<RunNumber>,
    /// The last notice of dropped ticks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropped: Option<ToldDrops>,
    /// The file was told to be invalid.
    #[serde(default, skip_serializing_if = "is_default")]
    pub invalid: bool,
    /// The app was told to be overdue.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overdue: bool,
    /// Since when a success is expected: the last one, or when the app was applied with `expect_success`, and as much later as
    /// the app was paused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expected_since: Option<Timestamp>,
}

/// A notice of dropped ticks, and those since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldDrops {
    /// When the last notice was decided.
    pub at: Timestamp,
    /// Ticks that were dropped since, and told of by no notice.
    pub untold: u64,
    /// The last instant among them.
    pub scheduled_at: Timestamp,
}
