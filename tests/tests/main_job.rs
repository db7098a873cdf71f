//! The promises of the seed, on a real nats-server and a real Docker engine.

use std::{collections::BTreeSet, time::Duration};

use bollard::query_parameters::{RemoveImageOptions, TagImageOptionsBuilder};
use tickmesh_core::{
    ledger::{Cause, Verdict},
    message::{Admission, CommandKind},
    outcome::Outcome,
};
use tickmesh_tests::{
    Journal, World, containers, until,
    world::{PATIENCE, app},
};

const SEED: &str = include_str!("../../examples/seed.yml");
const SEED_REPOSITORY: &str = "registry.aliyuncs.com/jimmycmh/busybox";

/// An app of one service that shows its jobs the journal.
fn compose(world: &World, schedule: Option<&str>, labels: &str, script: &str) -> String {
    let schedule = schedule.map(|expression| format!("  aliyun.schedule: \"{expression}\"\n")).unwrap_or_default();
    let script = script.replace('$', "$$").replace('\'', "''");
    format!(
        "version: \"2\"\nlabels:\n  aliyun.project_type: batch\n{schedule}services:\n  s1:\n    image: busybox\n    \
         network_mode: none\n    labels:\n{labels}    volumes:\n      - \"{}\"\n    entrypoint: [sh, -c]\n    \
         command: ['{script}']\n",
        world.journal.volume()
    )
}

fn labels(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| format!("      aliyun.{key}: \"{value}\"\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_file_runs_five_replicas_a_tick() {
    let world = World::new().await;
    let tagged = tag_seed_image(&world).await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.apply("seed", SEED).await;
    let history = world.history_of("seed", 1).await;
    let run = &history[0];
    assert_eq!((run.run, &run.cause, &run.outcome), (1, &Cause::Schedule, &Outcome::Succeeded));
    let indexes: Vec<u32> = run.replicas.iter().map(|replica| replica.replica).collect();
    assert_eq!(indexes, [0, 1, 2, 3, 4]);
    let instant = run.scheduled_at.expect("a schedule asked for it").as_second();
    assert_eq!(instant % 30, 0, "0-59/30 is due at second 0 and 30");
    world.containers_settle_at(0).await;
    scheduler.stop().await;
    agent.stop().await;
    if tagged {
        world
            .docker
            .remove_image(&format!("{SEED_REPOSITORY}:latest"), None::<RemoveImageOptions>, None)
            .await
            .expect("remove the tag");
    }
}

/// Gives busybox the seed's name, if no image has it. Returns whether this test did it.
async fn tag_seed_image(world: &World) -> bool {
    if world.docker.inspect_image(&format!("{SEED_REPOSITORY}:latest")).await.is_ok() {
        return false;
    }
    let options = TagImageOptionsBuilder::default().repo(SEED_REPOSITORY).tag("latest").build();
    world.docker.tag_image("busybox:latest", Some(options)).await.expect("tag busybox");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_spread_over_the_agents() {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agents = [world.agent("a1").await, world.agent("a2").await, world.agent("a3").await];
    until("three agents", PATIENCE, || async {
        (world.mesh.agents().list().await.expect("list agents").len() == 3).then_some(())
    })
    .await;
    let script = Journal::write("start");
    world.apply("spread", &compose(&world, None, &labels(&[("scale", "6")]), &script)).await;
    world.run("spread").await;
    let run = world.history_of("spread", 1).await.remove(0);
    for agent in ["a1", "a2", "a3"] {
        let here = run.replicas.iter().filter(|it| it.agent.as_ref().is_some_and(|name| name.as_str() == agent));
        assert_eq!(here.count(), 2, "{run:#?}");
    }
    world.journal.assert_no_attempt_twice();
    assert_eq!(world.journal.with("start").len(), 6);
    scheduler.stop().await;
    for agent in agents {
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_container_is_tried_retry_count_plus_one_times() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let script = format!("{}; exit 3", Journal::write("start"));
    let labels = format!(
        "{}      tickmesh.retry_backoff: \"200ms,1,1s\"\n",
        labels(&[("scale", "2"), ("retry_count", "2"), ("remove_containers", "remove-all")])
    );
    world.apply("failing", &compose(&world, None, &labels, &script)).await;
    world.run("failing").await;
    let run = world.history_of("failing", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::failed(3));
    let mut attempts: Vec<_> = world.journal.with("start").iter().map(|line| (line.replica, line.attempt)).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]);
    world.containers_settle_at(0).await;
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_ticks_wait_and_the_next_is_dropped() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let script = format!("{}; while [ ! -e /journal/go ]; do sleep 0.1; done", Journal::write("start"));
    let compose = compose(&world, Some("* * * * * *"), &labels(&[("remove_containers", "remove-all")]), &script);
    world.apply("busy", &compose).await;
    let counters = world
        .ledger_when("busy", "two dropped ticks", |ledger| {
            assert!(ledger.queue.len() <= 3, "more wait than may: {:?}", ledger.queue);
            (ledger.counters.dropped >= 2).then_some(ledger.counters)
        })
        .await;
    assert_eq!((counters.started, counters.enqueued), (1, 3));
    assert_eq!(counters.decided, 4 + counters.dropped);
    let ticks = world.mesh.ticks().last(&app("busy")).await.expect("read ticks");
    let admissions: Vec<_> = ticks.iter().map(|entry| &entry.value.admission).take(5).collect();
    assert!(matches!(admissions[0], Admission::Start { run: 1 }), "{admissions:?}");
    for (waiting, admission) in (1..).zip(&admissions[1..4]) {
        assert_eq!(**admission, Admission::Enqueue { waiting });
    }
    assert!(matches!(admissions[4], Admission::Drop { .. }), "{admissions:?}");
    assert_eq!(world.containers().await.len(), 1, "one run at a time");
    std::fs::write(world.journal.folder().join("go"), "").expect("let the jobs end");
    world.history_of("busy", 4).await;
    world.journal.assert_no_attempt_twice();
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_keeps_the_last_ten_runs() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    world.apply("many", &compose(&world, None, &labels(&[("scale", "1")]), "exit 0")).await;
    for number in 1..=12 {
        let request = world.run("many").await;
        assert_eq!(world.verdict("many", request).await, Verdict::Started { run: number });
        until("the run in the history", PATIENCE, || async {
            let history = world.history("many").await;
            history.last().is_some_and(|run| run.run == number).then_some(())
        })
        .await;
    }
    let numbers: Vec<_> = world.history("many").await.iter().map(|run| run.run).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_removal_policy_leaves_what_it_should() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    // Replica 0 succeeds, replica 1 fails twice.
    let script = "[ $TICKMESH_REPLICA = 0 ]";
    let kept = [
        ("remove-finished", vec![(1, 1), (1, 2)]),
        ("remove-failed", vec![(0, 1)]),
        ("remove-all", vec![]),
        ("remove-none", vec![(0, 1), (1, 1), (1, 2)]),
    ];
    for (policy, expect) in kept {
        let labels = format!(
            "{}      tickmesh.retry_backoff: \"100ms\"\n",
            labels(&[("scale", "2"), ("retry_count", "1"), ("remove_containers", policy)])
        );
        world.apply(policy, &compose(&world, None, &labels, script)).await;
        world.run(policy).await;
        world.history_of(policy, 1).await;
        let found = until(&format!("what {policy} leaves"), PATIENCE, || async {
            let mut found: Vec<(u32, u32)> = world.containers().await.iter().map(replica_and_attempt).collect();
            found.sort_unstable();
            (found == expect).then_some(found)
        })
        .await;
        assert_eq!(found, expect);
        containers::remove_all(&world.docker, world.mesh_id).await;
        world.containers_settle_at(0).await;
    }
    scheduler.stop().await;
    agent.stop().await;
}

fn replica_and_attempt(container: &containers::Container) -> (u32, u32) {
    let number = |label: &str| container.labels[label].parse().expect("a number");
    (number("io.tickmesh.replica"), number("io.tickmesh.attempt"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_removed_and_comes_back_goes_on_counting() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    let begun = tokio::time::Instant::now();
    let compose = compose(&world, None, &labels(&[("scale", "1")]), &Journal::write("start"));
    for runs in [1, 2] {
        world.apply("phoenix", &compose).await;
        world.run("phoenix").await;
        world.history_of("phoenix", runs).await;
        world.remove("phoenix").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    let runs: BTreeSet<u64> = world.journal.with("start").iter().map(|line| line.run).collect();
    assert_eq!(runs, BTreeSet::from([1, 2]), "both really ran");
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_is_gone_before_the_next_begins() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    // Slow to stop: the next run must not begin while it is.
    let script = format!(
        "trap '{}; sleep 1; {}; exit 1' TERM; {}; while :; do sleep 0.1; done",
        Journal::write("stopping"),
        Journal::write("end"),
        Journal::write("start")
    );
    let labels = labels(&[("scale", "2"), ("remove_containers", "remove-all")]);
    world.apply("slow", &compose(&world, None, &labels, &script)).await;
    world.run("slow").await;
    let second = world.run("slow").await;
    assert_eq!(world.verdict("slow", second).await, Verdict::Enqueued { waiting: 1 });
    until("both replicas", PATIENCE, || async { (world.journal.with("start").len() == 2).then_some(()) }).await;
    world.command("slow", CommandKind::Cancel { run: Some(1), force: false }).await;
    let first = world.history_of("slow", 1).await.remove(0);
    assert_eq!(first.outcome, Outcome::Cancelled);
    until("the next run", PATIENCE, || async { (world.journal.with("start").len() == 4).then_some(()) }).await;
    let lines = world.journal.lines();
    let last_end = lines.iter().rposition(|line| line.run == 1 && line.word == "end").expect("the first run's end");
    let first_start = lines.iter().position(|line| line.run == 2).expect("the second run's start");
    assert!(last_end < first_start, "the second run began before the first was over: {lines:?}");
    world.command("slow", CommandKind::Cancel { run: None, force: false }).await;
    world.history_of("slow", 2).await;
    world.containers_settle_at(0).await;
    scheduler.stop().await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_meshes_on_one_engine_do_not_see_each_other() {
    let (left, right) = (World::new().await, World::new().await);
    let schedulers = [left.scheduler().await, right.scheduler().await];
    // The same names in both: only the mesh id tells them apart.
    let (left_agent, right_agent) = (left.agent("a1").await, right.agent("a1").await);
    let labels = labels(&[("scale", "1"), ("remove_containers", "remove-none")]);
    for world in [&left, &right] {
        world.apply("twin", &compose(world, None, &labels, &Journal::write("start"))).await;
        world.run("twin").await;
        world.history_of("twin", 1).await;
    }
    // A restarted agent adopts, and removes what it does not know: its own only.
    left_agent.stop().await;
    let left_agent = left.agent("a1").await;
    left.run("twin").await;
    left.history_of("twin", 2).await;
    assert_eq!(right.containers().await.len(), 1);
    assert_eq!(right.journal.with("start").len(), 1);
    assert_eq!(left.journal.with("start").len(), 2);
    left_agent.stop().await;
    right_agent.stop().await;
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}
