//! The processes that a fault hits, and those who watch them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bollard::Docker;
use jiff::Timestamp;
use rustix::process::Signal;
use tempfile::TempDir;
use tickmesh_core::{
    history::RunSummary,
    id::MeshId,
    message::{Order, TickRecord},
    name::Namespace,
};
use tickmesh_messaging::{Mesh, Provisioning, StreamKind};
use tickmesh_testkit::{
    nats::{Cluster, NODES, Server},
    proxy::Proxy,
};

use super::{
    Engine, Fault, Nats, Row,
    events::Events,
    instants::Schedule,
    lives::{self, Life},
    poison::VICTIM,
    tail::Tail,
};
use crate::{
    Child,
    children::kill_guards,
    containers,
    wait::until,
    world::{PATIENCE, app, apply, connect_options},
};

/// Schedulers that there are while nothing is amiss: one leads, and when it dies there is still one more than is needed.
const SCHEDULERS: usize = 3;
/// Agents of engines in memory, and of Docker.
const AGENTS: usize = 3;
const DOCKER_AGENTS: usize = 2;
/// Of an agent: never what a run waits for.
const SLOTS: u32 = 64;

pub(super) enum Servers {
    Single(Box<Server>),
    Cluster(Cluster),
}

/// A scheduler or an agent.
pub(super) struct Part {
    pub(super) child: Child,
    /// Its way to NATS, where that can be cut.
    network: Option<Proxy>,
}

impl Part {
    /// Its way to NATS, in a row whose fault cuts that.
    pub(super) fn network(&self) -> &Proxy {
        self.network.as_ref().expect("a network that can be cut")
    }
}

/// Everything that runs.
pub(super) struct Stage {
    pub(super) row: Row,
    pub(super) servers: Servers,
    pub(super) mesh: Mesh,
    /// By the id with which they take the lease.
    pub(super) schedulers: BTreeMap<String, Part>,
    /// By name.
    pub(super) agents: BTreeMap<String, Part>,
    pub(super) ticks: Tail<TickRecord>,
    pub(super) orders: Tail<Order>,
    pub(super) history: Tail<RunSummary>,
    events: Option<Events>,
    fleet: PathBuf,
    namespace: Namespace,
    mesh_id: MeshId,
    folder: TempDir,
    schedulers_started: usize,
}

impl Servers {
    async fn start(nats: Nats) -> Self {
        match nats {
            Nats::Single => Self::Single(Box::new(Server::start())),
            Nats::Cluster => Self::Cluster(Cluster::start().await),
        }
    }

    pub(super) fn urls(&self) -> String {
        match self {
            Self::Single(server) => server.url(),
            Self::Cluster(cluster) => cluster.urls(),
        }
    }

    fn copies(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::Cluster(_) => NODES,
        }
    }
}

impl Stage {
    /// Starts everything but the apps. `fleet` is the binary of that name.
    pub(super) async fn start(fleet: &Path, row: Row) -> Self {
        let servers = Servers::start(row.nats).await;
        let namespace = Namespace::new("chaos").expect("a namespace");
        let mesh = Mesh::connect(&connect_options(&servers.urls(), &namespace)).await.expect("connect");
        let settings = Provisioning { replicas: servers.copies(), ..Provisioning::default() };
        let mesh_id = mesh.provision(&settings).await.expect("provision");
        let stream = |kind| (servers.urls(), mesh.names().stream(kind));
        let (ticks, orders, history) =
            (stream(StreamKind::Ticks), stream(StreamKind::Orders), stream(StreamKind::History));
        let events = match row.engine {
            Engine::Fake => None,
            Engine::Docker => Some(Events::watch(containers::docker(), mesh_id)),
        };
        let mut stage = Self {
            row,
            mesh,
            schedulers: BTreeMap::new(),
            agents: BTreeMap::new(),
            ticks: Tail::follow(ticks.0, ticks.1),
            orders: Tail::follow(orders.0, orders.1),
            history: Tail::follow(history.0, history.1),
            events,
            fleet: fleet.to_owned(),
            namespace,
            mesh_id,
            folder: tempfile::tempdir().expect("make a folder"),
            schedulers_started: 0,
            servers,
        };
        stage.fill_up_schedulers().await;
        let agents = match row.engine {
            Engine::Fake => AGENTS,
            Engine::Docker => DOCKER_AGENTS,
        };
        for index in 0..agents {
            stage.start_agent(format!("a{index}")).await;
        }
        stage
    }

    /// Starts as many schedulers as are missing.
    pub(super) async fn fill_up_schedulers(&mut self) {
        while self.schedulers.len() < SCHEDULERS {
            self.schedulers_started += 1;
            let id = scheduler_id(self.schedulers_started);
            let network = self.network().await;
            let mut command = Child::role(&self.fleet, "scheduler", &self.url(network.as_ref()), &self.namespace);
            command.args(["--id", &id, "--clocks", self.row.clocks.as_str()]);
            if self.schedulers_started.is_multiple_of(2) {
                command.args(["--ahead", &self.row.ahead.as_millis().to_string()]);
            }
            self.log_to(&mut command, &id);
            self.schedulers.insert(id, Part { child: Child::start(command), network });
        }
    }

    async fn start_agent(&mut self, name: String) {
        let network = self.network().await;
        let mut command = Child::role(&self.fleet, "agent", &self.url(network.as_ref()), &self.namespace);
        command.args(["--name", &name, "--clocks", self.row.clocks.as_str(), "--locks"]).arg(self.folder.path());
        command.args(["--slots", &SLOTS.to_string(), "--allow"]).arg(self.folder.path());
        match self.row.engine {
            Engine::Fake => {
                command
                    .args(["--run-time", &self.row.run_time.as_millis().to_string(), "--lives"])
                    .arg(self.lives_file());
            }
            Engine::Docker => {}
        }
        self.log_to(&mut command, &name);
        self.agents.insert(name.clone(), Part { child: Child::start(command), network });
        until(&format!("agent {name}"), PATIENCE, || async {
            self.mesh.agents().read(&name).await.expect("read the agent").map(drop)
        })
        .await;
    }

    /// A way to NATS that can be cut, where that is what happens.
    async fn network(&self) -> Option<Proxy> {
        match (&self.servers, self.row.fault.cuts()) {
            (Servers::Single(server), true) => {
                let server = server.url().trim_start_matches("nats://").parse().expect("the server's address");
                Some(Proxy::to(server).await)
            }
            (Servers::Single(_) | Servers::Cluster(_), _) => None,
        }
    }

    fn url(&self, network: Option<&Proxy>) -> String {
        network.map_or_else(|| self.servers.urls(), |network| format!("nats://{}", network.address()))
    }

    /// What the part says goes to a file, for whoever wants to know why.
    fn log_to(&self, command: &mut std::process::Command, name: &str) {
        let log = fs::File::create(self.log_of(name)).expect("create a log");
        command.env("RUST_LOG", "warn,tickmesh_scheduler=info,tickmesh_messaging=info").env("RUST_BACKTRACE", "0");
        command.stderr(log);
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// What a part has said.
    pub(super) fn said(&self, name: &str) -> String {
        fs::read_to_string(self.log_of(name)).unwrap_or_default()
    }

    /// What all parts have said, those included that are gone.
    pub(super) fn all_said(&self) -> String {
        let schedulers = (1..=self.schedulers_started).map(scheduler_id);
        let names = schedulers.chain(self.agents.keys().cloned());
        names.map(|name| format!("{name}:\n{}", self.said(&name))).collect()
    }

    fn lives_file(&self) -> PathBuf {
        self.folder.path().join("lives")
    }

    /// Every container so far.
    pub(super) fn lives(&self) -> Vec<Life> {
        match &self.events {
            Some(events) => events.lives(),
            None => lives::read(&self.lives_file()),
        }
    }

    /// Applies the apps. Returned are their schedules, which go on for ever.
    pub(super) async fn apply(&self) -> Vec<Schedule> {
        let Row { apps, period, .. } = self.row;
        let mut schedules = Vec::new();
        for index in 0..apps {
            let name = format!("app{index}");
            apply(&self.mesh, &name, &self.compose(period)).await;
            let stored = self.mesh.apps().read(&name).await.expect("read the app").expect("the app exists");
            schedules.push(Schedule { app: name, period, after: stored.at, through: Timestamp::MAX });
        }
        schedules
    }

    /// Applies an app that nobody judges, if something is to become of one.
    pub(super) async fn apply_victim(&self) {
        if self.row.fault == Fault::RecordPoisoned {
            apply(&self.mesh, VICTIM, &self.compose(self.row.period)).await;
        }
    }

    fn compose(&self, period: i64) -> String {
        let container = match self.row.engine {
            Engine::Fake => String::new(),
            Engine::Docker => {
                format!("    network_mode: none\n    command: sleep {}\n", self.row.run_time.as_secs_f64())
            }
        };
        format!(
            "version: \"2\"\nlabels:\n  aliyun.schedule: \"@every {period}s\"\nservices:\n  s1:\n    image: busybox\n    \
             labels:\n      aliyun.remove_containers: remove-all\n{container}"
        )
    }

    /// The ledgers that are stored.
    pub(super) async fn ledgers(&self) -> Vec<(String, tickmesh_core::ledger::Ledger)> {
        let mut ledgers = Vec::new();
        for index in 0..self.row.apps {
            let name = app(&format!("app{index}"));
            let stored = self.mesh.ledgers().read(name.as_str()).await.expect("read the ledger");
            ledgers.extend(stored.map(|entry| (name.to_string(), entry.value)));
        }
        ledgers
    }

    /// The scheduler that leads, of those that live, by what the lease says.
    pub(super) async fn leader(&self) -> String {
        until("a leader", PATIENCE * 2, || async {
            // While a server is away there is no answer.
            let lease = self.mesh.lease().read("leader").await.ok()??.value;
            (!lease.released && self.schedulers.contains_key(&lease.holder)).then_some(lease.holder)
        })
        .await
    }

    /// The parts that have ended though nobody ended them.
    pub(super) fn fallen(&mut self) -> Vec<String> {
        let parts = self.schedulers.iter_mut().chain(self.agents.iter_mut());
        let fallen: Vec<_> = parts.filter_map(|(name, part)| (!part.child.runs()).then(|| name.clone())).collect();
        fallen.into_iter().map(|name| format!("{name} ({})", self.said(&name).lines().last().unwrap_or(""))).collect()
    }

    /// Stops the agents in order, so that their guards go, too.
    pub(super) async fn end(mut self) {
        for (_, part) in std::mem::take(&mut self.agents) {
            if let Some(network) = &part.network {
                network.mend();
            }
            part.child.signal(Signal::CONT);
            part.child.terminate(PATIENCE).await;
        }
    }
}

/// The id of the scheduler that was started as the `number`th.
fn scheduler_id(number: usize) -> String {
    format!("s{number}")
}

impl Drop for Stage {
    fn drop(&mut self) {
        kill_guards(self.folder.path());
        if self.row.engine == Engine::Fake {
            return;
        }
        let mesh_id = self.mesh_id;
        // A runtime of its own: the test's may be the one that is being dropped.
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let docker: Docker = containers::docker();
            runtime.block_on(containers::remove_all(&docker, mesh_id));
        });
        let _ = cleaner.join();
    }
}
