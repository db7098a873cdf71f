//! The agent process: puts the parts together, and folds what happens, one thing at a time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, MeshId, Nonce},
    message::{AgentRecord, Capacity, MeshEvent, Order, SCHEMA},
    name::AgentName,
};
use tickmesh_messaging::{Following, Mesh};
use tokio::{
    sync::{mpsc, watch},
    task::JoinError,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    adopt::adopt,
    attempt::State,
    backoff::Backoff,
    clock::uptime,
    config::Config,
    depose::give_up,
    engine::{ContainerEngine, EngineInfo},
    error::{Error, chain},
    executor::{Executor, News, Surroundings},
    heartbeat::{Heart, claim_name},
    host::NameLock,
    labels::Owner,
    roster::{Intake, Roster, Settings, Task},
};

/// How long a stopping agent waits for what is under way: a claim without its container costs the replica an attempt.
const CALM_TIMEOUT: Duration = Duration::from_secs(3);

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
    let _lock = NameLock::take(&config.lock_dir, &owner)
        .map_err(|source| Error::Host { agent: config.agent.clone(), source })?;
    let engine_info = engine.describe().await.map_err(Error::Engine)?;
    let surroundings = Arc::new(Surroundings {
        engine,
        mesh: mesh.clone(),
        logs,
        owner,
        machine: config.host.machine.clone(),
        log_bytes_max: config.log_bytes_max,
    });
    match shutdown.run_until_cancelled(Agent::begin(&config, &engine_info, surroundings)).await {
        Some(begun) => begun?.run(&config, shutdown).await,
        None => Ok(()),
    }
}

/// A registered agent.
struct Agent<E> {
    surroundings: Arc<Surroundings<E>>,
    roster: Roster,
    executor: Executor<E>,
    news: mpsc::Receiver<News>,
    /// What heartbeats list. Changed before the effects of the change begin (protocol rule P1).
    held: watch::Sender<BTreeSet<AttemptId>>,
    /// What people want, as heartbeats find it.
    intake: watch::Receiver<Intake>,
    /// Ends with the agent: a heart that beats on would hold attempts that nobody watches.
    heart: AbortOnDropHandle<Result<(), Error>>,
    heart_stop: CancellationToken,
    orders: Following<Order>,
}

impl<E: ContainerEngine> Agent<E> {
    /// Takes the name, adopts what is there, and only then shows a sign of life (protocol rule P2).
    async fn begin(config: &Config, engine: &EngineInfo, surroundings: Arc<Surroundings<E>>) -> Result<Self, Error> {
        let capacity = config.capacity(engine);
        let record = first_record(config, engine, capacity);
        let predecessor = claim_name(&surroundings.mesh, &record, &config.timing).await?;
        let mut roster = Roster::new(settings(config, engine, capacity), predecessor.intake);
        let adopted = adopt(&surroundings, &mut roster).await?;
        let (held, heart_held) = watch::channel(roster.held());
        let (mut executor, news) = Executor::new(surroundings.clone());
        executor.perform(adopted);

        let (wishes, intake) = watch::channel(predecessor.intake);
        let mut heart = Heart::new(&surroundings.mesh, record, config.timing, predecessor, heart_held, wishes);
        let orders = follow_orders(&surroundings.mesh, &config.agent).await?;
        // Last of all: whoever has shown a sign of life says farewell as well.
        heart.first().await?;
        let heart_stop = CancellationToken::new();
        let heart = AbortOnDropHandle::new(tokio::spawn(heart.run(heart_stop.clone())));
        Ok(Self { surroundings, roster, executor, news, held, intake, heart, heart_stop, orders })
    }

    async fn run(mut self, config: &Config, shutdown: CancellationToken) -> Result<(), Error> {
        let agent = config.agent.clone();
        self.surroundings.mesh.events().publish(&MeshEvent::AgentJoined { agent }).await;
        let mut clean = interval(config.clean_interval);
        clean.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return self.stop().await,
                ended = &mut self.heart => return self.heart_ended(flatten(ended)).await,
                order = self.orders.next() => self.take(order)?,
                Some(news) = self.news.recv() => self.fold(news),
                Ok(()) = self.intake.changed() => {
                    let intake = *self.intake.borrow_and_update();
                    tracing::info!(?intake, "intake changed");
                    self.roster.set_intake(intake);
                }
                _ = clean.tick() => self.executor.clean(self.roster.held()),
            }
        }
    }

    fn take(&mut self, order: Option<Result<Order, tickmesh_messaging::Error>>) -> Result<(), Error> {
        match order {
            Some(Ok(order)) => {
                let tasks = self.roster.order(order, new_nonce(), uptime());
                self.act(tasks);
            }
            Some(Err(source)) => {
                let agent = self.surroundings.owner.agent.clone();
                return Err(Error::Messaging { agent, source });
            }
            // A stream of orders ends only with an error, which came before.
            None => {}
        }
        Ok(())
    }

    fn fold(&mut self, news: News) {
        let tasks = match news {
            News::Attempt { attempt, event } => match self.roster.event(&attempt, event) {
                Ok(tasks) => tasks,
                Err(illegal) => {
                    tracing::error!(attempt_id = %attempt, error = %illegal, "event ignored");
                    return;
                }
            },
            News::Leftover { attempt, .. } if self.roster.knows(&attempt) => return,
            News::Leftover { attempt, container } => {
                tracing::info!(attempt_id = %attempt, container = %container, "nobody needs this container");
                self.roster.adopt(attempt, State::adopt_leftover(container))
            }
        };
        self.act(tasks);
    }

    fn act(&mut self, tasks: Vec<Task>) {
        let held = self.roster.held();
        self.held.send_if_modified(|before| {
            let changed = *before != held;
            *before = held;
            changed
        });
        self.executor.perform(tasks);
    }

    /// Stops in order: what is under way is given a moment, containers go on.
    async fn stop(mut self) -> Result<(), Error> {
        let deadline = sleep(CALM_TIMEOUT);
        tokio::pin!(deadline);
        while !self.roster.is_calm() {
            tokio::select! {
                () = &mut deadline => break,
                ended = &mut self.heart => return self.heart_ended(flatten(ended)).await,
                Some(news) = self.news.recv() => self.fold(news),
            }
        }
        self.heart_stop.cancel();
        flatten((&mut self.heart).await)?;
        let agent = self.surroundings.owner.agent.clone();
        self.surroundings.mesh.events().publish(&MeshEvent::AgentStopped { agent }).await;
        Ok(())
    }

    /// The heart ends by itself only when another process has the name, or NATS has lost the agents.
    async fn heart_ended(self, ended: Result<(), Error>) -> Result<(), Error> {
        let Self { surroundings, roster, executor, .. } = self;
        if let Err(Error::Deposed { agent }) = &ended {
            tracing::error!(agent = %agent, "another process has this agent's name");
            // What the tasks would still report is said once, by what follows.
            drop(executor);
            give_up(&surroundings, roster.own_claims()).await;
        }
        ended
    }
}

/// Begins to read orders, however long that takes: an outage of NATS ends, and what was adopted is watched meanwhile.
async fn follow_orders(mesh: &Mesh, agent: &AgentName) -> Result<Following<Order>, Error> {
    let mut backoff = Backoff::default();
    loop {
        match mesh.orders().follow(agent).await {
            Ok(orders) => return Ok(orders),
            Err(error) if error.is_unavailable() => {
                tracing::warn!(error = %chain(&error), "orders not read yet");
                backoff.pause().await;
            }
            Err(source) => return Err(Error::Messaging { agent: agent.clone(), source }),
        }
    }
}

/// A heart that panicked takes the agent with it: its attempts would be declared lost.
fn flatten(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Nobody aborts it while its agent lives.
        Err(_) => Ok(()),
    }
}

fn new_nonce() -> Nonce {
    Nonce::from_random(rand::random())
}

fn settings(config: &Config, engine: &EngineInfo, capacity: Capacity) -> Settings {
    Settings {
        agent: config.agent.clone(),
        slots: usize::try_from(capacity.slots).unwrap_or(usize::MAX),
        start_limit: config.starts_at_once(engine),
        policy: config.policy.clone(),
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
        engine: engine.version.clone(),
        at: Timestamp::now(),
        labels: config.labels.clone(),
        capacity,
        draining: false,
        stopped: false,
        results_seen: 0,
        held: BTreeSet::new(),
        fence_ms: milliseconds(config.timing.fence),
        kill_margin_ms: milliseconds(config.timing.kill_margin),
    }
}
