//! What an operator sees of a record that cannot be read, and how he mends it.

use std::time::Duration;

use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, publish},
    part::Part,
};

const PATIENCE: Duration = Duration::from_secs(60);
const EVERY_SECOND: &str =
    "labels: {aliyun.schedule: \"* * * * * *\", tickmesh.overlap: skip}\nservices: {s1: {image: busybox}}\n";

fn counters(place: &Place, app: &str) -> serde_json::Value {
    place.run(&["show", app, "-o", "json"]).json()["app"]["counters"].clone()
}

fn decided(place: &Place, app: &str) -> u64 {
    counters(place, app)["decided"].as_u64().unwrap_or(0)
}

fn state(place: &Place, app: &str) -> String {
    let apps = place.run(&["ls", "-o", "json"]).json();
    let found = apps.as_array().unwrap().iter().find(|it| it["name"] == app).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_damaged_ledger_is_shown_and_written_anew() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    for name in ["good.yml", "bad.yml"] {
        place.write(name, EVERY_SECOND);
        place.run(&["apply", name]).expect(0);
    }
    let _leader = Part::start(&place, &["scheduler"], "leading");
    wait_until("ticks of both", PATIENCE, || decided(&place, "bad") > 1 && decided(&place, "good") > 1);
    publish(&server, "$KV.tickmesh_ledger.bad", "garbage");
    assert_eq!((state(&place, "bad").as_str(), state(&place, "good").as_str()), ("unreadable", "pending"));
    let shown = place.run(&["show", "bad"]).expect(0);
    assert!(shown.contains("doctor --repair ledger/bad") && !shown.contains("  next "), "{shown}");
    let found = place.run(&["doctor"]);
    assert!(found.stdout.contains("app bad is frozen: `ledger/bad` at sequence"), "{found:?}");
    place
        .run(&["run", "bad"])
        .expect_error(1, "app `bad` is frozen, and requests wait until `tickmesh doctor --repair");
    let before = decided(&place, "good");
    wait_until("ticks of the other", PATIENCE, || decided(&place, "good") > before + 2);
    let unasked = place.run(&["doctor", "--repair", "ledger/bad"]);
    assert!(unasked.code == 2 && unasked.stderr.contains("--yes"), "{unasked:?}");
    place.run(&["doctor", "--repair", "ledger/good", "--yes"]).expect_error(2, "is no record that cannot be read");
    let mended = place.run(&["doctor", "--repair", "ledger/bad", "--yes"]).expect(0);
    assert_eq!(mended, "the ledger of bad is written anew\n");
    wait_until("ticks of the mended one", PATIENCE, || decided(&place, "bad") > 1);
    let active = place.run(&["show", "bad", "-o", "json"]).json()["app"]["active"][0].as_u64().unwrap();
    assert!(active > 1_000, "run {active} may have been before");
}

#[test]
fn a_damaged_file_is_shown_and_taken_back() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", EVERY_SECOND);
    place.run(&["apply", "nightly.yml"]).expect(0);
    publish(&server, "$KV.tickmesh_apps.nightly", "garbage");
    assert_eq!(state(&place, "nightly"), "invalid");
    let mended = place.run(&["doctor", "--repair", "apps/nightly", "--yes"]).expect(0);
    assert_eq!(mended, "revision 1 of nightly is applied again, as 3\n");
    assert_eq!(state(&place, "nightly"), "waiting");
    publish(&server, "$KV.tickmesh_apps.nightly", "garbage");
    place.run(&["apply", "nightly.yml"]).expect(0);
    assert_eq!(state(&place, "nightly"), "waiting", "an edit replaces what is damaged");
}

#[test]
fn a_damaged_agent_is_listed_and_not_forgotten_too_early() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    publish(&server, "$KV.tickmesh_agents.host-1", "garbage");
    let agents = place.run(&["agents", "-o", "json"]).json();
    assert_eq!((&agents[0]["name"], &agents[0]["state"]), (&"host-1".into(), &"unreadable".into()));
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let early = place.run(&["agent", "forget", "host-1"]);
    assert!(early.code == 2 && early.stderr.contains("its containers may run"), "{early:?}");
}
