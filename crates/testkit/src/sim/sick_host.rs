//! A host whose engine does not answer while everything else is well: nothing that fits elsewhere may wait for it.
//!
//! It is judged from outside. What an agent has claimed is what it stored; what its engine was asked to start is what arrived there; and
//! who has room is counted from the ledgers by arithmetic of its own, for services that fit everywhere.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use tickmesh_core::{
    id::AttemptId,
    ledger::Ledger,
    message::OrderKind,
    name::{AgentName, ServiceName},
    spec::ServiceSpec,
    time,
};

use super::{
    fault_injection::Relief,
    faults::Fault,
    host::Agent,
    net::Kind,
    scheduler::Scheduler,
    world::{TIMING, World},
};

/// How long everything is well before: whoever died is back, and a scheduler leads.
const WELL_BEFORE: Duration = Duration::from_secs(40);
/// By then an engine that stopped answering counts as lost, and what was claimed there is given back: the time without an
/// answer, a heartbeat before the first probe that fails and one after the last, and some round trips.
const NOTICED: Duration = Duration::from_secs(13);
/// How long it is watched after that.
const WATCHED: Duration = Duration::from_secs(20);
/// How long a replica may want an agent that is there: the pause after an attempt that was given back, and a round trip.
const PLACED: Duration = Duration::from_secs(4);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row must find the same replica waiting: a slot may have come free a moment before one of them.
const LOOKS: usize = 3;

/// A replica that wants an agent.
type Waiting = (String, ServiceName, u32, u32);

impl World {
    /// Lets the engine of one host not answer for a while, and watches what becomes of the work.
    pub(super) fn sick_host(&mut self) -> anyhow::Result<()> {
        let settled = self.hosts.len() - 1;
        self.pass(WELL_BEFORE)?;
        let sick = self.context.random.random_range(0..settled);
        let works = |host: usize| self.hosts[host].agent.as_ref().is_some_and(Agent::takes_orders);
        // The release before does not know what an agent says of its engine.
        let knows = !self.schedulers.iter().any(Scheduler::is_earlier);
        // A leader whose watch still stands takes every agent for silent.
        let hears = self.context.net.stalled_until <= self.context.now;
        let is_well = knows && hears && self.schedulers.iter().any(Scheduler::leads) && (0..settled).all(works);
        if !is_well {
            return Ok(());
        }
        self.context.count(Fault::HostSick);
        self.hosts[sick].engine.freeze();
        self.context.witness.engine_frozen(sick, self.context.now);
        let watched = self.watch_sick(sick).with_context(|| format!("the engine of host {sick} does not answer"));
        self.relieve(Relief::Engine(sick));
        watched
    }

    fn watch_sick(&mut self, sick: usize) -> anyhow::Result<()> {
        let agent = self.hosts[sick].owner.agent.clone();
        self.pass(NOTICED)?;
        let ordered = self.starts_for(&agent);
        let mut waiting: Vec<BTreeSet<Waiting>> = Vec::new();
        let end = self.context.now + WATCHED;
        while self.context.now < end {
            self.pass(LOOK_EVERY)?;
            // Somebody who froze it before has had it thawed.
            if !self.hosts[sick].engine.is_frozen() {
                return Ok(());
            }
            for attempt in self.context.witness.open_of(&agent) {
                let asked = self.hosts[sick].engine.was_asked_to_start(attempt);
                ensure!(asked, "{attempt} waits for a sick host: it is claimed there, and no start was asked for");
            }
            // An order of long ago that arrives late places nothing: its attempt is over.
            let mut new: Vec<AttemptId> = self.starts_for(&agent).difference(&ordered).cloned().collect();
            new.retain(|attempt| !self.is_over(attempt, &agent));
            ensure!(new.is_empty(), "{new:?} were placed on a host without an engine");
            waiting.push(if self.has_room_beside(&agent) { self.waiting() } else { BTreeSet::new() });
            let last = waiting.iter().rev().take(LOOKS).cloned().reduce(|one, other| &one & &other);
            let stuck = last.filter(|_| waiting.len() >= LOOKS).unwrap_or_default();
            ensure!(stuck.is_empty(), "{stuck:?} wait, though they fit elsewhere");
        }
        Ok(())
    }

    /// Lets time pass, and whoever looks after the mesh do so.
    pub(super) fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = self.context.now + time;
        while self.context.now < end {
            self.keep_well();
            self.operators.undrain_all(&mut self.context);
            self.go_on_until(end.min(self.context.now + LOOK_EVERY))?;
        }
        Ok(())
    }

    /// Attempts that an agent was ever ordered to start, as far as orders are kept.
    fn starts_for(&self, agent: &AgentName) -> BTreeSet<AttemptId> {
        let orders = self.context.net.stream(Kind::Orders).on_subject(agent.as_str());
        let starts = orders.iter().filter_map(|stored| stored.record.order());
        let starts = starts.filter(|order| matches!(order.kind, OrderKind::Start(_)));
        starts.map(|order| order.attempt.clone()).collect()
    }

    /// Whether the end of an attempt is stored.
    fn is_over(&mut self, attempt: &AttemptId, agent: &AgentName) -> bool {
        let subject = self.context.net.result_subject(attempt, agent);
        let last = self.context.net.stream(Kind::Results).last(&subject);
        last.and_then(|last| last.record.report()).is_some_and(|report| report.event.is_terminal())
    }

    /// Whether another agent that is at work has a slot that nobody takes.
    fn has_room_beside(&self, sick: &AgentName) -> bool {
        let ledgers = self.stored_ledgers();
        let bound = |agent: &AgentName| -> u32 {
            let runs = ledgers.iter().flat_map(|(_, ledger)| &ledger.active);
            runs.flat_map(|run| run.bound_agents()).filter(|(_, bound)| *bound == agent).count() as u32
        };
        let settled = &self.hosts[..self.hosts.len() - 1];
        settled.iter().any(|host| {
            let agent = &host.owner.agent;
            let works = host.agent.as_ref().is_some_and(Agent::takes_orders);
            works && agent != sick && bound(agent) < host.slots
        })
    }

    /// Replicas that have wanted an agent for too long, of services that fit on every host with a free slot.
    fn waiting(&self) -> BTreeSet<Waiting> {
        let due = time::before(self.context.server_time(), PLACED);
        let mut waiting = BTreeSet::new();
        for (app, ledger) in self.stored_ledgers() {
            for run in &ledger.active {
                let services = run.pending_services().map(|(service, _)| service);
                for service in services.filter(|it| run.service_spec(*it).is_some_and(fits_everywhere)) {
                    let late = run.pending(service).filter(|(since, _)| *since <= due);
                    let name = &run.services()[service as usize].name;
                    waiting.extend(
                        late.map(|(_, place)| {
                            (app.clone(), name.clone(), place.replica, run.replica(place).last_attempt)
                        }),
                    );
                }
            }
        }
        waiting
    }

    fn stored_ledgers(&self) -> Vec<(String, Arc<Ledger>)> {
        let stored = self.context.net.stream(Kind::Ledger).last_per_subject();
        stored.into_iter().filter_map(|it| Some((it.subject.to_string(), it.record.ledger()?.clone()))).collect()
    }
}

fn fits_everywhere(service: &ServiceSpec) -> bool {
    let container = &service.container;
    let is_modest = container.memory_bytes.is_none() && container.volumes.is_empty();
    !service.global && service.constraints.is_empty() && is_modest
}

// The numbers belong together: see `NOTICED`.
const _: () = assert!(TIMING.no_engine.as_secs() + 2 * TIMING.heartbeat.as_secs() < NOTICED.as_secs());
