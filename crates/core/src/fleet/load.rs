//! What a container takes of a host, and what is taken already.

use std::num::NonZeroU64;

use crate::{
    message::Capacity,
    name::AgentName,
    spec::{ContainerSpec, RequestedDevices},
};

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
    /// GPUs, which no two attempts share.
    pub gpus: GpuLoad,
}

/// GPUs that attempts have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GpuLoad {
    /// GPUs of attempts that ask for a number of them.
    pub counted: u32,
    /// Attempts that ask for every GPU of their host.
    pub whole: u32,
}

impl GpuLoad {
    /// GPUs that one container asks for. Devices that it names are as many as it names: a host that
    /// lets others name the same device is for its file to avoid.
    pub fn of(container: &ContainerSpec) -> Self {
        let requests = container.device_requests.iter().filter(|request| request.are_gpus());
        requests.fold(Self::default(), |load, request| {
            load.plus(match &request.devices {
                RequestedDevices::All => Self { whole: 1, ..Self::default() },
                RequestedDevices::Count(count) => Self { counted: *count, ..Self::default() },
                RequestedDevices::Named(names) => {
                    Self { counted: u32::try_from(names.len()).unwrap_or(u32::MAX), ..Self::default() }
                }
            })
        })
    }

    /// Whether a host with so many GPUs can give them.
    pub fn fits(self, offered: u32) -> bool {
        match self.whole {
            0 => self.counted <= offered,
            1 => self.counted == 0 && offered > 0,
            _ => false,
        }
    }

    /// How many of so many GPUs are taken.
    pub fn taken_of(self, offered: u32) -> u32 {
        if self.whole > 0 { offered } else { self.counted.min(offered) }
    }

    fn plus(self, other: Self) -> Self {
        Self { counted: self.counted.saturating_add(other.counted), whole: self.whole.saturating_add(other.whole) }
    }

    fn minus(self, other: Self) -> Self {
        Self { counted: self.counted.saturating_sub(other.counted), whole: self.whole.saturating_sub(other.whole) }
    }
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
            gpus: GpuLoad::of(container),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            slots: self.slots.saturating_add(other.slots),
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            gpus: self.gpus.plus(other.gpus),
        }
    }

    /// This without `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            slots: self.slots.saturating_sub(other.slots),
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            gpus: self.gpus.minus(other.gpus),
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
            && capacity.gpus.is_none_or(|offered| self.gpus.fits(offered))
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
