//! What an agent adds to the price of a container: many short ones through a mesh, beside as many through the bare API of the same engine
//! at the same concurrency, in one run; and what many long ones cost it while nothing happens.

use std::{fs, path::Path, time::Duration};

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptions, RemoveContainerOptions, StartContainerOptions, WaitContainerOptions},
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tickmesh_core::{
    history::RunSummary,
    message::{AttemptEvent, AttemptReport},
};
use tickmesh_messaging::{Change, Following, Start};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Child, World,
    children::{Agent, guards},
    wait::until,
    world::PATIENCE,
};

/// Containers that an agent brings up at once: its default, for each core.
const STARTS_PER_CORE: usize = 2;
/// The kernel counts processor time in hundredths of a second, on every Linux.
const TICK: Duration = Duration::from_millis(10);
/// Long containers that are supervised.
pub const LONG: usize = 64;
const AGENT: &str = "host-1";
/// Pause between two looks whether the run of short containers has ended.
const ENDED_LOOK_PAUSE: Duration = Duration::from_millis(250);
/// After so many looks it has failed: ten minutes.
const ENDED_LOOKS_MAX: usize = 2_400;

const COMPOSE: &str = "\
labels:
  aliyun.project_type: batch
services:
  s1:
    image: busybox
    network_mode: none
    command: COMMAND
    stop_signal: KILL
    labels:
      tickmesh.scale: 'SCALE'
      tickmesh.remove_containers: remove-all
";

/// What was measured.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Containers that went each way in each round.
    pub containers: usize,
    /// Rounds: the engine's own pace changes by a tenth from one minute to the next.
    pub rounds: usize,
    /// At once: whole lives of the bare ones, and of those of the mesh as many starts, beside which others end and are removed.
    pub concurrency: usize,
    /// Containers a second through the bare API.
    pub bare: f64,
    /// Containers a second through the mesh: from when the app is published until its last container is removed.
    pub mesh: f64,
    /// Time on a processor that the agent and its guard took for each container.
    pub cpu_per_container: Duration,
    /// Memory of the agent process after all of them, in KiB.
    pub memory_kib: u64,
    /// Share of one core that the agent and its guard take while so many containers run and nothing happens.
    pub share_of_idle: f64,
}

impl Figures {
    /// What of the bare API's throughput is left.
    pub fn ratio(&self) -> f64 {
        self.mesh / self.bare
    }
}

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Containers that go each way in each round.
    pub containers: usize,
    /// Rounds.
    pub rounds: usize,
    /// Containers that are brought up at once; `None`: the agent's default.
    pub at_once: Option<usize>,
    /// How long the long ones are watched.
    pub idle: Duration,
}

/// Measures that. `fleet` is the binary of that name.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, plan: Plan) -> Figures {
    let Plan { containers, rounds, at_once, idle } = plan;
    let world = World::new().await;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let concurrency = at_once.unwrap_or(cores * STARTS_PER_CORE);
    let scheduler = world.scheduler().await;
    let agent = Agent { starts: at_once, ..Agent::new(AGENT) }.start(fleet, &world);
    world.wait_for_agent(AGENT).await;
    let (mut bare_took, mut mesh_took, mut used) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for round in 1..=rounds {
        // Half before and half after: a machine that gets slower or faster meanwhile favours neither.
        bare_took += bare(&world.docker, containers / 2, concurrency).await;
        let used_before = processor_time(&world, &agent);
        mesh_took += through_the_mesh(&world, containers, round).await;
        used += processor_time(&world, &agent).saturating_sub(used_before);
        bare_took += bare(&world.docker, containers - containers / 2, concurrency).await;
    }
    let memory_kib = resident_kib(agent.id());

    let share_of_idle = watch_long(&world, &agent, idle).await;
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    let all = containers * rounds;
    let per_second = |took: Duration| all as f64 / took.as_secs_f64();
    Figures {
        containers,
        rounds,
        concurrency,
        bare: per_second(bare_took),
        mesh: per_second(mesh_took),
        cpu_per_container: used / u32::try_from(all).unwrap_or(u32::MAX),
        memory_kib,
        share_of_idle,
    }
}

/// One job by itself, again and again: the medians of both ways.
#[derive(Debug, Clone, Copy)]
pub struct Single {
    /// Create, start and wait, through the bare API.
    pub bare: Duration,
    /// From when somebody asks for the run until it is in the history.
    pub mesh: Duration,
    /// From when it is asked for until its process has started, by the engine's clock.
    pub mesh_start: Duration,
}

/// Measures one job by itself, in alternation with a bare container.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure_single(fleet: &Path, rounds: usize) -> Single {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agent = Agent::new(AGENT).start(fleet, &world);
    world.wait_for_agent(AGENT).await;
    world.apply("single", &compose("'true'", 1)).await;
    let mut history = world.mesh.history().follow(None, Start::New).await.expect("follow the history");
    let mut reports = world.mesh.results().follow(0).await.expect("follow the results");
    let (mut bare, mut mesh, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let id = start_bare(&world.docker).await;
        await_bare(&world.docker, &id).await;
        bare.push(begun.elapsed());
        remove_bare(&world.docker, &id).await;
        let (asked, begun) = (Timestamp::now(), Instant::now());
        world.run("single").await;
        let run = timeout(PATIENCE, history.next()).await.expect("the run ends").expect("an entry");
        mesh.push(begun.elapsed());
        assert!(run.expect("readable").value.outcome.is_success());
        let started = next_start(&mut reports).await;
        starts.push(Duration::try_from(started.duration_since(asked)).unwrap_or_default());
        world.containers_settle_at(0).await;
    }
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    Single { bare: median(bare), mesh: median(mesh), mesh_start: median(starts) }
}

/// When the next container that ends has started, by the engine's clock.
async fn next_start(reports: &mut Following<Change<AttemptReport>>) -> Timestamp {
    loop {
        let report = timeout(PATIENCE, reports.next()).await.expect("it is reported").expect("a report");
        if let Change::Entry(entry) = report.expect("readable")
            && let AttemptEvent::Exited { started_at, .. } = entry.value.event
        {
            return started_at.expect("it started");
        }
    }
}

pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// How long so many containers take that are queued on the agent, from when their run is asked for until the last of them is removed.
async fn through_the_mesh(world: &World, containers: usize, round: usize) -> Duration {
    let begun = Instant::now();
    world.apply("short", &compose("'true'", containers)).await;
    world.run("short").await;
    let summary = ended(world, "short", round).await;
    world.containers_settle_at(0).await;
    let took = begun.elapsed();
    assert!(summary.outcome.is_success(), "{:?}", summary.outcome);
    took
}

/// That run of an app, once it has ended. Looked for now and then only: who asks 40 times a second takes one part in twenty of the two
/// cores that are measured.
async fn ended(world: &World, app: &str, run: usize) -> RunSummary {
    for _ in 0..ENDED_LOOKS_MAX {
        let mut history = world.history(app).await;
        if history.len() >= run {
            return history.swap_remove(run - 1);
        }
        sleep(ENDED_LOOK_PAUSE).await;
    }
    panic!("run {run} of {app} does not end");
}

pub(crate) fn compose(command: &str, scale: usize) -> String {
    COMPOSE.replace("COMMAND", command).replace("SCALE", &scale.to_string())
}

/// How long so many containers take without anything but the engine.
async fn bare(docker: &Docker, containers: usize, concurrency: usize) -> Duration {
    let begun = Instant::now();
    stream::iter(0..containers).for_each_concurrent(concurrency, |_| bare_container(docker)).await;
    begun.elapsed()
}

/// What nobody can do without: create, start, wait, remove.
async fn bare_container(docker: &Docker) {
    let id = start_bare(docker).await;
    await_bare(docker, &id).await;
    remove_bare(docker, &id).await;
}

async fn start_bare(docker: &Docker) -> String {
    let body = ContainerCreateBody {
        image: Some("busybox".to_owned()),
        cmd: Some(vec!["true".to_owned()]),
        host_config: Some(HostConfig {
            init: Some(true),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let created = docker.create_container(None::<CreateContainerOptions>, body).await.expect("create a container");
    docker.start_container(&created.id, None::<StartContainerOptions>).await.expect("start it");
    created.id
}

async fn await_bare(docker: &Docker, id: &str) {
    let waited = docker.wait_container(id, None::<WaitContainerOptions>).next().await;
    waited.expect("an end").expect("exit code 0");
}

async fn remove_bare(docker: &Docker, id: &str) {
    docker.remove_container(id, None::<RemoveContainerOptions>).await.expect("remove it");
}

/// The share of a core that an agent takes while long containers run, over `idle`.
async fn watch_long(world: &World, agent: &Child, idle: Duration) -> f64 {
    world.apply("long", &compose("sleep 3600", LONG)).await;
    world.run("long").await;
    until("all long containers to run", PATIENCE * 2, || async {
        (world.containers().await.iter().filter(|it| it.state == "running").count() == LONG).then_some(())
    })
    .await;
    // What starting them costs is over by then.
    sleep(Duration::from_secs(2)).await;
    let (before, begun) = (processor_time(world, agent), Instant::now());
    sleep(idle).await;
    let share = (processor_time(world, agent) - before).div_duration_f64(begun.elapsed());
    world.command("long", tickmesh_core::message::CommandKind::Cancel { run: None }).await;
    world.containers_settle_at(0).await;
    share
}

/// Time that the agent and its guard have been on a processor.
fn processor_time(world: &World, agent: &Child) -> Duration {
    let guards = guards(world, AGENT).into_iter().map(|guard| guard.as_raw_nonzero().get().unsigned_abs());
    let ticks: u32 = guards.chain([agent.id()]).map(ticks).sum();
    TICK * ticks
}

/// User and system time of a process, as `/proc` has it: fields 14 and 15, counted behind the name, which may contain anything.
fn ticks(process: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("read what the kernel says of the process");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u32>().expect("a number of ticks")).sum()
}

fn resident_kib(process: u32) -> u64 {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).expect("read what the kernel says of the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
