//! One agent as the leader sees it.

use std::{collections::BTreeMap, sync::Arc};

use super::load::Load;
use crate::{
    message::{AgentRecord, Capacity, EngineStock},
    policy::HostPolicy,
};

/// An agent as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// Whether attempts may be placed there.
    pub readiness: Readiness,
    /// What the host offers.
    pub capacity: Capacity,
    /// What placement looks at besides room, shared by all views of the agent.
    pub traits: Arc<Traits>,
}

/// What placement looks at besides room. Changes seldom: when an agent is started anew, or its engine gets a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traits {
    /// Labels of the agent.
    pub labels: BTreeMap<String, String>,
    /// The host's name.
    pub host: String,
    /// What the host lets containers have; `None`: nobody tells.
    pub policy: Option<HostPolicy>,
    /// What its engine has.
    pub stock: EngineStock,
}

impl Traits {
    /// What a heartbeat says of them.
    pub fn of(record: &AgentRecord) -> Self {
        let AgentRecord { labels, host, policy, stock, .. } = record;
        Self { labels: labels.clone(), host: host.clone(), policy: policy.clone(), stock: stock.clone() }
    }

    /// Whether a heartbeat says nothing else.
    pub fn are_of(&self, record: &AgentRecord) -> bool {
        let Self { labels, host, policy, stock } = self;
        *labels == record.labels && *host == record.host && *policy == record.policy && *stock == record.stock
    }
}

/// Whether an agent takes attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It finishes what it has.
    Draining,
    /// No heartbeat of late, or stopped in order.
    Silent,
    /// Its container engine does not answer: nothing that is placed there would run.
    NoEngine,
    /// Its deadlines would let a container run beside its replacement (protocol rule P15).
    UnsafeTiming,
}

impl AgentView {
    /// How many more attempts the host carries beside `load`.
    pub fn free_slots(&self, load: Load) -> u32 {
        self.capacity.slots.saturating_sub(load.slots)
    }
}
