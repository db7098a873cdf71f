//! An agent and its guard, as processes: who starts, replaces and ends whom.

use std::{path::Path, process::Command, time::Duration};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_with_other_settings_makes_room() {
    let world = World::new().await;
    let host = tickmesh_agent::Host::this().expect("read the host");
    let settings = guard_process::Settings {
        owner: tickmesh_agent::labels::Owner {
            mesh: world.mesh_id,
            namespace: world.namespace().clone(),
            agent: AgentName::new(AGENT).expect("an agent name"),
        },
        fence: world.timing.fence * 2,
        boot: host.boot,
        engine: DockerEngine::connect().await.expect("connect").describe().await.expect("describe").id,
        folder: world.folder.path().to_owned(),
    };
    let settings = serde_json::to_string(&settings).expect("settings are JSON");
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
