//! Commands on a mesh with a leader and without an agent: what runs stays pending, and so everything holds still.

use tickmesh_testkit::nats::Server;

use crate::{command::Place, part::Part};

const NIGHTLY: &str = "labels: {aliyun.schedule: \"0 30 2 * * *\", tickmesh.jitter: 1h}\n\
                       services: {s1: {image: busybox, labels: {aliyun.scale: \"2\"}}}\n";

/// A mesh with the app `nightly`. The leader goes before the server.
fn mesh(server: &Server) -> (Place, Part) {
    let place = Place::with_mesh(server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let leader = Part::start(&place, &["scheduler"], "leading");
    (place, leader)
}

/// Lines of `show`, without the blanks between name and value.
fn facts(place: &Place, target: &str) -> Vec<String> {
    let shown = place.run(&["show", target]).expect(0);
    shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn what_waits_is_listed_thrown_out_and_counted() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    assert_eq!(place.run(&["queue", "nightly"]).expect(0), "");
    assert_eq!(place.run(&["run", "nightly"]).expect(0), "run nightly/1 started\n");
    for waiting in 1..=3 {
        let stdout = place.run(&["run", "nightly"]).expect(0);
        assert_eq!(stdout, format!("app nightly: the run waits, at place {waiting}\n"));
    }
    place.run(&["run", "nightly"]).expect_error(1, "app `nightly`: there will be no run: the queue is full");
    let waiting = place.run(&["queue", "nightly"]).expect(0);
    assert!(waiting.starts_with("1: manual, since ") && waiting.lines().count() == 3, "{waiting}");
    assert_eq!(place.run(&["queue", "nightly", "-o", "json"]).json()[2]["cause"], "manual");
    let stdout = place.run(&["queue", "nightly", "--flush"]).expect(0);
    assert_eq!(stdout, "app nightly: runs thrown out of the queue: 3\n");
    let facts = facts(&place, "nightly");
    let counted = "by hand 1 started, 1 dropped, 0 skipped, \
                   3 enqueued = 0 started later + 3 flushed + 0 replaced + 0 waiting";
    for fact in [counted, "ticks overlap queue, queue_limit 3, misfire latest, jitter 1h (here 22m29s258ms)"] {
        assert!(facts.iter().any(|it| it == fact), "`{fact}` is not in {facts:#?}");
    }
}

#[test]
fn an_app_is_paused_until_it_is_resumed() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    assert_eq!(place.run(&["pause", "nightly"]).expect(0), "app nightly is paused\n");
    assert_eq!(place.run(&["ls", "-o", "json"]).json()[0]["state"], "paused");
    let facts = facts(&place, "nightly");
    assert!(facts.iter().any(|it| it.starts_with("paused ") && it.contains(" by me@")), "{facts:#?}");
    assert_eq!(place.run(&["resume", "nightly"]).expect(0), "app nightly goes on\n");
    assert_eq!(place.run(&["ls", "-o", "json"]).json()[0]["state"], "waiting");
}

#[test]
fn a_run_that_did_not_succeed_is_retried_once_it_has_ended() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    place.run(&["run", "nightly", "--env", "A=1"]).expect(0);
    let active = "run 1 is active: only one that has ended can be retried";
    place.run(&["retry", "nightly/1"]).expect_error(1, active);
    place.run(&["cancel", "nightly/1", "--wait"]).expect(0);
    assert_eq!(place.run(&["retry", "nightly/1"]).expect(0), "run nightly/2 started\n");
    place.run(&["retry", "nightly/7"]).expect_error(1, "run 7 is not in the history");
    let runs = place.run(&["runs", "nightly", "-o", "json"]).json();
    assert_eq!((&runs[0]["run"], &runs[0]["cause"]), (&2.into(), &"retry".into()), "{runs}");
}

/// The same app is due as much later everywhere: what was announced is what happens.
#[test]
fn jitter_is_in_every_time_that_is_told() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    let due = "T02:52:29.258+08:00";
    assert_eq!(place.run(&["next", "nightly", "-n", "2"]).expect(0).matches(due).count(), 2);
    assert_eq!(place.run(&["apply", "nightly.yml"]).expect(0).matches(due).count(), 3);
    assert_eq!(place.run(&["show", "nightly"]).expect(0).matches(due).count(), 3);
    let next = place.run(&["ls", "-o", "json"]).json()[0]["next"].to_string();
    assert!(next.ends_with("T18:52:29.258Z\""), "{next}");
}
