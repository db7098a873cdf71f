//! The parts of a mesh as this program runs them: a scheduler, an agent, and how both are stopped.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use hyper::Uri;
use tickmesh_agent::{
    Host, default_limits::DefaultLimits, engine::docker::Docker, guard_process::Program, policy::HostPolicy,
};
use tickmesh_client::zones;
use tickmesh_core::{
    fleet::Reservations,
    name::{AgentName, NAME_LENGTH_MAX},
    timing::Timing,
};
use tickmesh_messaging::{Error, Founding, Mesh, SchedulerRole};
use tickmesh_scheduler::{clock::Clock, figures::FigureBoard};
use tickmesh_web::MetricsServer;
use tickmesh_webhook::Target;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    connect::MeshArgs,
    exit::{BadInput, Missing},
    process_metrics,
};

/// Where locks and data are kept if the user has no directory of his own.
const DATA_OF_SYSTEM: &str = "/var/lib/tickmesh";

/// Where guards are if the agent is the system's.
const GUARDS_OF_SYSTEM: &str = "/run/tickmesh";

/// Processes and threads of a container whose file sets no limit: far more than a job has, and far fewer than a host.
pub(crate) const PIDS_DEFAULT: u64 = 4_096;

/// Settings of an agent that the command line has.
#[derive(Debug, Clone)]
pub(crate) struct AgentSettings {
    /// Its name.
    pub name: AgentName,
    /// Attempts at once; `None`: the agent's own default.
    pub slots: Option<u32>,
    /// GPUs that containers may have; `None`: they are not counted.
    pub gpus: Option<u32>,
    /// Bytes of output that are kept of one attempt; `None`: the agent's own default.
    pub output_max: Option<usize>,
    /// Labels for constraints.
    pub labels: BTreeMap<String, String>,
    /// What of its host containers may have.
    pub policy: HostPolicy,
    /// Limits of containers whose file sets none.
    pub default_limits: DefaultLimits,
    /// Folder of its lock.
    pub lock_dir: PathBuf,
}

impl AgentSettings {
    /// An agent without anything special.
    pub(crate) fn new(name: AgentName, lock_dir: PathBuf) -> Self {
        Self {
            name,
            slots: None,
            gpus: None,
            output_max: None,
            labels: BTreeMap::new(),
            policy: HostPolicy::default(),
            default_limits: DefaultLimits { memory_bytes: None, pids: Some(PIDS_DEFAULT) },
            lock_dir,
        }
    }
}

/// Makes the mesh as far as it does not exist. Without a wish for `replicas`, one that exists stays as it is, but for what
/// an earlier release made in a way that this one refuses to lead on. A store that is lost is left alone: the scheduler that
/// runs on it says so, and goes on once it is restored.
pub(crate) async fn provision(mesh: &Mesh, replicas: Option<usize>) -> Result<(), Error> {
    match mesh.found(replicas).await? {
        Founding::Lost => warn!("the store of this mesh is lost, and is not filled: see `tickmesh doctor`"),
        Founding::Exists | Founding::Make | Founding::Ask => {}
    }
    Ok(())
}

/// Whom a scheduler tells what while it leads.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    pub(crate) targets: Vec<Target>,
    /// Where the page is.
    pub(crate) public_url: Option<String>,
    /// Where somebody notices when nobody leads.
    pub(crate) heartbeat_url: Option<Uri>,
}

/// Runs a scheduler on a mesh that exists, until `shutdown`.
pub(crate) async fn run_scheduler(
    mesh: Mesh,
    reservations: Reservations,
    notices: Notices,
    metrics: Option<MetricsServer>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (role, seen) = watch::channel(SchedulerRole::Preparing);
    let Notices { targets, public_url, heartbeat_url } = notices;
    let config = tickmesh_webhook::Config { targets, public_url, zones: zones::database() };
    // All on the heap: one is large, and joined they would be larger.
    let notices = Box::pin(tickmesh_webhook::run(config, mesh.clone(), seen.clone(), shutdown.clone()));
    let heartbeat = Box::pin(async {
        match heartbeat_url {
            Some(url) => tickmesh_webhook::heartbeat(url, seen, shutdown.clone()).await,
            None => Ok(()),
        }
    });
    let figures = FigureBoard::default();
    let config = tickmesh_scheduler::Config {
        id: Uuid::now_v7().to_string(),
        host: crate::connect::host(),
        build: crate::build::build(),
        timing: Timing::default(),
        reservations,
        zones: zones::database(),
        clock: Clock::default(),
        role: Some(role),
        figures: figures.clone(),
        tap: None,
        recorder: None,
    };
    let metrics = Box::pin(process_metrics::serve_scheduler(metrics, figures, shutdown.clone()));
    let metrics = async {
        metrics.await;
        anyhow::Ok(())
    };
    let scheduler = Box::pin(tickmesh_scheduler::run(config, mesh.clone(), shutdown.clone()));
    let scheduler = async { scheduler.await.context("the scheduler failed") };
    // Settings that cannot be served end both: nobody would learn of them otherwise.
    let notices = async { notices.await.context("targets of notices cannot be served") };
    let heartbeat = async { heartbeat.await.context("the heartbeat cannot be sent") };
    tokio::try_join!(scheduler, notices, heartbeat, metrics).map(|((), (), (), ())| ())
}

/// The page, for this host unless there is a token.
pub(crate) fn page_settings(bind: SocketAddr, token: Option<String>) -> tickmesh_web::Config {
    tickmesh_web::Config { bind, token, zones: zones::database(), by: format!("page of {}", crate::connect::who()) }
}

/// The two connections of an agent: a chatty container must not delay a heartbeat.
#[derive(Debug, Clone)]
pub(crate) struct AgentConnections {
    /// For orders, claims, ends and heartbeats.
    pub(crate) orders: Mesh,
    /// For output.
    pub(crate) output: Mesh,
}

impl AgentConnections {
    /// Connects twice.
    pub(crate) async fn open(mesh: &MeshArgs) -> Result<Self, Error> {
        Ok(Self { orders: mesh.connect("agent").await?, output: mesh.connect("agent output").await? })
    }
}

/// Runs an agent on a mesh that exists, until `shutdown`.
pub(crate) async fn run_agent(
    connections: AgentConnections,
    settings: AgentSettings,
    engine: Docker,
    metrics: Option<MetricsServer>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let AgentConnections { orders, output } = connections;
    let mesh_id = orders.open_or_lost().await?;
    let AgentSettings { name, slots, gpus, output_max, labels, policy, default_limits, lock_dir } = settings;
    info!(agent = %name, "agent starts");
    let defaults = tickmesh_agent::Config::new(name, Host::this()?, lock_dir);
    let (figures, shown) = watch::channel(tickmesh_agent::figures::Figures::default());
    let config = tickmesh_agent::Config {
        build: crate::build::build(),
        slots,
        gpus,
        log_bytes_max: output_max.unwrap_or(defaults.log_bytes_max),
        labels,
        policy,
        default_limits,
        guard: Some(guard_program()),
        guard_dir: guard_directory(),
        figures: Some(figures),
        ..defaults
    };
    let served = shutdown.child_token();
    let metrics = Box::pin(process_metrics::serve_agent(metrics, shown, served.clone()));
    let agent = Box::pin(async {
        let ended = tickmesh_agent::run(config, orders, output, mesh_id, engine, shutdown).await;
        // An agent may end by itself, and nobody looks at the metrics of what has ended.
        served.cancel();
        ended
    });
    let (ended, ()) = tokio::join!(agent, metrics);
    ended.context("the agent failed")
}

/// This program again, also if its file was replaced meanwhile: a guard of another version would not be taken.
fn guard_program() -> Program {
    Program { path: "/proc/self/exe".into(), arguments: vec!["internal-guard".to_owned()] }
}

/// Where guards of this user's agents are, however those are started.
fn guard_directory() -> PathBuf {
    if rustix::process::geteuid().is_root() { GUARDS_OF_SYSTEM.into() } else { data_directory().join("guards") }
}

/// The Docker engine, or one clear sentence.
pub(crate) async fn docker() -> anyhow::Result<Docker> {
    Docker::connect().await.map_err(|error| {
        let problem = crate::exit::chain(&anyhow::Error::new(error));
        Missing::new(problem, "start Docker, or say with DOCKER_HOST where it is").into()
    })
}

/// Refuses to run an agent in a container of the engine that it would use: its guard would end with it, and it would judge host
/// paths by the files of its container.
pub(crate) async fn ensure_on_host(engine: &Docker) -> anyhow::Result<()> {
    match engine.own_container().await.context("failed to find out whether this is a container")? {
        None => Ok(()),
        Some(name) => {
            let problem = format!("this is container `{name}` of the engine that the agent would use");
            let hint = "run the agent on the host: `tickmesh agent install --nats URL`, or the Debian package";
            Err(BadInput::new(problem).hint(hint).into())
        }
    }
}

/// The name of this host as an agent's name: what a name may not have becomes a hyphen.
pub(crate) fn agent_name_from(host: &str) -> anyhow::Result<AgentName> {
    let replaced: String = host.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
    let name: String = replaced.trim_start_matches('-').chars().take(NAME_LENGTH_MAX).collect();
    AgentName::new(name)
        .with_context(|| format!("the host's name `{host}` is no name for an agent: give one with --name"))
}

/// The directory of what a user's mesh keeps on this host.
pub(crate) fn data_directory() -> PathBuf {
    let in_home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(in_home);
    base.map_or_else(|| PathBuf::from(DATA_OF_SYSTEM), |base| base.join("tickmesh"))
}

/// A token that Ctrl-C and SIGTERM cancel. The second one ends the program at once.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let signals = || -> std::io::Result<(Signal, Signal)> {
        Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    };
    let (mut interrupt, mut terminate) = signals().context("failed to listen for signals")?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        next_signal(&mut interrupt, &mut terminate).await;
        info!("stopping");
        token.cancel();
        next_signal(&mut interrupt, &mut terminate).await;
        warn!("told to stop twice: ending at once");
        std::process::exit(i32::from(crate::exit::Exit::Failed.code()));
    });
    Ok(shutdown)
}

async fn next_signal(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(host: &str, expected: Option<&str>) {
        let name = agent_name_from(host).ok();
        assert_eq!(name.as_ref().map(AgentName::as_str), expected, "{host}");
    }

    #[test]
    fn agents_are_called_like_their_host() {
        check_name("host-1", Some("host-1"));
        check_name("node7.example.com", Some("node7-example-com"));
        check_name("_dmz", Some("dmz"));
        check_name(&"a".repeat(80), Some(&"a".repeat(63)));
        check_name("...", None);
        check_name("", None);
    }
}
