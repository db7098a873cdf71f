//! The whole agent, between a real NATS server and a real Docker engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod world;

use std::{collections::BTreeMap, time::Duration};

use bollard::query_parameters::{RemoveImageOptions, TagImageOptionsBuilder};
use jiff::Timestamp;
use tickmesh_agent::{
    Config, Error, Host,
    attempt::Terms,
    engine::{ContainerEngine, ContainerStatus},
    labels::{Owner, Tag},
};
use tickmesh_core::{
    end_notes::EndNotes,
    id::{AttemptId, Epoch, MeshId},
    ledger::Ledger,
    message::{AgentRecord, AttemptEvent, LogBytes, MachineId, OrderKind, Revoker, SCHEMA, StartOrder},
    outcome::LostReason,
    spec::{PullPolicy, RemoveContainers},
    timing::Timing,
};
use tickmesh_messaging::Cas;

use crate::world::{World, agent, eventually, gated, nonce, output_text, script};

#[track_caller]
fn check_exit(event: &AttemptEvent, code: i64) {
    match event {
        AttemptEvent::Exited { exit_code, .. } => assert_eq!(*exit_code, code),
        other => panic!("expected an exit: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_becomes_a_claim_a_container_an_end_and_nothing() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let echo =
        "echo $TICKMESH_APP/$TICKMESH_RUN $TICKMESH_SERVICE $TICKMESH_REPLICA of $TICKMESH_REPLICAS; echo err >&2";
    world.order_start(0, script(echo)).await;
    check_exit(&world.end_of(0).await, 0);
    // Whoever asks right after the end finds all output.
    let output = world.stored_output(0).await;
    let mut lines: Vec<_> = output.iter().flat_map(|batch| &batch.chunks).map(|chunk| &chunk.output).collect();
    lines.sort_by_key(|line| line.bytes());
    let expected = ["err\n", "nightly/1 s.1 0 of 3\n"].map(|line| LogBytes::Text(line.to_owned()));
    assert_eq!(lines, expected.iter().collect::<Vec<_>>());
    assert!(output.last().unwrap().last);
    world.wait_for_no_containers().await;
    world.wait_for_heartbeat("that nothing is held", |record| record.held.is_empty()).await;
    running.stop().await;
    let attempt = world.attempt(0);
    let reports = Box::pin(world.mesh.results().of_run(&attempt.app, attempt.token())).await.unwrap();
    assert_eq!(reports.len(), 2, "a claim and an end: {reports:?}");
}

/// The engine's flag concerns any process of the container: the first one may go on, and exit with 0.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_says_of_an_end_is_reported() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let mut hungry = script("head -c 60m /dev/zero | tail > /dev/null; sleep 1");
    hungry.container.memory_bytes = Some(8 * 1024 * 1024);
    world.order_start(0, hungry).await;
    let end = world.end_of(0).await;
    check_exit(&end, 0);
    assert_eq!(end.notes(), EndNotes { oom_killed: true, unhealthy: false });
    running.stop().await;
}

/// Whoever may write orders could make an agent refuse those of every leader, if it believed what an order says of its tenure.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_no_tenure_is_refused_and_others_are_taken() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let forged = |replica| world.order_of(Epoch(u64::MAX), replica, OrderKind::Start(Box::new(script("exit 0"))));
    forged(0).await;
    world.order_start(1, script("exit 0")).await;
    check_exit(&world.end_of(1).await, 0);
    forged(2).await;
    world.order_start(3, script("exit 0")).await;
    check_exit(&world.end_of(3).await, 0);
    world.wait_for_no_containers().await;
    running.stop().await;
    let attempt = world.attempt(0);
    let reports = Box::pin(world.mesh.results().of_run(&attempt.app, attempt.token())).await.unwrap();
    assert_eq!(reports.len(), 4, "claims and ends of two replicas: {reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_of_a_failed_attempt_is_kept_until_its_app_is_unknown() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, script("exit 3")).await;
    check_exit(&world.end_of(0).await, 3);
    world.wait_for_heartbeat("that nothing is held", |record| record.results_seen >= 2 && record.held.is_empty()).await;
    assert_eq!(world.containers().await.len(), 1, "the default policy removes what succeeded");
    running.stop().await;
    // A new process adopts nothing of it; when it looks at the history it finds no ledger of the app.
    let running = world.start_agent_with(looking_often(&world)).await;
    world.wait_for_no_containers().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_running_container_as_cancelled() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    world.wait_for_heartbeat("the attempt", |record| record.held.contains(&world.attempt(0))).await;
    world.order_stop(0).await;
    assert_eq!(world.end_of(0).await, AttemptEvent::Cancelled { exit_code: Some(143) });
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_runs_too_long_is_stopped_and_has_timed_out() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let limited = |script_text, limit| StartOrder { attempt_timeout: Some(limit), ..script(script_text) };
    let limit = Duration::from_secs(1);
    world.order_start(0, limited("echo up; exec sleep 600", limit)).await;
    // One that does not obey is killed after its grace.
    let mut stubborn = limited("trap '' TERM; while :; do sleep 0.1; done", limit);
    stubborn.container.stop_grace = Duration::from_secs(1);
    world.order_start(1, stubborn).await;
    world.order_start(2, limited("exit 0", Duration::from_secs(600))).await;
    assert_eq!(world.end_of(0).await, AttemptEvent::TimedOut { exit_code: Some(143), notes: EndNotes::default() });
    assert_eq!(world.end_of(1).await, AttemptEvent::TimedOut { exit_code: Some(137), notes: EndNotes::default() });
    check_exit(&world.end_of(2).await, 0);
    assert_eq!(output_text(&world.stored_output(0).await), "up\n", "it did run");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_container_goes_on_while_no_agent_is_there() {
    // An agent that counted it anew would need this long once more, and takes much less to begin.
    const LIMIT: Duration = Duration::from_secs(5);
    let world = World::new().await;
    let order = StartOrder { attempt_timeout: Some(LIMIT), ..script("exec sleep 600") };
    let terms = Terms { remove_containers: RemoveContainers::RemoveNone, ..Terms::of(&order) };
    let tag = Tag { terms, ..adopted_tag(&world, 0).await };
    let name = world.mesh.names().container(&tag.attempt);
    let id = world.create(&world.owner(), &name, &tag, &order).await;
    world.engine.start(&id).await.unwrap();
    eventually("its time to be up", async || (world.engine.running_for(&id).await.unwrap() >= LIMIT).then_some(()))
        .await;
    assert_eq!(world.containers().await[0].status, ContainerStatus::Running, "nobody is there to stop it");
    let running = world.start_agent().await;
    assert_eq!(world.end_of(0).await, AttemptEvent::TimedOut { exit_code: Some(143), notes: EndNotes::default() });
    let exit = world.engine.wait(&id).await.unwrap();
    let ran = exit.finished_at.unwrap().duration_since(exit.started_at.unwrap());
    assert!(ran.unsigned_abs() < LIMIT * 2, "it ran for {ran:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_comes_first_cancels_the_start() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_stop(0).await;
    assert_eq!(world.end_of(0).await, AttemptEvent::Cancelled { exit_code: None });
    world.order_start(0, script("true")).await;
    // The start that follows is for another attempt: once that has run, the first was ignored for good.
    world.order_start(1, script("true")).await;
    check_exit(&world.end_of(1).await, 0);
    assert_eq!(world.end_of(0).await, AttemptEvent::Cancelled { exit_code: None });
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_often_runs_one_container() {
    let world = World::new().await;
    let running = world.start_agent().await;
    for _ in 0..3 {
        world.order_start(0, script("echo ran")).await;
    }
    check_exit(&world.end_of(0).await, 0);
    world.order_start(0, script("echo ran")).await;
    world.order_start(1, script("true")).await;
    check_exit(&world.end_of(1).await, 0);
    assert_eq!(output_text(&world.stored_output(0).await), "ran\n");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_says_why_and_leaves_nothing() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let mut order = script("true");
    order.remove_containers = RemoveContainers::RemoveNone;
    order.container.user = Some("nobody-of-that-name".to_owned());
    world.order_start(0, order).await;
    match world.end_of(0).await {
        AttemptEvent::CouldNotStart { permanent: false, reason } => {
            assert!(reason.contains("nobody-of-that-name"), "{reason}");
        }
        other => panic!("expected a refusal: {other:?}"),
    }
    let mut order = script("true");
    order.container.image = "tickmesh.invalid/no-such-image:1".to_owned();
    world.order_start(1, order).await;
    assert!(matches!(world.end_of(1).await, AttemptEvent::CouldNotStart { permanent: false, .. }));
    world.wait_for_no_containers().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_removed_by_hand_is_lost() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    world.engine.remove(&world.containers().await[0].id).await.unwrap();
    assert_eq!(world.end_of(0).await, AttemptEvent::Lost { reason: LostReason::ContainerRemoved });
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_agent_revokes() {
    let world = World::new().await;
    let running = world.start_agent_with(Config { slots: Some(1), ..world.config() }).await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    world.order_start(1, script("true")).await;
    assert!(matches!(world.end_of(1).await, AttemptEvent::Revoked { by: Revoker::Agent, .. }));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_drain_on_the_key_is_obeyed_and_outlives_the_process() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.wait_for_heartbeat("life", |_| true).await;
    eventually("the wish to be written", async || {
        let entry = world.mesh.agents().read(agent().as_str()).await.unwrap().unwrap();
        let mut record = entry.value;
        record.draining = true;
        let written = world.mesh.agents().compare_and_set(agent().as_str(), &record, entry.sequence).await.unwrap();
        matches!(written, Cas::Stored { .. }).then_some(record.number)
    })
    .await;
    world.order_start(0, script("true")).await;
    // Whether the order or the wish came first is open: the second order comes after the agent has shown the wish itself.
    let seen = world.wait_for_heartbeat("draining", |record| record.draining).await.number;
    world.wait_for_heartbeat("draining, of its own", |record| record.draining && record.number > seen).await;
    world.order_start(1, script("true")).await;
    assert!(matches!(world.end_of(1).await, AttemptEvent::Revoked { by: Revoker::Agent, .. }));
    running.stop().await;
    let running = world.start_agent().await;
    world.wait_for_heartbeat("a new life, draining", |record| !record.stopped && record.draining).await;
    world.order_start(2, script("true")).await;
    assert!(matches!(world.end_of(2).await, AttemptEvent::Revoked { by: Revoker::Agent, .. }));
    running.stop().await;
}

/// Runs a gated script, lets `leave` end the agent in the middle, opens the gate and starts the next agent.
async fn check_succession(leave: impl AsyncFn(world::RunningAgent)) {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let config = || world.config_with_mount(folder.path());
    let running = world.start_agent_with(config()).await;
    world.order_start(0, gated("before", &gate, "echo after; exit 7")).await;
    world.wait_for_output(0, "before").await;
    let first = world.wait_for_heartbeat("the attempt", |record| record.held.contains(&world.attempt(0))).await.process;
    leave(running).await;
    assert_eq!(world.containers().await[0].status, ContainerStatus::Running, "containers outlive their agent");
    let running = world.start_agent_with(config()).await;
    let heartbeat = world.wait_for_heartbeat("the next process", |record| record.process != first).await;
    assert!(heartbeat.held.contains(&world.attempt(0)), "its first heartbeat shows what it adopted");
    std::fs::write(&gate, "").unwrap();
    check_exit(&world.end_of(0).await, 7);
    assert_eq!(output_text(&world.stored_output(0).await), "before\nafter\n");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_watches_what_a_stopped_one_left() {
    check_succession(async |running| running.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_watches_what_a_killed_one_left() {
    check_succession(async |running| running.kill().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_says_so_and_holds_what_runs() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    running.stop().await;
    let farewell = world.wait_for_heartbeat("the farewell", |record| record.stopped).await;
    assert!(farewell.held.contains(&world.attempt(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_without_an_agent_is_reported_and_not_run_again() {
    let world = World::new().await;
    let order = script("echo ran; exit 5");
    let tag = adopted_tag(&world, 0).await;
    let name = world.mesh.names().container(&tag.attempt);
    let id = world.create(&world.owner(), &name, &tag, &order).await;
    world.engine.start(&id).await.unwrap();
    world.engine.wait(&id).await.unwrap();
    let running = world.start_agent().await;
    check_exit(&world.end_of(0).await, 5);
    assert_eq!(output_text(&world.stored_output(0).await), "ran\n");
    running.stop().await;
}

async fn adopted_tag(world: &World, replica: u32) -> Tag {
    let nonce = nonce();
    let claim_sequence = world.claim(replica, nonce).await;
    let terms = Terms { remove_containers: RemoveContainers::RemoveNone, ..Terms::of(&script("true")) };
    Tag { attempt: world.attempt(replica), nonce, claim_sequence, terms }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_created_container_is_removed_and_lost() {
    let world = World::new().await;
    let tag = adopted_tag(&world, 0).await;
    let name = world.mesh.names().container(&tag.attempt);
    world.create(&world.owner(), &name, &tag, &script("true")).await;
    let running = world.start_agent().await;
    assert_eq!(world.end_of(0).await, AttemptEvent::Lost { reason: LostReason::NotStarted });
    assert!(world.containers().await.is_empty(), "it is removed before the loss is told");
    running.stop().await;
}

fn looking_often(world: &World) -> Config {
    Config { clean_interval: Duration::from_millis(50), ..world.config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_shows_up_after_the_end_of_its_attempt_goes() {
    let world = World::new().await;
    let running = world.start_agent_with(looking_often(&world)).await;
    world.wait_for_heartbeat("life", |_| true).await;
    let create = async |tag: &Tag| {
        let name = world.mesh.names().container(&tag.attempt);
        world.create(&world.owner(), &name, tag, &script("true")).await
    };
    let lost = AttemptEvent::Lost { reason: LostReason::NotHeld };
    // The leader has not ended this one yet, and the agent does not do it in its stead.
    let open = adopted_tag(&world, 0).await;
    let open_container = create(&open).await;
    let ended = adopted_tag(&world, 1).await;
    world.end(1, ended.claim_sequence, lost.clone()).await;
    create(&ended).await;
    let other_nonce = Tag { nonce: nonce(), ..adopted_tag(&world, 2).await };
    create(&other_nonce).await;
    eventually("the strays to go", async || (world.containers().await.len() == 1).then_some(())).await;
    assert_eq!(world.containers().await[0].id, open_container);
    world.end(0, open.claim_sequence, lost).await;
    world.wait_for_no_containers().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_read_keeps_only_the_containers_of_its_app() {
    let world = World::new().await;
    let unreadable = |replica| AttemptId { app: "broken".parse().unwrap(), ..world.attempt(replica) };
    let ledger = Ledger { schema: SCHEMA + 1, ..Ledger::new(1, Timestamp::UNIX_EPOCH) };
    let stored = world.mesh.ledgers().compare_and_set("broken", &ledger, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    let mut containers = Vec::new();
    // Whatever the order of the engine's list: one of the two comes first.
    for attempt in [unreadable(0), world.attempt(1), unreadable(2)] {
        let terms = Terms { remove_containers: RemoveContainers::RemoveNone, ..Terms::of(&script("true")) };
        let name = world.mesh.names().container(&attempt);
        let tag = Tag { attempt, nonce: nonce(), claim_sequence: 1, terms };
        let id = world.create(&world.owner(), &name, &tag, &script("true")).await;
        world.engine.start(&id).await.unwrap();
        world.engine.wait(&id).await.unwrap();
        containers.push(id);
    }
    let running = world.start_agent_with(looking_often(&world)).await;
    eventually("the other app's container to go", async || {
        let left = world.containers().await;
        (!left.iter().any(|view| view.id == containers[1])).then_some(())
    })
    .await;
    assert_eq!(world.containers().await.len(), 2);
    running.stop().await;
}

fn docker(arguments: &[&str]) -> String {
    let done = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(done.status.success(), "docker {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_of_others_are_left_alone() {
    let world = World::new().await;
    let order = script("true");
    let attempt = |replica| {
        let terms = Terms { remove_containers: RemoveContainers::RemoveAll, ..Terms::of(&order) };
        Tag { attempt: world.attempt(replica), nonce: nonce(), claim_sequence: 1, terms }
    };
    let container_name = |replica| world.mesh.names().container(&world.attempt(replica));
    // Of another agent, and with our labels but not our name: somebody runs an image made of a container of ours.
    let other_agent = Owner { agent: "host-2".parse().unwrap(), ..world.owner() };
    world.create(&other_agent, &container_name(0), &attempt(0), &order).await;
    let own = world.create(&world.owner(), &container_name(1), &attempt(1), &order).await;
    let image = docker(&["commit", &own.0]);
    world.engine.remove(&own).await.unwrap();
    docker(&["create", "--name", &format!("debug-{}", world.mesh_id), &image]);
    // Of another mesh, whose containers this world does not list: kept by a label of its own.
    let mut foreign_order = order.clone();
    foreign_order.container.labels = BTreeMap::from([("io.tickmesh.test".to_owned(), world.mesh_id.to_string())]);
    let other_mesh = Owner { mesh: MeshId::from_random(rand::random()), ..world.owner() };
    let foreign = world.create(&other_mesh, &container_name(2), &attempt(2), &foreign_order).await;
    // Ours, without any claim: when it is gone, the agent has looked at all of them.
    world.create(&world.owner(), &container_name(3), &attempt(3), &order).await;
    let running = world.start_agent_with(looking_often(&world)).await;
    eventually("our own container to go", async || (world.containers().await.len() == 2).then_some(())).await;
    running.stop().await;
    let left = world.engine.inspect(&foreign).await;
    world.engine.remove(&foreign).await.unwrap();
    assert_eq!(left.unwrap().status, ContainerStatus::Created);
    assert_eq!(world.containers().await.len(), 2);
    drop(world);
    docker(&["rmi", "-f", &image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_name_is_taken_removes_its_own_containers_and_ends() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    eventually("the name to be taken", async || {
        let entry = world.mesh.agents().read(agent().as_str()).await.unwrap().unwrap();
        let mut record = entry.value;
        record.process = nonce();
        record.machine = MachineId("machine-2".to_owned());
        let taken = world.mesh.agents().compare_and_set(agent().as_str(), &record, entry.sequence).await.unwrap();
        matches!(taken, Cas::Stored { .. }).then_some(())
    })
    .await;
    assert!(matches!(running.end().await, Err(Error::Deposed { .. })));
    assert!(world.containers().await.is_empty());
    assert_eq!(world.end_of(0).await, AttemptEvent::Lost { reason: LostReason::ContainerRemoved });
}

fn on_machine_2(config: Config) -> Config {
    let host = Host { machine: MachineId("machine-2".to_owned()), ..config.host.clone() };
    Config { host, ..config }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_lives_on_another_machine_is_refused() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.wait_for_heartbeat("life", |_| true).await;
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Config { lock_dir: folder.path().to_owned(), ..on_machine_2(world.config()) };
    let second = world.start_agent_with(elsewhere).await;
    assert!(matches!(second.end().await, Err(Error::NameInUse { .. })));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_on_another_machine_is_free_once_it_is_lost_or_was_left() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let first = world.wait_for_heartbeat("life", |_| true).await;
    running.kill().await;
    let begun = std::time::Instant::now();
    let second = world.start_agent_with(on_machine_2(world.config())).await;
    let machine = MachineId("machine-2".to_owned());
    world.wait_for_heartbeat("the second machine", |record| record.machine.is_same_as(&machine)).await;
    assert!(begun.elapsed() >= world.config().timing.lost, "it waited: {:?}", begun.elapsed());
    second.stop().await;
    world.wait_for_heartbeat("the second machine's farewell", |record| record.stopped).await;
    // A third one that waited for the second to be lost would not be seen by this test any more.
    let timing = Timing { lost: Duration::from_secs(3_600), ..world.config().timing };
    let third = world.start_agent_with(Config { timing, ..world.config() }).await;
    let is_back = |record: &AgentRecord| record.machine.is_same_as(&first.machine) && !record.stopped;
    world.wait_for_heartbeat("the first machine", is_back).await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_of_one_name_cannot_run_on_one_host() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.wait_for_heartbeat("life", |_| true).await;
    let second = world.start_agent().await;
    assert!(matches!(second.end().await, Err(Error::Host { .. })));
    // As of another user, who has files of his own.
    let folder = tempfile::tempdir().unwrap();
    let lock_dir = folder.path().to_owned();
    let third = world.start_agent_with(Config { lock_dir, ..world.config() }).await;
    assert!(third.end().await.unwrap_err().is_name_taken());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_waits_for_nats_to_come_back() {
    let mut world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    world.order_start(0, gated("up", &gate, "echo done; exit 4")).await;
    world.wait_for_output(0, "up").await;
    world.server.kill();
    std::fs::write(&gate, "").unwrap();
    let id = world.containers().await[0].id.clone();
    assert_eq!(world.engine.wait(&id).await.unwrap().code, 4);
    world.server.restart();
    check_exit(&world.end_of(0).await, 4);
    eventually("the output to be complete", async || {
        (output_text(&world.stored_output(0).await) == "up\ndone\n").then_some(())
    })
    .await;
    running.stop().await;
}

/// A name for the image of these tests at a registry where nobody listens. Dropped, the engine forgets it.
struct Nickname {
    docker: bollard::Docker,
    name: String,
}

impl Nickname {
    async fn new() -> Self {
        let docker = bollard::Docker::connect_with_defaults().unwrap();
        let repository = format!("127.0.0.1:1/tickmesh-test-{}", uuid::Uuid::now_v7());
        let options = TagImageOptionsBuilder::default().repo(&repository).tag("1").build();
        docker.tag_image("busybox:latest", Some(options)).await.unwrap();
        Self { docker, name: format!("{repository}:1") }
    }

    async fn forget(self) {
        self.docker.remove_image(&self.name, None::<RemoveImageOptions>, None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_as_its_policy_says() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let image = Nickname::new().await;
    let order = |image: &str, pull_policy| {
        let mut order = script("exit 4");
        (order.container.image, order.container.pull_policy) = (image.to_owned(), pull_policy);
        order
    };
    world.order_start(0, order(&image.name, PullPolicy::Missing)).await;
    world.order_start(1, order(&image.name, PullPolicy::Never)).await;
    world.order_start(2, order(&image.name, PullPolicy::Always)).await;
    world.order_start(3, order("127.0.0.1:1/tickmesh-test-none:1", PullPolicy::Never)).await;
    check_exit(&world.end_of(0).await, 4);
    check_exit(&world.end_of(1).await, 4);
    let pulled = world.end_of(2).await;
    assert!(matches!(&pulled, AttemptEvent::CouldNotStart { reason, .. } if reason.contains("pull")), "{pulled:?}");
    let refused = world.end_of(3).await;
    let why = "the host does not have image `127.0.0.1:1/tickmesh-test-none:1`, and `pull_policy` is `never`";
    assert!(matches!(&refused, AttemptEvent::CouldNotStart { reason, .. } if reason == why), "{refused:?}");
    running.stop().await;
    image.forget().await;
}
