//! Networks and volumes that a host must have: what becomes of a job with them, and without.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use std::process::Command;

use tickmesh_core::{
    message::{AttemptEvent, StartOrder},
    spec::{ContainerSpec, MountOptions, NetworkSpec, Volume, VolumeSource},
};

use crate::world::{World, output_text, script};

fn docker(arguments: &[&str]) -> bool {
    Command::new("docker").args(arguments).output().unwrap().status.success()
}

fn name() -> String {
    format!("tickmesh-test-{}", world::nonce())
}

/// A network of the engine, gone with the test.
struct EngineNetwork(String);

impl EngineNetwork {
    fn new() -> Self {
        let name = name();
        assert!(docker(&["network", "create", "--label", "io.tickmesh.test=network", &name]));
        Self(name)
    }
}

impl Drop for EngineNetwork {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

/// A job with these networks, by their names and aliases.
fn connected(command: &str, networks: &[(&str, &str)]) -> StartOrder {
    let order = script(command);
    let network =
        |(name, alias): &(&str, &str)| NetworkSpec { name: (*name).to_owned(), aliases: vec![(*alias).to_owned()] };
    let container = ContainerSpec {
        networks: networks.iter().map(network).collect(),
        network_mode: networks.first().map(|(name, _)| (*name).to_owned()),
        ..order.container
    };
    StartOrder { container, ..order }
}

/// A job that mounts a volume which must be there.
fn mounting(volume: &str) -> StartOrder {
    let mut order = script("ls /data");
    order.container.volumes.push(Volume {
        source: VolumeSource::Named(volume.to_owned()),
        target: "/data".to_owned(),
        read_only: true,
        options: MountOptions { must_exist: true, ..MountOptions::default() },
    });
    order
}

/// Why a replica could not be started: another try may help, for networks come and go.
async fn refused(world: &World, replica: u32) -> String {
    match world.end_of(replica).await {
        AttemptEvent::CouldNotStart { reason, permanent: false } => reason,
        other => panic!("expected that it could not start: {other:?}"),
    }
}

/// The engine answers such a name with a redirect, however often it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_engine_redirects_holds_no_slot() {
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, mounting("a//b")).await;
    let network = connected("true", &[("a//b", "job")]);
    world.order_start(1, network).await;
    for replica in 0..2 {
        let reason = refused(&world, replica).await;
        assert!(reason.contains("`a//b`"), "{reason}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_in_all_of_its_networks_under_its_names() {
    let networks = [EngineNetwork::new(), EngineNetwork::new()];
    let [front, back] = [&networks[0].0, &networks[1].0];
    let world = World::new().await;
    let running = world.start_agent().await;
    // It finds itself by the alias of either network, each of which has an address of its own.
    let look = "for name in front-alias back-alias; do nslookup $name 127.0.0.11 | awk '/^Address/ {a = $NF} END {print a}'; done; \
                ip -4 addr | grep -c 'scope global'";
    world.order_start(0, connected(look, &[(front, "front-alias"), (back, "back-alias")])).await;
    let end = world.end_of(0).await;
    assert!(matches!(end, AttemptEvent::Exited { exit_code: 0, .. }), "{end:?}");
    let output = output_text(&world.stored_output(0).await);
    let lines: Vec<&str> = output.lines().collect();
    let [one, other, "2"] = lines.as_slice() else { panic!("{output}") };
    assert!(one != other && [one, other].iter().all(|it| it.parse::<std::net::IpAddr>().is_ok()), "{output}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_that_the_host_lacks_is_the_reason_why_a_job_could_not_start() {
    let network = EngineNetwork::new();
    let world = World::new().await;
    let running = world.start_agent().await;
    let absent = name();
    let reason = format!(
        "the host does not have network {absent}: make it with `docker network create {absent}`, or start what makes it"
    );
    world.order_start(0, connected("true", &[(&absent, "a")])).await;
    assert_eq!(refused(&world, 0).await, reason);
    world.order_start(1, connected("true", &[(&network.0, "a"), (&absent, "b")])).await;
    assert_eq!(refused(&world, 1).await, reason);
    // A network that only the engine can refuse: no container is left of that try.
    world.order_start(2, connected("true", &[(&network.0, "a"), ("none", "b")])).await;
    let told = refused(&world, 2).await;
    assert!(told.starts_with("cannot connect container"), "{told}");
    assert!(world.containers().await.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volume_that_must_be_there_is_never_made_empty() {
    let volume = name();
    let world = World::new().await;
    let running = world.start_agent().await;
    world.order_start(0, mounting(&volume)).await;
    let reason = format!(
        "the host does not have volume {volume}: make it with `docker volume create {volume}`, or start what makes it"
    );
    assert_eq!(refused(&world, 0).await, reason);
    assert!(!docker(&["volume", "inspect", &volume]), "the engine made an empty volume");
    assert!(docker(&["volume", "create", "--label", "io.tickmesh.test=volume", &volume]));
    world.order_start(1, mounting(&volume)).await;
    let end = world.end_of(1).await;
    running.stop().await;
    drop(world);
    docker(&["volume", "rm", "-f", &volume]);
    assert!(matches!(end, AttemptEvent::Exited { exit_code: 0, .. }), "{end:?}");
}
