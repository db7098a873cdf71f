//! What goes on when NATS or the scheduler was away for a while.

use std::time::Duration;

use tickmesh_core::{ledger::Verdict, outcome::Outcome};
use tickmesh_messaging::SchedulerRole;
use tickmesh_tests::{Journal, World, until, world::PATIENCE};
use tokio::time::{Instant, sleep_until};

fn compose(world: &World, schedule: Option<&str>, pause: &str) -> String {
    let schedule = schedule.map(|expression| format!("  aliyun.schedule: \"{expression}\"\n")).unwrap_or_default();
    let script = format!("{}; sleep {pause}; {}", Journal::write("start"), Journal::write("end")).replace('$', "$$");
    format!(
        "version: \"2\"\nlabels:\n  aliyun.project_type: batch\n{schedule}services:\n  s1:\n    image: busybox\n    \
         network_mode: none\n    labels:\n      aliyun.scale: 2\n      aliyun.remove_containers: remove-all\n    \
         volumes:\n      - \"{}\"\n    entrypoint: [sh, -c]\n    command: ['{script}']\n",
        world.journal.volume()
    )
}

/// The server is killed while a run is under way, and comes back after `away`.
async fn check_nats_outage(away: Duration) {
    let mut world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.apply("job", &compose(&world, Some("@every 2s"), "1")).await;
    until("the first containers", PATIENCE, || async { (world.journal.with("start").len() >= 2).then_some(()) }).await;
    world.server.kill();
    sleep_until(Instant::now() + away).await;
    world.server.restart();
    let before = world.ledger("job").await.expect("the ledger").last_run;
    until("a run after the outage", PATIENCE, || async {
        world.history("job").await.last().is_some_and(|run| run.run > before).then_some(())
    })
    .await;
    let history = world.history("job").await;
    assert!(history.iter().all(|run| run.outcome == Outcome::Succeeded), "{history:#?}");
    let runs: Vec<_> = history.iter().map(|run| run.run).collect();
    assert_eq!(runs, (1..=runs.len() as u64).collect::<Vec<_>>(), "no run is missing from the history");
    world.journal.assert_no_attempt_twice();
    let counters = world.ledger("job").await.expect("the ledger").counters;
    assert_eq!(counters.decided, counters.started + counters.enqueued + counters.dropped + counters.coalesced);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_of_nats_loses_nothing() {
    check_nats_outage(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_nats_that_costs_the_lease_loses_nothing() {
    check_nats_outage(Duration::from_secs(6)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_for_a_scheduler() {
    let world = World::new().await;
    let agent = world.agent("a1").await;
    world.apply("job", &compose(&world, None, "0")).await;
    let request = world.run("job").await;
    let scheduler = world.scheduler().await;
    assert_eq!(world.verdict("job", request).await, Verdict::Started { run: 1 });
    assert_eq!(world.history_of("job", 1).await[0].outcome, Outcome::Succeeded);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_missed_while_no_scheduler_lived_become_one_run() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.apply("job", &compose(&world, Some("@every 2s"), "0")).await;
    world.history_of("job", 1).await;
    scheduler.stop().await;
    let before = world.ledger("job").await.expect("the ledger").counters;
    sleep_until(Instant::now() + Duration::from_secs(7)).await;
    let scheduler = world.scheduler().await;
    let after = world
        .ledger_when("job", "missed ticks", |ledger| (ledger.counters.coalesced > 0).then_some(ledger.counters))
        .await;
    let missed = after.decided - before.decided;
    assert!((3..=5).contains(&missed), "{missed} instants of 2 s in some 7 s");
    assert_eq!(after.coalesced, missed - 1);
    assert_eq!((after.started + after.enqueued) - (before.started + before.enqueued), 1);
    scheduler.stop().await;
    agent.stop().await;
}

/// Instants of an app that are decided.
async fn decided(world: &World, app: &str) -> u64 {
    world.ledger(app).await.map_or(0, |ledger| ledger.counters.decided)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_alone_remembers_what_it_wrote_although_no_lease_says_so() {
    let mut world = World::new().await;
    // So long that the lease does not note within this test how far the streams have come.
    world.timing.lease = Duration::from_secs(20);
    let scheduler = world.scheduler().await;
    world.apply("job", &compose(&world, Some("@every 1s"), "0")).await;
    until("a tick", PATIENCE, || async { (decided(&world, "job").await > 0).then_some(()) }).await;
    world.server.stop();
    let copy = world.server.copy_store();
    world.server.restart();
    let then = decided(&world, "job").await;
    until("more ticks", PATIENCE, || async { (decided(&world, "job").await > then + 2).then_some(()) }).await;
    world.server.stop();
    world.server.restore(&copy);
    world.server.restart();
    let refusal = until("the refusal", PATIENCE, || async {
        let cards = world.mesh.schedulers().roll(Duration::from_millis(500)).await.ok()?;
        cards.into_iter().find_map(|card| match card.role {
            SchedulerRole::Refusing { reason, data_lost: true, .. } => Some(reason),
            SchedulerRole::Refusing { .. }
            | SchedulerRole::Preparing
            | SchedulerRole::StandingBy { .. }
            | SchedulerRole::Leading { .. } => None,
        })
    })
    .await;
    assert!(refusal.contains("stream `ledger` ends at sequence"), "{refusal}");
    scheduler.stop().await;
}
