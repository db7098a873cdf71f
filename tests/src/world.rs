//! One mesh for one test: its own nats-server, its own mesh id, its own containers. Dropped, it leaves nothing behind.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bollard::Docker;
use jiff::{Timestamp, tz::TimeZoneDatabase};
use tempfile::TempDir;
use tickmesh_agent::{
    engine::{ContainerEngine, docker::Docker as DockerEngine},
    policy::HostPolicy,
};
use tickmesh_core::{
    build::Build,
    compose::{self, ComposeFile},
    fleet::Reservations,
    history::RunSummary,
    id::{MeshId, RequestId},
    ledger::{Ledger, Verdict},
    message::{AppRecord, AppSource, Command, CommandKind, RunRequest, SCHEMA},
    name::{AgentName, AppName, Namespace},
    timing::Timing,
};
use tickmesh_messaging::{ConnectOptions, Edit, Login, Mesh, Provisioning};
use tickmesh_scheduler::{clock::Clock, figures::FigureBoard};
use tickmesh_testkit::nats::{Cluster, Server};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{children::kill_guards, containers, journal::Journal, wait::until};

/// Long enough for anything on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How much faster than in production the protocol's clocks run.
const SCALE: f64 = 0.2;

/// A mesh.
pub struct World {
    /// The server; of a cluster the first.
    pub server: Server,
    /// The other servers of a cluster.
    others: Vec<Server>,
    /// A connection of the test's own.
    pub mesh: Mesh,
    /// The mesh's identity.
    pub mesh_id: MeshId,
    /// The engine, for the test's own questions.
    pub docker: Docker,
    /// What jobs write.
    pub journal: Journal,
    /// For lock files.
    pub folder: TempDir,
    /// Periods and deadlines of the parts that are started from now on.
    pub timing: Timing,
    namespace: Namespace,
}

/// A scheduler or an agent in this process.
pub struct Part {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Part {
    /// Stops it in order, and waits for it.
    ///
    /// # Panics
    ///
    /// If it panicked.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the part stops");
    }
}

/// Periods and deadlines of tests. The lease is not scaled as far: a busy machine must not lose it.
pub fn timing() -> Timing {
    Timing { lease: Duration::from_secs(2), ..Timing::default().scaled(SCALE) }
}

/// How to connect to a mesh.
pub fn connect_options(url: &str, namespace: &Namespace) -> ConnectOptions {
    ConnectOptions {
        url: url.to_owned(),
        login: Login::default(),
        namespace: namespace.clone(),
        client_name: "test".to_owned(),
        request_timeout: Duration::from_secs(2),
    }
}

/// A name that is valid.
///
/// # Panics
///
/// If it is not.
pub fn app(name: &str) -> AppName {
    AppName::new(name).expect("an app name")
}

/// Applies a compose file, as `tickmesh apply` does. Returns its revision.
///
/// # Panics
///
/// If the file is not valid.
pub async fn apply(mesh: &Mesh, name: &str, compose: &str) -> u64 {
    let app = app(name);
    let file = ComposeFile {
        dialect: compose::Dialect::PRESENT,
        app: &app,
        file_name: "test.yml",
        text: compose,
        variables: &BTreeMap::new(),
        env_files: &BTreeMap::new(),
        timezone_default: compose::TIMEZONE_DEFAULT,
    };
    let reading = compose::read(&file, &TimeZoneDatabase::bundled());
    assert!(reading.spec.is_some(), "{:#?}", reading.diagnostics);
    let source = AppSource {
        compose: compose.to_owned(),
        file_name: "test.yml".to_owned(),
        variables: reading.variables_used,
        env_files: BTreeMap::new(),
        timezone: reading.timezone,
        dialect: compose::DIALECT_FIRST,
        project: Default::default(),
    };
    write_app(mesh, &app, Some(source)).await
}

fn urls(server: &Server, others: &[Server]) -> String {
    std::iter::once(server).chain(others).map(Server::url).collect::<Vec<_>>().join(",")
}

async fn write_app(mesh: &Mesh, app: &AppName, source: Option<AppSource>) -> u64 {
    let record = AppRecord { schema: SCHEMA, by: format!("test {}", Uuid::now_v7()), number: None, source };
    let edits = mesh.edits();
    let current = edits.current(app).await.expect("read the app");
    match edits.write(app, &record, &current).await.expect("write the app") {
        Edit::Stored { revision, .. } => revision,
        Edit::Refused { .. } => panic!("nobody else writes `{app}`"),
    }
}

impl World {
    /// A mesh on a server of its own.
    pub async fn new() -> Self {
        Self::on(Server::start(), "test").await
    }

    /// A mesh of that namespace on `server`.
    ///
    /// # Panics
    ///
    /// If it cannot be provisioned.
    pub async fn on(server: Server, namespace: &str) -> Self {
        Self::on_servers(server, Vec::new(), namespace).await
    }

    /// A mesh on a cluster, each of whose servers keeps a copy of everything.
    ///
    /// # Panics
    ///
    /// If it cannot be provisioned.
    pub async fn on_cluster(cluster: Cluster) -> Self {
        let mut servers = cluster.into_nodes().into_iter();
        let first = servers.next().expect("a cluster has servers");
        Self::on_servers(first, servers.collect(), "test").await
    }

    async fn on_servers(server: Server, others: Vec<Server>, namespace: &str) -> Self {
        let namespace = Namespace::new(namespace).expect("a namespace");
        let options = connect_options(&urls(&server, &others), &namespace);
        let mesh = Mesh::connect(&options).await.expect("connect");
        let settings = Provisioning { replicas: 1 + others.len(), ..Provisioning::default() };
        let mesh_id = mesh.provision(&settings).await.expect("provision");
        Self {
            server,
            others,
            mesh,
            mesh_id,
            docker: containers::docker(),
            journal: Journal::new(),
            folder: tempfile::tempdir().expect("make a folder"),
            timing: timing(),
            namespace,
        }
    }

    /// Where its servers listen, separated by commas.
    pub fn urls(&self) -> String {
        urls(&self.server, &self.others)
    }

    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.others)
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    async fn connect(&self) -> Mesh {
        Mesh::connect(&connect_options(&self.urls(), &self.namespace)).await.expect("connect")
    }

    /// Starts a scheduler in this process.
    pub async fn scheduler(&self) -> Part {
        let mesh = self.connect().await;
        let shutdown = CancellationToken::new();
        let config = tickmesh_scheduler::Config {
            id: Uuid::now_v7().to_string(),
            host: "test".to_owned(),
            build: Build::default(),
            timing: self.timing,
            reservations: Reservations::default(),
            zones: TimeZoneDatabase::bundled(),
            clock: Clock::default(),
            role: None,
            tap: None,
            figures: FigureBoard::default(),
            recorder: None,
        };
        let stop = shutdown.clone();
        let task = tokio::spawn(async move {
            tickmesh_scheduler::run(config, mesh, stop).await.expect("the scheduler runs");
        });
        Part { shutdown, task }
    }

    /// Starts an agent in this process.
    pub async fn agent(&self, name: &str) -> Part {
        let engine = DockerEngine::connect().await.expect("the Docker engine answers");
        self.agent_with(self.agent_config(name), engine).await
    }

    /// Starts an agent with settings and an engine of the test's own.
    pub async fn agent_with(&self, config: tickmesh_agent::Config, engine: impl ContainerEngine) -> Part {
        let (mesh, logs) = (self.connect().await, self.connect().await);
        let shutdown = CancellationToken::new();
        let (stop, mesh_id) = (shutdown.clone(), self.mesh_id);
        let task = tokio::spawn(async move {
            tickmesh_agent::run(config, mesh, logs, mesh_id, engine, stop).await.expect("the agent runs");
        });
        Part { shutdown, task }
    }

    /// Waits for the first heartbeat that an agent of that name ever sent.
    ///
    /// # Panics
    ///
    /// If the mesh cannot be read.
    pub async fn wait_for_agent(&self, name: &str) {
        until(&format!("agent {name}"), PATIENCE, || async {
            self.mesh.agents().read(name).await.expect("read the agent").map(drop)
        })
        .await;
    }

    /// Settings of an agent that may show jobs the journal.
    pub fn agent_config(&self, name: &str) -> tickmesh_agent::Config {
        let agent = AgentName::new(name).expect("an agent name");
        let host = tickmesh_agent::Host::this().expect("read the host");
        let mut config = tickmesh_agent::Config::new(agent, host, self.folder.path().to_owned());
        config.timing = self.timing;
        config.slots = Some(64);
        config.policy = HostPolicy { host_paths: vec![self.journal.folder().to_owned()], ..HostPolicy::default() };
        config
    }

    /// Applies a compose file, as `tickmesh apply` does. Returns its revision.
    ///
    /// # Panics
    ///
    /// If the file is not valid.
    pub async fn apply(&self, name: &str, compose: &str) -> u64 {
        apply(&self.mesh, name, compose).await
    }

    /// Removes an app, as `tickmesh rm` does.
    pub async fn remove(&self, name: &str) {
        write_app(&self.mesh, &app(name), None).await;
    }

    /// Asks for a run, as `tickmesh run` does.
    pub async fn run(&self, name: &str) -> RequestId {
        self.command(name, CommandKind::Run(RunRequest::default())).await
    }

    /// Sends a command.
    ///
    /// # Panics
    ///
    /// If there is no such app.
    pub async fn command(&self, name: &str, kind: CommandKind) -> RequestId {
        let app = app(name);
        let entry = self.mesh.apps().read(app.as_str()).await.expect("read the app").expect("the app exists");
        let request = RequestId(Uuid::now_v7());
        let command = Command {
            schema: SCHEMA,
            request,
            app,
            app_revision: entry.sequence,
            by: "test".to_owned(),
            at: Timestamp::now(),
            kind,
        };
        self.mesh.commands().send(&command).await.expect("send the command");
        request
    }

    /// Waits for the leader's answer to a request.
    pub async fn verdict(&self, name: &str, request: RequestId) -> Verdict {
        self.ledger_when(name, "a verdict", |ledger| {
            let handled = ledger.requests.iter().find(|handled| handled.request == request)?;
            Some(handled.verdict.clone())
        })
        .await
    }

    /// The stored ledger of an app.
    pub async fn ledger(&self, name: &str) -> Option<Ledger> {
        self.mesh.ledgers().read(name).await.expect("read the ledger").map(|entry| entry.value)
    }

    /// Waits until the stored ledger shows something.
    pub async fn ledger_when<T>(&self, name: &str, what: &str, mut look: impl FnMut(&Ledger) -> Option<T>) -> T {
        let look = Arc::new(std::sync::Mutex::new(&mut look));
        until(what, PATIENCE, || {
            let look = look.clone();
            async move {
                let ledger = self.ledger(name).await?;
                let mut look = look.lock().expect("nobody panicked");
                (*look)(&ledger)
            }
        })
        .await
    }

    /// Waits until that many runs of an app have ended, and returns the history, oldest first.
    pub async fn history_of(&self, name: &str, runs: usize) -> Vec<RunSummary> {
        until(&format!("{runs} runs of {name} in the history"), PATIENCE, || async {
            let history = self.history(name).await;
            (history.len() >= runs).then_some(history)
        })
        .await
    }

    /// The history of an app, oldest first.
    pub async fn history(&self, name: &str) -> Vec<RunSummary> {
        let stored = self.mesh.history().last(&app(name)).await.expect("read the history");
        stored.into_iter().map(|entry| entry.value).collect()
    }

    /// This mesh's containers.
    pub async fn containers(&self) -> Vec<containers::Container> {
        containers::of_mesh(&self.docker, self.mesh_id).await
    }

    /// Waits until the engine has that many containers of this mesh.
    pub async fn containers_settle_at(&self, count: usize) -> Vec<containers::Container> {
        until(&format!("{count} containers"), PATIENCE, || async {
            let containers = self.containers().await;
            (containers.len() == count).then_some(containers)
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mesh_id = self.mesh_id;
        kill_guards(self.folder.path());
        // A runtime of its own: the test's may be the one that is being dropped.
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(containers::remove_all(&containers::docker(), mesh_id));
        });
        let _ = cleaner.join();
    }
}
