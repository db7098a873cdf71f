//! An agent, its guard and its engine, as the rules of the protocol have them: here what it is and how it fares; how its
//! attempts fare is in `life`, its containers in `engine`.

mod engine;
mod life;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{
    fleet::{AgentView, Readiness},
    id::{AttemptId, Epoch, Nonce},
    message::{AgentRecord, AttemptEvent, Capacity, MachineId, Order, SCHEMA},
    name::AgentName,
    time,
};

use super::{bus::Bus, faults::Fault};

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
        AgentView { readiness, capacity: self.capacity(), traits: Arc::default() }
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
}
