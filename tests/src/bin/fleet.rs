//! A scheduler or an agent for crash tests: the shipped crates, with an engine or a tap that kills the process at a given
//! moment. So there are no failpoints in the shipped binary.
//!
//! ```text
//! fleet agent --nats URL --namespace NAME --name NAME --locks DIR --allow DIR [--die claim|create|start|exit]
//!             [--clocks fast|production] [--slots NUMBER] [--run-time MILLISECONDS --lives FILE]
//!             [--build BUILD] [--guard PROGRAM]
//! fleet scheduler --nats URL --namespace NAME [--die write|send|tick|history] [--clocks fast|production] [--id ID]
//!             [--ahead MILLISECONDS]
//! fleet guard [BUILD] SETTINGS
//! ```
//!
//! With `--run-time` an agent has an engine in memory, which writes the lives of its containers into a file.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, tz::TimeZoneDatabase};
use rustix::process::{Signal, getpid, kill_process};
use tickmesh_agent::{
    engine::{
        ContainerEngine, ContainerId, ContainerRequest, ContainerView, EngineInfo, Error, Excerpt, ExitState, Image,
        LabelFilter, LogLine, NetworkKind, docker::Docker,
    },
    guard_process,
    policy::HostPolicy,
};
use tickmesh_core::{
    build::Build,
    decide::Action,
    fleet::Reservations,
    message::{EngineStock, PullProgress},
    name::{AgentName, Namespace},
    timing::Timing,
};
use tickmesh_messaging::Mesh;
use tickmesh_scheduler::{clock::Clock, effect::Effect, figures::FigureBoard};
use tickmesh_tests::{
    FakeEngine,
    chaos::{Clocks, lives::Writer},
    world::{connect_options, timing},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

/// What a guard is started with.
const GUARD: &str = "guard";

/// When an agent kills itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CrashPoint {
    /// The attempt is claimed, and no container exists.
    Claim,
    /// The container is created, and was not started.
    Create,
    /// The container was started.
    Start,
    /// The container has exited, and its end is not stored.
    Exit,
}

/// Docker, until the crash.
#[derive(Clone)]
struct CrashingEngine {
    docker: Docker,
    point: Option<CrashPoint>,
}

impl CrashingEngine {
    fn reached(&self, point: CrashPoint) {
        if self.point == Some(point) {
            die();
        }
    }
}

/// As hard as `kill -9`: it is one.
fn die() {
    let _ = kill_process(getpid(), Signal::KILL);
}

impl ContainerEngine for CrashingEngine {
    async fn describe(&self) -> Result<EngineInfo, Error> {
        self.docker.describe().await
    }

    async fn probe(&self) -> Result<EngineStock, Error> {
        self.docker.probe().await
    }

    fn shares_files(&self) -> bool {
        self.docker.shares_files()
    }

    async fn path_of_volume(&self, name: &str) -> Result<Option<String>, Error> {
        self.docker.path_of_volume(name).await
    }

    async fn volume_present(&self, name: &str) -> Result<bool, Error> {
        self.docker.volume_present(name).await
    }

    async fn network(&self, name: &str) -> Result<Option<NetworkKind>, Error> {
        self.docker.network(name).await
    }

    async fn image_present(&self, image: &Image) -> Result<bool, Error> {
        self.docker.image_present(image).await
    }

    async fn pull(&self, image: &Image, progress: &watch::Sender<PullProgress>) -> Result<(), Error> {
        self.docker.pull(image, progress).await
    }

    async fn create(&self, request: &ContainerRequest) -> Result<ContainerId, Error> {
        self.reached(CrashPoint::Claim);
        let created = self.docker.create(request).await?;
        self.reached(CrashPoint::Create);
        Ok(created)
    }

    async fn connect(&self, id: &ContainerId, request: &ContainerRequest) -> Result<(), Error> {
        self.docker.connect(id, request).await
    }

    async fn find(&self, name: &str) -> Result<ContainerView, Error> {
        self.docker.find(name).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.start(id).await?;
        self.reached(CrashPoint::Start);
        Ok(())
    }

    async fn wait(&self, id: &ContainerId) -> Result<ExitState, Error> {
        let exit = self.docker.wait(id).await?;
        self.reached(CrashPoint::Exit);
        Ok(exit)
    }

    async fn inspect(&self, id: &ContainerId) -> Result<ContainerView, Error> {
        self.docker.inspect(id).await
    }

    async fn running_for(&self, id: &ContainerId) -> Result<Duration, Error> {
        self.docker.running_for(id).await
    }

    fn logs(&self, id: &ContainerId, excerpt: Excerpt) -> BoxStream<'static, Result<LogLine, Error>> {
        self.docker.logs(id, excerpt)
    }

    async fn stop(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.stop(id).await
    }

    async fn kill(&self, id: &ContainerId) -> Result<bool, Error> {
        self.docker.kill(id).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), Error> {
        self.docker.remove(id).await
    }

    async fn list_unended(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        self.docker.list_unended(filter).await
    }

    async fn list(&self, filter: &LabelFilter) -> Result<Vec<ContainerView>, Error> {
        self.docker.list(filter).await
    }
}

/// The command line, as pairs.
struct Arguments {
    role: String,
    values: BTreeMap<String, String>,
}

impl Arguments {
    fn read() -> anyhow::Result<Self> {
        let mut words = std::env::args().skip(1);
        let role = words.next().context("the role is missing")?;
        let mut values = BTreeMap::new();
        while let Some(key) = words.next() {
            let value = words.next().with_context(|| format!("{key} has no value"))?;
            values.insert(key, value);
        }
        Ok(Self { role, values })
    }

    fn get(&self, key: &str) -> anyhow::Result<&str> {
        self.find(key).with_context(|| format!("{key} is missing"))
    }

    fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn timing(&self) -> anyhow::Result<Timing> {
        let Some(name) = self.find("--clocks") else { return Ok(timing()) };
        let clocks = Clocks::ALL.into_iter().find(|clocks| clocks.as_str() == name);
        Ok(clocks.with_context(|| format!("no clocks `{name}`"))?.timing())
    }
}

/// As the shipped program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let [_, role, build @ .., settings] = &std::env::args().collect::<Vec<_>>()[..]
        && role == GUARD
    {
        let build = build.first().map_or_else(Build::default, |build| Build::new(build));
        return Ok(guard_process::run(serde_json::from_str(settings)?, build, Docker::connect).await?);
    }
    let arguments = Arguments::read()?;
    let shutdown = CancellationToken::new();
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr).init();
    }
    tokio::spawn(stop_on_signal(shutdown.clone()));
    std::thread::spawn(die_with_parent);
    match arguments.role.as_str() {
        "agent" => agent(&arguments, shutdown).await,
        "scheduler" => scheduler(&arguments, shutdown).await,
        role => bail!("`{role}` is not a role"),
    }
}

/// Stops in order on SIGTERM.
async fn stop_on_signal(shutdown: CancellationToken) {
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
        shutdown.cancel();
    }
}

/// Dies when the test that started this process is gone, and with it the other end of the pipe.
fn die_with_parent() {
    let mut byte = [0];
    let _ = std::io::stdin().read(&mut byte);
    die();
}

async fn connect(arguments: &Arguments) -> anyhow::Result<Mesh> {
    let namespace = Namespace::new(arguments.get("--namespace")?)?;
    Ok(Mesh::connect(&connect_options(arguments.get("--nats")?, &namespace)).await?)
}

async fn agent(arguments: &Arguments, shutdown: CancellationToken) -> anyhow::Result<()> {
    let point = match arguments.find("--die") {
        None => None,
        Some("claim") => Some(CrashPoint::Claim),
        Some("create") => Some(CrashPoint::Create),
        Some("start") => Some(CrashPoint::Start),
        Some("exit") => Some(CrashPoint::Exit),
        Some(other) => bail!("`{other}` is not a moment of an agent"),
    };
    let (mesh, logs) = (connect(arguments).await?, connect(arguments).await?);
    let mesh_id = mesh.open().await?;
    let agent = AgentName::new(arguments.get("--name")?)?;
    let locks = PathBuf::from(arguments.get("--locks")?);
    let mut config = tickmesh_agent::Config::new(agent, tickmesh_agent::Host::this()?, locks);
    config.timing = arguments.timing()?;
    config.slots = arguments.find("--slots").map(str::parse).transpose()?;
    if let Some(run_time) = arguments.find("--run-time") {
        let lives = Writer::open(arguments.get("--lives")?.as_ref(), config.agent.as_str());
        let engine = FakeEngine::running_for(Duration::from_millis(run_time.parse()?)).writing(lives);
        tickmesh_agent::run(config, mesh, logs, mesh_id, engine, shutdown).await?;
        return Ok(());
    }
    config.policy = HostPolicy { host_paths: vec![PathBuf::from(arguments.get("--allow")?)], ..HostPolicy::default() };
    let build = arguments.find("--build").unwrap_or_default();
    config.build = Build::new(build);
    config.guard = Some(guard_process::Program {
        path: arguments.find("--guard").unwrap_or("/proc/self/exe").into(),
        arguments: vec![GUARD.to_owned(), build.to_owned()],
    });
    let engine = CrashingEngine { docker: Docker::connect().await?, point };
    tickmesh_agent::run(config, mesh, logs, mesh_id, engine, shutdown).await?;
    Ok(())
}

async fn scheduler(arguments: &Arguments, shutdown: CancellationToken) -> anyhow::Result<()> {
    let die_at: Option<fn(&Effect) -> bool> = match arguments.find("--die") {
        None => None,
        Some("write") => Some(|effect| matches!(effect, Effect::WriteLedger { ledger, .. } if ledger.last_run > 0)),
        Some("send") => Some(|effect| matches!(effect, Effect::Act(Action::Send(_)))),
        Some("tick") => Some(|effect| matches!(effect, Effect::PublishTick { .. })),
        Some("history") => Some(|effect| matches!(effect, Effect::PublishHistory { .. })),
        Some(other) => bail!("`{other}` is not a moment of a scheduler"),
    };
    let tap = die_at.map(|is_moment| -> tickmesh_scheduler::Tap {
        Arc::new(move |effect: &Effect| {
            if is_moment(effect) {
                die();
            }
        })
    });
    let config = tickmesh_scheduler::Config {
        id: arguments.find("--id").map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
        host: "test".to_owned(),
        build: Build::default(),
        timing: arguments.timing()?,
        reservations: Reservations::default(),
        zones: TimeZoneDatabase::bundled(),
        clock: Clock { shift: SignedDuration::from_millis(arguments.find("--ahead").unwrap_or("0").parse()?) },
        role: None,
        tap,
        figures: FigureBoard::default(),
        recorder: None,
    };
    tickmesh_scheduler::run(config, connect(arguments).await?, shutdown).await?;
    Ok(())
}
