//! Commands on a mesh that nobody leads: what they store, and what they say of it.

use std::io::{BufRead as _, BufReader, Read as _};

use tickmesh_testkit::nats::Server;

use crate::command::{Answer, Place};

const NIGHTLY: &str = "labels: {aliyun.schedule: \"0 30 2 * * *\"}\nservices: {s1: {image: busybox}}\n";

fn names(answer: Answer) -> Vec<String> {
    answer.expect(0).lines().map(str::to_owned).collect()
}

#[test]
fn an_app_lives_from_apply_to_rm() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    assert_eq!(place.run(&["ls", "-o", "name"]).expect(0), "");
    place.write("nightly.yml", NIGHTLY);
    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    let (first, second) = stdout.split_once('\n').unwrap();
    assert_eq!(first, "app nightly applied (revision 1)");
    assert!(second.starts_with("  0 30 2 * * * (Asia/Shanghai), next "), "{stdout}");

    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly unchanged (revision 1)\n"), "{stdout}");
    let stdout = place.run(&["apply", "nightly.yml", "--name", "other"]).expect(0);
    assert!(stdout.starts_with("app other applied (revision 2)\n"), "{stdout}");
    place.write("nightly.yml", &NIGHTLY.replace("30", "31"));
    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly applied (revision 3)\n"), "{stdout}");

    let stdout = place.run(&["ls"]).expect(0);
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("NAME     SCHEDULE      TIMEZONE       STATE    QUEUE  LAST  NEXT"), "{stdout}");
    assert!(lines[1].starts_with("nightly  0 31 2 * * *  Asia/Shanghai  waiting  0/3    -     in "), "{stdout}");
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["nightly", "other"]);
    assert_eq!(place.run(&["next", "nightly", "-n", "2"]).expect(0).matches("T02:31:00+08:00\n").count(), 2);

    assert_eq!(place.run(&["rm", "nightly", "other"]).expect(0), "app nightly removed\napp other removed\n");
    assert_eq!(place.run(&["ls", "-o", "name"]).expect(0), "");
    place.run(&["rm", "nightly"]).expect_error(2, "there is no app `nightly`");
    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly applied (revision 6)\n"), "{stdout}");
}

#[test]
fn what_an_app_was_applied_with_is_data() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let file = "labels: {tickmesh.schedule: \"${WHEN}\", tickmesh.timezone: UTC}\nservices: {s1: {image: busybox}}\n";
    let arguments = ["apply", "-", "--name", "nightly", "--var", "WHEN=@daily"];
    place.run_with_input(&arguments, file).expect(0);
    let apps = place.run(&["ls", "-o", "json"]).json();
    assert_eq!(apps[0]["schedule"], "@daily");
    assert_eq!(apps[0]["timezone"], "UTC");
    assert_eq!(apps[0]["state"], "waiting");
    assert_eq!(apps[0]["known_to_leader"], false);
    assert!(apps[0]["next"].as_str().unwrap().ends_with("T00:00:00Z"), "{apps}");
    assert!(apps[0]["applied_by"].as_str().unwrap().starts_with("me@"), "{apps}");
    let details = place.run(&["show", "nightly", "-o", "json"]).json();
    assert_eq!(details["services"][0]["image"], "busybox");
    let yaml = place.run(&["ls", "-o", "yaml"]).expect(0);
    assert!(yaml.contains("name: nightly\n"), "{yaml}");
}

const WITH_ENV_FILE: &str = "labels: {aliyun.project_type: batch}\nservices:\n  s1: {image: busybox, env_file: [job.env, {path: local.env, required: false}]}\n";

#[test]
fn an_edit_of_an_env_file_is_an_edit_of_the_app() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", WITH_ENV_FILE);
    let missing = "nightly.yml:3:35: error: the env file `job.env` is not there";
    place.run(&["apply", "nightly.yml"]).expect_error(2, missing);
    place.run(&["validate", "nightly.yml"]).expect_error(2, missing);
    let applied = |what: &str| {
        let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
        assert!(stdout.starts_with(&format!("app nightly {what}\n")), "{stdout}");
    };
    place.write("job.env", "A=1\n");
    applied("applied (revision 1)");
    applied("unchanged (revision 1)");
    place.write("job.env", "A=2\n");
    applied("applied (revision 2)");
    place.write("local.env", "A=3\n");
    applied("applied (revision 3)");
    applied("unchanged (revision 3)");
    place.write("job.env", "?\n");
    place.run(&["apply", "nightly.yml"]).expect_error(2, "line 1 of the env file `job.env` cannot be read: ");
}

/// They are found from where the file is, and not from where the command is given; without a file, from there.
#[test]
fn env_files_are_beside_the_compose_file() {
    let place = Place::alone();
    std::fs::create_dir(place.folder.path().join("sub")).unwrap();
    place.write("sub/nightly.yml", WITH_ENV_FILE);
    place.write("job.env", "A=1\n");
    place.run(&["validate", "sub/nightly.yml"]).expect_error(2, "the env file `job.env` is not there");
    place.run_with_input(&["validate", "-"], WITH_ENV_FILE).expect(0);
    place.write("sub/job.env", "A=1\n");
    place.run(&["validate", "sub/nightly.yml"]).expect(0);
}

#[test]
fn a_bad_file_changes_nothing() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    place.write("nightly.yml", &NIGHTLY.replace("image", "imge"));
    let answer = place.run(&["apply", "nightly.yml"]);
    assert!(answer.stderr.contains("nightly.yml:2:17: error: unknown key `imge`"), "{answer:?}");
    answer.expect_error(2, "error: nightly.yml is not valid, and nothing has changed");
    let stdout = place.run(&["show", "nightly"]).expect(0);
    assert!(stdout.contains("revision 1, "), "{stdout}");
    place.write("my app.yml", NIGHTLY);
    place.run(&["apply", "my app.yml"]).expect_error(2, "hint: give it a name with --name");
}

#[test]
fn rm_of_an_unknown_app_removes_none() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    place.run(&["rm", "nightly", "unknown"]).expect_error(2, "there is no app `unknown`");
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["nightly"]);
}

#[test]
fn an_unknown_app_is_bad_input_everywhere() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let commands: [&[&str]; 11] = [
        &["show", "unknown"],
        &["runs", "unknown"],
        &["logs", "unknown"],
        &["next", "unknown"],
        &["run", "unknown"],
        &["cancel", "unknown/1"],
        &["retry", "unknown/1"],
        &["pause", "unknown"],
        &["resume", "unknown"],
        &["queue", "unknown", "--flush"],
        &["rm", "unknown"],
    ];
    for command in commands {
        place.run(command).expect_error(2, "error: there is no app `unknown`\n  hint: `tickmesh ls` lists them\n");
    }
}

#[test]
fn a_mesh_that_was_never_made_is_unreachable() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.run(&["--namespace", "other", "ls"]).expect_error(3, "there is no mesh `other` on this NATS");
}

#[test]
fn a_request_waits_for_a_leader() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let answer = place.run(&["run", "nightly"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ""), "{answer:?}");
    let said = "no leader has answered within 5s: the request is stored, and will be carried out\n";
    assert_eq!(answer.stderr, said);

    // The next leader carries it out, and the run then waits for an agent.
    let mut scheduler = place.start(&["scheduler"]);
    let mut log = BufReader::new(scheduler.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("leading")), "the scheduler never led");
    let stdout = place.run(&["run", "nightly"]).expect(0);
    assert_eq!(stdout, "app nightly: the run waits, at place 1\n");
    let stdout = place.run(&["show", "nightly/1"]).expect(0);
    assert!(stdout.contains("s1/0     0        pending  -      no agent is known\n"), "{stdout}");
    let mut waiting = place.start(&["cancel", "nightly/1", "--wait"]);
    let ended = waiting.wait().unwrap();
    let mut said = String::new();
    waiting.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    scheduler.kill().unwrap();
    scheduler.wait().unwrap();
    assert_eq!(
        (ended.code(), said.as_str()),
        (Some(0), "run nightly/1 is being stopped\nrun nightly/1 ended: cancelled\n")
    );
    let runs = place.run(&["runs", "nightly", "-o", "json"]).json();
    let shown = |run: usize, field: &str| runs[run][field].as_str().unwrap_or_default().to_owned();
    assert_eq!((shown(0, "state"), shown(0, "cause")), ("running".to_owned(), "manual".to_owned()), "{runs}");
    assert_eq!((shown(1, "state"), shown(1, "outcome")), ("ended".to_owned(), "cancelled".to_owned()), "{runs}");
    let stdout = place.run(&["ls"]).expect(0);
    assert!(stdout.contains("cancelled ") && stdout.trim_end().ends_with('-'), "{stdout}");
}
