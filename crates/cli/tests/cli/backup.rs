//! `tickmesh backup` and `restore`: into nothing, and in the place of a mesh that is damaged, while agents go on.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    time::Duration,
};

use serde_json::Value;
use tickmesh_core::id::MeshId;
use tickmesh_messaging::{Mesh, StreamKind};
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, remove_stream, running_named, stored, streams},
    fleet,
    lost_store::{identity, in_state},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job that ends at once, having said something.
const SHORT: &str =
    "labels: {aliyun.project_type: batch}\nservices:\n  s1: {image: busybox, network_mode: none, command: echo kept}\n";
/// A job that runs until it is told to stop.
const ENDLESS: &str = "labels: {aliyun.project_type: batch}\n\
services:\n  s1:\n    image: busybox\n    network_mode: none\n    command: sleep 600\n    stop_signal: KILL\n    \
labels: {tickmesh.remove_containers: remove-all}\n";
/// An app that is due all the time, so that something is written whenever a copy is made.
const BUSY: &str = "labels: {tickmesh.schedule: '* * * * * *'}\n\
services:\n  s1:\n    image: busybox\n    network_mode: none\n    command: 'true'\n    \
labels: {tickmesh.remove_containers: remove-all}\n";

fn number(run: &str) -> u64 {
    run.rsplit('/').next().unwrap().parse().unwrap()
}

#[track_caller]
fn wait_for_success(place: &Place, app: &str) {
    let outcome = || place.run(&["runs", app, "-o", "json"]).json()[0]["outcome"].clone();
    wait_until("the run to succeed", PATIENCE, || outcome() == "succeeded");
}

/// Restores a mesh, while a scheduler that knew it gives it its identity back before the numbers are moved ahead, and another
/// one is started. Returns what the command said, and that scheduler, which has not led so far.
fn restored_beside_a_scheduler(place: &Place, server: &Server, file: &str, id: MeshId) -> (String, Part) {
    let mut restore = place.start(&["restore", file]);
    let mut talk = BufReader::new(restore.stderr.take().unwrap()).lines();
    assert!(talk.any(|line| line.unwrap().contains("waiting for")), "it waits for agents that are cut off");
    stored(server, async |mesh: &Mesh| {
        mesh.provision_missing(id, &[StreamKind::Meta].into()).await.unwrap();
    });
    let scheduler = Part::start(place, &["scheduler"], "connected to NATS");
    wait_until("the scheduler to refuse", PATIENCE, || in_state(place, "refusing") == 1);
    let mut said = String::new();
    restore.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let rest: Vec<String> = talk.map(Result::unwrap).collect();
    assert_eq!(restore.wait().unwrap().code(), Some(0), "{said}{rest:?}");
    (said, scheduler)
}

#[test]
fn a_backup_makes_the_same_mesh_of_an_empty_store() {
    let server = Server::start();
    let mut mesh = fleet::Mesh::start(&server);
    mesh.agent("h1", &[]);
    let run = mesh.run("kept", SHORT);
    wait_for_success(&mesh.place, "kept");
    mesh.stop_agents();
    let file = mesh.place.folder.path().join("mesh.backup").display().to_string();
    let said = mesh.place.run(&["backup", &file]).expect(0);
    assert!(said.contains("9 streams"), "{said}");
    mesh.place.run(&["backup", &file]).expect_error(2, "exists");
    let kept: Vec<Value> =
        vec![mesh.place.run(&["runs", "kept", "-o", "json"]).json(), mesh.place.run(&["ls", "-o", "json"]).json()];

    let other = Server::start();
    let place = Place::at(other.url());
    place.run(&["restore", &file, "--namespace", "other"]).expect_error(2, "namespace `tickmesh`");
    assert!(place.run(&["restore", &file, "--dry-run"]).expect(0).contains("apps: 1 messages"));
    assert_eq!(streams(&other), Vec::<String>::new(), "nothing was made so far");
    let (said, _scheduler) = restored_beside_a_scheduler(&place, &other, &file, identity(&server));
    assert!(said.contains("1 apps: run and attempt numbers moved ahead by 1000"), "{said}");
    assert_eq!(streams(&other).len(), StreamKind::ALL.len());

    let leads = || place.run(&["leader", "-o", "json"]).stdout.contains("\"leading\"");
    wait_until("the scheduler to lead", PATIENCE, leads);
    let same: Vec<Value> =
        vec![place.run(&["runs", "kept", "-o", "json"]).json(), place.run(&["ls", "-o", "json"]).json()];
    assert_eq!(same, kept);
    let logs = place.run(&["logs", &run]);
    assert_eq!(logs.stdout, "kept\n", "{logs:?}");
    let agent = Part::start(&place, &["agent", "--name", "h1"], "agent starts");
    let said = place.run(&["run", "kept", "--wait"]).expect(0);
    assert!(number(&run) == 1 && said.contains("kept/1002"), "a number that was given is not given again: {said}");
    let doctor = place.run(&["doctor"]);
    assert!(!doctor.stdout.contains("WRONG"), "{doctor:?}");
    agent.stop();
}

#[test]
fn a_backup_replaces_a_damaged_mesh_while_jobs_run() {
    let server = Server::start();
    let mut mesh = fleet::Mesh::start(&server);
    mesh.agent("h1", &[]);
    mesh.place.write("busy.yml", BUSY);
    mesh.place.run(&["apply", "busy.yml"]).expect(0);
    let known = mesh.run("known", ENDLESS);
    wait_until("the known job to run", PATIENCE, || !running_named("tickmesh.tickmesh.known.").is_empty());
    let container = running_named("tickmesh.tickmesh.known.");
    mesh.place.run(&["backup", "mesh.backup"]).expect(0);
    // The copy does not know the process that looks after the containers from now on.
    mesh.stop_agents();
    mesh.agent("h1", &[]);
    mesh.run("unknown", ENDLESS);
    wait_until("the other job to run", PATIENCE, || !running_named("tickmesh.tickmesh.unknown.").is_empty());
    let newest = |place: &Place| {
        let runs: Vec<Value> = serde_json::from_value(place.run(&["runs", "busy", "-o", "json"]).json()).unwrap();
        runs.iter().filter_map(|run| run["run"].as_u64()).max().unwrap_or(0)
    };
    wait_until("a run of the busy app", PATIENCE, || newest(&mesh.place) > 0);

    mesh.place.run(&["restore", "mesh.backup", "--yes"]).expect_error(2, "stop every scheduler first");
    mesh.stop_leader();
    remove_stream(&server, "KV_tickmesh_ledger");
    mesh.place.run(&["restore", "mesh.backup"]).expect_error(2, "--yes");
    let restored = mesh.place.run(&["restore", "mesh.backup", "--yes"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(restored.stderr.contains("is not known any more, and is being stopped"), "{restored:?}");
    assert_eq!(running_named("tickmesh.tickmesh.unknown."), "", "what the copy does not know is stopped");
    assert_eq!(running_named("tickmesh.tickmesh.known."), container, "what the copy knows goes on");

    mesh.start_leader();
    wait_until("new runs", PATIENCE, || newest(&mesh.place) > 1000);
    assert!(mesh.place.run(&["show", &known]).stdout.contains("running"));
    assert_eq!(running_named("tickmesh.tickmesh.known."), container, "the leader leaves it alone");
    mesh.place.run(&["rm", "busy"]).expect(0);
    mesh.place.run(&["cancel", &known, "--wait"]).expect(0);
    wait_until("free slots", PATIENCE, || mesh.agents()[0]["slots_used"] == 0);
    mesh.stop();
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let before = streams(&server);
    place.write("no.backup", "tickmesh-backup\nof something else, long enough for a checksum");
    place.run(&["restore", "no.backup", "--yes"]).expect_error(2, "its checksum is wrong");
    place.write("no.backup", "services: {}\n# not a backup at all, however long the text may be");
    place.run(&["restore", "no.backup", "--yes"]).expect_error(2, "is no backup of a mesh");
    assert_eq!(streams(&server), before);
}
