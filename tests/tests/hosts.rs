//! What becomes of hosts: one that does not come back, and what is left on one that had all kinds of work.

use std::{collections::BTreeSet, path::Path, time::Duration};

use bollard::{
    Docker,
    models::{ContainerCreateBody, VolumeCreateRequest},
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptions, ListNetworksOptions,
        ListVolumesOptions,
    },
};
use rustix::process::Signal;
use tickmesh_agent::engine::docker::Docker as Engine;
use tickmesh_core::{
    message::{AgentRecord, CommandKind},
    outcome::Outcome,
};
use tickmesh_messaging::Cas;
use tickmesh_testkit::dockerd::Dockerd;
use tickmesh_tests::{
    World,
    children::{Agent, signal_guard},
    until,
    world::{PATIENCE, app},
};
use tokio::time::sleep;

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");

/// Runs wherever it is for as long as the test lasts, also on a host that is cut off.
const ENDLESS: &str = "\
labels:
  aliyun.project_type: batch
  tickmesh.on_disconnect: continue
services:
  s1:
    image: busybox
    network_mode: none
    stop_signal: KILL
    command: sleep 600
";

/// What `agent forget` writes: see the command.
async fn forget(world: &World, agent: &str) {
    let results_seen = world.mesh.results().last_sequence().await.expect("read the results");
    let key = world.mesh.agents().read(agent).await.expect("read the agent").expect("it is known");
    let forgotten: AgentRecord = key.value.into_forgotten(results_seen);
    let written = world.mesh.agents().compare_and_set(agent, &forgotten, key.sequence).await.expect("write the agent");
    assert!(matches!(written, Cas::Stored { .. }), "{written:?}");
}

/// Where the replica runs, and which attempt it is.
async fn where_it_runs(world: &World) -> Option<(String, u32)> {
    let (ledger, job) = (world.ledger("job").await?, app("job"));
    let (attempt, open) = ledger.active.first()?.open_attempts(&job).next()?;
    Some((open.agent.to_string(), attempt.attempt))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_go_on_without_its_agent_is_waited_for_until_its_host_is_forgotten() {
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let lost = Agent::new("host-1").start(Path::new(FLEET), &world);
    world.wait_for_agent("host-1").await;
    world.apply("job", ENDLESS).await;
    world.run("job").await;
    until("the job to run", PATIENCE, || async {
        world.containers().await.iter().any(|it| it.state == "running").then_some(())
    })
    .await;
    let other = Agent::new("host-2").start(Path::new(FLEET), &world);
    world.wait_for_agent("host-2").await;
    // Neither the agent nor its guard says anything again: the host is gone, as far as anybody can tell.
    // The agent first: it would start another guard.
    lost.kill();
    signal_guard(&world, "host-1", Signal::KILL);
    sleep(world.timing.lost * 2).await;
    let place = where_it_runs(&world).await;
    assert_eq!(place, Some(("host-1".to_owned(), 1)), "it may go on there; {:?}", world.history("job").await);
    forget(&world, "host-1").await;
    until("the replica to run elsewhere", PATIENCE, || async {
        (where_it_runs(&world).await? == ("host-2".to_owned(), 2)).then_some(())
    })
    .await;
    world.containers_settle_at(2).await;
    // It comes back after all, and ends what runs twice.
    let back = Agent::new("host-1").start(Path::new(FLEET), &world);
    world.containers_settle_at(1).await;
    assert_eq!(where_it_runs(&world).await, Some(("host-2".to_owned(), 2)));
    world.command("job", CommandKind::Cancel { run: None, force: false }).await;
    let ended = world.history_of("job", 1).await;
    assert_eq!(ended[0].replicas[0].attempts, 2);
    for agent in [back, other] {
        agent.terminate(PATIENCE).await;
    }
    scheduler.stop().await;
}

/// What an engine has.
#[derive(Debug, PartialEq, Eq)]
struct Inventory {
    containers: BTreeSet<String>,
    volumes: BTreeSet<String>,
    networks: BTreeSet<String>,
    images: BTreeSet<String>,
}

async fn inventory(docker: &Docker) -> Inventory {
    let all = ListContainersOptionsBuilder::default().all(true).build();
    let containers = docker.list_containers(Some(all)).await.expect("list containers");
    let volumes =
        docker.list_volumes(None::<ListVolumesOptions>).await.expect("list volumes").volumes.unwrap_or_default();
    let networks = docker.list_networks(None::<ListNetworksOptions>).await.expect("list networks");
    let images = docker.list_images(None::<ListImagesOptions>).await.expect("list images");
    Inventory {
        containers: containers.into_iter().filter_map(|it| it.id).collect(),
        volumes: volumes.into_iter().map(|it| it.name).collect(),
        networks: networks.into_iter().filter_map(|it| it.name).collect(),
        images: images.into_iter().map(|it| it.id).collect(),
    }
}

/// An app of each kind of end. The anonymous volume goes with its container, the named one is the user's.
const MIX: [(&str, &str); 5] = [
    ("succeeds", "volumes: ['/scratch', 'data:/data']\n    command: [sh, -c, 'echo 1 > /data/x; echo 2 > /scratch/x']"),
    ("fails", "volumes: ['/scratch']\n    command: [sh, -c, 'exit 3']"),
    ("never-starts", "command: no-such-command"),
    ("is-cancelled", "command: sleep 600"),
    ("takes-too-long", "command: sleep 600"),
];

fn mixed(settings: &str, timeout: &str) -> String {
    format!(
        "labels: {{aliyun.project_type: batch}}\nservices:\n  s1:\n    image: busybox\n    labels: {{tickmesh.scale: \
         '3', tickmesh.attempt_timeout: '{timeout}'}}\n    {settings}\n"
    )
}

/// On an engine of its own, for everything on it is counted. Whatever is not ours was made before, under names that look like ours.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_mix_of_everything_but_what_is_not_ours() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "an engine of one's own takes root");
        eprintln!("SKIPPED, for it takes root to have an engine of one's own");
        return;
    }
    let mut own = tokio::task::block_in_place(Dockerd::start);
    let docker = Docker::connect_with_host(&own.host()).expect("an address");
    let foreign = ContainerCreateBody {
        image: Some("busybox".to_owned()),
        cmd: Some(vec!["true".to_owned()]),
        labels: Some([("io.tickmesh.agent".to_owned(), "host-1".to_owned())].into()),
        ..ContainerCreateBody::default()
    };
    let named = CreateContainerOptionsBuilder::default().name("test-fails-1-s1-0-1").build();
    docker.create_container(Some(named), foreign).await.expect("create a look-alike");
    let volume = VolumeCreateRequest { name: Some("data".to_owned()), ..VolumeCreateRequest::default() };
    docker.create_volume(volume).await.expect("create a volume");
    let before = inventory(&docker).await;

    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let config = || {
        let mut config = world.agent_config("host-1");
        config.clean_interval = Duration::from_secs(1);
        config
    };
    let agent = world.agent_with(config(), Engine::connect_to(&own.host()).await.expect("the engine answers")).await;
    world.wait_for_agent("host-1").await;
    for (name, settings) in MIX {
        let timeout = if name == "takes-too-long" { "3s" } else { "10m" };
        world.apply(name, &mixed(settings, timeout)).await;
        world.run(name).await;
    }
    until("the endless ones to run", PATIENCE, || async {
        (inventory(&docker).await.containers.len() > before.containers.len() + 6).then_some(())
    })
    .await;
    agent.stop().await;
    tokio::task::block_in_place(|| own.restart_with(Signal::TERM));
    let agent = world.agent_with(config(), Engine::connect_to(&own.host()).await.expect("the engine answers")).await;
    for (name, _) in &MIX[..3] {
        world.history_of(name, 1).await;
    }
    world.history_of("takes-too-long", 1).await;
    world.command("is-cancelled", CommandKind::Cancel { run: None, force: false }).await;
    world.history_of("is-cancelled", 1).await;
    assert_eq!(world.history("succeeds").await[0].outcome, Outcome::Succeeded);
    // Kept by policy, for people to look at: what failed, was cancelled or took too long.
    assert!(inventory(&docker).await.containers.len() > before.containers.len());
    for (name, _) in MIX {
        world.remove(name).await;
    }
    until("nothing to be left", PATIENCE, || async { (inventory(&docker).await == before).then_some(()) }).await;
    agent.stop().await;
    scheduler.stop().await;
}
