//! What an engine is asked, and what it answers.

use std::time::Duration;

use tickmesh_agent::{
    engine::{ContainerId, ContainerRequest, ContainerView, Error, ExitState, LabelFilter},
    guard,
};
use tickmesh_core::id::AttemptId;

use super::leftovers::Stray;
use crate::sim::{context::SimContext, event::SimEvent, faults::Fault, process_table::Address};

/// How long an agent waits for an answer of the engine.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an agent waits for the answer of a probe: as large a share of the time after which an engine counts as lost as in
/// production.
const PROBE_PATIENCE: Duration = Duration::from_millis(3_500);

/// What an engine is asked to do.
#[derive(Debug, Clone)]
pub(in crate::sim) enum Op {
    Pull,
    Create(Box<ContainerRequest>),
    Find(String),
    Start(ContainerId),
    Inspect(ContainerId),
    Wait(ContainerId),
    Stop(ContainerId),
    Remove(ContainerId),
    /// Sends SIGKILL.
    Kill(ContainerId),
    /// Asks for how long a container has run, of so long that it may.
    RunningFor(ContainerId, Duration),
    List(LabelFilter),
    /// Looks where a path leads: elsewhere than its name says.
    LookBehind,
    /// Asks whether it works.
    Probe,
}

/// Who asked, and for what.
#[derive(Debug, Clone)]
pub(in crate::sim) enum EngineTag {
    /// The core of an agent, for itself.
    AgentCore,
    Attempt(AttemptId),
    /// A look for containers that can go.
    Clean,
    /// A look at one of them.
    Stray(Box<Stray>),
    Guard,
    /// A look whether the engine works.
    Probe,
}

impl EngineTag {
    /// How long its client waits for an answer of the engine.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Guard => guard::ENGINE_PATIENCE,
            Self::Probe => PROBE_PATIENCE,
            Self::AgentCore | Self::Attempt(_) | Self::Clean | Self::Stray(_) => CLIENT_TIMEOUT,
        }
    }
}

/// A request to the engine.
#[derive(Debug)]
pub(in crate::sim) struct Request {
    pub(super) from: Address,
    pub(super) tag: EngineTag,
    pub(super) op: Op,
    /// Its client does not wait any more.
    pub(super) given_up: bool,
}

/// What the engine answers.
#[derive(Debug)]
pub(in crate::sim) enum Reply {
    Done,
    Container(ContainerView),
    Exited(ExitState),
    RunningFor(Duration),
    List(Vec<ContainerView>),
}

/// An answer on its way.
#[derive(Debug)]
pub(in crate::sim) struct EngineSays {
    pub(in crate::sim) tag: EngineTag,
    pub(in crate::sim) op: Op,
    pub(in crate::sim) reply: Result<Reply, Error>,
}

/// Something that the engine does at its moment.
#[derive(Debug)]
pub(in crate::sim) enum EngineAct {
    Do(Request),
    /// A slow start takes effect.
    Begin(ContainerId),
    /// A process ends.
    Exit {
        container: ContainerId,
        serial: u64,
        code: i64,
    },
}

impl SimContext {
    /// Asks an engine for something, after a pause.
    pub(super) fn ask_engine(&mut self, host: usize, pause: Duration, from: Address, tag: EngineTag, op: Op) {
        let latency = self.between(Duration::from_millis(2), Duration::from_millis(80));
        let slow = matches!(op, Op::Create(_)) && self.mishap(Fault::CreateSlow);
        let delay = if slow { self.some_delay() } else { latency };
        let patience = tag.patience();
        let given_up = delay > patience;
        if given_up {
            let says = EngineSays { tag: tag.clone(), op: op.clone(), reply: Err(unavailable()) };
            self.later(pause + patience, SimEvent::EngineSays(from, Box::new(says)));
        }
        let request = Request { from, tag, op, given_up };
        self.later(pause + delay, SimEvent::Engine(host, EngineAct::Do(request)));
    }
}

pub(super) fn not_found() -> Error {
    Error::NotFound { attempted: "find".to_owned() }
}

pub(super) fn refused() -> Error {
    Error::CouldNotStart { attempted: "start".to_owned(), message: "no such command".to_owned() }
}

pub(super) fn unavailable() -> Error {
    Error::Unavailable { attempted: "ask".to_owned(), source: "no answer".into() }
}
