//! A run that waits in the queue of its app.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CarryOver;
use crate::{cause::Cause, message::RunRequest};

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
    #[serde(default, skip_serializing_if = "CarryOver::is_empty")]
    pub carried: CarryOver,
}
