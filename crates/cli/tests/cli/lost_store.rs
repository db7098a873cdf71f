//! A store that comes back empty, half a mesh, and an app that is gone: what schedulers do, and what people are told.

use std::{cell::RefCell, time::Duration};

use serde_json::Value;
use tickmesh_core::id::MeshId;
use tickmesh_messaging::{Mesh, StreamKind};
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, purge, stored, streams},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Looks at a store that nobody may fill: each takes a part of a second.
const LOOKS: usize = 20;
const LOST: &str = "the store is lost: none of the mesh's streams is there";

const EVERY_SECOND: &str = "labels: {aliyun.schedule: \"* * * * * *\", tickmesh.overlap: skip}\n\
                            services: {s1: {image: busybox, network_mode: none, command: \"true\"}}\n";

pub(crate) fn in_state(place: &Place, state: &str) -> usize {
    let listed: Vec<Value> = serde_json::from_str(&place.run(&["leader", "-o", "json"]).stdout).unwrap_or_default();
    listed.iter().filter(|scheduler| scheduler["state"] == state).count()
}

fn counters(place: &Place, app: &str) -> Value {
    let shown = place.run(&["show", app, "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
    shown["app"]["counters"].clone()
}

fn decided(place: &Place, app: &str) -> u64 {
    counters(place, app)["decided"].as_u64().unwrap_or(0)
}

/// The newest run of an app that has ended.
fn ended(place: &Place, app: &str) -> u64 {
    let runs: Value = serde_json::from_str(&place.run(&["runs", app, "-o", "json"]).stdout).unwrap_or_default();
    let runs = runs.as_array().cloned().unwrap_or_default();
    runs.iter().filter_map(|run| run["run"].as_u64().or(run["number"].as_u64())).max().unwrap_or(0)
}

pub(crate) fn identity(server: &Server) -> MeshId {
    let found = RefCell::new(None);
    stored(server, async |mesh: &Mesh| {
        *found.borrow_mut() = Some(mesh.open().await.unwrap());
    });
    found.take().unwrap()
}

/// A mesh with an app, a leader, a standby and an agent.
struct Fleet {
    place: Place,
    _schedulers: [Part; 2],
    _agent: Part,
}

impl Fleet {
    fn start(server: &Server) -> Self {
        let place = Place::with_mesh(server);
        place.write("second.yml", EVERY_SECOND);
        place.run(&["apply", "second.yml"]).expect(0);
        let schedulers = ["leading", "standing by"].map(|ready| Part::start(&place, &["scheduler"], ready));
        let agent = Part::start(&place, &["agent", "--name", "host-1"], "agent starts");
        let fleet = Self { place, _schedulers: schedulers, _agent: agent };
        wait_until("a run", PATIENCE, || ended(&fleet.place, "second") > 0);
        fleet
    }
}

#[test]
fn lost_store_waits_for_its_restore() {
    let mut server = Server::start();
    let fleet = Fleet::start(&server);
    let place = &fleet.place;
    let id = identity(&server);
    server.stop();
    let copy = server.copy_store();
    server.empty_store();
    server.restart();
    wait_until("both to say so", PATIENCE, || in_state(place, "store_lost") == 2);
    let leader = place.run(&["leader"]);
    assert!(leader.code == 1 && leader.stdout.contains("store lost ") && leader.stdout.contains(LOST), "{leader:?}");
    assert!(leader.stderr.contains("wait for its restore") && leader.stderr.contains("--accept-loss"), "{leader:?}");
    let doctor = place.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains(LOST), "{doctor:?}");
    assert!(doctor.stdout.contains("wait for its restore") && !doctor.stdout.contains("makes it anew"), "{doctor:?}");
    place.run(&["apply", "second.yml"]).expect_error(1, "the store of mesh `tickmesh` is lost");
    // A scheduler that never saw the mesh asks those that did; so does one that is told how many copies to make.
    let _third = Part::start(place, &["scheduler"], "is not filled");
    let _fourth = Part::start(place, &["scheduler", "--replicas", "1"], "is not filled");
    wait_until("all to say so", PATIENCE, || in_state(place, "store_lost") == 4);
    for _ in 0..LOOKS {
        assert_eq!(streams(&server), Vec::<String>::new(), "nobody makes a stream");
    }
    server.stop();
    server.restore(&copy);
    server.restart();
    wait_until("a leader", PATIENCE, || in_state(place, "leading") == 1);
    wait_until("the others", PATIENCE, || in_state(place, "standing_by") == 3);
    let before = ended(place, "second");
    wait_until("a run that the agent has made", PATIENCE, || ended(place, "second") > before);
    assert_eq!(identity(&server), id);
}

#[test]
fn lost_store_is_given_up_and_new_apps_run() {
    let mut server = Server::start();
    let fleet = Fleet::start(&server);
    let place = &fleet.place;
    let id = identity(&server);
    place.run(&["doctor", "--accept-loss"]).expect_error(1, "no data is missing");
    server.stop();
    server.empty_store();
    server.restart();
    wait_until("both to say so", PATIENCE, || in_state(place, "store_lost") == 2);
    let said = place.run(&["doctor", "--accept-loss"]);
    assert!(said.code == 0 && said.stdout.contains("accepted"), "{said:?}");
    assert!(said.stderr.contains("stream apps is made anew: every app is gone; apply their files again"), "{said:?}");
    wait_until("a leader", PATIENCE, || in_state(place, "leading") == 1);
    assert_eq!(identity(&server), id, "agents know the mesh by it");
    place.run(&["show", "second"]).expect_error(2, "second");
    place.run(&["apply", "second.yml"]).expect(0);
    wait_until("a run", PATIENCE, || ended(place, "second") > 0);
    // One of the schedulers may still read what is stored.
    wait_until("a mesh with nothing wrong", PATIENCE, || !place.run(&["doctor"]).stdout.contains("WRONG"));
}

#[test]
fn half_a_mesh_is_named_and_completed() {
    let server = Server::start();
    let place = Place::at(server.url());
    stored(&server, async |mesh: &Mesh| {
        mesh.make_missing(&[StreamKind::Apps, StreamKind::Logs].into()).await.unwrap();
    });
    let doctor = place.run(&["doctor"]);
    let half = "the mesh is half made: there is apps, logs, and there is no meta, lease, ledger, agents, commands";
    assert!(doctor.code == 1 && doctor.stdout.contains(half), "{doctor:?}");
    let _leader = Part::start(&place, &["scheduler"], "leading");
    assert!(place.run(&["doctor"]).stdout.contains("all exist"), "{:?}", place.run(&["doctor"]));
}

#[test]
fn app_that_is_gone_is_lost_data_until_somebody_decides() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    for app in ["kept", "gone", "back"] {
        place.write(&format!("{app}.yml"), EVERY_SECOND);
        place.run(&["apply", &format!("{app}.yml")]).expect(0);
    }
    let leader = Part::start(&place, &["scheduler"], "leading");
    wait_until("ticks", PATIENCE, || ["kept", "gone", "back"].iter().all(|app| decided(&place, app) > 0));
    leader.stop();
    for app in ["gone", "back"] {
        purge(&server, "KV_tickmesh_apps", &format!("$KV.tickmesh_apps.{app}"));
    }
    let _leader = Part::start(&place, &["scheduler"], "refusing to lead");
    let shown = place.run(&["leader"]);
    assert!(shown.stdout.contains("of what the ledgers go by: back, gone"), "{shown:?}");
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout.contains("no record of what 2 ledgers go by: back, gone"), "{doctor:?}");
    // Of this one somebody has the file.
    place.run(&["apply", "back.yml"]).expect(0);
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout.contains("the ledger of app gone goes by a revision of which"), "{doctor:?}");
    let said = place.run(&["doctor", "--accept-loss"]).expect(0);
    assert!(said.contains("app gone: its file is gone: it counts as removed, and its active run is stopped"), "{said}");
    wait_until("a leader", PATIENCE, || in_state(&place, "leading") == 1);
    let before = ["kept", "back"].map(|app| decided(&place, app));
    let both = || ["kept", "back"].iter().zip(before).all(|(app, before)| decided(&place, app) > before);
    wait_until("ticks of the others", PATIENCE, both);
    let names = place.run(&["ls", "-o", "name"]).expect(0);
    wait_until("the active run to end", PATIENCE, || !place.run(&["ls", "-o", "name"]).stdout.contains("gone"));
    assert!(names.contains("kept") && names.contains("back"), "{names}");
    assert!(!place.run(&["doctor"]).stdout.contains("goes by"), "{:?}", place.run(&["doctor"]));
}
