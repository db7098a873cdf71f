//! What can be computed from a run, kept at hand: so that a decision costs what it changes, and not what the run has. It is
//! never stored; whoever reads a ledger builds it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use jiff::Timestamp;

use super::{
    reasons::is_long,
    replica::{OpenAttempt, Replica, ReplicaState},
    service::{Phase, ReplicaPlace, ServiceRun},
};
use crate::{
    name::{AgentName, ServiceName},
    spec::RunSpec,
};

/// Everything that is asked of a run's replicas without looking at each of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Index {
    positions: BTreeMap<ServiceName, u32>,
    services: Vec<Tally>,
    /// Replicas that want an agent, by the moment from which they do, of services that may begin.
    pending: BTreeMap<u32, BTreeSet<(Timestamp, u32)>>,
    /// Open attempts that an order must go to, and when the last one was sent.
    unacknowledged: BTreeSet<(Option<Timestamp>, ReplicaPlace)>,
    /// Open attempts by agent.
    open: BTreeMap<AgentName, BTreeSet<ReplicaPlace>>,
    unended: usize,
    long_reasons: usize,
}

/// One service in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Tally {
    succeeded: u32,
    unsuccessful: u32,
    /// Services that this one waits for.
    unmet: u32,
    /// Services that wait for this one.
    dependents: Vec<u32>,
}

impl Index {
    /// The index of a run's services, without their replicas.
    pub(super) fn of_services(spec: &RunSpec, services: &[ServiceRun]) -> Self {
        let positions: BTreeMap<_, _> = services.iter().map(|service| service.name.clone()).zip(0..).collect();
        let mut tallies = vec![Tally::default(); services.len()];
        for (position, service) in (0..).zip(services) {
            let depends = spec.service(&service.name).map(|spec| spec.depends.as_slice()).unwrap_or_default();
            for dependency in depends.iter().filter_map(|name| positions.get(name)) {
                tallies[*dependency as usize].dependents.push(position);
                tallies[position as usize].unmet += 1;
            }
        }
        Self { positions, services: tallies, ..Self::default() }
    }

    pub(super) fn position(&self, service: &ServiceName) -> Option<u32> {
        self.positions.get(service).copied()
    }

    /// Takes a replica in.
    pub(super) fn insert(&mut self, place: ReplicaPlace, replica: &Replica, phase: &Phase) {
        match &replica.state {
            ReplicaState::Pending { not_before, .. } => {
                self.unended += 1;
                if self.may_begin(place.service) {
                    self.pending.entry(place.service).or_default().insert((*not_before, place.replica));
                }
            }
            ReplicaState::Open(open) => {
                self.unended += 1;
                self.open.entry(open.agent.clone()).or_default().insert(place);
                if needs_order(open, phase) {
                    self.unacknowledged.insert((open.sent_at, place));
                }
            }
            ReplicaState::Ended { outcome, .. } => {
                let tally = &mut self.services[place.service as usize];
                match outcome.is_success() {
                    true => tally.succeeded += 1,
                    false => tally.unsuccessful += 1,
                }
                self.long_reasons += usize::from(is_long(outcome));
            }
        }
    }

    /// Takes a replica out, before it changes.
    pub(super) fn remove(&mut self, place: ReplicaPlace, replica: &Replica) {
        match &replica.state {
            ReplicaState::Pending { not_before, .. } => {
                self.unended -= 1;
                if let Some(pending) = self.pending.get_mut(&place.service) {
                    pending.remove(&(*not_before, place.replica));
                    if pending.is_empty() {
                        self.pending.remove(&place.service);
                    }
                }
            }
            ReplicaState::Open(open) => {
                self.unended -= 1;
                if let Some(places) = self.open.get_mut(&open.agent) {
                    places.remove(&place);
                    if places.is_empty() {
                        self.open.remove(&open.agent);
                    }
                }
                self.unacknowledged.remove(&(open.sent_at, place));
            }
            ReplicaState::Ended { outcome, .. } => {
                let tally = &mut self.services[place.service as usize];
                match outcome.is_success() {
                    true => tally.succeeded -= 1,
                    false => tally.unsuccessful -= 1,
                }
                self.long_reasons -= usize::from(is_long(outcome));
            }
        }
    }

    /// A service has succeeded: those that waited for it and for nothing else may begin. Returned are these.
    pub(super) fn meet_dependents(&mut self, service: u32) -> Vec<u32> {
        let dependents = self.services[service as usize].dependents.clone();
        let services = &mut self.services;
        let met = |dependent: &u32| {
            let tally = &mut services[*dependent as usize];
            tally.unmet -= 1;
            tally.unmet == 0
        };
        dependents.into_iter().filter(met).collect()
    }

    /// Services that wait for this one.
    pub(super) fn dependents(&self, service: u32) -> Vec<u32> {
        self.services[service as usize].dependents.clone()
    }

    /// Whether all services that this one waits for have succeeded.
    pub(super) fn may_begin(&self, service: u32) -> bool {
        self.services[service as usize].unmet == 0
    }

    pub(super) fn succeeded(&self, service: u32) -> u32 {
        self.services[service as usize].succeeded
    }

    pub(super) fn unsuccessful(&self, service: u32) -> u32 {
        self.services[service as usize].unsuccessful
    }

    /// Replicas that have not ended.
    pub(super) fn unended(&self) -> usize {
        self.unended
    }

    /// Reasons that are longer than short.
    pub(super) fn long_reasons(&self) -> usize {
        self.long_reasons
    }

    /// Services that may begin and have replicas that want an agent, and since when the first of them does.
    pub(super) fn pending_services(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        self.pending.iter().filter_map(|(service, pending)| Some((*service, pending.first()?.0)))
    }

    /// Replicas of a service that want an agent, the longest waiting first.
    pub(super) fn pending(&self, service: u32) -> impl Iterator<Item = (Timestamp, ReplicaPlace)> {
        let pending = self.pending.get(&service).into_iter().flatten();
        pending.map(move |(not_before, replica)| (*not_before, ReplicaPlace { service, replica: *replica }))
    }

    /// The first moment after `moment` from which a replica wants an agent.
    pub(super) fn next_pending_after(&self, moment: Timestamp) -> Option<Timestamp> {
        self.pending.values().filter_map(|pending| first_after(pending, moment)).min()
    }

    /// When the next replica of one service is due.
    pub(super) fn next_pending_of(&self, service: u32, moment: Timestamp) -> Option<Timestamp> {
        first_after(self.pending.get(&service)?, moment)
    }

    /// Open attempts that an order must go to, by when the last one was sent.
    pub(super) fn unacknowledged(&self) -> impl Iterator<Item = (Option<Timestamp>, ReplicaPlace)> {
        self.unacknowledged.iter().copied()
    }

    /// Open attempts of one agent.
    pub(super) fn open_on(&self, agent: &AgentName) -> impl Iterator<Item = ReplicaPlace> {
        self.open.get(agent).into_iter().flatten().copied()
    }

    /// How many attempts are open on each agent.
    pub(super) fn open_by_agent(&self) -> impl Iterator<Item = (&AgentName, usize)> {
        self.open.iter().map(|(agent, places)| (agent, places.len()))
    }
}

/// Whether the agent has something to answer still: it has not claimed the attempt, or is to stop it.
fn needs_order(open: &OpenAttempt, phase: &Phase) -> bool {
    open.claim().is_none() || *phase != Phase::Running
}

fn first_after(pending: &BTreeSet<(Timestamp, u32)>, moment: Timestamp) -> Option<Timestamp> {
    pending.range((Bound::Excluded((moment, u32::MAX)), Bound::Unbounded)).next().map(|(not_before, _)| *not_before)
}
