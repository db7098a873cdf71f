//! The engine, the connections and the settings that all tasks of an executor share.

use std::{sync::Arc, time::Duration};

use tickmesh_core::{
    id::AttemptId,
    message::{AttemptEvent, AttemptReport, SCHEMA},
};
use tickmesh_messaging::Mesh;
use tokio::sync::Semaphore;

use crate::{default_limits::DefaultLimits, error::chain, output::Allowance, ownership::Ownership, policy::HostPolicy};

/// What an engine says may be long, and goes into reports and ledgers.
const REASON_CHARS_MAX: usize = 500;

/// Engine, connections and settings, shared by all tasks.
#[derive(Debug)]
pub(crate) struct Surroundings<E> {
    pub(crate) engine: E,
    /// Claims and ends go here.
    pub(crate) mesh: Mesh,
    /// Output goes here: a connection of its own.
    pub(crate) logs: Mesh,
    /// Whose containers these are.
    pub(crate) ownership: Ownership,
    /// What it lets containers do.
    pub(crate) policy: HostPolicy,
    /// Limits of containers whose file sets none.
    pub(crate) default_limits: DefaultLimits,
    /// How long the engine may take to answer a probe.
    pub(crate) probe_patience: Duration,
    /// What is kept of the output of one attempt.
    pub(crate) allowance: Allowance,
    /// Permits to have the tail of an output in memory.
    pub(crate) tails: Arc<Semaphore>,
}

impl<E> Surroundings<E> {
    /// A report of this agent, now.
    pub(crate) fn report(&self, attempt: &AttemptId, event: AttemptEvent) -> AttemptReport {
        let agent = self.ownership.owner().agent.clone();
        AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent, at: jiff::Timestamp::now(), event }
    }
}

/// Returns what the engine said, short enough for a report.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).chars().take(REASON_CHARS_MAX).collect()
}
