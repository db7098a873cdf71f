//! What is kept of a finished run.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{RunNumber, RunUid},
    ledger::Cause,
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
};

/// A finished run, on `history.<app>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Schema version.
    pub schema: u32,
    /// Number of this message among the app's history messages, from 1 without gaps.
    pub number: u64,
    /// The app.
    pub app: AppName,
    /// Number of the run.
    pub run: RunNumber,
    /// Identity of the run.
    pub uid: RunUid,
    /// Why it existed.
    pub cause: Cause,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When its last attempt was known to have ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Its replicas.
    pub replicas: Vec<ReplicaSummary>,
}

/// How one replica ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaSummary {
    /// The service.
    pub service: ServiceName,
    /// Index of the replica.
    pub replica: u32,
    /// Number of its last attempt; 0: it was never ordered.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Where its last attempt was.
    pub agent: Option<AgentName>,
}
