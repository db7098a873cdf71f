//! One agent as the leader sees it.

use std::{collections::BTreeMap, sync::Arc};

use super::load::Load;
use crate::message::{AgentRecord, Capacity};

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// Whether attempts may be placed there.
    pub readiness: Readiness,
    /// What the host offers.
    pub capacity: Capacity,
    /// What constraints look at, shared by all views of the agent.
    pub traits: Arc<Traits>,
}

/// What constraints look at. Changes only when an agent is started anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Labels of the agent.
    pub labels: BTreeMap<String, String>,
    /// The host's name.
    pub host: String,
}

impl Traits {
    /// What a heartbeat says of them.
    pub fn of(record: &AgentRecord) -> Self {
        Self { labels: record.labels.clone(), host: record.host.clone() }
    }
}

/// Whether an agent takes attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It finishes what it has.
    Draining,
    /// No heartbeat of late, or stopped in order.
    Silent,
    /// Its deadlines would let a container run beside its replacement (protocol rule P15).
    UnsafeTiming,
}

impl AgentView {
    /// How many more attempts the host carries beside `load`.
    pub fn free_slots(&self, load: Load) -> u32 {
        self.capacity.slots.saturating_sub(load.slots)
    }
}
