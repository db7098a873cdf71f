//! What is kept of a finished run.

mod request;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    cause::Cause,
    end_notes::EndNotes,
    id::{RunNumber, RunUid},
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
};

pub use self::request::RequestSummary;

/// A finished run, on `history.<app>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Schema version.
    pub schema: u32,
    /// Number of this message among the app's history messages, from 1 without gaps.
    pub number: u64,
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
    /// What a person asked to be different: a retry asks for the same.
    #[serde(default, skip_serializing_if = "RequestSummary::is_empty")]
    pub request: RequestSummary,
    /// Its replicas: those of one service together, by index. Stored as `services`.
    #[serde(rename = "services", with = "by_service")]
    pub replicas: Vec<ReplicaSummary>,
}

/// How one replica ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSummary {
    pub service: ServiceName,
    /// Index of the replica.
    pub replica: u32,
    /// Number of its last attempt; 0: it was never ordered.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What else the engine said of the end.
    pub notes: EndNotes,
    /// Where its last attempt was.
    pub agent: Option<AgentName>,
}

/// Stores replicas by service, so that a name of a service is there once and an index not at all: a run may have
/// thousands of replicas, and its summary waits in a ledger until it is published.
mod by_service {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::ReplicaSummary;
    use crate::{
        end_notes::EndNotes,
        name::{AgentName, ServiceName},
        outcome::Outcome,
    };

    /// Replicas of one service with consecutive indexes.
    #[derive(Debug, Serialize, Deserialize)]
    struct Service {
        name: ServiceName,
        /// Index of the first.
        #[serde(default, skip_serializing_if = "is_zero")]
        first: u32,
        replicas: Vec<Replica>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Replica {
        attempts: u32,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "EndNotes::is_empty")]
        notes: EndNotes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentName>,
    }

    pub(super) fn serialize<S: Serializer>(replicas: &[ReplicaSummary], serializer: S) -> Result<S::Ok, S::Error> {
        let consecutive = |one: &ReplicaSummary, next: &ReplicaSummary| {
            one.service == next.service && one.replica.checked_add(1) == Some(next.replica)
        };
        serializer.collect_seq(replicas.chunk_by(consecutive).filter_map(stored))
    }

    fn stored(replicas: &[ReplicaSummary]) -> Option<Service> {
        let ReplicaSummary { service, replica: first, .. } = replicas.first()?;
        let replica = |ReplicaSummary { attempts, outcome, notes, agent, .. }: &ReplicaSummary| Replica {
            attempts: *attempts,
            notes: *notes,
            outcome: outcome.clone(),
            agent: agent.clone(),
        };
        Some(Service { name: service.clone(), first: *first, replicas: replicas.iter().map(replica).collect() })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ReplicaSummary>, D::Error> {
        let services = Vec::<Service>::deserialize(deserializer)?;
        let replicas = services.into_iter().flat_map(|Service { name, first, replicas }| {
            (first..=u32::MAX).zip(replicas).map(move |(replica, Replica { attempts, outcome, notes, agent })| {
                ReplicaSummary { service: name.clone(), replica, attempts, outcome, notes, agent }
            })
        });
        Ok(replicas.collect())
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_zero(number: &u32) -> bool {
        *number == 0
    }
}
