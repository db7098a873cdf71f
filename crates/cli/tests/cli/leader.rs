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
fn a_file_is_run_as_it_is() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    let answer = place.run(&["run", "-f", "./nightly.yml"]);
    assert!(answer.stderr.starts_with("app nightly unchanged (revision 1): 0 30 2 * * * "), "{answer:?}");
    assert_eq!(answer.expect(0), "run nightly/1 started\n");
    place.write("nightly.yml", &NIGHTLY.replace("0 30 2", "0 31 2"));
    let answer = place.run(&["run", "-f", "nightly.yml", "--env", "DAY=1", "-o", "json"]);
    assert!(answer.stderr.starts_with("app nightly applied (revision 2): 0 31 2 * * * "), "{answer:?}");
    let done = answer.json();
    assert_eq!((&done["done"], &done["waiting"]), (&"waiting".into(), &1.into()), "{done}");
    let file = "labels: {aliyun.project_type: batch}\nservices: {s1: {image: \"${IMAGE}\"}}\n";
    let by_stdin = ["run", "-f", "-", "--name", "other", "--var", "IMAGE=busybox", "-o", "name"];
    assert_eq!(place.run_with_input(&by_stdin, file).expect(0), "other/1\n");
    place.write("other.yml", "services: [");
    place.run(&["run", "-f", "other.yml"]).expect_error(2, "other.yml is not valid, and nothing has changed");
    let folder = place.folder.path().display().to_string();
    place.write("other.yml", file);
    place
        .run(&["run", "-f", &folder, "--var", "IMAGE=busybox"])
        .expect_error(2, "has 2 apps, and one is run: nightly, other");
}

#[test]
fn what_is_done_is_data_for_programs() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    let done = |arguments: &[&str]| place.run(&[arguments, &["-o", "json"]].concat()).json();
    let check = |arguments: &[&str], expected: serde_json::Value| {
        let mut found = done(arguments);
        found.as_object_mut().unwrap().remove("request").unwrap();
        assert_eq!(found, expected, "{arguments:?}");
    };
    check(&["pause", "nightly"], serde_json::json!({"done": "paused", "app": "nightly"}));
    check(&["resume", "nightly"], serde_json::json!({"done": "resumed", "app": "nightly", "skipped": 0}));
    check(&["run", "nightly"], serde_json::json!({"done": "started", "app": "nightly", "run": 1}));
    check(&["run", "nightly"], serde_json::json!({"done": "waiting", "app": "nightly", "waiting": 1}));
    check(&["queue", "nightly", "--flush"], serde_json::json!({"done": "flushed", "app": "nightly", "waiting": 1}));
    let ended = done(&["cancel", "nightly", "--wait"]);
    assert_eq!((&ended[0]["done"], &ended[0]["outcome"]), (&"ended".into(), &"cancelled".into()), "{ended}");
    assert_eq!(ended.as_array().unwrap().len(), 1, "programs get one list: {ended}");
    check(&["retry", "nightly/1"], serde_json::json!({"done": "started", "app": "nightly", "run": 2}));
    place.run(&["retry", "nightly/77"]).expect_error(2, "run nightly/77 is not known\n  hint: `tickmesh runs nightly`");
    assert_eq!(place.run(&["cancel", "nightly/2", "-o", "name"]).expect(0), "nightly/2\n");
    let applied = done(&["apply", "nightly.yml"]);
    assert_eq!((&applied[0]["done"], &applied[0]["revision"]), (&"unchanged".into(), &1.into()), "{applied}");
    assert_eq!(applied[0]["next"].as_array().unwrap().len(), 3, "{applied}");
    let next = done(&["next", "nightly", "-n", "2"]);
    assert!(next[1].as_str().unwrap().ends_with("+08:00"), "{next}");
    let removed = done(&["rm", "nightly"]);
    assert_eq!((&removed[0]["done"], &removed[0]["revision"]), (&"removed".into(), &2.into()), "{removed}");
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

/// What people type who come from docker and kubectl.
#[test]
fn lists_are_filtered_and_several_apps_paused() {
    let server = Server::start();
    let (place, _leader) = mesh(&server);
    place.write("billing.yml", "labels: {aliyun.project_type: batch}\nservices: {s1: {image: busybox}}\n");
    place.run(&["create", "-f", "billing.yml"]).expect(0);
    let names = |arguments: &[&str]| place.run(&[arguments, &["-o", "name"]].concat()).expect(0);
    assert_eq!(place.run(&["pause", "billing", "nightly"]).expect(0), "app billing is paused\napp nightly is paused\n");
    assert_eq!(names(&["ls", "--status", "paused"]), "billing\nnightly\n");
    assert_eq!(place.run(&["resume", "--all", "-o", "json"]).json().as_array().map(Vec::len), Some(2));
    assert_eq!(names(&["ps", "--status", "paused"]), "");
    assert_eq!(names(&["get", "nightly"]), "nightly\n");
    place.run(&["ls", "nobody"]).expect_error(2, "there is no app `nobody`");
    place.run(&["pause", "nightly", "nobody"]).expect_error(2, "there is no app `nobody`");
    assert_eq!(names(&["ls", "--status", "paused"]), "", "all or none");
    place.run(&["rm", "nobody", "billing"]).expect_error(2, "there is no app `nobody`");
    assert_eq!(place.run(&["rm", "-f", "nobody", "billing"]).expect(0), "app billing removed\n");
    place.run(&["agent", "show", "nobody"]).expect_error(2, "there is no agent `nobody`");
    place.run(&["show", "nightly.yml"]).expect_error(2, "is a file: did you mean the app `nightly`");
    place.run(&["down"]).expect_error(2, "tip: Ctrl-C stops");
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
    place.run(&["retry", "nightly/7"]).expect_error(2, "run nightly/7 is not known");
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
