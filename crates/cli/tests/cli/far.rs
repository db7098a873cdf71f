//! Commands whose NATS is far away: a person waits for every answer that is needed before the next question.

use std::time::{Duration, Instant};

use tickmesh_core::{ledger::Cause, message::AttemptEvent, outcome::Outcome};
use tickmesh_testkit::{nats::Server, proxy::Proxy, records as fixture, wait::wait_until};

use crate::{
    command::{Place, stored},
    part::Part,
};

/// As from one continent to another.
const EACH_WAY: Duration = Duration::from_millis(150);
/// What NATS itself needs beyond a TCP connection and the server's word about itself: the login.
const CONNECT: u64 = 1;
/// A busy machine may hold an answer up until later questions have come, and then looks like more round trips.
const TRIES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

const NIGHTLY: &str = "labels: {tickmesh.schedule: \"30 2 * * *\"}\nservices: {s1: {image: busybox}}\n";

/// A mesh that somebody leads, with an agent that is heard no more and a run that waits for it.
fn mesh(server: &Server) -> (Place, Part) {
    let place = Place::with_mesh(server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    stored(server, async |mesh| {
        let heartbeat = fixture::heartbeat(std::iter::empty()).value;
        mesh.agents().compare_and_set("host-1", &heartbeat, 0).await.unwrap();
    });
    let leader = Part::start(&place, &["scheduler"], "leading");
    place.run(&["run", "nightly"]).expect(0);
    (place, leader)
}

/// Runs a command far from the server; returns its round trips beyond the connect, and how long it took.
fn far(server: &Server, arguments: &[&str]) -> (u64, Duration) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = server.url().trim_start_matches("nats://").parse().unwrap();
    let tried = (0..TRIES).map(|_| {
        let proxy = runtime.block_on(Proxy::far_to(address, EACH_WAY));
        let place = Place::at(format!("nats://{}", proxy.address()));
        let begun = Instant::now();
        place.run(arguments).expect(0);
        (proxy.round_trips() - CONNECT, begun.elapsed())
    });
    let (trips, times): (Vec<_>, Vec<_>) = tried.unzip();
    (trips.into_iter().min().unwrap(), times.into_iter().min().unwrap())
}

#[track_caller]
fn check(server: &Server, arguments: &[&str], expected: u64) {
    let (trips, took) = far(server, arguments);
    assert!(trips <= expected, "{arguments:?} takes {trips} round trips ({took:?}), and may take {expected}");
}

#[test]
fn lists_take_one_round_trip_and_details_at_most_three() {
    let server = Server::start();
    let (_place, _leader) = mesh(&server);
    check(&server, &["ls"], 1);
    check(&server, &["agents"], 1);
    check(&server, &["runs", "nightly"], 1);
    check(&server, &["show", "nightly"], 2);
    check(&server, &["show", "nightly/1"], 2);
    // The beginning of a name has to be looked up first.
    check(&server, &["runs", "night"], 3);
    let (_, took) = far(&server, &["ls"]);
    assert!(took < Duration::from_secs(1), "ls took {took:?}");
}

/// Answers are waited for as long as the way to the server takes, and half a second more.
#[test]
fn leader_is_known_from_far_away() {
    let server = Server::start();
    let (_place, _leader) = mesh(&server);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = server.url().trim_start_matches("nats://").parse().unwrap();
    let proxy = runtime.block_on(Proxy::far_to(address, Duration::from_millis(400)));
    let place = Place::at(format!("nats://{}", proxy.address()));
    assert!(place.run(&["leader"]).expect(0).contains("leading"));
    assert!(!place.run(&["ls"]).stderr.contains("no scheduler leads"));
}

/// What went wrong with a run is told with the last lines of its output.
#[test]
fn failed_run_is_shown_after_three_round_trips() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let _leader = Part::start(&place, &["scheduler"], "leading");
    wait_until("a ledger", PATIENCE, || !place.run(&["ls"]).expect(0).contains("not known"));
    stored(&server, async |mesh| {
        let summary = fixture::summary(1, Cause::Schedule, &[Outcome::failed(7)]);
        mesh.history().append(&fixture::app(), &summary, 0).await.unwrap();
        let exited = AttemptEvent::Exited {
            exit_code: 7,
            oom_killed: false,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
        let report = fixture::report(0, exited);
        mesh.results().append(&report, 0).await.unwrap();
        for number in 0..3 {
            mesh.logs().publish(&fixture::output(number, "a line\n")).await.unwrap();
        }
    });
    check(&server, &["show", "nightly/1"], 3);
}
