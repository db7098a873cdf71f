//! A Docker host: an engine, an agent process and a guard.

mod agent;
mod engine;
mod executor;
mod guard;
mod leftovers;
mod requests;

use std::collections::BTreeMap;

use tickmesh_agent::{
    agent_core::{self, Shutdown},
    labels::Owner,
};
use tickmesh_core::{id::Nonce, message::MachineId, policy::HostPolicy};

pub(super) use self::{
    agent::{Agent, Tag},
    guard::Word,
    requests::{EngineAct, EngineSays},
};
use self::{engine::Engine, guard::Guard};
use super::{clock::Clock, context::SimContext, faults::Fault, process_table::Place};

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
    pub(super) fn new(index: usize, settings: HostSettings, context: &mut SimContext) -> Self {
        let HostSettings { owner, machine, clock, slots, labels, policy } = settings;
        let guard = Guard::new(context.processes.begin(Place::Guard(index)));
        context.processes.end(Place::Guard(index));
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
    pub(super) fn start_agent(&mut self, context: &mut SimContext) {
        if self.agent.is_some() {
            return;
        }
        let address = context.processes.begin(Place::Agent(self.index));
        context.look_at_host(self.index);
        let (agent, effects) = Agent::begin_process(self, address, context);
        self.agent = Some(agent);
        self.begin_all(context, effects);
    }

    /// Identity of the host's present boot.
    pub(super) fn boot_id(&self) -> String {
        format!("boot-{}-{}", self.index, self.boots)
    }

    pub(super) fn kill_agent(&mut self, context: &mut SimContext) {
        context.processes.end(Place::Agent(self.index));
        context.forget_followers(Place::Agent(self.index));
        self.agent = None;
        context.look_at_host(self.index);
    }

    /// The agent is to stop in order, for itself or because its host is about to go down.
    pub(super) fn stop_agent(&mut self, context: &mut SimContext) {
        let shutdown = if context.mishap(Fault::HostStopping) { Shutdown::OfHost } else { Shutdown::OfProcess };
        self.fold(context, agent_core::Event::Shutdown(shutdown));
    }

    /// Everything on it stops; nothing is started by itself.
    pub(super) fn reboot(&mut self, context: &mut SimContext) {
        self.kill_agent(context);
        self.kill_guard(context);
        self.engine.restart(context);
        self.clock.boot(context);
        self.boots += 1;
        context.witness.rebooted(self.index);
    }
}
