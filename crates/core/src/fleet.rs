//! The agents as the leader sees them, and what is bound to each.

use std::collections::BTreeMap;

use crate::{ledger::Ledger, message::Capacity, name::AgentName, spec::ContainerSpec};

/// All known agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// By name, so that placement is the same for the same input.
    pub agents: BTreeMap<AgentName, AgentView>,
    /// What is bound to each agent; also to those that nobody knows any more.
    pub loads: BTreeMap<AgentName, Load>,
}

/// One agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentView {
    /// Whether attempts may be placed there.
    pub readiness: Readiness,
    /// What the host offers.
    pub capacity: Capacity,
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

impl Load {
    /// What one container takes.
    pub fn of(container: &ContainerSpec) -> Self {
        Self { slots: 1, cpu_millis: container.reserved_cpu_millis(), memory_bytes: container.reserved_memory_bytes() }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            slots: self.slots.saturating_add(other.slots),
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    /// This without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            slots: self.slots.saturating_sub(other.slots),
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
        }
    }

    /// Whether a host of this capacity can carry it.
    pub fn fits(self, capacity: &Capacity) -> bool {
        self.slots <= capacity.slots
            && self.cpu_millis <= capacity.cpu_millis
            && self.memory_bytes <= capacity.memory_bytes
    }
}

/// A decision's effect on the load of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadChange {
    /// An attempt was bound to it.
    Bind(AgentName, Load),
    /// An attempt on it ended.
    Release(AgentName, Load),
}

impl Fleet {
    /// What is bound to an agent.
    pub fn load(&self, agent: &AgentName) -> Load {
        self.loads.get(agent).copied().unwrap_or_default()
    }

    /// Carries out what a decision changed.
    pub fn apply(&mut self, change: &LoadChange) {
        match change {
            LoadChange::Bind(agent, load) => {
                let bound = self.loads.entry(agent.clone()).or_default();
                *bound = bound.plus(*load);
            }
            LoadChange::Release(agent, load) => {
                let bound = self.loads.entry(agent.clone()).or_default();
                *bound = bound.minus(*load);
            }
        }
    }

    /// Counts in the open attempts of a ledger that was read from the store.
    pub fn bind_all(&mut self, ledger: &Ledger) {
        for run in &ledger.active {
            for (service, agent) in run.bound_agents() {
                let load = run.spec.service(service).map_or_else(Load::default, |spec| Load::of(&spec.container));
                self.apply(&LoadChange::Bind(agent.clone(), load));
            }
        }
    }
}
