//! Which agent a replica goes to.
//!
//! The fleet is in order already, and the candidates of a service come from there: a replica costs what the agents do that are looked at
//! for it, and those that are there besides nothing.

mod candidates;
mod neighbours;
mod no_fit;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    candidates::{Candidates, Spread},
    neighbours::Neighbours,
    no_fit::{NoFit, NotThere, Obstacle},
};

use crate::{
    fleet::{AgentView, Fleet, Load, LoadChange, Needs, Readiness},
    ledger::ActiveRun,
    name::AgentName,
    policy::HostPolicy,
    spec::{Constraint, HostAccess, Requirements, ServiceSpec},
};

/// The fleet while one decision places replicas: what it has placed so far counts.
#[derive(Debug)]
pub struct Placement<'a> {
    fleet: &'a Fleet,
    /// Loads that differ from the fleet's by now.
    changed: BTreeMap<AgentName, Load>,
}

/// What a replica of one service asks of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'w> {
    /// What it reserves.
    pub load: Load,
    /// What the agent's host must have.
    pub needs: Needs,
    /// What the agent must be: all of them.
    pub constraints: &'w [Constraint],
    /// What the agent must allow.
    pub access: Vec<HostAccess>,
    /// What the agent's engine must have.
    pub requires: Requirements,
    /// Agents that have refused it in this run, for reasons that they do not publish.
    pub refused_by: Vec<AgentName>,
    /// Where other replicas of the run are, as far as that matters.
    pub neighbours: Neighbours,
}

impl<'a> Placement<'a> {
    /// Begins with the fleet as it is.
    pub fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, changed: BTreeMap::new() }
    }

    /// Returns the candidates after what this decision has changed already: a slot that it set free can be taken at once.
    #[must_use]
    pub fn after(mut self, changes: &[LoadChange]) -> Self {
        for change in changes {
            let agent = change.agent();
            self.changed.insert(agent.clone(), self.load(agent).after(change));
        }
        self
    }

    /// The agents that a service's replicas may go to, where `spread` says how many of the run each has already.
    pub fn candidates<'c>(&self, wanted: Wanted<'c>, spread: Spread) -> Candidates<'c>
    where
        'a: 'c,
    {
        Candidates::new(self, wanted, spread)
    }

    /// Binds a replica to the best of the candidates: the one with the fewest replicas of this run, then the least loaded,
    /// then the first by name; `avoid` only if there is no other. `None`: no agent fits.
    pub fn take<'c>(&mut self, candidates: &mut Candidates<'c>, avoid: Option<&AgentName>) -> Option<AgentName>
    where
        'a: 'c,
    {
        let agent = candidates.take(self, avoid)?;
        self.changed.insert(agent.clone(), self.load(agent).plus(candidates.load()));
        candidates.bound(self, agent);
        Some(agent.clone())
    }

    /// What a replica of a service asks for here.
    pub fn wanted<'w>(&self, service: &'w ServiceSpec) -> Wanted<'w> {
        let ServiceSpec { container, constraints, .. } = service;
        Wanted {
            load: self.fleet.load_of(container),
            needs: Needs::of(container),
            constraints,
            access: container.host_access(),
            requires: Requirements::of(container),
            refused_by: Vec::new(),
            neighbours: Neighbours::NONE,
        }
    }

    /// What a replica of a service asks for after what has become of it and of others in its run.
    pub fn wanted_in<'w>(&self, run: &ActiveRun, service: u32, spec: &'w ServiceSpec) -> Wanted<'w> {
        Wanted {
            refused_by: run.refused_by(service).cloned().collect(),
            neighbours: Neighbours::of(spec, run, service, self.fleet),
            ..self.wanted(spec)
        }
    }

    /// Notes in what a service asks for that one of its own replicas got an agent.
    pub(crate) fn note_neighbour(&self, wanted: &mut Wanted<'_>, service: &ServiceSpec, agent: &AgentName) {
        wanted.neighbours.bound(&service.name, agent, self.fleet);
    }

    /// Whether an agent that is heard may yet take such a replica: once it has room, is not draining any more, or its engine is
    /// back.
    pub fn is_anybody_left(&self, wanted: &Wanted<'_>) -> bool {
        let may_take = |(name, view): (&AgentName, &AgentView)| {
            let is_heard = view.readiness != Readiness::Silent;
            is_heard && unsuited(name, view, wanted).or_else(|| too_small(view, wanted)).is_none()
        };
        self.fleet.agents().iter().any(may_take)
    }

    /// Binds a replica that reserves `wanted` to this agent, if it takes attempts and this one fits there. What its host will never
    /// have is for the engine to refuse: there is no other host to wait for.
    pub fn place_on(&mut self, agent: &AgentName, wanted: Load) -> bool {
        let load = self.load(agent).plus(wanted);
        let takes = |view: &AgentView| view.readiness == Readiness::Ready && load.fits(&view.capacity);
        let fits = self.fleet.agent(agent).is_some_and(takes);
        if fits {
            self.changed.insert(agent.clone(), load);
        }
        fits
    }

    /// The agents that a global service runs on when its run begins, by name. They need no room yet: each replica waits for
    /// its own.
    pub fn matching(&self, constraints: &[Constraint]) -> Vec<AgentName> {
        let matches = |name: &AgentName, view: &AgentView| {
            view.readiness == Readiness::Ready && constraints.iter().all(|it| it.is_met_by(name, view))
        };
        let matching = self.fleet.agents().iter().filter(|(name, view)| matches(name, view));
        matching.map(|(name, _)| name.clone()).collect()
    }

    /// Why no agent takes a replica; `None`: one does.
    pub fn explain<'w>(&self, wanted: Wanted<'w>) -> Option<NoFit<'w>> {
        let mut why = NoFit::new(wanted);
        for (name, view) in self.fleet.agents() {
            why.count(self.obstacle(name, view, why.wanted())?);
        }
        Some(why)
    }

    /// Why no agent would ever take a replica, however idle all are; `None`: one would.
    pub fn explain_never<'w>(&self, wanted: Wanted<'w>) -> Option<NoFit<'w>> {
        let mut why = NoFit::new(wanted);
        for (name, view) in self.fleet.agents() {
            why.count(mismatch(name, view, why.wanted()).or_else(|| too_small(view, why.wanted()))?);
        }
        Some(why)
    }

    /// Why no agent matches a global service; `None`: one does.
    pub fn explain_unmatched<'w>(&self, constraints: &'w [Constraint]) -> Option<NoFit<'w>> {
        let mut why = NoFit::new(Wanted { constraints, ..Wanted::room(Load::default()) });
        for (name, view) in self.fleet.agents() {
            why.count(mismatch(name, view, why.wanted())?);
        }
        Some(why)
    }

    /// Why the agent that a replica belongs to does not take it; `None`: it does.
    pub fn explain_on<'w>(&self, agent: &'w AgentName, load: Load) -> Option<NotThere<'w>> {
        // It matched when the run began, and the replica stays with it.
        let wanted = Wanted::room(load);
        let obstacle = match self.fleet.agent(agent) {
            Some(view) => Some(self.obstacle(agent, view, &wanted)?),
            None => None,
        };
        Some(NotThere { agent, wanted, obstacle })
    }

    /// The first thing that keeps a replica from an agent.
    fn obstacle(&self, name: &AgentName, view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
        mismatch(name, view, wanted)
            .or_else(|| too_small(view, wanted))
            .or_else(|| wanted.neighbours.obstacle(name, view))
            .or_else(|| self.lack(name, view, wanted))
    }

    /// What others have taken of an agent that matches and is large enough.
    fn lack(&self, name: &AgentName, view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
        let together = self.load(name).plus(wanted.load);
        let capacity = view.capacity;
        let lacks = [
            (together.slots > capacity.slots, Obstacle::Full),
            (together.cpu_millis > capacity.cpu_millis, Obstacle::BusyCpu),
            (together.memory_bytes > capacity.memory_bytes, Obstacle::BusyMemory),
            (!capacity.gpus.is_none_or(|offered| together.gpus.fits(offered)), Obstacle::BusyGpus),
        ];
        first_of(lacks)
    }

    fn load(&self, agent: &AgentName) -> Load {
        self.changed.get(agent).copied().unwrap_or_else(|| self.fleet.load(agent))
    }
}

impl Wanted<'_> {
    /// Asks for nothing but room.
    const fn room(load: Load) -> Self {
        Self {
            load,
            needs: Needs { cpu_millis: 0, last_core: None },
            constraints: &[],
            access: Vec::new(),
            requires: Requirements { networks: Vec::new(), volumes: Vec::new() },
            refused_by: Vec::new(),
            neighbours: Neighbours::NONE,
        }
    }
}

/// What makes an agent the wrong one, however idle it is.
fn mismatch(name: &AgentName, view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
    match view.readiness {
        Readiness::Draining => Some(Obstacle::Draining),
        Readiness::Silent => Some(Obstacle::Silent),
        Readiness::NoEngine => Some(Obstacle::NoEngine),
        Readiness::UnsafeTiming => Some(Obstacle::UnsafeTiming),
        Readiness::Ready => unsuited(name, view, wanted),
    }
}

/// What makes an agent the wrong one whenever it is ready.
fn unsuited(name: &AgentName, view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
    let unmet = || wanted.constraints.iter().position(|it| !it.is_met_by(name, view)).map(Obstacle::Constraint);
    let refused = || wanted.refused_by.contains(name).then_some(Obstacle::Refused);
    unmet().or_else(|| forbidden(view, wanted)).or_else(refused).or_else(|| lacking(view, wanted))
}

/// The first access that an agent is known not to allow.
fn forbidden(view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
    // Most ask for nothing, and then nobody's policy need be looked at.
    let first = |policy: &HostPolicy| wanted.access.iter().position(|access| !policy.allows(access));
    if wanted.access.is_empty() { None } else { view.traits.policy.as_ref().and_then(first).map(Obstacle::NotAllowed) }
}

/// The first thing that the engine of an agent is known not to have.
fn lacking(view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
    let Requirements { networks, volumes } = &wanted.requires;
    if networks.is_empty() && volumes.is_empty() {
        return None;
    }
    let stock = &view.traits.stock;
    let network = missing(networks, stock.networks.as_ref()).map(Obstacle::NoNetwork);
    network.or_else(|| missing(volumes, stock.volumes.as_ref()).map(Obstacle::NoVolume))
}

/// The first of these names that an engine does not have. One that does not tell may have it.
fn missing(names: &[String], stock: Option<&BTreeSet<String>>) -> Option<usize> {
    let stock = stock?;
    names.iter().position(|name| !stock.contains(name))
}

/// What an agent will never have enough of. It comes before what others take: for that, nobody need wait.
fn too_small(view: &AgentView, wanted: &Wanted<'_>) -> Option<Obstacle> {
    let capacity = view.capacity;
    let Needs { cpu_millis, last_core } = wanted.needs;
    first_of([
        (wanted.load.cpu_millis > capacity.cpu_millis, Obstacle::SmallCpu),
        (wanted.load.memory_bytes > capacity.memory_bytes, Obstacle::SmallMemory),
        (!capacity.gpus.is_none_or(|offered| wanted.load.gpus.fits(offered)), Obstacle::FewGpus),
        (cpu_millis > capacity.cpu_millis, Obstacle::SmallForLimit),
        (last_core.is_some_and(|core| core >= capacity.cpu_millis / 1_000), Obstacle::NoSuchCore),
    ])
}

fn first_of<const COUNT: usize>(obstacles: [(bool, Obstacle); COUNT]) -> Option<Obstacle> {
    obstacles.into_iter().find(|(is_there, _)| *is_there).map(|(_, obstacle)| obstacle)
}
