//! The agents as the leader sees them, and what is bound to each.

mod vacancies;

use std::{
    collections::{BTreeMap, btree_set},
    num::NonZeroU64,
    sync::Arc,
};

use self::vacancies::Vacancies;
pub use self::vacancies::Vacancy;
use crate::{
    ledger::Ledger,
    message::{AgentRecord, Capacity},
    name::AgentName,
    spec::ContainerSpec,
};

/// All known agents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// By name, so that placement is the same for the same input.
    agents: BTreeMap<AgentName, AgentView>,
    /// What is bound to each agent; also to those that nobody knows any more.
    loads: BTreeMap<AgentName, Load>,
    /// Follows from both.
    vacancies: Vacancies,
    /// What containers reserve.
    pub reservations: Reservations,
}

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

/// How what a file asks for becomes a reservation. The same for all that one leader places, since what is bound must be
/// released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reservations {
    /// Weight that stands for one core. `None`: weights are passed on to the engine, and reserve nothing.
    pub cpu_shares_per_core: Option<NonZeroU64>,
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

impl AgentView {
    /// How many more attempts the host carries beside `load`.
    pub fn free_slots(&self, load: Load) -> u32 {
        self.capacity.slots.saturating_sub(load.slots)
    }
}

impl Fleet {
    /// The known agents.
    pub fn agents(&self) -> &BTreeMap<AgentName, AgentView> {
        &self.agents
    }

    /// What is known of an agent; `None`: nothing.
    pub fn agent(&self, agent: &AgentName) -> Option<&AgentView> {
        self.agents.get(agent)
    }

    /// Whether an agent takes attempts; `None`: it is not known.
    pub fn readiness(&self, agent: &AgentName) -> Option<Readiness> {
        self.agent(agent).map(|view| view.readiness)
    }

    /// What is bound to an agent.
    pub fn load(&self, agent: &AgentName) -> Load {
        self.loads.get(agent).copied().unwrap_or_default()
    }

    /// The agents that are ready and have a slot free, best first.
    pub fn vacancies(&self) -> btree_set::Iter<'_, Vacancy> {
        self.vacancies.iter()
    }

    /// Whether there is one.
    pub fn has_vacancy(&self) -> bool {
        !self.vacancies.is_empty()
    }

    /// What one container takes here.
    pub fn load_of(&self, container: &ContainerSpec) -> Load {
        Load::of(container, self.reservations)
    }

    /// Takes in what is known of an agent now; `None`: nothing any more.
    pub fn see(&mut self, agent: &AgentName, view: Option<AgentView>) {
        self.update(agent, |fleet| {
            match view {
                Some(view) => fleet.agents.insert(agent.clone(), view),
                None => fleet.agents.remove(agent),
            };
        });
    }

    /// Takes in what is known of all of them now.
    pub fn see_all(&mut self, agents: BTreeMap<AgentName, AgentView>) {
        let gone: Vec<AgentName> = self.agents.keys().filter(|agent| !agents.contains_key(*agent)).cloned().collect();
        gone.iter().for_each(|agent| self.see(agent, None));
        for (agent, view) in agents {
            self.see(&agent, Some(view));
        }
    }

    /// Carries out what a decision changed.
    pub fn apply(&mut self, change: &LoadChange) {
        let agent = change.agent();
        self.update(agent, |fleet| {
            let bound = fleet.loads.entry(agent.clone()).or_default();
            *bound = bound.after(change);
        });
    }

    /// Changes what is known of one agent, and its vacancy with it.
    fn update(&mut self, agent: &AgentName, change: impl FnOnce(&mut Self)) {
        let before = self.vacancy(agent);
        change(self);
        let after = self.vacancy(agent);
        self.vacancies.change(before, after);
    }

    fn vacancy(&self, agent: &AgentName) -> Option<Vacancy> {
        Vacancy::of(agent, self.agent(agent)?, self.load(agent))
    }

    /// Counts in the open attempts of a ledger that was read from the store.
    pub fn bind_all(&mut self, ledger: &Ledger) {
        for run in &ledger.active {
            for (service, agent) in run.bound_agents() {
                let load = run.spec.service(service).map_or_else(Load::default, |spec| self.load_of(&spec.container));
                self.apply(&LoadChange::Bind(agent.clone(), load));
            }
        }
    }
}
