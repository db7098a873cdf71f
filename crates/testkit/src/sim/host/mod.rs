//! A Docker host: an engine, an agent process and a guard.

mod agent;
mod engine;
mod executor;
mod guard;
mod leftovers;
mod requests;

use std::collections::BTreeMap;

use tickmesh_agent::{conduct, labels::Owner};
use tickmesh_core::message::MachineId;

use self::{agent::Agent, engine::Engine, guard::Guard};
pub(super) use self::{
    agent::Tag,
    guard::Word,
    requests::{EngineAct, EngineSays},
};
use super::{census::Place, clock::Clock, ground::Ground};

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) index: usize,
    pub(super) owner: Owner,
    pub(super) machine: MachineId,
    pub(super) clock: Clock,
    boots: u32,
    slots: u32,
    labels: BTreeMap<String, String>,
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
}

impl Host {
    pub(super) fn new(index: usize, settings: HostSettings, ground: &mut Ground) -> Self {
        let HostSettings { owner, machine, clock, slots, labels } = settings;
        let guard = Guard::new(ground.census.begin(Place::Guard(index)));
        ground.census.end(Place::Guard(index));
        let engine = Engine::new(index);
        Self { index, owner, machine, clock, boots: 1, slots, labels, engine, agent: None, guard }
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

    pub(super) fn kill_agent(&mut self, ground: &mut Ground) {
        ground.census.end(Place::Agent(self.index));
        ground.forget_followers(Place::Agent(self.index));
        self.agent = None;
        ground.look_at_host(self.index);
    }

    /// The agent is to stop in order.
    pub(super) fn stop_agent(&mut self, ground: &mut Ground) {
        self.fold(ground, conduct::Event::Shutdown);
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
