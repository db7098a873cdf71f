//! The mesh that is measured: real servers, the shipped scheduler, and agents of the shipped crate on engines in memory, all at the
//! speed of production.

use std::{fs, future::Future, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use async_nats::jetstream;
use futures_util::{StreamExt as _, stream};
use tempfile::TempDir;
use tickmesh_core::timing::Timing;
use tickmesh_messaging::StreamKind;
use tickmesh_testkit::nats::{Cluster, Server};
use tickmesh_tests::{
    FakeEngine, World,
    chaos::lives::{self, Life, Writer},
    until,
    world::{PATIENCE, Part},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, sleep},
};

use crate::{cpu::CpuTimes, watch::Watch};

/// Agents that share the apps.
pub(crate) const AGENTS: usize = 20;
/// Slots of an agent: never what a run waits for.
const SLOTS: u32 = 1_000_000;
/// Applies under way at once.
const APPLIES_AT_ONCE: usize = 64;
/// Pause between two looks at how far the history is.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Threads of its own for each part, as it has in production: on shared ones its tasks would queue behind those of the others.
pub(crate) struct Threads {
    scheduler: Runtime,
    agents: Runtime,
}

impl Threads {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self { scheduler: threads("scheduler")?, agents: threads("agents")? })
    }
}

/// Threads of that name.
pub(crate) fn threads(part: &str) -> anyhow::Result<Runtime> {
    let threads = Builder::new_multi_thread().thread_name(part).enable_all().build();
    threads.with_context(|| format!("start the threads of {part}"))
}

/// What keeps the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nats {
    /// One server as it is by default.
    Single,
    /// One server that waits for the disk before it acknowledges.
    Synced,
    /// Three servers on this machine, of which each keeps everything.
    Cluster,
}

impl Nats {
    const ALL: [Self; 3] = [Self::Single, Self::Synced, Self::Cluster];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Synced => "synced",
            Self::Cluster => "cluster",
        }
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|it| it.as_str() == text) {
            Some(nats) => Ok(nats),
            None => bail!("`{text}` is not one of single, synced, cluster"),
        }
    }
}

/// A mesh with everything but apps.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) watch: Watch,
    parts: Vec<Part>,
    context: jetstream::Context,
    /// With the settings of a server.
    _settings: TempDir,
}

impl Stage {
    /// With a scheduler in this process.
    pub(crate) async fn start(threads: &Threads, nats: Nats) -> anyhow::Result<Self> {
        let mut stage = Self::with_agents(threads, nats).await?;
        stage.parts.push(on(&threads.scheduler, stage.world.scheduler()).await);
        Ok(stage)
    }

    /// Without a scheduler.
    pub(crate) async fn with_agents(threads: &Threads, nats: Nats) -> anyhow::Result<Self> {
        let settings = tempfile::tempdir().context("make a folder")?;
        let mut world = match nats {
            Nats::Single => World::new().await,
            Nats::Synced => {
                let file = settings.path().join("nats.conf");
                fs::write(&file, "jetstream { sync_interval: always }\n").context("write the server's settings")?;
                let file = file.to_str().context("a path that is text")?;
                World::on(Server::start_with(&["-c", file]), "test").await
            }
            Nats::Cluster => World::on_cluster(Cluster::start().await).await,
        };
        world.timing = Timing::default();
        let watch = Watch::begin(&world).await?;
        let parts = start_agents(&world, threads).await;
        Ok(Self { context: context(&world).await?, world, watch, parts, _settings: settings })
    }

    /// Applies apps with these schedules, named by number, and waits until the scheduler has them.
    pub(crate) async fn apply(&self, schedules: impl Iterator<Item = String>) {
        self.apply_labelled(schedules, "").await;
    }

    /// Applies apps with further labels, as lines of the file.
    pub(crate) async fn apply_labelled(&self, schedules: impl Iterator<Item = String>, labels: &str) {
        let apps: Vec<_> = schedules.enumerate().collect();
        let count = apps.len() as u64;
        let applied = stream::iter(apps).for_each_concurrent(APPLIES_AT_ONCE, |(number, schedule)| async move {
            self.world.apply(&app_name(number), &compose(&schedule, labels)).await;
        });
        applied.await;
        until("a ledger for every app", PATIENCE, || async {
            (self.world.stored().await.of(StreamKind::Ledger) >= count).then_some(())
        })
        .await;
    }

    /// Waits until that many runs have ended.
    pub(crate) async fn ended(&self, runs: u64, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        let name = self.world.mesh.names().stream(StreamKind::History);
        let mut history = self.context.get_stream(name).await?;
        loop {
            let ended = history.info().await?.state.last_sequence;
            if ended >= runs {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "only {ended} of {runs} runs have ended after {patience:?}");
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Every container so far, as the engines saw it.
    pub(crate) fn lives(&self) -> Vec<Life> {
        lives::read(&lives_file(&self.world))
    }

    /// Process ids of the servers.
    pub(crate) fn servers(&self) -> Vec<u32> {
        self.world.servers().map(Server::pid).collect()
    }

    /// Processor time that all have used.
    pub(crate) fn cpu(&self) -> anyhow::Result<CpuTimes> {
        CpuTimes::now(&self.servers())
    }

    pub(crate) async fn stop(self) {
        for part in self.parts {
            part.stop().await;
        }
    }
}

/// A context on a connection of its own.
pub(crate) async fn context(world: &World) -> anyhow::Result<jetstream::Context> {
    let urls: Vec<_> = world.urls().split(',').map(str::to_owned).collect();
    Ok(jetstream::new(async_nats::connect(urls).await.context("connect")?))
}

/// Name of an app of the bench.
pub(crate) fn app_name(number: usize) -> String {
    format!("app-{number}")
}

/// The example of the original service, but for its schedule, and with one replica: so a run is one order.
fn compose(schedule: &str, labels: &str) -> String {
    format!(
        "version: \"2\"\nlabels:\n  aliyun.project_type: \"batch\"\n  aliyun.schedule: \"{schedule}\"\n{labels}services:\n  s1:\n    \
         image: registry.aliyuncs.com/jimmycmh/busybox:latest\n    labels:\n      aliyun.scale: \"1\"\n      \
         aliyun.retry_count: \"3\"\n      aliyun.remove_containers: \"remove-all\"\n    command: date\n"
    )
}

fn lives_file(world: &World) -> PathBuf {
    world.folder.path().join("lives")
}

/// Starts the agents on their threads, and waits for them.
async fn start_agents(world: &World, threads: &Threads) -> Vec<Part> {
    let mut parts = Vec::new();
    for number in 0..AGENTS {
        let name = format!("agent-{number}");
        let mut config = world.agent_config(&name);
        config.slots = Some(SLOTS);
        let engine = FakeEngine::default().writing(Writer::open(&lives_file(world), &name));
        parts.push(on(&threads.agents, world.agent_with(config, engine)).await);
    }
    until("all agents", PATIENCE, || async {
        (world.mesh.agents().list().await.expect("list agents").len() == AGENTS).then_some(())
    })
    .await;
    parts
}

/// Does something whose tasks, and all that they spawn, are to run on those threads.
async fn on<T>(threads: &Runtime, work: impl Future<Output = T>) -> T {
    let _entered = threads.enter();
    work.await
}
