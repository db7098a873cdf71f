//! What containers write, from a real engine to the stream.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use std::{ops::Range, path::Path, time::Duration};

use futures_util::StreamExt as _;
use tickmesh_agent::{
    Config,
    engine::{ContainerEngine as _, Excerpt},
};
use tickmesh_core::{
    message::{AttemptEvent, LogBatch, LogExtent, LogGap, LogStream},
    outcome::LostReason,
};

use crate::world::{RunningAgent, World, agent, eventually, gated, script};

/// Output kept of one attempt in these tests: 75,000 bytes of its beginning, 25,000 of its end.
const CAP: usize = 100_000;
const HEAD: usize = 75_000;
const TAIL: usize = 25_000;
/// Quick containers; `make output` asks for more.
const QUICK: u32 = 120;
/// Of them, those which run at once.
const QUICK_AT_ONCE: u32 = 24;

async fn start_capped(world: &World, folder: &Path) -> RunningAgent {
    world.start_agent_with(Config { log_bytes_max: CAP, ..world.config_with_mount(folder) }).await
}

async fn when_complete(world: &World, replica: u32) -> Vec<LogBatch> {
    eventually("the last batch", async || {
        let batches = world.stored_output(replica).await;
        batches.last().is_some_and(|batch| batch.last).then_some(batches)
    })
    .await
}

async fn when_held_back(world: &World, replica: u32) {
    eventually("the head to be full", async || {
        world.stored_output(replica).await.last().is_some_and(|batch| batch.held_back).then_some(())
    })
    .await;
}

fn bytes_of(batches: &[LogBatch], stream: LogStream) -> Vec<u8> {
    let chunks = batches.iter().flat_map(|batch| &batch.chunks).filter(|chunk| chunk.stream == stream);
    chunks.flat_map(|chunk| chunk.output.bytes().unwrap()).collect()
}

fn stdout(batches: &[LogBatch]) -> String {
    String::from_utf8(bytes_of(batches, LogStream::Stdout)).unwrap()
}

/// Checks that the output is numbered lines of eleven bytes, with one gap in them, which is stated to the byte.
#[track_caller]
fn check_gap(batches: &[LogBatch], numbers: Range<u32>) {
    let whole: String = numbers.map(|number| format!("line {number}\n")).collect();
    let place = batches.iter().position(|batch| batch.gap.is_some()).expect("a gap");
    let (head, tail) = batches.split_at(place);
    let (head, tail) = (stdout(head), stdout(tail));
    assert!(head.len() <= HEAD && head.len() > HEAD - 20, "a head of {}", head.len());
    assert!(tail.len() <= TAIL && tail.len() > TAIL - 20, "a tail of {}", tail.len());
    assert!(whole.starts_with(&head) && whole.ends_with(&tail));
    let bytes = (whole.len() - head.len() - tail.len()) as u64;
    let gap = LogGap { bytes, lines: bytes / 11, extent: LogExtent::Exact };
    let told: Vec<_> = batches.iter().filter_map(|batch| batch.gap).collect();
    assert_eq!(told, [gap]);
    assert_eq!(batches.last().unwrap().dropped_bytes, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_much_output_head_and_tail_are_kept_and_the_gap_is_counted_to_the_byte() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start_capped(&world, folder.path()).await;
    world.order_start(0, script("seq 10000 29999 | sed 's/^/line /'")).await;
    assert!(matches!(world.end_of(0).await, AttemptEvent::Exited { exit_code: 0, .. }));
    check_gap(&when_complete(&world, 0).await, 10_000..30_000);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_process_knows_what_was_held_back() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let running = start_capped(&world, folder.path()).await;
    world
        .order_start(
            0,
            gated("up >&2; seq 10000 28999 | sed 's/^/line /'", &gate, "seq 29000 29999 | sed 's/^/line /'"),
        )
        .await;
    when_held_back(&world, 0).await;
    running.kill().await;
    let running = start_capped(&world, folder.path()).await;
    std::fs::write(&gate, "").unwrap();
    check_gap(&when_complete(&world, 0).await, 10_000..30_000);
    running.stop().await;
}

/// The agent is killed, its job writes on and ends, and the leader has long declared the attempt lost when the agent is back: what the
/// job wrote last says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_agent_process_stores_what_is_left_of_an_attempt_that_is_over() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    // One ends while the agent is away, the other runs still when it is back.
    world.order_start(0, gated("first", &gate, "echo last")).await;
    world.order_start(1, gated("first", &gate, "echo last; sleep 600")).await;
    for replica in [0, 1] {
        world.wait_for_output(replica, "first\n").await;
    }
    running.kill().await;
    std::fs::write(&gate, "").unwrap();
    for container in world.containers().await {
        eventually("its job to write on", async || {
            let written = world.engine.logs(&container.id, Excerpt::Stored { from: None });
            (written.count().await == 2).then_some(())
        })
        .await;
    }
    for replica in [0, 1] {
        let claim = world.mesh.results().last_of(&world.attempt(replica), &agent()).await.unwrap().unwrap();
        world.end(replica, claim.sequence, AttemptEvent::Lost { reason: LostReason::AgentSilent }).await;
    }
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    for replica in [0, 1] {
        assert_eq!(stdout(&when_complete(&world, replica).await), "first\nlast\n");
    }
    world.wait_for_no_containers().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_is_whole_although_its_end_was_held_back() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start_capped(&world, folder.path()).await;
    // More than the head may have, less than head and tail may.
    world.order_start(0, script("seq 10000 17999 | sed 's/^/line /'")).await;
    let batches = when_complete(&world, 0).await;
    assert!(batches.iter().any(|batch| batch.held_back));
    assert!(batches.iter().all(|batch| batch.gap.is_none()));
    assert_eq!(stdout(&batches), (10_000..18_000).map(|number| format!("line {number}\n")).collect::<String>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_gap_is_a_lower_bound_and_the_tail_is_the_end() {
    const LINES: u32 = 400_000;
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let running = start_capped(&world, folder.path()).await;
    world.order_start(0, script(&format!("seq 1 {LINES}"))).await;
    let batches = when_complete(&world, 0).await;
    let gap = batches.iter().find_map(|batch| batch.gap).unwrap();
    let whole: String = (1..=LINES).map(|number| format!("{number}\n")).collect();
    let output = stdout(&batches);
    assert_eq!(gap.extent, LogExtent::AtLeast);
    let left_out = (whole.len() - output.len()) as u64;
    assert!(gap.bytes <= left_out && gap.bytes > left_out / 8, "{gap:?} of {left_out}");
    assert!(whole.ends_with(&output[output.len() - 5_000..]), "the tail is the end");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_of_both_streams_is_stored() {
    let world = World::new().await;
    let running = world.start_agent().await;
    let octal = "for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7; do for k in 0 1 2 3 4 5 6 7; do printf \\\\$i$j$k; done; done; done";
    // A line of 300 kB comes in pieces that have one instant; the last line has no end.
    let long = "head -c 300000 /dev/zero | tr '\\000' x; printf '\\r\\n\\377\\376'";
    world.order_start(0, script(&format!("{octal} >&2; {octal}; {long}"))).await;
    let batches = when_complete(&world, 0).await;
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(bytes_of(&batches, LogStream::Stderr), all);
    let long = [&all[..], &[b'x'; 300_000], b"\r\n\xff\xfe"].concat();
    let found = bytes_of(&batches, LogStream::Stdout);
    let same = found.iter().zip(&long).take_while(|(found, written)| found == written).count();
    assert!(found == long, "{} bytes instead of {}, the first {same} as written", found.len(), long.len());
    running.stop().await;
}

/// What a quick container writes.
fn quick(replica: u32) -> (String, String) {
    (format!("{replica} begins\n{replica} ends without a newline"), format!("{replica} warns\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_containers_that_end_at_once_is_complete() {
    let count = std::env::var("TICKMESH_QUICK_CONTAINERS").map_or(QUICK, |count| count.parse().unwrap());
    let world = World::new().await;
    let running = world.start_agent_with(Config { slots: Some(QUICK_AT_ONCE), ..world.config() }).await;
    let mut next = 0;
    while next < count {
        let wave = next..(next + QUICK_AT_ONCE).min(count);
        for replica in wave.clone() {
            let (out, err) = quick(replica);
            world.order_start(replica, script(&format!("printf '{out}'; printf '{err}' >&2"))).await;
        }
        for replica in wave.clone() {
            assert!(matches!(world.end_of(replica).await, AttemptEvent::Exited { exit_code: 0, .. }));
            // Whoever asks right after the end finds all of it.
            let batches = world.stored_output(replica).await;
            let (out, err) = quick(replica);
            assert_eq!(stdout(&batches), out, "replica {replica}");
            assert_eq!(String::from_utf8(bytes_of(&batches, LogStream::Stderr)).unwrap(), err);
            assert!(batches.last().unwrap().last);
        }
        next = wave.end;
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_has_thrown_away_is_a_gap() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    // More than the two files that the engine keeps of an output.
    let much =
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 400000000; echo end";
    world.order_start(0, gated("begin", &gate, much)).await;
    world.wait_for_output(0, "begin").await;
    running.kill().await;
    std::fs::write(&gate, "").unwrap();
    let id = world.containers().await[0].id.clone();
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        tickmesh_agent::engine::ContainerEngine::wait(&world.engine, &id).await.unwrap()
    });
    assert_eq!(ended.await.expect("the container ends").code, 0);
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    let batches = when_complete(&world, 0).await;
    let gaps: Vec<_> = batches.iter().filter_map(|batch| batch.gap).collect();
    let unknown = LogGap { bytes: 0, lines: 0, extent: LogExtent::AtLeast };
    assert_eq!(gaps[0], unknown, "between what was stored and what the engine still has");
    let output = stdout(&batches);
    assert!(output.starts_with("begin\n"), "{:?}", &output[..100]);
    assert!(output.ends_with("end\n"), "{:?}", &output[output.len() - 100..]);
    running.stop().await;
}
