//! The agents as the leader sees them, and what is already placed on each.

use std::collections::BTreeMap;

use crate::{message::Capacity, name::AgentName};

/// All known agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// By name, so that placement is the same for the same input.
    pub agents: BTreeMap<AgentName, AgentView>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// Whether attempts may be placed there.
    pub readiness: Readiness,
    /// What the host offers.
    pub capacity: Capacity,
    /// What is bound to it.
    pub load: Load,
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

/// What is bound to an agent: open attempts and what they reserve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Open attempts.
    pub slots: u32,
    /// Reserved cores, in thousandths.
    pub cpu_millis: u64,
    /// Reserved memory, in bytes.
    pub memory_bytes: u64,
}
