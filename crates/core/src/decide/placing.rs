//! Replicas that are due get an agent, each for one attempt.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Clock, Placing, Record, Transition};
use crate::{
    fleet::{Fleet, Load, LoadChange, Readiness},
    json_size::shortened,
    ledger::{ActiveRun, OpenAttempt, Progress, ReplicaPlace, ReplicaState},
    name::AgentName,
    outcome::Outcome,
    placement::{Candidates, Placement, Spread},
    spec::{RunSpec, ServiceSpec},
    time,
};

impl Transition<'_> {
    /// Gives global services their replicas, once there are agents that match: one on each, and the same until the run ends.
    pub(super) fn resolve_global_services(&mut self) {
        for position in 0..self.ledger.active.len() {
            let run = &self.ledger.active[position];
            let unresolved: Vec<u32> = run.unresolved().collect();
            for service in unresolved {
                self.resolve_global_service(position, service);
            }
        }
    }

    fn resolve_global_service(&mut self, run: usize, service: u32) {
        let Some(spec) = self.ledger.active[run].service_spec(service) else { return };
        let agents = Placement::new(self.context.fleet).matching(&spec.constraints);
        if agents.is_empty() {
            self.unplaced = true;
            return;
        }
        let has_room = self.ledger.has_room_for_agents(&agents);
        let run = &mut self.ledger.active[run];
        if has_room {
            run.resolve(service, agents, self.context.now);
        } else {
            let reason = format!("{} agents match, more than a run has room for", agents.len());
            let reason = shortened(&reason, run.reason_bytes_max());
            run.give_up(service, Outcome::CouldNotStart { reason });
        }
        self.note(Record::Due);
    }

    /// Ends the replicas of global services whose own agents have not been there for as long as silence takes. A leader that
    /// has just begun has to look for as long itself.
    pub(super) fn give_absent_agents_up(&mut self) {
        let gone_since = time::before(self.context.now, self.context.timing.lost);
        if self.context.clock != Clock::Running || gone_since < self.context.tenure.since {
            return;
        }
        let fleet = self.context.fleet;
        for run in &mut self.ledger.active {
            for (place, agent) in waiting_for_absent(run, fleet, gone_since) {
                let outcome = Outcome::CouldNotStart { reason: absence(&agent, fleet.readiness(&agent)) };
                run.change(place, |it| it.state = ReplicaState::Ended { outcome, agent: Some(agent) });
                self.record = Record::Due;
            }
        }
    }

    /// Ends the replicas of services that every agent has refused which could take them. Each learned of it from its own
    /// attempt, or from that of a sibling.
    pub(super) fn give_refused_up(&mut self) {
        if self.context.clock != Clock::Running {
            return;
        }
        let placement = Placement::new(self.context.fleet);
        for run in &mut self.ledger.active {
            for (place, reason) in refused_by_all(run, &placement) {
                let reason = shortened(&reason, run.reason_bytes_max());
                let outcome = Outcome::CouldNotStart { reason };
                run.change(place, |it| it.state = ReplicaState::Ended { outcome, agent: None });
                self.record = Record::Due;
            }
        }
    }

    /// Places every replica that is due. What does not fit stays pending and is tried again when the fleet changes, or
    /// when those that have waited longer have had their turn.
    pub(super) fn place_replicas(&mut self) {
        let now = self.context.now;
        if self.context.placing == Placing::InTurn {
            let mut pending = self.ledger.active.iter().flat_map(ActiveRun::pending_services);
            self.unplaced |= pending.any(|(_, since)| since <= now);
            return;
        }
        let mut placement = Placement::new(self.context.fleet).after(&self.loads);
        for run in &mut self.ledger.active {
            let mut placer = Placer { placement: &mut placement, now, placed: Placed::default() };
            placer.place_run(run);
            let Placed { loads, unplaced } = placer.placed;
            self.unplaced |= unplaced;
            if !loads.is_empty() {
                self.record = Record::Due;
            }
            self.loads.extend(loads);
        }
    }
}

/// What came of placing the replicas of one run.
#[derive(Debug, Default)]
struct Placed {
    loads: Vec<LoadChange>,
    unplaced: bool,
}

struct Placer<'p, 'f> {
    placement: &'p mut Placement<'f>,
    now: Timestamp,
    placed: Placed,
}

impl<'f> Placer<'_, 'f> {
    fn place_run(&mut self, run: &mut ActiveRun) {
        let due: Vec<u32> =
            run.pending_services().filter(|(_, since)| *since <= self.now).map(|(service, _)| service).collect();
        // Apart from the run, which changes meanwhile.
        let spec = Arc::clone(&run.spec);
        for service in &due {
            let Some(position) = run.position_in_spec(*service) else { continue };
            let service_spec = &spec.services[position];
            if run.services()[*service as usize].agents.is_some() {
                self.place_global(run, *service, self.placement.wanted(service_spec).load);
            } else if !service_spec.minds_neighbours() {
                let wanted = self.placement.wanted_in(run, *service, service_spec);
                let candidates = self.placement.candidates(wanted, spread_of(run));
                self.place_anywhere(run, *service, candidates);
            }
        }
        self.place_beside_others(run, &due, &spec);
    }

    /// Places the replicas for which it matters where others are: one by one, after all others, and
    /// again as long as one of them lets another go somewhere.
    fn place_beside_others(&mut self, run: &mut ActiveRun, due: &[u32], spec: &RunSpec) {
        let minding = |service: &u32| {
            let service_spec = spec.services.get(run.position_in_spec(*service)?)?;
            let is_global = run.services()[*service as usize].agents.is_some();
            (!is_global && service_spec.minds_neighbours()).then_some((*service, service_spec))
        };
        let minding: Vec<(u32, &ServiceSpec)> = due.iter().filter_map(minding).collect();
        let mut has_moved = !minding.is_empty();
        while has_moved {
            has_moved = false;
            for (service, service_spec) in &minding {
                let mut wanted = self.placement.wanted_in(run, *service, service_spec);
                while let Some(place) = next_due(run, *service, self.now) {
                    let mut candidates = self.placement.candidates(wanted.clone(), spread_of(run));
                    let Some(agent) = self.placement.take(&mut candidates, avoided(run, place)) else { break };
                    let load = candidates.load();
                    drop(candidates);
                    self.placement.note_neighbour(&mut wanted, service_spec, &agent);
                    self.bind(run, place, agent, load);
                    has_moved = true;
                }
            }
        }
        self.placed.unplaced |= minding.iter().any(|(service, _)| next_due(run, *service, self.now).is_some());
    }

    fn place_anywhere<'c>(&mut self, run: &mut ActiveRun, service: u32, mut candidates: Candidates<'c>)
    where
        'f: 'c,
    {
        while let Some(place) = next_due(run, service, self.now) {
            let Some(agent) = self.placement.take(&mut candidates, avoided(run, place)) else {
                // Its siblings ask for the same and would not fit either.
                self.placed.unplaced = true;
                return;
            };
            self.bind(run, place, agent, candidates.load());
        }
    }

    /// Each replica of a global service has an agent of its own, and waits for that one.
    fn place_global(&mut self, run: &mut ActiveRun, service: u32, load: Load) {
        for place in due_until(run, service, self.now) {
            let Some(agent) = run.pinned_agent(place).cloned() else { continue };
            if self.placement.place_on(&agent, load) {
                self.bind(run, place, agent, load);
            } else {
                self.placed.unplaced = true;
            }
        }
    }

    /// The attempt belongs to this agent for ever: if it does not take it, there will be another attempt.
    fn bind(&mut self, run: &mut ActiveRun, place: ReplicaPlace, agent: AgentName, load: Load) {
        self.placed.loads.push(LoadChange::Bind(agent.clone(), load));
        let progress = Progress::Ordered { at: self.now };
        let number = run.next_attempt(place);
        run.change(place, |replica| {
            replica.last_attempt = number;
            replica.state = ReplicaState::Open(OpenAttempt { agent, progress, sent_at: None });
        });
    }
}

/// Replicas that nobody is left for, with what is said of each.
fn refused_by_all(run: &ActiveRun, placement: &Placement<'_>) -> Vec<(ReplicaPlace, String)> {
    let mut refused = Vec::new();
    for service in run.refused_services() {
        let Some(spec) = run.service_spec(service) else { continue };
        let wanted = placement.wanted_in(run, service, spec);
        if !placement.is_anybody_left(&wanted) {
            let names: Vec<&str> = wanted.refused_by.iter().map(AgentName::as_str).collect();
            let reason = format!("refused by {}, and no other agent may take it", names.join(", "));
            refused.extend(run.pending(service).map(|(_, place)| (place, reason.clone())));
        }
    }
    refused
}

/// Replicas that have waited since then, or longer, for an agent of their own that is not there.
fn waiting_for_absent(run: &ActiveRun, fleet: &Fleet, moment: Timestamp) -> Vec<(ReplicaPlace, AgentName)> {
    let waiting = run.pinned_services().flat_map(|(service, _)| due_until(run, service, moment));
    let pinned = waiting.filter_map(|place| Some((place, run.pinned_agent(place)?.clone())));
    pinned.filter(|(_, agent)| fleet.readiness(agent) != Some(Readiness::Ready)).collect()
}

/// Replicas of a service that have wanted an agent since then, or longer.
fn due_until(run: &ActiveRun, service: u32, moment: Timestamp) -> Vec<ReplicaPlace> {
    run.pending(service).take_while(|(not_before, _)| *not_before <= moment).map(|(_, place)| place).collect()
}

fn next_due(run: &ActiveRun, service: u32, now: Timestamp) -> Option<ReplicaPlace> {
    run.pending(service).next().filter(|(not_before, _)| *not_before <= now).map(|(_, place)| place)
}

fn avoided(run: &ActiveRun, place: ReplicaPlace) -> Option<&AgentName> {
    match &run.replica(place).state {
        ReplicaState::Pending { avoid, .. } => avoid.as_ref(),
        ReplicaState::Open(_) | ReplicaState::Ended { .. } => None,
    }
}

fn spread_of(run: &ActiveRun) -> Spread {
    run.open_by_agent().map(|(agent, count)| (agent.clone(), count as u32)).collect()
}

fn absence(agent: &AgentName, readiness: Option<Readiness>) -> String {
    let what = match readiness {
        Some(Readiness::Draining) => "is draining",
        Some(Readiness::Silent) => "is silent",
        Some(Readiness::NoEngine) => "has no engine that answers",
        Some(Readiness::UnsafeTiming) => "has unsafe deadlines",
        Some(Readiness::Ready) | None => "is not there",
    };
    format!("agent `{agent}` {what}")
}
