//! What the other replicas of a run say about where one more may go.

use std::{collections::BTreeSet, sync::Arc};

use super::Obstacle;
use crate::{
    fleet::{AgentView, Fleet},
    ledger::{ActiveRun, Replica, ReplicaState},
    name::{AgentName, ServiceName},
    spec::{Affinity, Operator, ServiceSpec},
};

/// The rules of a service about its neighbours, with where those are at present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// A replica of one of these must be there.
    beside: Vec<Group>,
    /// No replica of any of these may be there.
    apart: Vec<Group>,
    zones: Option<Zones>,
}

/// Services, and the agents that have replicas of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    services: Arc<[ServiceName]>,
    agents: Arc<BTreeSet<AgentName>>,
}

/// Zones of the replicas of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Zones {
    label: String,
    /// In how many there must be replicas.
    count: usize,
    used: BTreeSet<String>,
    /// Replicas that have no agent yet.
    left: usize,
}

impl Zones {
    /// Whether so few replicas are left that each needs a zone of its own.
    fn must_be_new(&self) -> bool {
        let missing = self.count.saturating_sub(self.used.len());
        missing > 0 && self.left <= missing
    }
}

impl Neighbours {
    /// No rule.
    pub(super) const NONE: Self = Self { beside: Vec::new(), apart: Vec::new(), zones: None };

    /// The rules of a service in a run.
    pub(super) fn of(spec: &ServiceSpec, run: &ActiveRun, service: u32, fleet: &Fleet) -> Self {
        let mut neighbours = Self::NONE;
        for Affinity { operator, services } in &spec.affinities {
            let group = |agents| Group { services: services.as_slice().into(), agents: Arc::new(agents) };
            match operator {
                Operator::Is => neighbours.beside.extend(companions(run, services).map(group)),
                Operator::IsNot => neighbours.apart.push(group(occupied(run, services))),
            }
        }
        neighbours.zones = spec.spread.as_ref().map(|spread| {
            let replicas = run.services().get(service as usize).map_or(&[][..], |service| &service.replicas);
            let placed: Vec<&AgentName> = replicas.iter().filter_map(agent_of).collect();
            let zone = |agent: &&AgentName| fleet.agent(agent)?.traits.labels.get(&spread.label).cloned();
            let used: BTreeSet<String> = placed.iter().filter_map(zone).collect();
            let left = replicas.len().saturating_sub(placed.len());
            Zones { label: spread.label.clone(), count: spread.zones as usize, used, left }
        });
        neighbours
    }

    /// Notes that a replica of the service itself got an agent: what is known of all others is as it
    /// was.
    pub(crate) fn bound(&mut self, service: &ServiceName, agent: &AgentName, fleet: &Fleet) {
        let own = self.beside.iter_mut().chain(&mut self.apart).filter(|group| group.services.contains(service));
        for group in own {
            Arc::make_mut(&mut group.agents).insert(agent.clone());
        }
        if let Some(zones) = &mut self.zones {
            zones.left = zones.left.saturating_sub(1);
            let zone = fleet.agent(agent).and_then(|view| view.traits.labels.get(&zones.label));
            zones.used.extend(zone.cloned());
        }
    }

    /// The first rule that an agent breaks.
    pub(super) fn obstacle(&self, name: &AgentName, view: &AgentView) -> Option<Obstacle> {
        let alone = || self.beside.iter().position(|group| !group.agents.contains(name)).map(Obstacle::NotBeside);
        let crowded = || self.apart.iter().position(|group| group.agents.contains(name)).map(Obstacle::NotApart);
        let zone = || {
            let zones = self.zones.as_ref()?;
            match view.traits.labels.get(&zones.label) {
                None => Some(Obstacle::NoZone),
                Some(zone) => (zones.must_be_new() && zones.used.contains(zone)).then_some(Obstacle::UsedZone),
            }
        };
        alone().or_else(crowded).or_else(zone)
    }

    /// What is said of an agent that breaks a rule.
    pub(super) fn text(&self, obstacle: Obstacle) -> Option<String> {
        let label = || self.zones.as_ref().map(|zones| zones.label.clone()).unwrap_or_default();
        match obstacle {
            Obstacle::NotBeside(position) => Some(format!("without a replica of {}", names(&self.beside, position))),
            Obstacle::NotApart(position) => Some(format!("with a replica of {}", names(&self.apart, position))),
            Obstacle::NoZone => Some(format!("without label {}", label())),
            Obstacle::UsedZone => Some(format!("in an {} that has replicas already", label())),
            Obstacle::Constraint(_)
            | Obstacle::NotAllowed(_)
            | Obstacle::Refused
            | Obstacle::NoNetwork(_)
            | Obstacle::NoVolume(_)
            | Obstacle::SmallCpu
            | Obstacle::SmallMemory
            | Obstacle::FewGpus
            | Obstacle::SmallForLimit
            | Obstacle::NoSuchCore
            | Obstacle::Full
            | Obstacle::BusyCpu
            | Obstacle::BusyMemory
            | Obstacle::BusyGpus
            | Obstacle::NoEngine
            | Obstacle::Draining
            | Obstacle::Silent
            | Obstacle::UnsafeTiming => None,
        }
    }
}

fn names(groups: &[Group], position: usize) -> String {
    let names = groups.get(position).into_iter().flat_map(|group| group.services.iter()).map(ServiceName::as_str);
    names.collect::<Vec<_>>().join("|")
}

/// The agents that have, or had, replicas of these services: what a replica left there may be why
/// another one must follow. `None`: there will be none in this run, and nobody waits for it.
fn companions(run: &ActiveRun, services: &[ServiceName]) -> Option<BTreeSet<AgentName>> {
    let replicas: Vec<&Replica> = replicas_of(run, services).collect();
    let agents: BTreeSet<AgentName> = replicas.iter().copied().filter_map(agent_of).cloned().collect();
    let may_come = replicas.iter().any(|replica| match replica.state {
        ReplicaState::Pending { .. } | ReplicaState::Open(_) => true,
        ReplicaState::Ended { .. } => false,
    });
    (may_come || !agents.is_empty()).then_some(agents)
}

/// The agents that have replicas of these services now.
fn occupied(run: &ActiveRun, services: &[ServiceName]) -> BTreeSet<AgentName> {
    let open = replicas_of(run, services).filter_map(|replica| match &replica.state {
        ReplicaState::Open(open) => Some(open.agent.clone()),
        ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
    });
    open.collect()
}

fn replicas_of<'r>(run: &'r ActiveRun, services: &'r [ServiceName]) -> impl Iterator<Item = &'r Replica> {
    run.services().iter().filter(|service| services.contains(&service.name)).flat_map(|service| &service.replicas)
}

fn agent_of(replica: &Replica) -> Option<&AgentName> {
    match &replica.state {
        ReplicaState::Open(open) => Some(&open.agent),
        ReplicaState::Ended { agent, .. } => agent.as_ref(),
        ReplicaState::Pending { .. } => None,
    }
}
