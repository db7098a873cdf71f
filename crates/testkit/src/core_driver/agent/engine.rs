//! The engine of an agent's host, and the guard that outlives the agent.

use tickmesh_core::{id::AttemptId, message::AttemptEvent, outcome::LostReason};

use super::{
    super::{bus::Bus, faults::Fault},
    Agent, Container, Deadline, Exit, Held,
};

impl Agent {
    /// A container ends while no agent process looks.
    pub(super) fn exit_unseen(&mut self, bus: &mut Bus) {
        let running = self.containers.iter().find(|(_, container)| **container == Container::Running);
        if let Some(id) = running.map(|(id, _)| id.clone()) {
            let code = exit_code(bus);
            self.exit_container(bus, &id, code);
        }
    }

    /// The deadline passed: the guard kills what runs, and what was taken on before is lost.
    pub(super) fn fence(&mut self, bus: &mut Bus) {
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

    pub(super) fn stop_containers(&mut self, bus: &mut Bus, exit: Exit) {
        for (id, container) in &mut self.containers {
            if *container == Container::Running {
                bus.witness.stopped(id);
                *container = Container::Exited(exit);
            }
        }
    }

    /// The container ends, and stays until its end is stored.
    pub(super) fn exit_container(&mut self, bus: &mut Bus, id: &AttemptId, code: i64) {
        bus.witness.stopped(id);
        self.containers.insert(id.clone(), Container::Exited(Exit::Code(code)));
    }

    pub(super) fn remove_container(&mut self, bus: &mut Bus, id: &AttemptId) {
        if self.containers.remove(id) == Some(Container::Running) {
            bus.witness.stopped(id);
        }
    }

    pub(super) fn adopt(&mut self, bus: &mut Bus) {
        for (id, container) in self.containers.clone() {
            let claim = match bus.results.last(&id, &self.name) {
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

/// How a container ends.
pub(super) fn exit_code(bus: &mut Bus) -> i64 {
    let failed = bus.mishap(2);
    if failed {
        bus.count(Fault::ContainerFailed);
    }
    i64::from(failed)
}

pub(super) fn lost(reason: LostReason) -> AttemptEvent {
    AttemptEvent::Lost { reason }
}

pub(super) fn exited(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: false, started_at: None, finished_at: None }
}
