//! A Docker host: an engine, an agent process and a guard.

mod agent;
mod engine;
mod executor;
mod guard;
mod leftovers;
mod requests;

use std::collections::BTreeMap;

use tickmesh_agent::{
    conduct::{self, Shutdown},
    labels::Owner,
};
use tickmesh_core::{id::Nonce, message::MachineId, policy::HostPolicy};

pub(super) use self::{
    agent::{Agent, Tag},
    guard::Word,
    requests::{EngineAct, EngineSays},
};
use self::{engine::Engine, guard::Guard};
use super::{census::Place, clock::Clock, faults::Fault, ground::Ground};

/// A simulated Docker host: its engine, its agent and its guard.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) index: usize,
    pub(super) owner: Owner,
    pub(super) machine: MachineId,
    pub(super) clock: Clock,
    boots: u32,
    /// The agent processes here that had the name: outlives a reboot.
    remembered: Vec<Nonce>,
    pub(super) slots: u32,
    labels: BTreeMap<String, String>,
    policy: HostPolicy,
    pub(super) engine: Engine,
    pub(super) agent: Option<Agent>,
    guard: Guard,
}

/// What tells one host from another.
#[derive(Debug)]
pub(super) struct HostSettings {
    pub(super) owner: Owner,
    pub(super) machine: MachineId,
    pub(super) clock: Clock,
    pub(super) slots: u32,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) policy: HostPolicy,
}

impl Host {
    pub(super) fn new(index: usize, settings: HostSettings, ground: &mut Ground) -> Self {
        let HostSettings { owner, machine, clock, slots, labels, policy } = settings;
        let guard = Guard::new(ground.census.begin(Place::Guard(index)));
        ground.census.end(Place::Guard(index));
        let engine = Engine::new(index);
        Self {
            index,
            owner,
            machine,
            clock,
            boots: 1,
            remembered: Vec::new(),
            slots,
            labels,
            policy,
            engine,
            agent: None,
            guard,
        }
    }

    /// An agent process begins, unless one is there.
    pub(super) fn start_agent(&mut self, ground: &mut Ground) {
        if self.agent.is_some() {
            return;
        }
        let address = ground.census.begin(Place::Agent(self.index));
        ground.look_at_host(self.index);
        let (agent, effects) = Agent::begin_process(self, address, ground);
        self.agent = Some(agent);
        self.begin_all(ground, effects);
    }

    /// Identity of the host's present boot.
    pub(super) fn boot_id(&self) -> String {
        format!("boot-{}-{}", self.index, self.boots)
    }

    pub(super) fn kill_agent(&mut self, ground: &mut Ground) {
        ground.census.end(Place::Agent(self.index));
        ground.forget_followers(Place::Agent(self.index));
        self.agent = None;
        ground.look_at_host(self.index);
    }

    /// The agent is to stop in order, for itself or because its host is about to go down.
    pub(super) fn stop_agent(&mut self, ground: &mut Ground) {
        let shutdown = if ground.mishap(Fault::HostStopping) { Shutdown::OfHost } else { Shutdown::OfProcess };
        self.fold(ground, conduct::Event::Shutdown(shutdown));
    }

    /// Everything on it stops; nothing is started by itself.
    pub(super) fn reboot(&mut self, ground: &mut Ground) {
        self.kill_agent(ground);
        self.kill_guard(ground);
        self.engine.restart(ground);
        self.clock.boot(ground);
        self.boots += 1;
        ground.witness.rebooted(self.index);
    }
}
