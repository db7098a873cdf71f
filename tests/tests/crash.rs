//! Processes killed with `-9` at every moment that matters. The jobs themselves append to a journal on the host: that file
//! is the judge. `TICKMESH_CHAOS_ROUNDS` repeats each.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tickmesh_core::{history::RunSummary, outcome::Outcome};
use tickmesh_tests::{Child, Journal, World, until, world::PATIENCE};
use tokio::time::{Instant, sleep_until};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");

fn fleet() -> &'static Path {
    Path::new(FLEET)
}

fn rounds() -> u64 {
    std::env::var("TICKMESH_CHAOS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

fn compose(world: &World, schedule: Option<&str>, scale: u32, remove: &str, pause: &str) -> String {
    let schedule = schedule.map(|expression| format!("  aliyun.schedule: \"{expression}\"\n")).unwrap_or_default();
    let script = format!("{}; sleep {pause}; {}", Journal::write("start"), Journal::write("end")).replace('$', "$$");
    format!(
        "version: \"2\"\nlabels:\n  aliyun.project_type: batch\n{schedule}services:\n  s1:\n    image: busybox\n    \
         network_mode: none\n    labels:\n      aliyun.scale: {scale}\n      aliyun.remove_containers: {remove}\n      \
         tickmesh.retry_backoff: 100ms\n    volumes:\n      - \"{}\"\n    entrypoint: [sh, -c]\n    command: ['{script}']\n",
        world.journal.volume()
    )
}

/// A crash test as many times as there are rounds.
async fn each_round<F: Future<Output = ()>>(mut test: impl FnMut() -> F) {
    for _ in 0..rounds() {
        test().await;
    }
}

/// What the journal must show whatever was killed: no attempt had two containers, and no replica ran again after an attempt
/// whose success the history has.
fn judge(world: &World, history: &[RunSummary]) {
    world.journal.assert_no_attempt_twice();
    let mut last_started: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for line in world.journal.with("start") {
        let last = last_started.entry((line.run, line.replica)).or_default();
        *last = (*last).max(line.attempt);
    }
    for run in history {
        assert_eq!(run.outcome, Outcome::Succeeded, "{run:#?}");
        for replica in &run.replicas {
            let started = last_started.get(&(run.run, replica.replica)).copied().unwrap_or(0);
            assert_eq!(started, replica.attempts, "run {} replica {} ran again", run.run, replica.replica);
        }
    }
}

/// An agent that dies at `point`, and its successor.
async fn check_agent_crash(point: &str, remove: &str, kept: usize, runs_twice: bool) {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let mut agent = Child::agent(fleet(), &world, "a1", Some(point));
    world.apply("job", &compose(&world, None, 1, remove, "0.3")).await;
    world.run("job").await;
    agent.ended(PATIENCE).await;
    let agent = Child::agent(fleet(), &world, "a1", None);
    let history = world.history_of("job", 1).await;
    judge(&world, &history);
    let attempts = history[0].replicas[0].attempts;
    assert_eq!(attempts, if runs_twice { 2 } else { 1 }, "killed after the {point}");
    world.containers_settle_at(kept).await;
    // The mesh goes on as if nothing had been.
    world.run("job").await;
    let history = world.history_of("job", 2).await;
    judge(&world, &history);
    assert_eq!(history[1].replicas[0].attempts, 1);
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
}

// A claimed attempt without a container, and one whose container never started, are lost and tried again; one whose
// container started is found and goes on.

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_the_claim() {
    each_round(|| check_agent_crash("claim", "remove-all", 0, true)).await;
    each_round(|| check_agent_crash("claim", "remove-none", 1, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_the_create() {
    each_round(|| check_agent_crash("create", "remove-all", 0, true)).await;
    each_round(|| check_agent_crash("create", "remove-none", 1, true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_the_start() {
    each_round(|| check_agent_crash("start", "remove-all", 0, false)).await;
    each_round(|| check_agent_crash("start", "remove-none", 1, false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_the_exit() {
    each_round(|| check_agent_crash("exit", "remove-all", 0, false)).await;
    each_round(|| check_agent_crash("exit", "remove-none", 1, false)).await;
}

/// A scheduler that dies between recording and acting, and its successor.
/// Every agent is restarted in order, one after the other, while runs are under way on all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_all_agents_loses_nothing() {
    const NAMES: [&str; 3] = ["a1", "a2", "a3"];
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agents = NAMES.map(|name| (name, Child::agent(fleet(), &world, name, None)));
    let mut successors = Vec::new();
    world.apply("job", &compose(&world, None, 6, "remove-all", "1.5")).await;
    for (run, (name, agent)) in (1..).zip(agents) {
        world.run("job").await;
        until("containers of the run", PATIENCE, || async {
            world.journal.with("start").iter().any(|line| line.run == run).then_some(())
        })
        .await;
        agent.terminate(PATIENCE).await;
        successors.push(Child::agent(fleet(), &world, name, None));
    }
    let history = world.history_of("job", NAMES.len()).await;
    judge(&world, &history);
    let attempts = history.iter().flat_map(|run| run.replicas.iter().map(|replica| replica.attempts));
    assert_eq!(attempts.max(), Some(1), "nothing was tried twice: {history:#?}");
    scheduler.stop().await;
}

async fn check_scheduler_crash(point: &str) {
    let world = World::new().await;
    let agent = world.agent("a1").await;
    let mut scheduler = Child::scheduler(fleet(), &world, Some(point));
    world.apply("job", &compose(&world, Some("@every 2s"), 2, "remove-all", "0.1")).await;
    scheduler.ended(PATIENCE).await;
    let scheduler = Child::scheduler(fleet(), &world, None);
    let history = world.history_of("job", 3).await;
    let numbers: Vec<_> = history.iter().map(|run| run.run).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no run is missing from the history");
    judge(&world, &history);
    scheduler.terminate(PATIENCE).await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_killed_before_it_records() {
    each_round(|| check_scheduler_crash("write")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_killed_before_it_sends_orders() {
    each_round(|| check_scheduler_crash("send")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_killed_before_it_publishes_a_tick() {
    each_round(|| check_scheduler_crash("tick")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_killed_before_it_publishes_history() {
    each_round(|| check_scheduler_crash("history")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_killed_at_random_moments() {
    let mut random = StdRng::seed_from_u64(20_261_122);
    for _ in 0..rounds() {
        let world = World::new().await;
        let agent = world.agent("a1").await;
        world.apply("job", &compose(&world, Some("@every 1s"), 2, "remove-all", "0.2")).await;
        for _ in 0..4 {
            let scheduler = Child::scheduler(fleet(), &world, None);
            let moment = Duration::from_millis(random.random_range(500..4_000));
            sleep_until(Instant::now() + moment).await;
            scheduler.kill();
        }
        let scheduler = Child::scheduler(fleet(), &world, None);
        let ended = world.ledger_when("job", "the leader's ledger", |ledger| Some(ledger.last_run)).await;
        // Whatever the killed ones had begun ends, and the schedule goes on.
        until("a run after the kills", PATIENCE, || async {
            world.history("job").await.last().is_some_and(|run| run.run > ended).then_some(())
        })
        .await;
        let ledger = world.ledger("job").await.expect("the ledger");
        let counters = ledger.counters;
        assert_eq!(counters.decided, counters.started + counters.enqueued + counters.dropped + counters.coalesced);
        judge(&world, &world.history("job").await);
        scheduler.terminate(PATIENCE).await;
        agent.stop().await;
    }
}
