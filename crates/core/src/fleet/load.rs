//! What a container takes of a host, and what is taken already.

use std::num::NonZeroU64;

use crate::{message::Capacity, name::AgentName, spec::ContainerSpec};

/// How what a file asks for becomes a reservation. One leader uses one such rule, since it must release what it has bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reservations {
    /// Weight that stands for one core. `None`: weights are passed on to the engine, and reserve nothing.
    pub cpu_shares_per_core: Option<NonZeroU64>,
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
    /// What one container takes. Cores that its file speaks of count, or else its weight, if weights reserve anything.
    pub fn of(container: &ContainerSpec, reservations: Reservations) -> Self {
        let by_weight = || {
            let (shares, per_core) = (container.cpu_shares?, reservations.cpu_shares_per_core?);
            Some(shares.saturating_mul(1_000) / per_core)
        };
        Self {
            slots: 1,
            cpu_millis: container.reserved_cpu_millis().or_else(by_weight).unwrap_or(0),
            memory_bytes: container.reserved_memory_bytes(),
        }
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

    /// This after what a decision changed.
    #[must_use]
    pub fn after(self, change: &LoadChange) -> Self {
        match change {
            LoadChange::Bind(_, load) => self.plus(*load),
            LoadChange::Release(_, load) => self.minus(*load),
        }
    }

    /// Whether a host of this capacity can carry it.
    pub fn fits(self, capacity: &Capacity) -> bool {
        self.slots <= capacity.slots
            && self.cpu_millis <= capacity.cpu_millis
            && self.memory_bytes <= capacity.memory_bytes
    }
}

/// What a host must have for a container, however idle it is: an engine refuses limits that name more than there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The limit of cores, in thousandths.
    pub cpu_millis: u64,
    /// Number of the last core that it may run on, from 0.
    pub last_core: Option<u64>,
}

impl Needs {
    /// Those of a container.
    pub fn of(container: &ContainerSpec) -> Self {
        let cores = container.limits.cpuset.iter().flat_map(|list| list.split([',', '-']));
        Self {
            cpu_millis: container.cpu_millis.unwrap_or(0),
            last_core: cores.filter_map(|core| core.parse().ok()).max(),
        }
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

impl LoadChange {
    /// Whose load it changes.
    pub fn agent(&self) -> &AgentName {
        match self {
            Self::Bind(agent, _) | Self::Release(agent, _) => agent,
        }
    }
}
