//! What an agent makes of an engine that goes down, with a Docker engine that the test owns.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use rustix::process::Signal;
use tickmesh_agent::engine::docker::Docker;
use tickmesh_core::{message::AttemptEvent, outcome::LostReason};
use tickmesh_testkit::dockerd::Dockerd;

use crate::world::{World, gated, script};

async fn check_restart(signal: Signal) {
    let mut dockerd = tokio::task::block_in_place(Dockerd::start);
    let world = World::on(Docker::connect_to(&dockerd.host()).await.unwrap()).await;
    let running = world.start_agent().await;
    world.order_start(0, script("echo up; exec sleep 600")).await;
    world.wait_for_output(0, "up").await;
    tokio::task::block_in_place(|| dockerd.restart_with(signal));
    assert_eq!(world.end_of(0).await, AttemptEvent::Lost { reason: LostReason::EngineRestarted });
    world.wait_for_no_containers().await;
    // The agent works with the engine that came back.
    world.order_start(1, script("exit 6")).await;
    assert!(matches!(world.end_of(1).await, AttemptEvent::Exited { exit_code: 6, .. }));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_stops_as_it_goes_down_is_lost_and_not_failed() {
    check_restart(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_stops_as_it_comes_back_is_lost_and_not_failed() {
    check_restart(Signal::KILL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_while_the_engine_is_frozen_keeps_its_code() {
    let dockerd = tokio::task::block_in_place(Dockerd::start);
    let world = World::on(Docker::connect_to(&dockerd.host()).await.unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let running = world.start_agent_with(world.config_with_mount(folder.path())).await;
    world.order_start(0, gated("up", &gate, "exit 5")).await;
    world.wait_for_output(0, "up").await;
    dockerd.signal(Signal::STOP);
    std::fs::write(&gate, "").unwrap();
    // The engine is silent for some heartbeats, which do not need it.
    let before = world.wait_for_heartbeat("life", |_| true).await.number;
    world.wait_for_heartbeat("life without the engine", |record| record.number > before + 3).await;
    dockerd.signal(Signal::CONT);
    assert!(matches!(world.end_of(0).await, AttemptEvent::Exited { exit_code: 5, .. }));
    running.stop().await;
}
