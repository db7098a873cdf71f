//! What works, or fails, without a mesh.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::command::{Answer, Place, repository_file};

#[test]
fn every_sample_app_is_valid() {
    let place = Place::alone();
    for (file, schedule) in [
        ("examples/seed.yml", "0-59/30 * * * * * (Asia/Shanghai), next "),
        ("examples/demo.yml", "*/5 * * * * * (Asia/Shanghai), next "),
        ("examples/nightly-backup.yml", "0 30 2 * * * (Europe/Berlin), next "),
        ("examples/pipeline.yml", "0 0 6 * * mon-fri (America/New_York), next "),
        ("examples/clean-hosts.yml", "@hourly (UTC), next "),
    ] {
        let file = repository_file(file);
        let stdout = place.run(&["validate", &file]).expect(0);
        assert!(stdout.starts_with(&format!("{file}: ok: {schedule}")), "{stdout}");
        let (_, next) = stdout.split_once(", next ").unwrap();
        assert_eq!(next.matches('T').count(), 3, "three instants: {stdout}");
    }
}

#[test]
fn all_problems_of_all_files_are_told_with_their_places() {
    let place = Place::alone();
    place.write("good.yml", "labels: {aliyun.project_type: batch}\nservices: {s1: {image: busybox}}\n");
    place.write("bad.yml", "labels:\n  aliyun.schedule: \"* * *\"\nservices:\n  s1:\n    imge: busybox\n");
    let answer = place.run(&["validate", "bad.yml", "good.yml"]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(answer.stdout.starts_with("good.yml: ok: "), "{answer:?}");
    for place in [
        "bad.yml:2:26: error: the schedule has 3 of 6 fields",
        "bad.yml:5:5: error: unknown key `imge`\n    5 |     imge: busybox\n      |     ^\n  hint: did you mean `image`?",
    ] {
        assert!(answer.stderr.contains(place), "`{place}` is not in {answer:?}");
    }
}

#[test]
fn programs_get_problems_as_data() {
    let place = Place::alone();
    place.write("bad.yml", "labels: {aliyun.project_type: batch}\nservices:\n  s1: {image: busybox, imge: busybox}\n");
    let answer = place.run(&["validate", "-o", "json", "bad.yml"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (2, ""));
    let files: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(files[0]["valid"], false);
    assert_eq!(files[0]["diagnostics"][0]["line"], 3);
    assert_eq!(files[0]["diagnostics"][0]["severity"], "error");
}

#[test]
fn a_file_on_stdin_sees_variables() {
    let place = Place::alone();
    let file = "labels: {aliyun.project_type: batch}\nservices: {s1: {image: \"busybox:${TAG:?say which}\"}}";
    place.run_with_input(&["validate", "-"], file).expect_error(2, "say which");
    let stdout = place.run_with_input(&["validate", "-", "--var", "TAG=1"], file).expect(0);
    assert_eq!(stdout, "<stdin>: ok: no schedule: run by hand\n");
}

#[test]
fn variables_come_from_beside_the_file_or_from_a_file_that_is_named() {
    let place = Place::alone();
    let job = "labels: {aliyun.project_type: batch}\nservices: {s1: {image: \"busybox:${TAG}\", environment: [P=$P]}}";
    place.write("job.yml", job);
    let unset = "  hint: add a line `P=...` to the file `.env` beside the compose file";
    place.run(&["validate", "job.yml", "--var", "TAG=1"]).expect_error(2, unset);
    place.write(".env", "TAG=${P:?of the command line}\n");
    place.run(&["validate", "job.yml"]).expect_error(2, "cannot read the variables in .env: line 1: ");
    place.run(&["validate", "job.yml", "--var", "P=1"]).expect(0);
    place.write("other.env", "TAG=2\nP=x$NONE\n");
    let answer = place.run(&["validate", "job.yml", "--env-file", "other.env"]);
    assert_eq!(
        answer.stderr,
        "other.env: warning: line 2: the variable `NONE` is not set: nothing is put in its place\n"
    );
    answer.expect(0);
}

#[test]
fn instants_are_printed_in_their_zone() {
    let arguments = ["next", "--schedule", "0 30 2 * * *", "--tz", "Europe/Berlin", "--from", "2027-03-27T00:00:00Z"];
    let stdout = Place::alone().run(&[&arguments[..], &["-n", "3"]].concat()).expect(0);
    // The second one falls into the gap at the beginning of summer.
    assert_eq!(stdout, "2027-03-27T02:30:00+01:00\n2027-03-28T03:00:00+02:00\n2027-03-29T02:30:00+02:00\n");
}

/// The zone is the schedule's, or UTC; that of the host is nobody's business.
#[test]
fn the_hosts_zone_changes_nothing() {
    let place = Place::alone();
    let instants = |zone: &str, tz: &[&str]| {
        let from = ["--from", "2018-11-03T22:00:00", "-n", "3"];
        let arguments = [&["next", "--schedule", "0 30 23,0 * * *"][..], &from, tz].concat();
        let output = place.command(&arguments).env("TZ", zone).output().unwrap();
        Answer::from(output).expect(0)
    };
    let brazil = "2018-11-03T23:30:00-03:00\n2018-11-04T23:30:00-02:00\n2018-11-05T00:30:00-02:00\n";
    let utc = "2018-11-03T23:30:00+00:00\n2018-11-04T00:30:00+00:00\n2018-11-04T23:30:00+00:00\n";
    for zone in ["", "UTC", "America/Sao_Paulo", "Pacific/Apia", ":/nowhere", "XYZ-14"] {
        assert_eq!(instants(zone, &["--tz", "America/Sao_Paulo"]), brazil, "TZ={zone}");
        assert_eq!(instants(zone, &[]), utc, "TZ={zone}");
    }
}

#[track_caller]
fn check_refused(arguments: &[&str], said: &str) {
    Place::alone().run(arguments).expect_error(2, said);
}

#[test]
fn bad_input_is_refused_with_a_reason() {
    check_refused(&["frobnicate"], "unrecognized subcommand 'frobnicate'");
    check_refused(&["next"], "required arguments were not provided");
    check_refused(&["next", "--schedule", "0 0 25 * * *"], "  0 0 25 * * *\n      ^\n");
    check_refused(&["next", "--schedule", "@daily", "--tz", "Asia/Shangai"], "hint: write `Asia/Shanghai`");
    check_refused(&["next", "--schedule", "@daily", "-n", "0"], "0 is not in 1..=10000");
    check_refused(&["validate", "missing.yml"], "cannot read missing.yml: No such file or directory");
    check_refused(&["show", "a/b/c"], "`b` is not the number of a run");
    check_refused(&["retry", "nightly"], "`nightly` names no run\n  hint: `tickmesh runs nightly` lists them");
    check_refused(&["rm", "no.name"], "app name `no.name` is not valid");
    check_refused(&["run", "nightly", "--env", "NAME"], "it must be NAME=VALUE");
    check_refused(&["run"], "required arguments were not provided");
    check_refused(&["run", "nightly", "-f", "nightly.yml"], "cannot be used with");
    check_refused(&["run", "-f", "missing.yml"], "cannot read missing.yml: No such file or directory");
    check_refused(
        &["run", "nightly", "-e", &format!("A={}", "x".repeat(4096))],
        "the environment takes 4104 bytes to store, at most 4096 are allowed",
    );
    check_refused(&["--namespace", "a.b", "ls"], "namespace name `a.b` is not valid");
    check_refused(&["agent", "--allow-path", "data"], "the path must be absolute");
    check_refused(&["agent", "--allow-device", "null"], "the path must be absolute");
    check_refused(
        &["agent", "--allow-cap", "SYS_ADMN"],
        "`SYS_ADMN` is not a capability such as `NET_ADMIN`, or `ALL`",
    );
    check_refused(&["agent", "--allow", "everything"], "[possible values: host-network, container-network, host-pid, ");
}

#[test]
fn an_unreachable_mesh_is_told_in_one_line_with_a_way_out() {
    let answer = Place::alone().run(&["--nats", "nats://127.0.0.1:1", "ls"]);
    let lines: Vec<&str> = answer.stderr.lines().collect();
    assert_eq!((answer.code, lines.len()), (3, 2), "{answer:?}");
    assert!(lines[0].starts_with("error: failed to connect to NATS at `nats://127.0.0.1:1`: "), "{answer:?}");
    assert_eq!(lines[1], "  hint: start it with `tickmesh up`, or set --nats");
}

/// Whoever asks for data gets what could be looked at from here, and the finding that the rest could not.
#[test]
fn doctor_says_as_data_that_there_is_no_mesh() {
    let place = Place::alone();
    let mut command = place.command(&["--nats", "nats://127.0.0.1:1", "doctor", "-o", "json"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let answer = Answer::from(command.output().unwrap());
    assert_eq!((answer.code, answer.stderr.as_str()), (3, ""), "{answer:?}");
    let checks: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    let found: Vec<_> = checks.as_array().unwrap().iter().map(|it| (&it["name"], &it["finding"])).collect();
    let wanted = [("nats", "wrong"), ("docker", "warning"), ("zones", "ok")];
    let wanted = wanted.map(|(name, finding)| (serde_json::Value::from(name), serde_json::Value::from(finding)));
    assert_eq!(found, wanted.iter().map(|(name, finding)| (name, finding)).collect::<Vec<_>>());
    assert_eq!(checks[0]["hint"], "start it with `tickmesh up`, or set --nats");
    assert!(checks[1]["text"].as_str().unwrap().starts_with("no agent can run on this host: "), "{checks}");
}

#[test]
fn a_reader_who_has_seen_enough_ends_the_command_without_a_word() {
    let mut child = Place::alone().start(&["next", "--schedule", "* * * * * *", "-n", "10000"]);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    // 10,000 instants are 260 kB: more than a pipe holds, so the command notices.
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

/// Whoever read the agent's log may be gone when its guard has something to say, and to do.
#[test]
fn a_guard_does_its_work_when_nobody_reads_its_log() {
    let place = Place::alone();
    let settings = serde_json::json!({
        "owner": {"mesh": "01a2171f-b879-77a2-b495-40f14b797bef", "namespace": "test", "agent": "nobody"},
        "fence": {"secs": 0, "nanos": 200_000_000},
        "boot": "this",
        "engine": "any",
        "folder": place.folder.path(),
    });
    let mut command = place.command(&["internal-guard", &settings.to_string()]);
    let mut guard = command.env("TICKMESH_LOG", "trace").stderr(Stdio::piped()).spawn().unwrap();
    drop(guard.stderr.take());
    // Its deadline passes, the engine lists nothing, and nobody is connected: it ends.
    assert_eq!(guard.wait().unwrap().code(), Some(0));
    let folder = std::fs::read_dir(place.folder.path()).unwrap().next().unwrap().unwrap().path();
    let memory = std::fs::read_to_string(folder.join("memory.json")).unwrap();
    assert!(memory.contains(r#""standing":"fenced""#), "{memory}");
}

/// A guard is started by its agent in the same way, and must not depend on a file of the user.
#[test]
fn a_damaged_file_of_contexts_stops_only_what_needs_a_mesh() {
    let place = Place::alone();
    std::fs::create_dir_all(place.folder.path().join("config/tickmesh")).unwrap();
    place.write("config/tickmesh/config.toml", "current = \n");
    place.write("a.yml", "labels: {tickmesh.project_type: batch}\nservices: {s1: {image: busybox}}\n");
    place.run(&["validate", "a.yml"]).expect(0);
    place.run(&["explain", "@daily"]).expect(0);
    place.run(&["completions", "bash"]).expect(0);
    let guard = place.run(&["internal-guard", "no settings"]);
    assert!(!guard.stderr.contains("config.toml"), "{guard:?}");
    let listed = place.run(&["ls"]);
    assert_eq!(listed.code, 2, "{listed:?}");
    assert!(listed.stderr.contains("config.toml"), "{listed:?}");
    place.run(&["ls", "--nats", "nats://127.0.0.1:1"]).expect(3);
}
