//! An agent, its guard and its engine, as notes/protocol.md "Life" has them.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rand::RngExt as _;
use tickmesh_core::{
    fleet::{AgentView, Readiness},
    id::{AttemptId, Epoch, Nonce},
    message::{AgentRecord, AttemptEvent, AttemptReport, Capacity, MachineId, Order, OrderKind, Revoker, SCHEMA},
    name::AgentName,
    outcome::LostReason,
    time,
};

use super::{bus::Bus, faults::Fault, subject::Refused};

/// Heartbeats of one agent that the leader may still get: the store keeps the last one, and some are on their way.
const HEARTBEATS_MAX: usize = 3;

/// How an agent process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    /// It lives, and reaches nobody.
    CutOff,
    /// There is no process; containers may be left.
    Dead,
}

/// What the agent holds of an attempt (protocol rule P1).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    /// The claim is to be sent, or was sent and nobody knows.
    Claiming { nonce: Nonce, deadline: Deadline },
    /// The attempt is its own; there is no container yet.
    Claimed { claim: u64, deadline: Deadline },
    /// The container runs.
    Running { claim: u64 },
    /// It is over, and the end is not stored yet.
    Over { claim: u64, end: AttemptEvent },
}

/// Whether the guard's deadline passed since the attempt was taken on (protocol rule P4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Ahead,
    Passed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Running,
    /// Nobody reported this end yet.
    Exited(Exit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Code(i64),
    Fenced,
    Rebooted,
}

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: AgentName,
    pub(super) condition: Condition,
    pub(super) draining: bool,
    /// When its key last changed.
    pub(super) seen_at: Timestamp,
    /// Its heartbeats that the leader has not got, oldest first.
    pub(super) heartbeats: Vec<AgentRecord>,
    inbox: Vec<Order>,
    slots: u32,
    fenced: bool,
    newest_epoch: Epoch,
    /// A heartbeat in the making: the results sequence that it has read.
    reading: Option<u64>,
    heartbeat_number: u64,
    held: BTreeMap<AttemptId, Held>,
    containers: BTreeMap<AttemptId, Container>,
}

impl Agent {
    pub(super) fn new(name: AgentName, slots: u32, now: Timestamp) -> Self {
        Self {
            name,
            condition: Condition::Well,
            draining: false,
            seen_at: now,
            heartbeats: Vec::new(),
            inbox: Vec::new(),
            slots,
            fenced: false,
            newest_epoch: Epoch(0),
            reading: None,
            heartbeat_number: 0,
            held: BTreeMap::new(),
            containers: BTreeMap::new(),
        }
    }

    fn machine(&self) -> MachineId {
        MachineId(format!("machine-of-{}", self.name))
    }

    fn capacity(&self) -> Capacity {
        Capacity { slots: self.slots, cpu_millis: 4_000, memory_bytes: 1 << 30 }
    }

    /// How the leader sees it.
    pub(super) fn view(&self, now: Timestamp, stale: Duration) -> AgentView {
        let readiness = if now >= time::after(self.seen_at, stale) {
            Readiness::Silent
        } else if self.draining {
            Readiness::Draining
        } else {
            Readiness::Ready
        };
        AgentView { readiness, capacity: self.capacity() }
    }

    pub(super) fn holds_anything(&self) -> bool {
        !self.held.is_empty() || !self.containers.is_empty()
    }

    /// An order arrives.
    pub(super) fn receive(&mut self, order: Order) {
        self.inbox.push(order);
    }

    /// The guard's watch, and heartbeats that go on whatever else the agent does.
    pub(super) fn pass_time(&mut self, bus: &mut Bus) {
        if self.condition == Condition::Well {
            self.seen_at = self.seen_at.max(bus.now);
        } else if !self.fenced && bus.now >= time::after(self.seen_at, bus.timing.fence) {
            self.fence(bus);
        } else if self.condition == Condition::Dead && bus.mishap(4) {
            self.exit_unseen(bus);
        }
    }

    /// A container ends while no agent process looks.
    fn exit_unseen(&mut self, bus: &mut Bus) {
        let running = self.containers.iter().find(|(_, container)| **container == Container::Running);
        if let Some(id) = running.map(|(id, _)| id.clone()) {
            let code = exit_code(bus);
            self.exit_container(bus, &id, code);
        }
    }

    /// The deadline passed: the guard kills what runs, and what was taken on before is lost.
    fn fence(&mut self, bus: &mut Bus) {
        self.fenced = true;
        bus.count(Fault::AgentFenced);
        self.stop_containers(bus, Exit::Fenced);
        for held in self.held.values_mut() {
            match held {
                Held::Claiming { deadline, .. } | Held::Claimed { deadline, .. } => *deadline = Deadline::Passed,
                Held::Running { claim } => *held = Held::Over { claim: *claim, end: lost(LostReason::Fenced) },
                Held::Over { .. } => {}
            }
        }
    }

    fn stop_containers(&mut self, bus: &mut Bus, exit: Exit) {
        for (id, container) in &mut self.containers {
            if *container == Container::Running {
                bus.witness.stopped(id);
                *container = Container::Exited(exit);
            }
        }
    }

    /// The agent does one thing, chosen by chance.
    pub(super) fn act(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        if self.condition == Condition::Dead {
            return Ok(());
        }
        let attempts: Vec<_> = self.held.keys().cloned().collect();
        match bus.random.random_range(0..10) {
            0..4 if !self.inbox.is_empty() => self.take_order(bus),
            4..9 if !attempts.is_empty() => {
                let index = bus.random.random_range(0..attempts.len());
                self.advance(bus, &attempts[index])
            }
            _ => {
                self.beat(bus);
                Ok(())
            }
        }
    }

    /// Everything that the agent can do, once.
    pub(super) fn act_on_all(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        while !self.inbox.is_empty() {
            self.take_order(bus)?;
        }
        for id in self.held.keys().cloned().collect::<Vec<_>>() {
            self.advance(bus, &id)?;
        }
        self.beat(bus);
        self.beat(bus);
        Ok(())
    }

    fn take_order(&mut self, bus: &mut Bus) -> anyhow::Result<()> {
        if self.condition != Condition::Well {
            return Ok(());
        }
        let index = bus.random.random_range(0..self.inbox.len());
        if index > 0 {
            bus.count(Fault::OrderOvertook);
        }
        let order = self.inbox.remove(index);
        if order.epoch < self.newest_epoch {
            bus.count(Fault::OrderStale);
            return Ok(());
        }
        self.newest_epoch = order.epoch;
        match order.kind {
            OrderKind::Start(_) => self.take_on(bus, order.attempt),
            OrderKind::Stop => self.stop(bus, order.attempt),
        }
    }

    fn take_on(&mut self, bus: &mut Bus, id: AttemptId) -> anyhow::Result<()> {
        if self.held.contains_key(&id) {
            return Ok(());
        }
        if self.draining || self.held.len() >= self.slots as usize {
            bus.count(Fault::AttemptRefused);
            let event = AttemptEvent::Revoked { by: Revoker::Agent, reason: "no slot".to_owned() };
            return self.report(bus, &id, event, 0).map(|_| ());
        }
        let nonce = Nonce::from_random(bus.random_bytes());
        self.held.insert(id, Held::Claiming { nonce, deadline: Deadline::Ahead });
        Ok(())
    }

    /// A stop for an unclaimed attempt claims it as cancelled; one for a container stops it.
    fn stop(&mut self, bus: &mut Bus, id: AttemptId) -> anyhow::Result<()> {
        let end = |exit_code| AttemptEvent::Cancelled { exit_code };
        let held = match self.held.get(&id) {
            None | Some(Held::Claiming { .. }) => {
                // Refused: the claim was stored, and another stop will find it.
                if self.report(bus, &id, end(None), 0)?.is_ok() {
                    self.held.remove(&id);
                }
                return Ok(());
            }
            Some(Held::Over { .. }) => return Ok(()),
            Some(Held::Claimed { claim, .. }) => Held::Over { claim: *claim, end: end(None) },
            Some(Held::Running { claim }) => {
                let held = Held::Over { claim: *claim, end: end(Some(143)) };
                self.exit_container(bus, &id, 143);
                held
            }
        };
        self.held.insert(id, held);
        Ok(())
    }

    /// The container ends, and stays until its end is stored.
    fn exit_container(&mut self, bus: &mut Bus, id: &AttemptId, code: i64) {
        bus.witness.stopped(id);
        self.containers.insert(id.clone(), Container::Exited(Exit::Code(code)));
    }

    fn remove_container(&mut self, bus: &mut Bus, id: &AttemptId) {
        if self.containers.remove(id) == Some(Container::Running) {
            bus.witness.stopped(id);
        }
    }

    /// One step of an attempt's life.
    fn advance(&mut self, bus: &mut Bus, id: &AttemptId) -> anyhow::Result<()> {
        let Some(held) = self.held.get(id).cloned() else { return Ok(()) };
        let next = match held {
            Held::Claiming { nonce, deadline } => self.claim(bus, id, nonce, deadline)?,
            Held::Claimed { claim, deadline: Deadline::Passed } => {
                Some(Held::Over { claim, end: lost(LostReason::Fenced) })
            }
            Held::Claimed { claim, deadline: Deadline::Ahead } => Some(self.start(bus, id, claim)?),
            Held::Running { claim } => Some(self.wait(bus, id, claim)),
            Held::Over { claim, end } => self.end(bus, id, claim, end)?,
        };
        match next {
            Some(next) => _ = self.held.insert(id.clone(), next),
            None => _ = self.held.remove(id),
        }
        Ok(())
    }

    fn claim(
        &mut self,
        bus: &mut Bus,
        id: &AttemptId,
        nonce: Nonce,
        deadline: Deadline,
    ) -> anyhow::Result<Option<Held>> {
        let claiming = Held::Claiming { nonce, deadline };
        if self.condition == Condition::CutOff {
            return Ok(Some(claiming));
        }
        let event = AttemptEvent::Claimed { nonce, machine: self.machine() };
        let claim = match self.report(bus, id, event, 0)? {
            Ok(_) if bus.mishap(12) => {
                bus.count(Fault::ClaimAcknowledgementLost);
                return Ok(Some(claiming));
            }
            Ok(claim) => Some(claim),
            // Read back: a win only if it shows this try's nonce (protocol rule P7).
            Err(_) => bus.results.last(id).and_then(|(sequence, last)| match &last.event {
                AttemptEvent::Claimed { nonce: winner, .. } if *winner == nonce => Some(sequence),
                AttemptEvent::Claimed { .. }
                | AttemptEvent::Revoked { .. }
                | AttemptEvent::Cancelled { .. }
                | AttemptEvent::Exited { .. }
                | AttemptEvent::CouldNotStart { .. }
                | AttemptEvent::Lost { .. } => None,
            }),
        };
        Ok(claim.map(|claim| Held::Claimed { claim, deadline }))
    }

    fn start(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64) -> anyhow::Result<Held> {
        if bus.mishap(20) {
            bus.count(Fault::CouldNotStart);
            let permanent = bus.random.random_ratio(1, 3);
            let end = AttemptEvent::CouldNotStart { reason: "no image".to_owned(), permanent };
            return Ok(Held::Over { claim, end });
        }
        bus.witness.started(id)?;
        self.containers.insert(id.clone(), Container::Running);
        Ok(Held::Running { claim })
    }

    fn wait(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64) -> Held {
        if bus.mishap(30) {
            bus.count(Fault::ContainerRemoved);
            self.remove_container(bus, id);
            return Held::Over { claim, end: lost(LostReason::ContainerRemoved) };
        }
        let code = exit_code(bus);
        self.exit_container(bus, id, code);
        Held::Over { claim, end: exited(code) }
    }

    fn end(&mut self, bus: &mut Bus, id: &AttemptId, claim: u64, end: AttemptEvent) -> anyhow::Result<Option<Held>> {
        if self.condition == Condition::CutOff {
            return Ok(Some(Held::Over { claim, end }));
        }
        // Refused: the leader has declared it lost.
        let _ = self.report(bus, id, end, claim)?;
        self.remove_container(bus, id);
        Ok(None)
    }

    fn report(
        &self,
        bus: &mut Bus,
        id: &AttemptId,
        event: AttemptEvent,
        expected: u64,
    ) -> anyhow::Result<Result<u64, Refused>> {
        let report =
            AttemptReport { schema: SCHEMA, attempt: id.clone(), agent: self.name.clone(), at: bus.now, event };
        bus.report(report, expected)
    }

    /// Half a heartbeat: first the results sequence is read, then what is held (protocol rule P1).
    fn beat(&mut self, bus: &mut Bus) {
        if self.condition != Condition::Well {
            return;
        }
        let Some(results_seen) = self.reading.take() else {
            self.reading = Some(bus.results.last_sequence());
            return;
        };
        self.heartbeat_number += 1;
        if self.heartbeats.len() >= HEARTBEATS_MAX {
            self.heartbeats.remove(0);
        }
        self.heartbeats.push(AgentRecord {
            schema: SCHEMA,
            agent: self.name.clone(),
            process: Nonce::from_random([0; 16]),
            number: self.heartbeat_number,
            machine: self.machine(),
            boot: String::new(),
            host: self.name.to_string(),
            version: String::new(),
            engine: String::new(),
            at: bus.now,
            labels: BTreeMap::new(),
            capacity: self.capacity(),
            draining: self.draining,
            stopped: false,
            results_seen,
            held: self.held.keys().cloned().collect(),
            fence_ms: 45_000,
            kill_margin_ms: 10_000,
        });
    }

    /// Nobody hears it any more.
    pub(super) fn cut_off(&mut self, bus: &mut Bus) {
        bus.count(Fault::AgentCutOff);
        self.condition = Condition::CutOff;
        self.reading = None;
    }

    /// kill -9: what it knew is gone, its containers run on.
    pub(super) fn kill(&mut self, bus: &mut Bus) {
        bus.count(Fault::AgentKilled);
        self.condition = Condition::Dead;
        self.reading = None;
        self.held.clear();
        self.inbox.clear();
    }

    /// The host goes down, and all that runs on it.
    pub(super) fn reboot(&mut self, bus: &mut Bus) {
        bus.count(Fault::HostRebooted);
        self.kill(bus);
        self.stop_containers(bus, Exit::Rebooted);
    }

    /// It is back: a new process adopts before its first heartbeat (protocol rule P2).
    pub(super) fn come_back(&mut self, bus: &mut Bus) {
        if self.condition == Condition::Dead {
            self.adopt(bus);
        }
        self.condition = Condition::Well;
        self.fenced = false;
        self.seen_at = self.seen_at.max(bus.now);
    }

    fn adopt(&mut self, bus: &mut Bus) {
        for (id, container) in self.containers.clone() {
            let claim = match bus.results.last(&id) {
                Some((claim, last)) if !last.event.is_terminal() => claim,
                // Its end is stored: what is left of it goes.
                Some(_) | None => {
                    self.remove_container(bus, &id);
                    continue;
                }
            };
            let held = match container {
                Container::Running => Held::Running { claim },
                Container::Exited(exit) => Held::Over { claim, end: exit.event() },
            };
            self.held.insert(id, held);
        }
    }
}

impl Exit {
    fn event(self) -> AttemptEvent {
        match self {
            Self::Code(code) => exited(code),
            Self::Fenced => lost(LostReason::Fenced),
            Self::Rebooted => lost(LostReason::EngineRestarted),
        }
    }
}

fn exit_code(bus: &mut Bus) -> i64 {
    let failed = bus.mishap(2);
    if failed {
        bus.count(Fault::ContainerFailed);
    }
    i64::from(failed)
}

fn lost(reason: LostReason) -> AttemptEvent {
    AttemptEvent::Lost { reason }
}

fn exited(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: false, started_at: None, finished_at: None }
}
