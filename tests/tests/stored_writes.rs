//! What a run costs the store: ARCHITECTURE.md promises about seven stored messages for a run of one replica.

use std::time::Duration;

use futures_util::StreamExt as _;
use tickmesh_core::{history::RunSummary, outcome::Outcome, timing::Timing};
use tickmesh_messaging::{Entry, Following, Start, StreamKind};
use tickmesh_tests::{
    FakeEngine, Stored, World,
    stored::ratio,
    world::{PATIENCE, app},
};
use tokio::time::{sleep, timeout};

/// Manual runs, one after the other.
const RUNS: u64 = 50;
/// Ticks of the app with a schedule, at least.
const TICKS: u64 = 5;
/// Most messages that a run may store: ledger, tick or command, order, claim, end, ledger, history, and two to spare.
const STORED_PER_RUN_MAX: f64 = 9.0;
/// Of these, writes of the ledger: at the start and at the end, and something to spare for a machine that stalls.
const LEDGER_PER_RUN_MAX: f64 = 2.5;
/// How long containers run: longer than the pace of ledger writes, so that a write for a claim would be one of its own.
const RUN_TIME: Duration = Duration::from_millis(100);
/// Between two looks whether nothing runs.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A mesh at the speed of production: the pace of ledger writes is part of what is counted.
async fn world() -> World {
    let mut world = World::new().await;
    world.timing = Timing::default();
    world
}

fn compose(schedule: &str) -> String {
    format!("version: \"2\"\nlabels:\n  aliyun.project_type: batch\n{schedule}services:\n  s1:\n    image: busybox\n")
}

async fn finished_runs(world: &World, name: &str) -> Following<Entry<RunSummary>> {
    world.mesh.history().follow(Some(&app(name)), Start::New).await.expect("follow the history")
}

async fn next_success(runs: &mut Following<Entry<RunSummary>>) {
    let run = timeout(PATIENCE, runs.next()).await.expect("a run ends in time").expect("the history goes on");
    let run = run.expect("the history can be read").value;
    assert_eq!(run.outcome, Outcome::Succeeded, "{run:#?}");
}

/// Counts what is stored at a moment at which nothing runs, whatever the machine is slow at: all that is stored belongs to
/// runs that have ended, and nothing was stored while it was counted.
async fn stored_at_rest(world: &World) -> Stored {
    let at_rest = async {
        loop {
            let stored = world.stored().await;
            let ended = stored.of(StreamKind::History);
            let is_at_rest = stored.of(StreamKind::Orders) == ended && stored.of(StreamKind::Results) == 2 * ended;
            if is_at_rest && world.stored().await == stored {
                return stored;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(PATIENCE, at_rest).await.expect("there is a moment between two runs")
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "a table for people is half of what these tests are for")]
fn check(what: &str, stored: &Stored, runs: u64) {
    println!("{what}, {runs} runs:\n{}\n", stored.table(runs));
    assert_eq!(stored.of(StreamKind::Results), 2 * runs, "a claim and an end for each run");
    let (all, ledger) = (stored.per_run(runs), ratio(stored.of(StreamKind::Ledger), runs));
    assert!(all <= STORED_PER_RUN_MAX, "{what} store {all:.2} messages a run");
    assert!(ledger <= LEDGER_PER_RUN_MAX, "{what} write the ledger {ledger:.2} times a run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_run_stores_at_most_nine_messages() {
    let world = world().await;
    let scheduler = world.scheduler().await;
    let agent = world.agent_with(world.agent_config("a1"), FakeEngine::running_for(RUN_TIME)).await;
    world.apply("manual", &compose("")).await;
    let mut runs = finished_runs(&world, "manual").await;
    world.run("manual").await;
    next_success(&mut runs).await;

    let before = world.stored().await;
    for _ in 0..RUNS {
        world.run("manual").await;
        next_success(&mut runs).await;
    }
    check("manual runs", &world.stored().await.since(&before), RUNS);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_run_stores_at_most_nine_messages() {
    let world = world().await;
    let scheduler = world.scheduler().await;
    let agent = world.agent_with(world.agent_config("a1"), FakeEngine::running_for(RUN_TIME)).await;
    let mut runs = finished_runs(&world, "ticking").await;
    world.apply("ticking", &compose("  aliyun.schedule: \"@every 1s\"\n")).await;
    next_success(&mut runs).await;
    let before = stored_at_rest(&world).await;
    for _ in 0..TICKS {
        next_success(&mut runs).await;
    }
    let stored = stored_at_rest(&world).await.since(&before);
    check("scheduled runs", &stored, stored.of(StreamKind::History));
    scheduler.stop().await;
    agent.stop().await;
}
