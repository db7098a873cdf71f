//! The rules beyond the seed's, on a real nats-server and a real Docker engine. The judge is the journal that the jobs write.

use std::collections::BTreeSet;

use tickmesh_core::{
    ledger::{State, Verdict},
    message::CommandKind,
    name::{AgentName, ServiceName},
    outcome::Outcome,
};
use tickmesh_tests::{Journal, World, until, world::PATIENCE};

/// A service as a file has it: its name, its labels, its script.
type Service<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// An app with these labels and services, all of which see the journal.
fn compose(world: &World, labels: &[(&str, &str)], services: &[Service<'_>]) -> String {
    let lines = |indent: &str, pairs: &[(&str, &str)]| -> String {
        pairs.iter().map(|(key, value)| format!("{indent}tickmesh.{key}: \"{value}\"\n")).collect()
    };
    let service = |(name, labels, script): &Service<'_>| {
        let script = script.replace('$', "$$").replace('\'', "''");
        format!(
            "  {name}:\n    image: busybox\n    network_mode: none\n    stop_grace_period: 1s\n    \
             labels:\n      tickmesh.remove_containers: remove-all\n{}    volumes:\n      - \"{}\"\n    \
             entrypoint: [sh, -c]\n    command: ['{script}']\n",
            lines("      ", labels),
            world.journal.volume()
        )
    };
    let services: String = services.iter().map(service).collect();
    format!("labels:\n  tickmesh.project_type: batch\n{}services:\n{services}", lines("  ", labels))
}

/// Runs for ever.
fn endless() -> String {
    format!("{}; while true; do sleep 1; done", Journal::write("start"))
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).expect("a service name")
}

#[tokio::test(flavor = "multi_thread")]
async fn services_run_in_the_order_of_their_dependencies() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let first = format!("{}; sleep 0.3; {}", Journal::write("first"), Journal::write("first-ends"));
    let services: [Service<'_>; 2] =
        [("second", &[("depends", "first")], &Journal::write("second")), ("first", &[("scale", "2")], &first)];
    world.apply("ordered", &compose(&world, &[], &services)).await;
    world.run("ordered").await;
    let run = world.history_of("ordered", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::Succeeded);
    let words: Vec<_> = world.journal.lines().into_iter().map(|line| line.word).collect();
    assert_eq!(words.len(), 5);
    assert_eq!(words[4], "second", "{words:?}");
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_failed_service_never_runs_and_says_why() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let services: [Service<'_>; 3] = [
        ("broken", &[("retry_count", "0")], "exit 3"),
        ("after", &[("depends", "broken")], &Journal::write("after")),
        ("sibling", &[], &Journal::write("sibling")),
    ];
    world.apply("broken", &compose(&world, &[], &services)).await;
    world.run("broken").await;
    let run = world.history_of("broken", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::failed(3));
    let after = run.replicas.iter().find(|it| it.service == service("after")).expect("the history has all services");
    assert_eq!(after.outcome, Outcome::Skipped { dependency: service("broken") });
    let words: Vec<_> = world.journal.lines().into_iter().map(|line| line.word).collect();
    assert_eq!(words, ["sibling"]);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lasts_too_long_is_stopped_and_not_tried_again() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.apply("endless", &compose(&world, &[("timeout", "2s")], &[("s1", &[], &endless())])).await;
    world.run("endless").await;
    let run = world.history_of("endless", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::TimedOut);
    world.containers_settle_at(0).await;
    assert_eq!(world.journal.with("start").len(), 1);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_lasts_too_long_is_stopped_and_tried_again() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let labels = [("attempt_timeout", "1s"), ("retry_count", "1"), ("retry_backoff", "100ms")];
    world.apply("slow", &compose(&world, &[], &[("s1", &labels, &endless())])).await;
    world.run("slow").await;
    let run = world.history_of("slow", 1).await.remove(0);
    assert_eq!((run.outcome, run.replicas[0].attempts), (Outcome::TimedOut, 2));
    world.containers_settle_at(0).await;
    let attempts: Vec<_> = world.journal.with("start").iter().map(|line| line.attempt).collect();
    assert_eq!(attempts, [1, 2]);
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_app_runs_nothing_and_accounts_for_what_it_missed() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let services: [Service<'_>; 1] = [("s1", &[], &Journal::write("start"))];
    world.apply("paused", &compose(&world, &[("schedule", "@every 1s")], &services)).await;
    world.history_of("paused", 2).await;
    let request = world.command("paused", CommandKind::Pause).await;
    assert_eq!(world.verdict("paused", request).await, Verdict::Paused);
    let still = world
        .ledger_when("paused", "a paused app", |ledger| (ledger.state() == State::Paused).then(|| ledger.clone()))
        .await;
    // As many seconds as the clock would have started runs in.
    let instant = jiff::Timestamp::now();
    until("three seconds", PATIENCE, || async move {
        (jiff::Timestamp::now().duration_since(instant).as_secs() >= 3).then_some(())
    })
    .await;
    let starts = world.journal.with("start").len();
    assert_eq!(world.ledger("paused").await.map(|ledger| ledger.last_run), Some(still.last_run));
    assert!(starts as u64 <= still.last_run, "{starts} starts of {} runs", still.last_run);
    let request = world.command("paused", CommandKind::Resume).await;
    let Verdict::Resumed { skipped } = world.verdict("paused", request).await else { panic!("not resumed") };
    assert!(skipped >= 3, "{skipped} skipped");
    let resumed = world
        .ledger_when("paused", "a run after the pause", |ledger| {
            (ledger.last_run > still.last_run).then(|| ledger.clone())
        })
        .await;
    assert_eq!(resumed.counters.skipped, skipped);
    assert!(resumed.is_balanced(), "{:?}", resumed.counters);
    world.journal.assert_no_attempt_twice();
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_runs_only_what_had_not_succeeded() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let script = format!("{}; [ $TICKMESH_REPLICA != 1 ] || [ -e /journal/mended ]", Journal::write("start"));
    let services: [Service<'_>; 1] = [("s1", &[("scale", "3"), ("retry_count", "0")], &script)];
    world.apply("again", &compose(&world, &[], &services)).await;
    world.run("again").await;
    let run = world.history_of("again", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::failed(1));
    std::fs::write(world.journal.folder().join("mended"), "").expect("mend the job");
    let request = world.command("again", CommandKind::Retry { run: 1 }).await;
    assert_eq!(world.verdict("again", request).await, Verdict::Started { run: 2 });
    let retry = world.history_of("again", 2).await.remove(1);
    assert_eq!((retry.outcome, retry.cause.label()), (Outcome::Succeeded, "retry"));
    let second: Vec<_> = world.journal.with("start").iter().filter(|it| it.run == 2).map(|it| it.replica).collect();
    assert_eq!(second, [1]);
    let request = world.command("again", CommandKind::Retry { run: 2 }).await;
    assert!(matches!(world.verdict("again", request).await, Verdict::Refused { .. }));
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_replaced_has_ended_before_the_next_begins() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let script = format!(
        "trap '{}; exit 0' TERM; {}; while true; do sleep 0.1; done",
        Journal::write("end"),
        Journal::write("start")
    );
    let labels = [("schedule", "@every 2s"), ("overlap", "replace")];
    world.apply("newest", &compose(&world, &labels, &[("s1", &[], &script)])).await;
    world.history_of("newest", 3).await;
    world.remove("newest").await;
    world
        .ledger_when("newest", "the end of the last run", |ledger| (ledger.state() == State::Removed).then_some(()))
        .await;
    world.containers_settle_at(0).await;
    let words: Vec<_> = world.journal.lines().into_iter().map(|line| line.word).collect();
    // Some may have been stopped before their script had set its trap; none runs beside another.
    let mut running = 0;
    for (start, end) in words.iter().map(|word| (word == "start", word == "end")) {
        running = if start { 1 } else { running - i32::from(end) };
        assert!((0..=1).contains(&running), "{words:?}");
    }
    assert!(world.journal.with("end").len() >= 3, "{words:?}");
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_service_runs_once_on_each_agent_that_matches() {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let mut agents = Vec::new();
    for (name, disk) in [("a1", "ssd"), ("a2", "hdd"), ("a3", "ssd")] {
        let mut config = world.agent_config(name);
        config.labels = [("disk".to_owned(), disk.to_owned())].into();
        let engine = tickmesh_agent::engine::docker::Docker::connect().await.expect("the Docker engine answers");
        agents.push(world.agent_with(config, engine).await);
    }
    until("three agents", PATIENCE, || async {
        (world.mesh.agents().list().await.expect("list agents").len() == 3).then_some(())
    })
    .await;
    let labels = [("global", "true"), ("constraint", "disk==ssd")];
    world.apply("everywhere", &compose(&world, &[], &[("s1", &labels, &Journal::write("start"))])).await;
    world.run("everywhere").await;
    let run = world.history_of("everywhere", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::Succeeded);
    let here: BTreeSet<_> = run.replicas.iter().filter_map(|it| it.agent.as_ref().map(AgentName::as_str)).collect();
    assert_eq!((run.replicas.len(), here), (2, BTreeSet::from(["a1", "a3"])));
    assert_eq!(world.journal.with("start").len(), 2);
    scheduler.stop().await;
    for agent in agents {
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_finds_a_run_active_is_skipped_where_that_is_wanted() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let labels = [("schedule", "@every 1s"), ("overlap", "skip")];
    world.apply("alone", &compose(&world, &labels, &[("s1", &[], &endless())])).await;
    let counters = world
        .ledger_when("alone", "three skipped ticks", |ledger| {
            assert!(ledger.queue.is_empty(), "{:?}", ledger.queue);
            (ledger.counters.skipped >= 3).then_some(ledger.counters)
        })
        .await;
    assert_eq!((counters.started, counters.enqueued, counters.decided), (1, 0, 1 + counters.skipped));
    assert_eq!(world.containers().await.len(), 1);
    world.command("alone", CommandKind::Cancel { run: None, force: false }).await;
    scheduler.stop().await;
    agent.stop().await;
}
