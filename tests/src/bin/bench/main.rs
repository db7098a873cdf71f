//! `make bench`: how late orders reach their agents, and runs their end, when many apps are due in the same second.
//!
//! A real nats-server, the shipped scheduler, and agents of the shipped crate on a fake engine, all on one machine and at the
//! speed of production. Beside it, in the same run, stands the floor: as many bare messages through the same stream. Nothing
//! is judged but that every run happened: what is a good figure depends on the machine.
//!
//! ```text
//! bench [APPS]
//! ```

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

mod cpu;
mod floor;
mod rounds;
mod spread;

use std::{fs, num::NonZeroUsize, thread::available_parallelism, time::Duration};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, stream};
use jiff::{Timestamp, ToSpan as _, Unit};
use tickmesh_core::timing::Timing;
use tickmesh_messaging::StreamKind;
use tickmesh_tests::{
    FakeEngine, World, until,
    world::{PATIENCE, Part},
};
use tokio::runtime::{Builder, Runtime};

use self::{
    cpu::CpuTimes,
    rounds::{Milestone, Rounds, Watch},
    spread::Spread,
};

/// Apps, unless the command line says otherwise.
const APPS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
/// Agents that share them.
const AGENTS: usize = 10;
/// Slots of an agent: never what a run waits for.
const SLOTS: u32 = 1_000_000;
/// Instants at which every app is due.
const ROUNDS: usize = 3;
/// Seconds from one to the next: long enough for a round to end before the next begins.
const ROUND_SECONDS: i64 = 10;
/// Applies under way at once.
const APPLIES_AT_ONCE: usize = 64;
/// How long applying may take before the first instant: this, and so much for each app.
const APPLY_TIME: Duration = Duration::from_secs(4);
const APPLY_TIME_PER_APP: Duration = Duration::from_millis(2);
/// How long after the last instant the last run may end.
const LAST_RUN_PATIENCE: Duration = Duration::from_secs(15);

fn main() -> anyhow::Result<()> {
    let apps = match std::env::args().nth(1) {
        Some(argument) => argument.parse().with_context(|| format!("`{argument}` is not a number of apps"))?,
        None => APPS,
    };
    let apps = apps.get();
    let (scheduler, agents) = (threads("scheduler")?, threads("agents")?);
    threads("bench")?.block_on(bench(apps, &scheduler, &agents))
}

/// Threads of its own for a part, as it has in production: on shared ones its tasks would queue behind those of the others.
fn threads(part: &str) -> anyhow::Result<Runtime> {
    let threads = Builder::new_multi_thread().thread_name(part).enable_all().build();
    threads.with_context(|| format!("start the threads of {part}"))
}

async fn bench(apps: usize, scheduler: &Runtime, agents: &Runtime) -> anyhow::Result<()> {
    let mut world = World::new().await;
    world.timing = Timing::default();
    let parts = start(&world, scheduler, agents).await;
    let watch = Watch::begin(&world, AGENTS).await?;

    let instants = instants(apps)?;
    apply(&world, apps, &instants).await;
    ensure!(Timestamp::now() < instants[0], "applying {apps} apps took until their first instant");
    let (before, cpu_before) = (world.stored().await, CpuTimes::now(world.server.pid())?);
    let rounds = watch.collect(&instants, apps, LAST_RUN_PATIENCE).await;
    let cpu = CpuTimes::now(world.server.pid())?.since(&cpu_before, rounds.ended());
    let stored = world.stored().await.since(&before);
    let floor = floor::measure(&world, apps, rounds.order_bytes).await?;

    print(&world, apps, &rounds, &floor);
    println!("\nprocessor time for one run: {cpu}");
    if let Some(memory) = resident_memory() {
        println!("memory of scheduler, agents and bench, one process: {memory}");
    }
    println!("\nmessages stored for {} runs\n{}", rounds.ended(), stored.table(rounds.ended() as u64));
    for part in parts {
        part.stop().await;
    }
    let expected = apps * ROUNDS;
    ensure!(rounds.ended() == expected, "only {} of {expected} runs happened", rounds.ended());
    Ok(())
}

/// Starts the scheduler and the agents, each on their threads, and waits for them.
async fn start(world: &World, scheduler: &Runtime, agents: &Runtime) -> Vec<Part> {
    let mut parts = vec![on(scheduler, world.scheduler()).await];
    for number in 0..AGENTS {
        let mut config = world.agent_config(&rounds::agent(number));
        config.slots = Some(SLOTS);
        parts.push(on(agents, world.agent_with(config, FakeEngine::default())).await);
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

/// The instants at which every app is going to be due, with time to apply the apps before the first.
fn instants(apps: usize) -> anyhow::Result<Vec<Timestamp>> {
    let lead = APPLY_TIME + APPLY_TIME_PER_APP * u32::try_from(apps)?;
    let first = (Timestamp::now() + lead).round(Unit::Second)?;
    let after = |round: usize| Ok(first + (ROUND_SECONDS * i64::try_from(round)?).seconds());
    (0..ROUNDS).map(after).collect()
}

/// Applies apps of one replica that are due at these instants and, within the bench, at no other.
async fn apply(world: &World, apps: usize, instants: &[Timestamp]) {
    let seconds: Vec<String> = instants.iter().map(|instant| (instant.as_second() % 60).to_string()).collect();
    let compose = format!(
        "version: \"2\"\nlabels:\n  aliyun.schedule: \"{} * * * * *\"\nservices:\n  s1:\n    image: busybox\n    \
         command: date\n",
        seconds.join(",")
    );
    let applied = stream::iter(0..apps).for_each_concurrent(APPLIES_AT_ONCE, |number| {
        let (name, compose) = (format!("app-{number}"), &compose);
        async move {
            world.apply(&name, compose).await;
        }
    });
    applied.await;
    until("a ledger for every app", PATIENCE, || async {
        (world.stored().await.of(StreamKind::Ledger) >= apps as u64).then_some(())
    })
    .await;
}

fn print(world: &World, apps: usize, rounds: &Rounds, floor: &Spread) {
    let cores = available_parallelism().map_or(0, usize::from);
    let version = world.mesh.server_version();
    println!(
        "{apps} apps due in the same second, {AGENTS} agents, 1 scheduler, nats-server {version}, {cores} cores\n"
    );
    println!("{:<44}{:>10}{:>10}{:>10}", "milliseconds after the instant", "p50", "p99", "max");
    for round in 0..ROUNDS {
        let row =
            |what: &str, milestone| println!("round {}: {what:<35}{}", round + 1, rounds.spread(round, milestone));
        row("the agent has the order", Milestone::Ordered);
        row("the run is in the history", Milestone::Ended);
    }
    let what = format!("floor: {apps} bare messages of {} bytes", rounds.order_bytes);
    println!("{what:<44}{floor}");
}

/// What the kernel says of this process, as it says it.
fn resident_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).map(|size| size.trim().to_owned())
}
