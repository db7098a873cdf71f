//! An agent and its guard, as processes: who starts, replaces and ends whom.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tickmesh_agent::{
    engine::{ContainerEngine as _, docker::Docker as DockerEngine},
    guard_process,
};
use tickmesh_core::{id::Nonce, name::AgentName, outcome::Outcome};
use tickmesh_tests::{
    Child, World,
    children::{Agent, guards, signal_guard},
    until,
    world::PATIENCE,
};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
const AGENT: &str = "host-1";

const JOB: &str = "\
labels:
  aliyun.project_type: batch
services:
  s1:
    image: busybox
    network_mode: none
    command: 'true'
";

async fn start_agent(world: &World) -> Child {
    let agent = Agent::new(AGENT).start(Path::new(FLEET), world);
    world.wait_for_agent(AGENT).await;
    agent
}

/// Which process of the agent sent the last heartbeat.
async fn process(world: &World) -> Option<Nonce> {
    let key = world.mesh.agents().read(AGENT).await.expect("read the agent");
    key.map(|entry| entry.value.process)
}

/// Waits for a guard that is none of those.
async fn guard_other_than(world: &World, before: &[Pid]) -> Pid {
    until("another guard", PATIENCE, || async {
        let guards = guards(world, AGENT);
        guards.iter().find(|guard| !before.contains(guard)).copied().filter(|_| guards.len() == 1)
    })
    .await
}

async fn no_guard(world: &World, patience: Duration) {
    until("the end of the guard", patience, || async { guards(world, AGENT).is_empty().then_some(()) }).await;
}

/// The agent still does its work.
async fn check_runs(world: &World, runs: usize) {
    world.run("job").await;
    let history = world.history_of("job", runs).await;
    assert_eq!(history[runs - 1].outcome, Outcome::Succeeded);
}

/// Something happens to the guard, and the agent replaces it.
async fn check_replaced(signal: Signal) {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agent = start_agent(&world).await;
    world.apply("job", JOB).await;
    check_runs(&world, 1).await;
    let before = guards(&world, AGENT);
    signal_guard(&world, AGENT, signal);
    guard_other_than(&world, &before).await;
    check_runs(&world, 2).await;
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_killed_is_replaced() {
    check_replaced(Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_stands_still_is_replaced() {
    check_replaced(Signal::STOP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_withstands_what_stops_its_agent_and_serves_the_next_one() {
    let world = World::new().await;
    let agent = start_agent(&world).await;
    let (process, before) = (process(&world).await, guards(&world, AGENT));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        signal_guard(&world, AGENT, signal);
    }
    agent.kill();
    let agent = start_agent(&world).await;
    // Whoever had to start a guard would have done so before its first heartbeat.
    until("a heartbeat of the second process", PATIENCE, || async {
        (self::process(&world).await != process).then_some(())
    })
    .await;
    assert_eq!(guards(&world, AGENT), before);
    agent.terminate(PATIENCE).await;
}

/// What the guard left says that a deadline has passed, and there is nothing to end: the next guard would have nothing to stay for.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_guard_died_too_has_one_again_however_long_after() {
    let world = World::new().await;
    let agent = start_agent(&world).await;
    let before = process(&world).await;
    agent.kill();
    signal_guard(&world, AGENT, Signal::KILL);
    tokio::time::sleep(world.timing.fence + Duration::from_millis(100)).await;
    let agent = start_agent(&world).await;
    until("a heartbeat of the next process", Duration::from_secs(5), || async {
        (process(&world).await != before).then_some(())
    })
    .await;
    agent.terminate(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_with_nothing_to_guard_takes_its_guard_along() {
    let world = World::new().await;
    let agent = start_agent(&world).await;
    assert_eq!(guards(&world, AGENT).len(), 1);
    agent.terminate(PATIENCE).await;
    // Long before its deadline.
    no_guard(&world, world.timing.fence / 4).await;
    let left = std::fs::read_dir(world.folder.path()).expect("list the folder").flatten();
    let left: Vec<_> =
        left.map(|entry| entry.file_name()).filter(|name| name.display().to_string().ends_with("guard")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_nobody_comes_back_for_ends_by_itself() {
    let world = World::new().await;
    start_agent(&world).await.kill();
    assert_eq!(guards(&world, AGENT).len(), 1);
    no_guard(&world, PATIENCE).await;
}

/// What the guard of the agent is started with.
async fn settings(world: &World, fence: Duration) -> String {
    let host = tickmesh_agent::Host::this().expect("read the host");
    let settings = guard_process::Settings {
        owner: tickmesh_agent::labels::Owner {
            mesh: world.mesh_id,
            namespace: world.namespace().clone(),
            agent: AgentName::new(AGENT).expect("an agent name"),
        },
        fence,
        boot: host.boot,
        engine: DockerEngine::connect().await.expect("connect").describe().await.expect("describe").id,
        folder: world.folder.path().to_owned(),
    };
    serde_json::to_string(&settings).expect("settings are JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_with_other_settings_makes_room() {
    let world = World::new().await;
    let settings = settings(&world, world.timing.fence * 2).await;
    let mut old = Command::new(FLEET).arg("guard").arg(settings).spawn().expect("start a guard");
    let old_pid = Pid::from_child(&old);
    until("a guard that listens", PATIENCE, || async {
        let mut folders = std::fs::read_dir(world.folder.path()).expect("list the folder").flatten();
        folders.any(|folder| folder.path().join("socket").exists()).then_some(())
    })
    .await;
    let agent = start_agent(&world).await;
    guard_other_than(&world, &[old_pid]).await;
    agent.terminate(PATIENCE).await;
    // It has ended; a test that failed before this leaves it to its own end.
    let _ = kill_process(old_pid, Signal::KILL);
    old.wait().expect("wait for the guard");
}

/// An agent of that build, once it has sent a heartbeat.
async fn start_build(world: &World, build: &str, guard: Option<&str>) -> Child {
    let before = process(world).await;
    let agent = Agent { build, guard, ..Agent::new(AGENT) }.start(Path::new(FLEET), world);
    until("a heartbeat of the next process", PATIENCE, || async { (process(world).await != before).then_some(()) })
        .await;
    agent
}

/// How many guards there were at each of many looks, until the flag is set.
fn watch_guards(world: &Arc<World>, done: &Arc<AtomicBool>) -> std::thread::JoinHandle<Vec<usize>> {
    let (world, done) = (world.clone(), done.clone());
    std::thread::spawn(move || {
        let mut seen = Vec::new();
        while !done.load(Ordering::Relaxed) {
            seen.push(guards(&world, AGENT).len());
        }
        seen
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_of_another_build_is_replaced_without_a_gap() {
    let world = Arc::new(World::new().await);
    start_build(&world, "0.1.0+old", None).await.kill();
    let before = guards(&world, AGENT);
    assert_eq!(before.len(), 1);
    let done = Arc::new(AtomicBool::new(false));
    let watch = watch_guards(&world, &done);
    let agent = start_build(&world, "0.1.0+new", None).await;
    guard_other_than(&world, &before).await;
    done.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("the watch goes on");
    assert!(seen.contains(&2), "the new one is there before the old one goes: {seen:?}");
    assert!(!seen.contains(&0), "at each of {} looks somebody guards: {seen:?}", seen.len());
    // It is the same build now: nothing is replaced.
    let new = guards(&world, AGENT);
    agent.kill();
    let agent = start_build(&world, "0.1.0+new", None).await;
    assert_eq!(guards(&world, AGENT), new);
    agent.terminate(PATIENCE).await;
}

/// Nobody would feed the old guard otherwise, and it would end what runs.
#[tokio::test(flavor = "multi_thread")]
async fn guard_is_kept_while_its_successor_cannot_start() {
    let world = World::new().await;
    start_build(&world, "0.1.0+old", None).await.kill();
    let before = guards(&world, AGENT);
    let agent = start_build(&world, "0.1.0+new", Some("/bin/false")).await;
    assert_eq!(guards(&world, AGENT), before);
    agent.terminate(PATIENCE).await;
}

/// Asks who listens there, and hangs up: as an agent does that dies then.
fn meet(folder: &Path, socket: &str) -> std::io::Result<()> {
    let folders = std::fs::read_dir(folder)?.flatten();
    let folder = folders.map(|it| it.path()).find(|path| path.extension().is_some_and(|it| it == "guard"));
    let folder = File::open(folder.ok_or(ErrorKind::NotFound)?)?;
    // The path of a socket must be short.
    let mut line = UnixStream::connect(format!("/proc/self/fd/{}/{socket}", folder.as_raw_fd()))?;
    line.write_all(b"\"meet\"\n")?;
    let mut answer = String::new();
    BufReader::new(line).read_line(&mut answer)?;
    assert!(answer.contains(r#""on_duty":false"#), "it waits: {answer}");
    Ok(())
}

/// The agent has died after it started the successor, and then the guard on duty dies, too.
#[tokio::test(flavor = "multi_thread")]
async fn successor_keeps_the_deadline_of_the_guard_before_it() {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agent = start_build(&world, "0.1.0+old", None).await;
    world.apply("job", &JOB.replace("'true'", "sleep 600")).await;
    world.run("job").await;
    let running = || async { world.containers().await.iter().any(|it| it.state == "running") };
    until("the container", PATIENCE, || async { running().await.then_some(()) }).await;
    let old = guards(&world, AGENT);
    agent.kill();
    let died = Instant::now();
    let settings = settings(&world, world.timing.fence).await;
    let mut successor = Command::new(FLEET).args(["guard", "0.1.0+new"]).arg(settings).spawn().expect("start a guard");
    let socket = format!("socket.{}", successor.id());
    until("the successor", PATIENCE, || async { meet(world.folder.path(), &socket).ok() }).await;
    // So long after the last heartbeat that a fence which began anew now would be too late.
    tokio::time::sleep(world.timing.fence / 2).await;
    kill_process(old[0], Signal::KILL).expect("kill the guard");
    until("the end of the container", PATIENCE, || async { (!running().await).then_some(()) }).await;
    let took = died.elapsed();
    assert!(took < world.timing.fence + world.timing.kill_margin, "the deadline is that of the old guard: {took:?}");
    successor.wait().expect("wait for the guard");
    scheduler.stop().await;
}

/// Plays the first process of a host: it starts a guard, sends it SIGTERM once it listens, and says what became of it.
const FIRST_PROCESS: &str = r#"
import os, signal, subprocess, sys, time
name, folder, command = sys.argv[1], sys.argv[2], sys.argv[3:]
with open("/proc/self/comm", "w") as comm:
    comm.write(name)
guard = subprocess.Popen(command)
deadline = time.monotonic() + 20
while not any(os.path.exists(os.path.join(folder, name, "socket")) for name in os.listdir(folder)):
    assert time.monotonic() < deadline, "the guard does not listen"
    time.sleep(0.02)
guard.send_signal(signal.SIGTERM)
try:
    guard.wait(timeout=3)
    print("ended")
except subprocess.TimeoutExpired:
    guard.kill()
    print("stayed")
"#;

/// What becomes of a guard that the first process of its host, of this name, tells to end.
async fn terminated_by(first_process: &str) -> String {
    let world = World::new().await;
    let settings = settings(&world, world.timing.fence * 10).await;
    let mut host = Command::new("unshare");
    host.args(["--pid", "--fork", "--mount-proc", "python3", "-c", FIRST_PROCESS, first_process]);
    host.arg(world.folder.path()).args([FLEET, "guard"]).arg(settings);
    let output = tokio::task::spawn_blocking(move || host.output()).await.expect("wait").expect("start a host");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Once it has stopped all units, systemd ends what is left, and waits up to 90 s for whoever stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_guard_goes_with_its_host() {
    assert_eq!(terminated_by("systemd-shutdown").await, "ended");
    assert_eq!(terminated_by("init").await, "stayed");
}
