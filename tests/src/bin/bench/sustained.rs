//! How late orders are, and what the parts need, when apps are due all the time: spread over each minute, for some minutes.

use std::{collections::BTreeSet, time::Duration};

use anyhow::ensure;
use jiff::{Timestamp, ToSpan as _, Unit};
use tickmesh_tests::{schedulers::Scheduler, usage::resident_kib};
use tokio::time::sleep;

use crate::{
    confirm::{self, Due, History, settled},
    cpu::{self, SERVER},
    heap,
    spread::{Spread, milliseconds},
    stage::{AGENTS, Nats, Stage, Threads, app_name},
    targets::Target,
};

/// Seconds of a minute.
const MINUTE: usize = 60;
/// The history is read on after so many minutes, in which an app runs less often than the stream keeps runs of it.
const HISTORY_MINUTES: usize = 5;
/// Between the last apply and the first instant that counts.
const REST: Duration = Duration::from_secs(5);
/// What is asked of 10,000 apps a minute: milliseconds of lateness, and microseconds of the scheduler's processor time a run.
const ASKED_APPS: usize = 10_000;
const ASKED_P99_MS: f64 = 15.0;
const ASKED_US_A_RUN: f64 = 200.0;

/// Between two looks at the memory.
const MEMORY_PERIOD: Duration = Duration::from_secs(60);

/// KiB of the scheduler's process, and of the server.
#[derive(Debug, Clone, Copy)]
struct Memory {
    scheduler: u64,
    server: u64,
}

impl Memory {
    fn now(stage: &Stage, scheduler: &Scheduler) -> Self {
        Self { scheduler: resident_kib(scheduler.process()), server: resident_kib(stage.world.server.pid()) }
    }
}

/// Measures it, prints it, and returns what is to be compared.
pub(crate) async fn measure(threads: &Threads, apps: usize, minutes: usize) -> anyhow::Result<Vec<Target>> {
    let stage = Stage::with_agents(threads, Nats::Single).await?;
    let scheduler = Scheduler::start(&stage.world, 0)?;
    stage.apply((0..apps).map(|app| format!("{} * * * * *", second(app, apps)))).await;
    let first = (Timestamp::now() + REST).round(Unit::Second)?;
    let end = first + i64::try_from(minutes * MINUTE)?.seconds();
    sleep_until(first).await;
    let cpu_before = (stage.cpu()?, cpu::of_process(scheduler.process())?);
    let stored_before = stage.world.stored().await;
    let mut memory = vec![Memory::now(&stage, &scheduler)];
    let mut history = History::default();
    for minute in 1..=minutes {
        sleep_until(first + (MEMORY_PERIOD * u32::try_from(minute)?)).await;
        memory.push(Memory::now(&stage, &scheduler));
        if minute % HISTORY_MINUTES == 0 {
            history.read_on(&stage).await?;
        }
    }
    let used = stage.cpu()?.since(&cpu_before.0);
    let used_by_scheduler = cpu::of_process(scheduler.process())?.saturating_sub(cpu_before.1);
    let stored = stage.world.stored().await.since(&stored_before);

    let due = due(apps, minutes, first)?;
    let confirmed = settled(async || confirm::confirm(&stage, &mut history, &due, first..end).await).await?;
    let late = stage.watch.lateness(|instant| first <= instant && instant < end)?;
    let runs = apps * minutes;
    ensure!(late.len() == runs, "{} first orders of {runs} were seen", late.len());
    let late = Spread::of(late);
    let at_once = apps.div_ceil(MINUTE);
    let limit = heap::measure(at_once).await?;

    println!("## {apps} apps spread over each minute, for {minutes} minutes\n");
    println!("{AGENTS} agents, 1 scheduler as a process, nats-server {} (single)\n", stage.world.mesh.server_version());
    println!("{:<48}{:>10}{:>10}{:>10}", "milliseconds after the instant", "p50", "p99", "max");
    println!("{:<48}{late}", "the agent has the order");
    println!("{:<48}{}", "the container starts", Spread::of(confirmed.started));
    println!("{:<48}{}", "the run is in the history", Spread::of(confirmed.ended));
    println!("{:<48}{limit}", format!("limit: heap with one timer, {at_once} at once"));
    println!("\nconfirmed: {runs} runs and as many containers, none lost, none doubled");
    println!("runs a second: {:.1}", runs as f64 / (minutes * MINUTE) as f64);
    let scheduler_ms = cpu::milliseconds(used_by_scheduler) / runs as f64;
    println!("processor time for one run: scheduler {scheduler_ms:.2} ms, {}", used.per_run(runs));
    let a_minute = |time: Duration| time.as_secs_f64() / minutes as f64;
    let (scheduler_s, server_s) = (a_minute(used_by_scheduler), a_minute(used.of(SERVER)));
    println!("processor seconds a minute: scheduler {scheduler_s:.2}, nats-server {server_s:.2}");
    println!("MB after each minute: scheduler {}", list(&memory, |it| it.scheduler));
    println!("MB after each minute: nats-server {}", list(&memory, |it| it.server));
    println!("messages stored for {runs} runs, and bytes kept\n{}\n", stored.table(runs as u64));
    scheduler.terminate().await;
    stage.stop().await;
    Ok(targets(apps, late, used_by_scheduler, runs))
}

fn list(memory: &[Memory], of: impl Fn(&Memory) -> u64) -> String {
    memory.iter().map(|it| format!("{:.0}", of(it) as f64 / 1_024.0)).collect::<Vec<_>>().join(", ")
}

/// The second of each minute at which an app is due.
fn second(app: usize, apps: usize) -> usize {
    app * MINUTE / apps
}

fn due(apps: usize, minutes: usize, first: Timestamp) -> anyhow::Result<BTreeSet<Due>> {
    let mut due = BTreeSet::new();
    for app in 0..apps {
        let second = i64::try_from(second(app, apps))?;
        let wait = (second - first.as_second()).rem_euclid(60);
        for minute in 0..i64::try_from(minutes)? {
            due.insert((app_name(app), first + (wait + 60 * minute).seconds()));
        }
    }
    Ok(due)
}

async fn sleep_until(instant: Timestamp) {
    sleep(Duration::try_from(instant.duration_since(Timestamp::now())).unwrap_or_default()).await;
}

fn targets(apps: usize, late: Spread, scheduler: Duration, runs: usize) -> Vec<Target> {
    let asked = (apps == ASKED_APPS).then_some(1.0);
    let target = |what: &str, figure, limit| Target {
        what: format!("{apps} a minute: {what}"),
        figure,
        limit,
        limit_is: "a fixed one",
        asked,
    };
    let microseconds = cpu::milliseconds(scheduler) * 1_000.0 / runs as f64;
    vec![
        target("p99 lateness at the agent, ms", milliseconds(late.p99), ASKED_P99_MS),
        target("scheduler's processor time a run, us", microseconds, ASKED_US_A_RUN),
    ]
}
