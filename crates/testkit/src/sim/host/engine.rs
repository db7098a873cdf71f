//! The container engine of one host. It keeps no log of its own: the witness sees whatever it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::RngExt as _;
use tickmesh_agent::{
    engine::{ContainerId, ContainerRequest, ContainerStatus, ContainerView, Error, ExitState, LabelFilter},
    labels::Tag,
};
use tickmesh_core::id::AttemptId;

use super::requests::{EngineAct, EngineSays, EngineTag, Op, Reply, Request, not_found, refused, unavailable};
use crate::sim::{
    checkers::{Ender, Sighting},
    context::SimContext,
    event::SimEvent,
    faults::Fault,
    generators,
    process_table::Address,
};

/// The engine of one host.
#[derive(Debug)]
pub(in crate::sim) struct Engine {
    host: usize,
    containers: BTreeMap<ContainerId, Container>,
    made: u64,
    state: State,
    /// What arrived while it did not answer.
    held: Vec<Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Frozen,
}

#[derive(Debug)]
struct Container {
    view: ContainerView,
    image: String,
    /// Whose attempt it is; `None`: somebody else's container.
    tag: Option<Tag>,
    /// It is being started, which takes its time.
    starting: bool,
    /// It is to be removed once it is started.
    doomed: bool,
    /// Tells an exit that was to come from one that was brought forward.
    exit_serial: u64,
    began_at: Duration,
    watchers: Vec<(Address, EngineTag)>,
}

impl Engine {
    pub(in crate::sim) fn new(host: usize) -> Self {
        Self { host, containers: BTreeMap::new(), made: 0, state: State::Up, held: Vec::new() }
    }

    /// Puts somebody else's container there: running, with any labels.
    pub(in crate::sim) fn host_foreign(&mut self, name: &str, labels: BTreeMap<String, String>) {
        let id = ContainerId(format!("foreign-{}-{name}", self.host));
        let (name, status) = (name.to_owned(), ContainerStatus::Running);
        let view = ContainerView { id: id.clone(), name, labels, labels_are_own: false, status };
        self.containers.insert(id, Container::new(view, "postgres", None));
    }

    pub(in crate::sim) fn act(&mut self, context: &mut SimContext, act: EngineAct) {
        match act {
            EngineAct::Do(request) if self.state == State::Frozen => self.hold(context, request),
            EngineAct::Do(request) => self.serve(context, request),
            EngineAct::Begin(id) => self.begin(context, &id),
            EngineAct::Exit { container, serial, code } => {
                if self.containers.get(&container).is_some_and(|it| it.exit_serial == serial) {
                    self.exit(context, &container, code, Ender::Other);
                }
            }
        }
    }

    fn hold(&mut self, context: &mut SimContext, request: Request) {
        let given_up = match request.op {
            Op::Wait(_) => false,
            // Whoever asks whether an engine works does not wait for ever to hear it.
            Op::Probe => true,
            Op::Pull
            | Op::LookBehind
            | Op::Create(_)
            | Op::Find(_)
            | Op::Start(_)
            | Op::Inspect(_)
            | Op::Stop(_)
            | Op::Remove(_)
            | Op::Kill(_)
            | Op::RunningFor(..)
            | Op::List(_) => context.random.random_ratio(1, 2),
        };
        if given_up && !request.given_up {
            let says = EngineSays { tag: request.tag.clone(), op: request.op.clone(), reply: Err(unavailable()) };
            context.later(request.tag.patience(), SimEvent::EngineSays(request.from, Box::new(says)));
        }
        self.held.push(Request { given_up: given_up || request.given_up, ..request });
    }

    fn serve(&mut self, context: &mut SimContext, request: Request) {
        let Request { from, tag, op, given_up } = request;
        let reply = match &op {
            Op::Pull => pull(context).map(Some),
            Op::Create(wanted) => self.create(wanted).map(Some),
            Op::Find(name) => self.find(name).map(Some),
            Op::Start(id) => self.start(context, id, (from, tag.clone())),
            Op::Inspect(id) => self.container(id).map(|it| Some(Reply::Container(it.view.clone()))),
            Op::Wait(id) => self.wait(id, (from, tag.clone())),
            Op::Stop(id) => {
                self.stop(context, id);
                Ok(Some(Reply::Done))
            }
            Op::Remove(id) => self.remove(context, id),
            Op::Kill(id) => self.kill(context, id).map(Some),
            Op::RunningFor(id, _) => {
                self.container(id).map(|it| Some(Reply::RunningFor(context.now.saturating_sub(it.began_at))))
            }
            Op::LookBehind => Err(refused()),
            Op::Probe => Ok(Some(Reply::Done)),
            Op::List(filter) => Ok(Some(Reply::List(self.list(filter)))),
        };
        if let Some(reply) = reply.transpose().filter(|_| !given_up) {
            let latency = context.latency();
            context.later(latency, SimEvent::EngineSays(from, Box::new(EngineSays { tag, op, reply })));
        }
    }

    fn create(&mut self, wanted: &ContainerRequest) -> Result<Reply, Error> {
        if self.find(&wanted.name).is_ok() {
            return Err(Error::NameTaken { attempted: "create".to_owned() });
        }
        self.made += 1;
        let id = ContainerId(format!("{}-{}", self.host, self.made));
        let (name, labels, status) = (wanted.name.clone(), wanted.labels.clone(), ContainerStatus::Created);
        let view = ContainerView { id: id.clone(), name, labels, labels_are_own: true, status };
        let tag = Tag::parse(&wanted.labels).ok();
        self.containers.insert(id, Container::new(view.clone(), &wanted.spec.image, tag));
        Ok(Reply::Container(view))
    }

    fn find(&self, name: &str) -> Result<Reply, Error> {
        let found = self.containers.values().find(|container| container.view.name == name);
        found.map(|it| Reply::Container(it.view.clone())).ok_or_else(not_found)
    }

    fn container(&self, id: &ContainerId) -> Result<&Container, Error> {
        self.containers.get(id).ok_or_else(not_found)
    }

    fn start(
        &mut self,
        context: &mut SimContext,
        id: &ContainerId,
        (from, tag): (Address, EngineTag),
    ) -> Result<Option<Reply>, Error> {
        let container = self.containers.get_mut(id).ok_or_else(not_found)?;
        match container.view.status {
            ContainerStatus::Running => return Ok(Some(Reply::Done)),
            ContainerStatus::Created if !container.starting => {}
            ContainerStatus::Created | ContainerStatus::Exited(_) | ContainerStatus::Removing => return Err(refused()),
        }
        if context.mishap(Fault::StartFailed) {
            return Err(refused());
        }
        container.starting = true;
        if context.mishap(Fault::StartSlow) {
            let delay = context.some_delay();
            context.later(delay, SimEvent::Engine(self.host, EngineAct::Begin(id.clone())));
            let patience = tag.patience();
            let says = EngineSays { tag, op: Op::Start(id.clone()), reply: Err(unavailable()) };
            context.later(patience, SimEvent::EngineSays(from, Box::new(says)));
            return Ok(None);
        }
        self.begin(context, id);
        Ok(Some(Reply::Done))
    }

    /// A container's process begins.
    fn begin(&mut self, context: &mut SimContext, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id).filter(|container| container.starting) else { return };
        if container.doomed {
            // It was to be killed as soon as it is there.
            return self.destroy(context, id);
        }
        (container.starting, container.view.status) = (false, ContainerStatus::Running);
        container.exit_serial += 1;
        container.began_at = context.now;
        let (lasts, code) = generators::container_life(&container.image, context);
        if let Some(lasts) = lasts {
            let exit = EngineAct::Exit { container: id.clone(), serial: container.exit_serial, code };
            context.later(lasts, SimEvent::Engine(self.host, exit));
        }
        context.summary.containers += 1;
        // On a stream that lost messages at the end of a history nothing that was stored binds anybody; what counts
        // is that nobody leads.
        if let Some(tag) = container.tag.as_ref().filter(|_| !context.net.is_ending) {
            let sighting = Sighting { host: self.host, container: id, attempt: &tag.attempt, nonce: tag.nonce };
            let seen = context.witness.started(&sighting);
            context.judge(seen);
        }
    }

    fn exit(&mut self, context: &mut SimContext, id: &ContainerId, code: i64, ender: Ender) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.exit_serial += 1;
        let exit = ExitState { code, oom_killed: false, unhealthy: false, started_at: None, finished_at: None };
        container.view.status = ContainerStatus::Exited(exit.clone());
        context.witness.exited(id, code, ender);
        for (address, tag) in std::mem::take(&mut container.watchers) {
            let (reply, latency) = (Ok(Reply::Exited(exit.clone())), context.latency());
            let says = EngineSays { tag, op: Op::Wait(id.clone()), reply };
            context.later(latency, SimEvent::EngineSays(address, Box::new(says)));
        }
    }

    fn wait(&mut self, id: &ContainerId, watcher: (Address, EngineTag)) -> Result<Option<Reply>, Error> {
        let container = self.containers.get_mut(id).ok_or_else(not_found)?;
        if let ContainerStatus::Exited(exit) = &container.view.status {
            return Ok(Some(Reply::Exited(exit.clone())));
        }
        container.watchers.push(watcher);
        Ok(None)
    }

    /// Asks a container to stop. It takes its time; the answer does not wait for it here, since the watch tells.
    fn stop(&mut self, context: &mut SimContext, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else { return };
        protect(container, context);
        if container.view.status == ContainerStatus::Running {
            container.exit_serial += 1;
            let code = if context.random.random_ratio(1, 4) { 137 } else { 143 };
            let exit = EngineAct::Exit { container: id.clone(), serial: container.exit_serial, code };
            let grace = context.between(Duration::from_millis(5), Duration::from_secs(3));
            context.later(grace, SimEvent::Engine(self.host, exit));
        }
    }

    /// Kills a process, if there is one.
    fn kill(&mut self, context: &mut SimContext, id: &ContainerId) -> Result<Reply, Error> {
        let container = self.containers.get_mut(id).ok_or_else(not_found)?;
        protect(container, context);
        if container.view.status != ContainerStatus::Running {
            return Err(refused());
        }
        // Only guards kill; an agent stops.
        self.exit(context, id, 137, Ender::Guard);
        Ok(Reply::Done)
    }

    /// Kills and removes. What is being started right now may have to come up first.
    fn remove(&mut self, context: &mut SimContext, id: &ContainerId) -> Result<Option<Reply>, Error> {
        if let Some(container) = self.containers.get_mut(id) {
            protect(container, context);
            if container.starting && context.random.random_ratio(1, 2) {
                container.doomed = true;
                return Err(unavailable());
            }
            self.destroy(context, id);
        }
        Ok(Some(Reply::Done))
    }

    fn destroy(&mut self, context: &mut SimContext, id: &ContainerId) {
        let Some(container) = self.containers.remove(id) else { return };
        context.witness.removed(id);
        for (address, tag) in container.watchers {
            let latency = context.latency();
            let says = EngineSays { tag, op: Op::Wait(id.clone()), reply: Err(not_found()) };
            context.later(latency, SimEvent::EngineSays(address, Box::new(says)));
        }
    }

    fn list(&self, filter: &LabelFilter) -> Vec<ContainerView> {
        let carries = |view: &&ContainerView| filter.iter().all(|(key, value)| view.labels.get(key) == Some(value));
        self.containers.values().map(|container| &container.view).filter(carries).cloned().collect()
    }

    pub(in crate::sim) fn is_frozen(&self) -> bool {
        self.state == State::Frozen
    }

    pub(in crate::sim) fn freeze(&mut self) {
        self.state = State::Frozen;
    }

    pub(in crate::sim) fn thaw(&mut self, context: &mut SimContext) {
        self.state = State::Up;
        for request in std::mem::take(&mut self.held) {
            self.serve(context, request);
        }
    }

    /// The engine goes down and comes up again: what ran does not any more, and nobody was watching.
    pub(in crate::sim) fn restart(&mut self, context: &mut SimContext) {
        self.state = State::Up;
        for request in std::mem::take(&mut self.held).into_iter().filter(|request| !request.given_up) {
            interrupt(context, request.from, request.tag, request.op);
        }
        for id in self.ours() {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            container.starting = false;
            for (address, tag) in std::mem::take(&mut container.watchers) {
                interrupt(context, address, tag, Op::Wait(id.clone()));
            }
            if container.doomed {
                self.destroy(context, &id);
            } else if container.view.status == ContainerStatus::Running {
                self.exit(context, &id, 137, Ender::Other);
            }
        }
    }

    /// Somebody removes a container of an attempt; `false`: there is none.
    pub(in crate::sim) fn remove_by_hand(&mut self, context: &mut SimContext) -> bool {
        let ours = self.ours();
        if ours.is_empty() || self.state == State::Frozen {
            return false;
        }
        let which = context.random.random_range(0..ours.len());
        self.destroy(context, &ours[which]);
        true
    }

    fn ours(&self) -> Vec<ContainerId> {
        let ours = self.containers.values().filter(|container| container.tag.is_some());
        ours.map(|container| container.view.id.clone()).collect()
    }

    /// Whether the engine was ever asked to start a container of this attempt, heeded or not.
    pub(in crate::sim) fn was_asked_to_start(&self, attempt: &AttemptId) -> bool {
        let asked: BTreeSet<&ContainerId> = self
            .held
            .iter()
            .filter_map(|request| match &request.op {
                Op::Start(id) => Some(id),
                _ => None,
            })
            .collect();
        let of_attempt = |it: &&Container| it.tag.as_ref().is_some_and(|tag| tag.attempt == *attempt);
        let mut own = self.containers.values().filter(of_attempt);
        own.any(|it| it.starting || it.view.status != ContainerStatus::Created || asked.contains(&it.view.id))
    }

    /// Whether a container of an attempt runs, or is about to.
    pub(in crate::sim) fn is_busy(&self) -> bool {
        let mut ours = self.containers.values().filter(|container| container.tag.is_some());
        ours.any(|container| container.starting || container.view.status == ContainerStatus::Running)
    }
}

impl Container {
    fn new(view: ContainerView, image: &str, tag: Option<Tag>) -> Self {
        let image = image.to_owned();
        Self {
            view,
            image,
            tag,
            starting: false,
            doomed: false,
            exit_serial: 0,
            began_at: Duration::ZERO,
            watchers: Vec::new(),
        }
    }
}

/// Guarantee G10: nobody touches what is not an attempt's.
fn protect(container: &Container, context: &mut SimContext) {
    if container.tag.is_none() {
        let name = &container.view.name;
        context.judge(Err(anyhow::anyhow!("G10: the container `{name}` of somebody else was touched")));
    }
}

fn pull(context: &mut SimContext) -> Result<Reply, Error> {
    if context.mishap(Fault::PullFailed) { Err(refused()) } else { Ok(Reply::Done) }
}

fn interrupt(context: &mut SimContext, address: Address, tag: EngineTag, op: Op) {
    let latency = context.latency();
    let says = EngineSays { tag, op, reply: Err(unavailable()) };
    context.later(latency, SimEvent::EngineSays(address, Box::new(says)));
}
