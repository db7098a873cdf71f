//! A store that goes back to an older copy while jobs run: whatever moment the copy is of, every run that it knows ends, and
//! no slot stays held.

use std::time::{Duration, Instant};

use serde_json::Value;
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{command::running_named, fleet::Mesh};

/// From how many moments copies are restored.
const RESTORES: &str = "TICKMESH_RESTORES";
const RESTORES_DEFAULT: u32 = 1;
/// From the start of a run to somewhat after the end of its second attempt.
const LIFE: Duration = Duration::from_secs(10);
/// So long after a loss was accepted every run of the copy has ended.
const END_MAX: Duration = Duration::from_secs(90);

/// A job whose first attempt fails after a while, and whose second one succeeds after a while.
const JOB: &str = "labels: {aliyun.project_type: batch}\n\
services:\n  s1:\n    image: busybox\n    network_mode: none\n    stop_signal: KILL\n    \
command: sh -c 'sleep 3; test $$TICKMESH_ATTEMPT != 1'\n    \
labels: {tickmesh.scale: '2', tickmesh.retry_count: '3', tickmesh.remove_containers: remove-all}\n";

/// Waits until that time has passed.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    wait_until("some time to pass", time * 2, || Instant::now() >= end);
}

/// What is active or waits, of all apps.
fn unfinished(mesh: &Mesh) -> Vec<String> {
    let apps: Vec<Value> = serde_json::from_value(mesh.place.run(&["ls", "-o", "json"]).json()).unwrap();
    let is_busy =
        |app: &&Value| app["active"].as_array().is_none_or(|runs| !runs.is_empty()) || app["queue"]["waiting"] != 0;
    apps.iter().filter(is_busy).map(|app| format!("{} {}", app["name"], app["active"])).collect()
}

/// Makes a copy at that moment of two runs, lets a third one begin that the copy does not know, and restores the copy.
fn restore(server: &mut Server, mesh: &Mesh, copied_after: Duration, restored_after: Duration) -> Duration {
    for app in ["restored-1", "restored-2"] {
        mesh.run(app, JOB);
    }
    pass(copied_after);
    server.stop();
    let copy = server.copy_store();
    server.restart();
    mesh.run("restored-3", JOB);
    pass(restored_after);
    server.stop();
    server.restore(&copy);
    server.restart();
    mesh.accept_loss();
    let accepted = Instant::now();
    wait_until("the end of every run", END_MAX, || unfinished(mesh).is_empty());
    wait_until("free slots", END_MAX, || mesh.agents()[0]["slots_used"] == 0);
    assert_eq!(running_named("tickmesh.tickmesh.restored-"), "", "what no ledger knows was stopped");
    accepted.elapsed()
}

#[test]
fn runs_of_a_copy_of_any_moment_end() {
    let moments = std::env::var(RESTORES).map_or(RESTORES_DEFAULT, |moments| moments.parse().unwrap());
    let mut server = Server::start();
    let mut mesh = Mesh::start(&server);
    mesh.agent("h1", &[]);
    for moment in 0..moments {
        let copied_after = LIFE * (2 * moment + 1) / (2 * moments);
        // Any other moment of a life, in another order.
        let restored_after = LIFE * ((moment * 7 + 3) % moments) / moments;
        let took = restore(&mut server, &mesh, copied_after, restored_after);
        println!("copied after {copied_after:?}, restored {restored_after:?} later: all ended within {took:?}");
        let run = mesh.run("restored-1", JOB);
        wait_until("a new run to succeed", END_MAX, || mesh.place.run(&["show", &run]).stdout.contains("succeeded"));
    }
    mesh.stop();
}
