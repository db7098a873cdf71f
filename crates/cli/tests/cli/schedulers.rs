//! Several schedulers on one mesh: who leads, who takes over, and when nobody may.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{
    command::{Place, remove_stream},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at an app that is due every second: they take some seconds.
const LOOKS: usize = 20;

const EVERY_SECOND: &str = "labels: {aliyun.schedule: \"* * * * * *\"}\nservices: {s1: {image: busybox}}\n";

fn scheduler(place: &Place, ready: &str) -> Part {
    Part::start(place, &["scheduler"], ready)
}

/// What `leader` lists, whatever its exit code.
fn schedulers(place: &Place) -> Vec<Value> {
    serde_json::from_str(&place.run(&["leader", "-o", "json"]).stdout).unwrap_or_default()
}

fn in_state(place: &Place, state: &str) -> Vec<String> {
    let listed = schedulers(place);
    let found = listed.iter().filter(|scheduler| scheduler["state"] == state);
    found.map(|scheduler| scheduler["id"].as_str().unwrap().to_owned()).collect()
}

/// Instants that are decided; none before the first leader has looked at the app.
fn decided(place: &Place) -> u64 {
    place.run(&["show", "second", "-o", "json"]).json()["app"]["counters"]["decided"].as_u64().unwrap_or(0)
}

/// Number of the run that is active: without an agent it never ends.
fn active(place: &Place) -> Value {
    place.run(&["show", "second", "-o", "json"]).json()["app"]["active"][0].clone()
}

fn mesh(server: &Server) -> Place {
    let place = Place::with_mesh(server);
    place.write("second.yml", EVERY_SECOND);
    place.run(&["apply", "second.yml"]).expect(0);
    place
}

#[test]
fn who_leads_and_who_stands_by_is_shown_and_handed_over() {
    let server = Server::start();
    let place = mesh(&server);
    let none = place.run(&["leader"]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("nobody leads"), "{none:?}");
    let first = scheduler(&place, "leading");
    place.run(&["leader", "step-down"]).expect_error(1, "no other one stands by");
    let _second = scheduler(&place, "standing by");
    wait_until("a standby", PATIENCE, || in_state(&place, "standing_by").len() == 1);
    let (leaders, standbys) = (in_state(&place, "leading"), in_state(&place, "standing_by"));
    let said = place.run(&["leader", "step-down"]).expect(0);
    assert!(said.contains(&standbys[0]) && said.contains("leads now"), "{said}");
    assert_eq!(in_state(&place, "leading"), standbys);
    wait_until("the old leader to stand by", PATIENCE, || in_state(&place, "standing_by") == leaders);
    let shown = place.run(&["leader"]).expect(0);
    assert!(shown.lines().nth(1).unwrap().starts_with("leading"), "{shown}");
    let doctor = place.run(&["doctor"]);
    let wrong: Vec<_> = doctor.stdout.lines().filter(|line| line.contains("WRONG")).collect();
    assert!(doctor.stdout.contains("1 stand by") && doctor.code == 1, "{doctor:?}");
    assert!(matches!(wrong[..], [line] if line.contains("none is alive: no run can start")), "{wrong:?}");
    drop(first);
    wait_until("the dead one to be gone", PATIENCE, || schedulers(&place).len() == 1);
}

#[test]
fn a_leader_that_hangs_is_shown_and_followed() {
    let server = Server::start();
    let place = mesh(&server);
    let first = scheduler(&place, "leading");
    first.signal(Signal::STOP);
    let hanging = schedulers(&place);
    assert_eq!((hanging.len(), &hanging[0]["state"]), (1, &Value::from("silent")), "{hanging:?}");
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout.contains("see below") && doctor.stdout.contains("and does not answer"), "{doctor:?}");
    assert!(doctor.stdout.contains("no scheduler stands by"), "{doctor:?}");
    let _second = scheduler(&place, "leading");
    first.signal(Signal::CONT);
    wait_until("both to answer", PATIENCE, || in_state(&place, "standing_by").len() == 1);
    assert_eq!(in_state(&place, "leading").len(), 1);
    let before = decided(&place);
    wait_until("a tick", PATIENCE, || decided(&place) > before);
}

/// What nobody decides is not promised: by the list, and by each app.
#[test]
fn next_instants_are_shown_while_somebody_leads() {
    let server = Server::start();
    let place = mesh(&server);
    let next = || place.run(&["ls", "-o", "json"]).json()[0]["next"].clone();
    let instants = || place.run(&["show", "second", "-o", "json"]).json()["next"].as_array().unwrap().len();
    let said = |arguments: &[&str]| place.run(arguments).stderr.contains("no tick is decided: no scheduler leads");
    assert_eq!((next(), instants()), (Value::Null, 0));
    assert!(said(&["ls"]) && said(&["show", "second"]));
    let leader = scheduler(&place, "leading");
    wait_until("the next instant", PATIENCE, || next().is_string() && instants() > 0);
    assert!(!said(&["ls"]) && !said(&["show", "second"]));
    drop(leader);
    wait_until("nobody to lead", PATIENCE, || next().is_null() && instants() == 0);
    assert!(said(&["ls"]) && said(&["show", "second"]));
}

#[test]
fn nobody_leads_on_a_restored_store_until_somebody_accepts_it() {
    let mut server = Server::start();
    let place = mesh(&server);
    let _leader = scheduler(&place, "leading");
    wait_until("a tick", PATIENCE, || decided(&place) > 0);
    place.run(&["doctor", "--accept-loss"]).expect_error(1, "no data is missing");
    server.stop();
    let copy = server.copy_store();
    server.restart();
    let then = decided(&place);
    wait_until("ticks that the copy does not have", PATIENCE, || decided(&place) > then + 4);
    server.stop();
    server.restore(&copy);
    server.restart();
    wait_until("the refusal", PATIENCE, || in_state(&place, "refusing").len() == 1);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("stored data was lost: stream `"), "{doctor:?}");
    let restored = decided(&place);
    // Each look takes a while: some instants, and some tries to lead, pass meanwhile.
    for _ in 0..LOOKS {
        assert_eq!(decided(&place), restored, "nobody decides anything");
        assert_eq!(in_state(&place, "refusing").len(), 1, "and the one that refuses never looks well");
    }
    let before = active(&place);
    let said = place.run(&["doctor", "--accept-loss"]).expect(0);
    assert!(said.contains("accepted"), "{said}");
    wait_until("a leader", PATIENCE, || in_state(&place, "leading").len() == 1);
    wait_until("a tick", PATIENCE, || decided(&place) > restored);
    assert_eq!(active(&place), before, "what is active goes on");
    assert!(before.is_u64(), "{before}");
}

#[test]
fn a_stream_that_is_gone_is_shown_and_made_anew_and_what_was_in_it_is_missed() {
    let server = Server::start();
    let place = mesh(&server);
    remove_stream(&server, "KV_tickmesh_ledger");
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    let missing = doctor.stdout.lines().filter(|line| line.contains("`KV_tickmesh_ledger` does not exist any more"));
    assert_eq!(missing.count(), 2, "among streams, and among data: {doctor:?}");
    assert!(doctor.stdout.contains("nobody leads"), "the rest is looked at, too: {doctor:?}");
    // Nobody has led yet: it is made anew, and that is all.
    let _leader = scheduler(&place, "leading");
    wait_until("a tick", PATIENCE, || decided(&place) > 0);
    // The same for one that only carries what is said again.
    remove_stream(&server, "tickmesh_orders");
    assert!(place.run(&["doctor"]).stdout.contains("`tickmesh_orders` does not exist any more"));
    wait_until("the stream", PATIENCE, || !place.run(&["doctor"]).stdout.contains("does not exist"));
    wait_until("the leader", PATIENCE, || in_state(&place, "leading").len() == 1);
    // But this one says what was decided.
    remove_stream(&server, "KV_tickmesh_ledger");
    wait_until("the refusal", PATIENCE, || in_state(&place, "refusing").len() == 1);
    wait_until("the loss", PATIENCE, || place.run(&["doctor"]).stdout.contains("stream `ledger` was made at"));
    place.run(&["doctor", "--accept-loss"]).expect(0);
    wait_until("a tick", PATIENCE, || decided(&place) > 0);
}
