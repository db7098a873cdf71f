//! Output, from a container of a whole mesh to whoever follows: the same bytes live and stored, and a job that writes without end
//! disturbs nobody. `make output` writes 1 GiB.

use std::{
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt};
use tickmesh_core::{
    message::{LogBatch, LogExtent, LogStream},
    outcome::Outcome,
};
use tickmesh_messaging::LogFilter;
use tickmesh_tests::{
    World,
    children::{Agent, Child},
    until,
    world::{PATIENCE, app, timing},
};

/// What the chatty job writes, unless `TICKMESH_OUTPUT_MIB` says otherwise.
const MIB: u64 = 64;
/// A resident set may grow by that much: a batch, the engine client's buffers and a tail of 1 MiB, and what the allocator makes of them.
const GROWTH_KIB_MAX: u64 = 24 * 1024;
/// A heartbeat may be late by this many periods on a machine that is as busy as that job makes it.
const PERIODS_LATE_MAX: u32 = 5;

/// A tick of the other job may be late by that much, on that machine.
const TICK_LATE_MAX: Duration = Duration::from_secs(1);
/// What it writes, again and again.
const LINE: &str = "0123456789012345678901234567890123456789012345678901234567890123456789012345678";

fn fleet() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fleet"))
}

/// An app of one service that runs a script, `scale` times.
fn compose(labels: &str, script: &str, scale: u32) -> String {
    let script = script.replace('$', "$$").replace('\'', "''");
    format!(
        "labels: {{{labels}}}\nservices:\n  s1:\n    image: busybox\n    network_mode: none\n    labels: \
         {{tickmesh.scale: \"{scale}\", tickmesh.remove_containers: remove-all}}\n    entrypoint: [sh, -c]\n    \
         command: ['{script}']\n"
    )
}

async fn stored(world: &World, name: &str) -> Vec<LogBatch> {
    let batches = world.mesh.logs().read(LogFilter::of_app(app(name))).await.expect("read the output");
    batches.try_collect().await.expect("read the output to its end")
}

/// Waits for the last batches of that many attempts.
async fn complete(world: &World, name: &str, attempts: usize) -> Vec<LogBatch> {
    until("the last batches", PATIENCE, || async {
        let batches = stored(world, name).await;
        (batches.iter().filter(|batch| batch.last).count() == attempts).then_some(batches)
    })
    .await
}

fn bytes_of(batches: &[LogBatch], replica: u32, stream: LogStream) -> Vec<u8> {
    let chunks = batches.iter().filter(|batch| batch.attempt.replica == replica).flat_map(|batch| &batch.chunks);
    chunks.filter(|chunk| chunk.stream == stream).flat_map(|chunk| chunk.output.bytes().expect("bytes")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_live_is_what_is_stored_and_what_was_written() {
    let world = World::new().await;
    let (scheduler, agent) = (world.scheduler().await, world.agent("a1").await);
    // As any monitor does, without JetStream.
    let monitor = async_nats::connect(world.server.url()).await.expect("connect a monitor");
    let mut live = monitor.subscribe("test.log.>").await.expect("subscribe to output");
    monitor.flush().await.expect("the subscription is known");
    let script = "i=0; while [ $i -lt 200 ]; do echo $TICKMESH_REPLICA out $i; echo $TICKMESH_REPLICA err $i >&2; i=$((i+1)); done; \
                  printf '\\377\\000end'";
    world.apply("chatty", &compose("tickmesh.project_type: batch", script, 3)).await;
    world.run("chatty").await;
    world.history_of("chatty", 1).await;
    let stored = complete(&world, "chatty", 3).await;
    let mut seen: Vec<LogBatch> = Vec::new();
    while seen.len() < stored.len() {
        let message = tokio::time::timeout(PATIENCE, live.next()).await.expect("live output").expect("it goes on");
        seen.push(serde_json::from_slice(&message.payload).expect("a batch"));
    }
    assert_eq!(seen, stored, "live and stored are the same, in the same order");
    for replica in 0..3 {
        let lines = |word| (0..200).map(|i| format!("{replica} {word} {i}\n")).collect::<String>().into_bytes();
        assert_eq!(bytes_of(&stored, replica, LogStream::Stdout), [lines("out"), b"\xff\x00end".to_vec()].concat());
        assert_eq!(bytes_of(&stored, replica, LogStream::Stderr), lines("err"));
    }
    scheduler.stop().await;
    agent.stop().await;
}

/// Resident memory of a process, in KiB.
fn resident_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("read the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// What is seen of an agent while a job writes.
#[derive(Debug, Default)]
struct Watched {
    resident_kib_max: u64,
    heartbeats: u32,
    pause_max: Duration,
    last_beat: Option<(u64, Instant)>,
}

impl Watched {
    fn look(&mut self, resident_kib: u64, revision: u64) {
        self.resident_kib_max = self.resident_kib_max.max(resident_kib);
        match self.last_beat {
            Some((last, _)) if last == revision => return,
            Some((_, at)) => {
                self.heartbeats += 1;
                self.pause_max = self.pause_max.max(at.elapsed());
            }
            None => {}
        }
        self.last_beat = Some((revision, Instant::now()));
    }
}

/// Looks at an agent's memory and heartbeats until the output of an app is complete.
async fn watch(world: &World, agent: &Child, name: &str) -> Watched {
    let watched = Mutex::new(Watched::default());
    until("the end of the output", PATIENCE * 3, || async {
        let entry = world.mesh.agents().read("a1").await.expect("read the agent").expect("it is known");
        watched.lock().expect("nobody panicked").look(resident_kib(agent), entry.sequence);
        let (logs, filter) = (world.mesh.logs(), LogFilter::of_app(app(name)));
        let last = logs.last_sequence(&filter).await.expect("read the end of the output");
        let mut batches = logs.read_after(filter, last.saturating_sub(1)).await.expect("read the last batch");
        let batch = batches.next().await.transpose().expect("read the last batch");
        batch.is_some_and(|(_, batch)| batch.last).then_some(())
    })
    .await;
    let mut watched = watched.into_inner().expect("nobody panicked");
    // The pause that is under way counts as well: else an agent without heartbeats would have none.
    let since = watched.last_beat.map_or(PATIENCE, |(_, at)| at.elapsed());
    watched.pause_max = watched.pause_max.max(since);
    watched
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_writes_without_end_disturbs_nobody() {
    let mib = std::env::var("TICKMESH_OUTPUT_MIB").map_or(MIB, |mib| mib.parse().expect("a number"));
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agent = Agent::new("a1").start(fleet(), &world);
    world.wait_for_agent("a1").await;
    // Warm: what the agent needs for any attempt is not the chatty one's.
    let chatty = |mib: u64| format!("yes {LINE} | head -c {}; echo end", mib << 20);
    world.apply("warm", &compose("tickmesh.project_type: batch", &chatty(8), 1)).await;
    world.run("warm").await;
    complete(&world, "warm", 1).await;
    let before = resident_kib(&agent);

    world
        .apply("ticking", &compose("tickmesh.schedule: \"* * * * * *\", tickmesh.misfire: latest", "echo tick", 1))
        .await;
    world.apply("chatty", &compose("tickmesh.project_type: batch", &chatty(mib), 1)).await;
    world.run("chatty").await;
    let begun = Instant::now();
    let watched = watch(&world, &agent, "chatty").await;
    let took = begun.elapsed();
    let ticks = world.mesh.ticks().last(&app("ticking")).await.expect("read the ticks");
    let late =
        ticks.iter().map(|tick| tick.at.duration_since(tick.value.scheduled_at).unsigned_abs()).max().expect("a tick");
    let runs = world.history("ticking").await;
    let runs_ended = runs.last().expect("a run of the other job ended meanwhile").run;
    println!(
        "{mib} MiB in {took:?}: resident {before} KiB before, {watched:?}; of the other job {runs_ended} runs, the last ticks \
         {late:?} late at most"
    );
    let growth = watched.resident_kib_max.saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "the agent grew by {growth} KiB: {watched:?}");
    assert!(watched.heartbeats > 0 && watched.pause_max < timing().heartbeat * PERIODS_LATE_MAX, "{watched:?}");
    assert!(late < TICK_LATE_MAX, "a tick was decided {late:?} late");
    assert!(runs.iter().all(|run| run.outcome == Outcome::Succeeded), "{runs:#?}");
    let batches = stored(&world, "chatty").await;
    let output = bytes_of(&batches, 0, LogStream::Stdout);
    assert!(output.len() <= 4 << 20 && output.len() > 3 << 20, "{} bytes are kept", output.len());
    assert!(output.starts_with(b"0123456789") && output.ends_with(b"end\n"));
    let gap = batches.iter().find_map(|batch| batch.gap).expect("a gap");
    let left_out = (mib << 20) + 4 - output.len() as u64;
    match gap.extent {
        LogExtent::Exact => assert_eq!(gap.bytes, left_out),
        LogExtent::AtLeast => assert!(gap.bytes >= 8_000_000 && gap.bytes <= left_out, "{gap:?} of {left_out}"),
    }
    world.remove("ticking").await;
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
}
