//! Commands on a mesh that nobody leads: what they store, and what they say of it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tickmesh_core::{
    history::RunSummary,
    ledger::{Cause, Ledger},
    message::{AgentRecord, AttemptEvent, LogBatch},
    name::AppName,
    outcome::Outcome,
};
use tickmesh_testkit::{nats::Server, records as fixture, wait::wait_until};

use crate::{
    command::{Answer, Place, stored},
    part::Part,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
    assert!(stdout.starts_with("app other applied (revision 1)\n"), "{stdout}");
    // The same file by another path is the same app.
    let stdout = place.run(&["apply", "./nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly unchanged (revision 1)\n"), "{stdout}");
    let stdout = place.run(&["apply", "./nightly.yml", "--dry-run"]).expect(0);
    assert!(stdout.starts_with("app nightly is unchanged\n"), "{stdout}");
    assert_eq!(place.run(&["diff", "./nightly.yml"]).expect(0), "");
    place.write("nightly.yml", &NIGHTLY.replace("30", "31"));
    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly applied (revision 2)\n"), "{stdout}");

    let answer = place.run(&["ls"]);
    assert!(answer.stderr.contains("no tick is decided: no scheduler leads: see `tickmesh leader`"), "{answer:?}");
    let stdout = answer.expect(0);
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("NAME     SCHEDULE      TIMEZONE       STATE    QUEUE  LAST  NEXT"), "{stdout}");
    assert!(lines[1].starts_with("nightly  0 31 2 * * *  Asia/Shanghai  waiting  0/3    -     -"), "{stdout}");
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["nightly", "other"]);
    assert_eq!(place.run(&["next", "nightly", "-n", "2"]).expect(0).matches("T02:31:00+08:00\n").count(), 2);

    assert_eq!(place.run(&["rm", "nightly", "other"]).expect(0), "app nightly removed\napp other removed\n");
    assert_eq!(place.run(&["ls", "-o", "name"]).expect(0), "");
    place.run(&["rm", "nightly"]).expect_error(2, "there is no app `nightly`");
    let stdout = place.run(&["apply", "nightly.yml"]).expect(0);
    assert!(stdout.starts_with("app nightly applied (revision 4)\n"), "{stdout}");
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
    assert_eq!(apps[0]["next"], serde_json::Value::Null, "nobody leads, and nothing is promised");
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
    place.write("天.yml", NIGHTLY);
    place.run(&["apply", "天.yml"]).expect_error(2, "hint: give it a name with --name");
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
fn going_back_skips_what_only_had_another_path() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let changed = NIGHTLY.replace("30", "31");
    place.write("nightly.yml", &changed);
    place.run(&["apply", "nightly.yml"]).expect(0);
    // As earlier releases stored it: a revision of its own, though nothing but the path is another.
    stored(&server, async |mesh| {
        let app = AppName::new("nightly").unwrap();
        let current = mesh.edits().current(&app).await.unwrap();
        let mut record = current.record().unwrap().clone();
        record.source.as_mut().unwrap().file_name = "./nightly.yml".to_owned();
        mesh.edits().write(&app, &record, &current).await.unwrap();
    });
    let done = place.run(&["rollback", "nightly", "-o", "json"]).json();
    assert_eq!((&done["done"], &done["revision"]), (&"applied".into(), &4.into()), "{done}");
    assert!(place.run(&["ls"]).expect(0).contains("0 30 2 * * *"));
    let changes = place.run(&["history", "nightly", "2", "-o", "json"]).json();
    assert_eq!((&changes["revision"], &changes["added"]), (&2.into(), &1.into()), "{changes}");
    assert!(changes["diff"].as_str().unwrap().contains("\n+labels: "), "{changes}");
}

#[test]
fn what_others_have_written_drives_no_terminal() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    let shown = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        // As on a terminal: elsewhere all that could drive one is removed on the way out.
        command.env("USER", "me\u{1b}[2J").env("CLICOLOR_FORCE", "1");
        Answer::from(command.output().unwrap()).expect(0)
    };
    shown(&["apply", "nightly.yml"]);
    for command in [&["history", "nightly"][..], &["show", "nightly"]] {
        let text = shown(command);
        assert!(text.contains("me\\u{1b}[2J@") && !text.contains("\u{1b}[2J"), "{text:?}");
    }
}

/// What a run wrote is known to be all there is, or else it is said that it is not.
#[test]
fn missing_output_is_told_and_so_are_runs_that_never_were() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let finished_at = Timestamp::now();
    stored(&server, async |mesh| {
        let ledger = Ledger { last_run: 12, ..fixture::ledger(vec![]) };
        mesh.ledgers().compare_and_set("nightly", &ledger, 0).await.unwrap();
        let summary = fixture::summary(1, Cause::Schedule, &[Outcome::Succeeded]);
        let summary = RunSummary { finished_at, ..summary };
        mesh.history().append(&fixture::app(), &summary, 0).await.unwrap();
        mesh.logs().publish(&fixture::output(0, "first\n")).await.unwrap();
    });
    let partial = "the end of the output of s1/0 (attempt 1) has not come\n";
    let answer = place.run(&["logs", "nightly/1"]);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str(), answer.code), ("first\n", partial, 0));
    let nothing =
        "nothing is stored any more of what run nightly/2 wrote\n  hint: `tickmesh runs nightly` lists the last 10";
    place.run(&["logs", "nightly/2"]).expect_error(2, nothing);
    place.run(&["logs", "-f", "nightly/2"]).expect_error(2, nothing);
    let never = "there has been no run nightly/13\n  hint: the last one is nightly/12\n";
    place.run(&["logs", "nightly/13"]).expect_error(2, never);
    place.run(&["logs", "-f", "nightly/13"]).expect_error(2, never);

    // Nobody is there who could bring the rest.
    let answer = place.run(&["logs", "-f", "nightly/1"]);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str(), answer.code), ("first\n", partial, 1));

    // An agent that is heard brings it once it can, which may be later than anybody waits otherwise.
    let follower = place.start(&["logs", "-f", "nightly/1"]);
    let begun = Instant::now();
    wait_until("a time that would be too long without an agent", PATIENCE, || {
        stored(&server, async |mesh| {
            let heartbeat = fixture::heartbeat(std::iter::empty()).value;
            let stored = mesh.agents().read("host-1").await.unwrap().map_or(0, |entry| entry.sequence);
            let heartbeat = AgentRecord { number: stored + 1, ..heartbeat };
            mesh.agents().compare_and_set("host-1", &heartbeat, stored).await.unwrap();
        });
        begun.elapsed() > Duration::from_secs(13)
    });
    stored(&server, async |mesh| {
        mesh.logs().publish(&LogBatch { last: true, ..fixture::output(1, "last\n") }).await.unwrap();
    });
    let answer = Answer::from(follower.wait_with_output().unwrap());
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str(), answer.code), ("first\nlast\n", "", 0));
    assert_eq!(place.run(&["logs", "nightly/1"]).stderr, "");
}

/// The leader takes a run out of the ledger's active ones first, and publishes its summary then.
#[test]
fn a_run_on_its_way_to_the_history_is_known() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    stored(&server, async |mesh| {
        let mut ledger = Ledger { last_run: 2, ..fixture::ledger(vec![]) };
        for run in [1, 2] {
            let summary = fixture::summary(run, Cause::Schedule, &[Outcome::Succeeded]);
            ledger.history.push(|number| RunSummary { number, ..summary });
        }
        mesh.ledgers().compare_and_set("nightly", &ledger, 0).await.unwrap();
        // One that is stored already is still in the ledger until the leader has written it again.
        mesh.history().append(&fixture::app(), &ledger.history.pending[0], 0).await.unwrap();
    });
    assert_eq!(place.run(&["show", "nightly/2", "-o", "json"]).json()["outcome"], "succeeded");
    let runs = |answer: serde_json::Value| -> Vec<u64> {
        answer.as_array().unwrap().iter().map(|run| run["run"].as_u64().unwrap()).collect()
    };
    assert_eq!(runs(place.run(&["runs", "nightly", "-o", "json"]).json()), [2, 1]);
    assert_eq!(runs(place.run(&["show", "nightly", "-o", "json"]).json()["runs"].clone()), [2, 1]);
    let answer = place.run(&["logs", "nightly"]);
    assert_eq!(
        answer.stderr, "the end of the output of s1/0 (attempt 1) has not come\n",
        "of the run that is known to have ended"
    );
}

#[test]
fn events_are_those_of_the_app_and_no_more_than_are_wanted() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    stored(&server, async |mesh| {
        for (app, replica) in [("nightly", 0), ("nightly-eu", 1), ("nightly", 2)] {
            let mut report = fixture::report(replica, AttemptEvent::Cancelled { exit_code: None });
            report.attempt.app = AppName::new(app).unwrap();
            mesh.results().append(&report, 0).await.unwrap();
        }
    });
    let shown = |arguments: &[&str]| {
        let answer = place.run(&[&["events"], arguments].concat());
        let replicas = ["nightly/1/s1/0", "nightly-eu/1/s1/1", "nightly/1/s1/2"];
        let said = replicas.map(|name| answer.stdout.contains(&format!("result  {name} ")));
        (said, answer.stderr)
    };
    assert_eq!(shown(&["nightly"]), ([true, false, true], String::new()));
    assert_eq!(shown(&[]).0, [true, true, true]);
    let earlier = "1 earlier events are not shown: see --tail and --since\n".to_owned();
    assert_eq!(shown(&["nightly", "--tail", "1"]), ([false, false, true], earlier));
    assert_eq!(shown(&["nightly", "--since", "2100-01-01T00:00:00Z"]), ([false; 3], String::new()));
}

#[test]
fn a_shell_is_told_the_names_of_the_mesh_that_its_line_is_about() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    stored(&server, async |mesh| {
        let heartbeat = fixture::heartbeat(std::iter::empty()).value;
        mesh.agents().compare_and_set("host-1", &heartbeat, 0).await.unwrap();
    });
    let offered = |typed: &[&str]| {
        let url = server.url();
        let line = [&["--", "tickmesh", "--nats", &url], typed].concat();
        let elsewhere = Place::alone();
        let mut command = elsewhere.command(&line);
        let index = (line.len() - 2).to_string();
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
        Answer::from(command.output().unwrap()).expect(0)
    };
    assert_eq!(offered(&["show", "n"]).trim(), "nightly");
    assert_eq!(offered(&["agent", "drain", "h"]).trim(), "host-1");
    assert_eq!(offered(&["--namespace", "other", "show", "n"]).trim(), "");
}

#[test]
fn cancel_with_wait_goes_on_waiting_for_a_leader() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("nightly.yml", NIGHTLY);
    place.run(&["apply", "nightly.yml"]).expect(0);
    let stored = place.run(&["run", "nightly", "-o", "json"]).json();
    assert_eq!((&stored["done"], &stored["app"]), (&"stored".into(), &"nightly".into()), "{stored}");
    let mut waiting = place.start(&["cancel", "nightly/1", "--wait"]);
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert!(said.starts_with("no leader has answered within 5s"), "{said}");
    let _leader = Part::start(&place, &["scheduler"], "leading");
    let answer = Answer::from(waiting.wait_with_output().unwrap());
    let ended = "run nightly/1 is being stopped\nrun nightly/1 ended: cancelled\n";
    assert_eq!((answer.code, answer.stdout.as_str()), (0, ended), "{answer:?}");
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
