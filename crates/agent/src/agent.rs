//! The agent process: brings what happens to its core, one thing at a time, and has done what that asks for.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tickmesh_core::{
    id::{MeshId, Nonce},
    message::{AgentRecord, Capacity, EngineStock, SCHEMA},
};
use tickmesh_messaging::Mesh;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    agent_core::{self, AgentCore, Effect, Event, Guarding, Moment, Shutdown},
    attempt_table,
    clock::{uptime, wait_until},
    config::Config,
    engine::{ContainerEngine, EngineInfo},
    error::{Error, chain},
    executor::{Executor, Surroundings},
    figures::Figures,
    guard_process::{self, Link},
    host::NameLock,
    labels::Owner,
    orders::Orders,
    output::{Allowance, TAILS_AT_ONCE},
    ownership::Ownership,
    system,
};

/// Share of [`Timing::no_engine`](tickmesh_core::timing::Timing::no_engine) that a probe of the engine may take: one that begins
/// with the heartbeat after the last answer has failed by the end of it.
const PROBE_SHARE: f64 = 0.7;

/// Runs an agent until `shutdown`, which leaves its containers to the next process.
///
/// An engine that does not answer at the start is an error, for somebody has to start it; an outage of NATS is waited for.
/// `mesh` carries orders, claims, ends and heartbeats; `logs` is a second connection, for output only. `mesh_id` is what
/// [`Mesh::open`] said.
pub async fn run<E: ContainerEngine>(
    config: Config,
    mesh: Mesh,
    logs: Mesh,
    mesh_id: MeshId,
    engine: E,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    config.timing.check().map_err(Error::Timing)?;
    let owner = Owner { mesh: mesh_id, namespace: mesh.names().namespace().clone(), agent: config.agent.clone() };
    let engine_info = engine.describe().await.map_err(Error::Engine)?;
    let mut config = config;
    config.host.machine = config.host.machine.with_engine(&engine_info.id);
    let surroundings = Arc::new(Surroundings {
        engine,
        mesh: mesh.clone(),
        logs,
        ownership: Ownership::of(owner.clone()),
        policy: config.policy.clone(),
        default_limits: config.default_limits,
        probe_patience: config.timing.no_engine.mul_f64(PROBE_SHARE),
        allowance: Allowance::of(config.log_bytes_max),
        tails: Arc::new(Semaphore::new(TAILS_AT_ONCE)),
    });
    // An engine that is no good is for the heartbeats to tell: what runs there is looked after all the same.
    let stock = surroundings.engine.probe().await.unwrap_or_default();
    let settings = settings(&config, &engine_info, stock, owner.clone());
    let (core, first) = AgentCore::begin(settings);
    let (executor, news) = Executor::new(surroundings, config.host.machine.clone());
    let orders = Orders::of(config.agent.clone());
    let answers = VecDeque::new();
    let engine_id = engine_info.id;
    let (guard, lock, figures) = (None, None, Figures::default());
    let agent = Agent { config, owner, engine_id, mesh, core, executor, news, answers, orders, guard, lock, figures };
    agent.run(first, shutdown).await
}

/// A running agent.
struct Agent<E> {
    config: Config,
    owner: Owner,
    engine_id: String,
    mesh: Mesh,
    core: AgentCore,
    executor: Executor<E>,
    news: mpsc::Receiver<Event>,
    /// Answers that were there at once.
    answers: VecDeque<Event>,
    orders: Orders,
    /// The line to the guard, once one was asked for.
    guard: Option<Link>,
    /// Held until the process ends.
    lock: Option<NameLock>,
    figures: Figures,
}

impl<E: ContainerEngine> Agent<E> {
    async fn run(mut self, first: Vec<Effect>, shutdown: CancellationToken) -> Result<(), Error> {
        let mut effects = first;
        let mut told = Told::No;
        loop {
            for effect in effects {
                if self.figures.note_effect(&effect) {
                    self.show_figures();
                }
                match effect {
                    Effect::End(ended) => {
                        self.executor.finish().await;
                        return ended;
                    }
                    Effect::DismissGuard => self.dismiss_guard().await,
                    effect => self.perform(effect),
                }
            }
            let event = self.next(&shutdown, &mut told).await;
            if self.figures.note_event(&event, Timestamp::now()) {
                self.show_figures();
            }
            effects = self.core.fold(event, now());
        }
    }

    fn show_figures(&self) {
        if let Some(shown) = &self.config.figures {
            shown.send_replace(self.figures.clone());
        }
    }

    /// What happens next.
    async fn next(&mut self, shutdown: &CancellationToken, told: &mut Told) -> Event {
        if let Some(answer) = self.answers.pop_front() {
            return answer;
        }
        let wants_orders = self.core.takes_orders() || !self.orders.are_open();
        tokio::select! {
            () = shutdown.cancelled(), if *told == Told::No => {
                *told = Told::Yes;
                Event::Shutdown(kind_of_shutdown().await)
            }
            Some(event) = self.news.recv() => event,
            event = self.orders.next(), if wants_orders => event,
            () = wait_until(self.core.wake_at()) => Event::Woken,
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::LockName => self.lock_name(),
            Effect::GoBy { machine } => self.executor.go_by(machine),
            Effect::Remember { process } => self.remember(process),
            Effect::ReadKey => self.executor.ask(Surroundings::read_key),
            Effect::List => self.executor.ask(Surroundings::list),
            Effect::ReadReport { attempt } => self.executor.ask(|all| all.read_report(attempt)),
            Effect::FollowOrders => self.orders.open(self.mesh.clone()),
            Effect::ReadLease => self.executor.ask(Surroundings::read_lease),
            Effect::ReadResultsEnd => self.executor.ask(Surroundings::read_results_end),
            Effect::WriteKey { record, expected } => self.executor.ask(|all| all.write_key(record, expected)),
            Effect::ProbeEngine => self.executor.ask(Surroundings::probe_engine),
            Effect::Attempt(task) => self.executor.begin(task),
            Effect::Abandon => self.executor.abandon(),
            Effect::Clean { held } => self.executor.clean(held),
            Effect::RemoveOwn { container } => self.executor.ask(|all| all.remove_own(container)),
            Effect::TellEnd { attempt, claim_sequence, event } => {
                self.executor.ask(move |all| all.tell_end(attempt, claim_sequence, event));
            }
            Effect::Announce(event) => self.executor.announce(event),
            Effect::StartGuard => self.start_guard(),
            Effect::FeedGuard { sent_at } => self.tell_guard(|guard| guard.feed(sent_at)),
            Effect::AskGuard(question) => self.tell_guard(|guard| guard.ask(question)),
            // The loop does these itself.
            Effect::DismissGuard | Effect::End(_) => {}
        }
    }

    /// A line that broke is dropped with that.
    fn start_guard(&mut self) {
        let Some(program) = self.config.guard.clone() else { return };
        let settings = guard_process::Settings {
            owner: self.owner.clone(),
            fence: self.config.timing.fence,
            boot: self.config.host.boot.clone(),
            engine: self.engine_id.clone(),
            folder: self.config.guard_dir.clone(),
        };
        self.guard = Some(Link::open(program, settings, self.config.build.clone(), self.executor.news()));
    }

    fn tell_guard(&mut self, tell: impl FnOnce(&mut Link)) {
        if let Some(guard) = &mut self.guard {
            tell(guard);
        }
    }

    async fn dismiss_guard(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.dismiss().await;
        }
    }

    /// Without it the next process has to wait after a reboot until the name counts as lost: no reason to end.
    fn remember(&mut self, process: Nonce) {
        let written = self.lock.as_mut().map(|lock| lock.remember(process));
        if let Some(Err(error)) = written {
            tracing::warn!(error = %chain(&error), "failed to write the lock file of the agent's name");
        }
    }

    fn lock_name(&mut self) {
        let answer = match NameLock::take(&self.config.lock_dir, &self.owner, &self.config.host.machine) {
            Ok(lock) => {
                let remembered = lock.remembered();
                self.lock = Some(lock);
                Event::NameLocked { remembered }
            }
            Err(source) => Event::Failed(Error::Host { agent: self.config.agent.clone(), source }),
        };
        self.answers.push_back(answer);
    }
}

/// Whether the core knows that it is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

async fn kind_of_shutdown() -> Shutdown {
    if system::is_going_down().await {
        tracing::info!("the host is going down: containers are stopped");
        Shutdown::OfHost
    } else {
        Shutdown::OfProcess
    }
}

fn now() -> Moment {
    Moment { uptime: uptime(), wall: Timestamp::now() }
}

fn new_nonce() -> Nonce {
    Nonce::from_random(rand::random())
}

fn settings(config: &Config, engine: &EngineInfo, stock: EngineStock, owner: Owner) -> agent_core::Settings {
    let capacity = config.capacity(engine);
    agent_core::Settings {
        owner,
        record: AgentRecord { stock, ..first_record(config, engine, capacity) },
        timing: config.timing,
        clean_interval: config.clean_interval,
        guarding: if config.guard.is_some() { Guarding::Present } else { Guarding::Absent },
        attempts: attempt_table::Settings {
            agent: config.agent.clone(),
            slots: usize::try_from(capacity.slots).unwrap_or(usize::MAX),
            start_limit: config.starts_at_once(engine),
            policy: config.policy.clone(),
        },
    }
}

fn first_record(config: &Config, engine: &EngineInfo, capacity: Capacity) -> AgentRecord {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    AgentRecord {
        schema: SCHEMA,
        agent: config.agent.clone(),
        process: new_nonce(),
        number: 0,
        machine: config.host.machine.clone(),
        boot: config.host.boot.clone(),
        host: config.host.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: config.build.clone(),
        engine: engine.version.clone(),
        engine_trouble: None,
        at: Timestamp::now(),
        labels: config.labels.clone(),
        capacity,
        policy: config.policy.published(),
        stock: EngineStock::default(),
        draining: false,
        drain_by: None,
        stopped: false,
        forgotten: false,
        results_seen: 0,
        held: BTreeSet::new(),
        preparing: Vec::new(),
        fence_ms: milliseconds(config.timing.fence),
        kill_margin_ms: milliseconds(config.timing.kill_margin),
    }
}
