//! The agents as the leader sees them, and what is bound to each.

mod agent;
mod load;
mod vacancies;

use std::collections::{BTreeMap, btree_set};

use self::vacancies::Vacancies;
pub use self::{
    agent::{AgentView, Readiness, Traits},
    load::{GpuLoad, Load, LoadChange, Needs, Reservations},
    vacancies::Vacancy,
};
use crate::{ledger::Ledger, name::AgentName, spec::ContainerSpec};

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
