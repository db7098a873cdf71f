//! Whole meshes in one process, with a real Docker engine.

use std::{
    io::{BufRead, BufReader, Read as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tickmesh_testkit::{registry::Registry, wait::wait_until};

use crate::{
    command::{Answer, Place, containers_named},
    readme,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const COUNTING: &str = r#"
labels: {aliyun.project_type: batch}
services:
  s1:
    image: busybox
    network_mode: none
    env_file: counting.env
    labels: {tickmesh.scale: "2", tickmesh.remove_containers: remove-all}
    command: ["sh", "-c", "echo $$WORD $$TICKMESH_REPLICA of $$GREETING"]
  "#;

const FAILING: &str = r#"
labels: {aliyun.project_type: batch}
services:
  s1:
    image: busybox
    network_mode: none
    labels: {tickmesh.retry_count: "0", tickmesh.remove_containers: remove-all}
    command: ["sh", "-c", "exit $$CODE"]
  "#;

/// `tickmesh up`, which is killed if a test fails.
pub(crate) struct Up {
    child: Child,
    url: String,
    place: Place,
}

impl Up {
    pub(crate) fn start(place: Place) -> Self {
        let mut child = place.start(&["up", "--data", "data", "--name", "host-1"]);
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("export TICKMESH_NATS_URL=") else {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("`up` said {line:?} and {stderr}");
        };
        Self { url: url.to_owned(), child, place }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        self.place.run(&[&["--nats", &self.url], arguments].concat())
    }

    /// A further agent beside its own, on another engine.
    pub(crate) fn agent(&self, name: &str, engine: &str) -> Child {
        let mut command = self.place.command(&["--nats", &self.url, "agent", "--name", name]);
        command.env("DOCKER_HOST", engine).env("XDG_DATA_HOME", self.place.folder.path().join(name));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> Place {
        self.signal(Signal::INT);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::mem::replace(&mut self.place, Place::alone())
    }

    /// A connection to its nats-server, which ends when the server does.
    fn connection(&self) -> TcpStream {
        let connection = TcpStream::connect(self.url.strip_prefix("nats://").unwrap()).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped_before = self.child.wait();
    }
}

#[test]
fn the_demo_shows_three_runs_and_leaves_nothing_behind() {
    let place = Place::alone();
    let stdout = place.run(&["demo"]).expect(0);
    for run in 1..=3 {
        assert!(stdout.contains(&format!("starts run demo/{run}\n")), "{stdout}");
        assert!(stdout.contains(&format!("run demo/{run} succeeded after ")), "{stdout}");
    }
    assert_eq!(stdout.matches("exited with 0\n").count(), 15, "three runs of five replicas: {stdout}");
    let table: Vec<&str> = stdout.lines().skip_while(|line| !line.starts_with("RUN ")).collect();
    assert_eq!(table.len(), 4, "{stdout}");
    assert!(table[1].starts_with("demo/3") && table[1].ends_with("succeeded  5/5"), "{stdout}");
    readme::check_demo(&stdout);
    let namespace = stdout.split("namespace ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(containers_named(namespace), "");
}

#[test]
fn up_runs_apps_and_keeps_what_it_knows() {
    let place = Place::alone();
    place.write("counting.yml", COUNTING);
    // The greeting is that of the command line in the end.
    place.write("counting.env", "export WORD='replica' # a word\nGREETING=few\n");
    place.write("failing.yml", FAILING);
    let up = Up::start(place);
    up.run(&["apply", "counting.yml"]).expect(0);
    up.run(&["apply", "failing.yml"]).expect(0);

    let answer = up.run(&["run", "counting", "--wait", "-e", "GREETING=many"]);
    assert!(answer.stderr.starts_with("run counting/1 started\n"), "{answer:?}");
    let stdout = answer.expect(0);
    assert!(stdout.starts_with("run counting/1 succeeded after "), "{stdout}");
    assert!(stdout.ends_with(", 2 of 2 replicas succeeded\n"), "{stdout}");
    let answer = up.run(&["run", "failing", "--wait", "--env", "CODE=42"]);
    assert!(answer.stderr.ends_with("exit code 42 is that of the run's only container\n"), "{answer:?}");
    answer.expect(42);
    let answer = up.run(&["run", "counting", "--wait", "--", "echo", "other words"]);
    answer.expect(0);

    let stdout = up.run(&["logs", "counting/1"]).expect(0);
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["s1/0 | replica 0 of many", "s1/1 | replica 1 of many"]);
    assert_eq!(up.run(&["logs", "counting/1/s1/1"]).expect(0), "replica 1 of many\n");
    assert_eq!(up.run(&["logs", "counting/2/s1/0"]).expect(0), "other words\n");
    assert_eq!(up.run(&["logs", "counting", "--tail", "0"]).expect(0), "");
    up.run(&["logs", "counting/1/s2"]).expect_error(2, "run counting/1 has no `s2`");

    let agents = up.run(&["agents", "-o", "json"]).json();
    assert_eq!((&agents[0]["name"], &agents[0]["state"]), (&"host-1".into(), &"ready".into()), "{agents}");
    check_drain(&up);
    let run = up.run(&["show", "failing/1", "-o", "json"]).json();
    assert_eq!(run["replicas"][0]["reason"], "exit code 42");

    let again = Up::start(up.stop());
    let stdout = again.run(&["runs", "counting", "-o", "name"]).expect(0);
    assert_eq!(stdout, "counting/3\ncounting/2\ncounting/1\n");
    again.stop();
}

const RETRIED: &str = r#"
labels: {aliyun.project_type: batch}
services:
  s1:
    image: busybox
    network_mode: none
    labels: {tickmesh.scale: "2", tickmesh.retry_backoff: 100ms, tickmesh.remove_containers: remove-all}
    command: ["sh", "-c", "echo $$TICKMESH_REPLICA; [ $$TICKMESH_ATTEMPT = 2 ]"]
  "#;

/// A child that does not outlive its test.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _reaped_before = self.0.wait();
    }
}

#[test]
fn logs_follow_a_run_from_before_its_start_to_its_end() {
    let place = Place::alone();
    place.write("retried.yml", RETRIED);
    let up = Up::start(place);
    up.run(&["apply", "retried.yml"]).expect(0);
    let mut follower = Follower(up.place.start(&["--nats", &up.url, "logs", "--follow", "retried"]));
    let mut stderr = BufReader::new(follower.0.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    assert_eq!(said, "app retried: waiting for its first run\n");
    up.run(&["run", "retried"]).expect(0);
    let mut lines = String::new();
    wait_until("the follower to end with the run", PATIENCE, || follower.0.try_wait().unwrap().is_some());
    follower.0.stdout.take().unwrap().read_to_string(&mut lines).unwrap();
    assert_eq!(follower.0.wait().unwrap().code(), Some(0));
    let mut lines: Vec<_> = lines.lines().collect();
    lines.sort_unstable();
    let expected = ["s1/0 (attempt 2) | 0", "s1/0 | 0", "s1/1 (attempt 2) | 1", "s1/1 | 1"];
    assert_eq!(lines, expected);
    // The newest run, although it has ended; and only the end of it.
    assert_eq!(up.run(&["logs", "-f", "retried/1/s1/1", "--tail", "1"]).expect(0), "1\n");
    assert_eq!(up.run(&["logs", "retried", "--no-prefix", "--since", "1h"]).expect(0).lines().count(), 4);
    assert_eq!(up.run(&["logs", "retried", "--since", "2100-01-01T00:00:00Z"]).expect(0), "");
    up.stop();
}

const BINARY: &str = r#"
labels: {aliyun.project_type: batch}
services:
  s1:
    image: busybox
    network_mode: none
    labels: {tickmesh.remove_containers: remove-all}
    command:
      - sh
      - -c
      - >-
        for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7; do for k in 0 1 2 3 4 5 6 7; do printf \\$$i$$j$$k; done; done; done;
        printf '\033[31m\r\n'; head -c 300000 /dev/zero
  "#;

#[test]
fn logs_on_a_pipe_are_the_very_bytes_that_were_written() {
    let place = Place::alone();
    place.write("binary.yml", BINARY);
    let up = Up::start(place);
    up.run(&["apply", "binary.yml"]).expect(0);
    up.run(&["run", "binary", "--wait"]).expect(0);
    let written = [(0..=255).collect::<Vec<u8>>(), b"\x1b[31m\r\n".to_vec(), vec![0; 300_000]].concat();
    for arguments in [&["logs", "binary"][..], &["logs", "binary", "-f"]] {
        let output = up.place.command(&[&["--nats", &up.url], arguments].concat()).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        assert!(output.stdout == written, "{} bytes instead of {}", output.stdout.len(), written.len());
    }
    up.stop();
}

/// While its only agent is draining, a run waits; `up` has nothing else that could run it.
fn check_drain(up: &Up) {
    up.run(&["agent", "drain", "host-2"]).expect_error(2, "there is no agent `host-2`");
    let stdout = up.run(&["agent", "drain", "host-1", "--wait"]).expect(0);
    // The run has ended, and its agent may hear a moment later that its end is stored.
    assert!(stdout.starts_with("agent host-1 is draining: "), "{stdout}");
    assert!(stdout.ends_with("nothing runs there\n") || stdout.ends_with("has nothing left\n"), "{stdout}");
    assert_eq!(up.run(&["agents", "-o", "json"]).json()[0]["state"], "draining");
    up.run(&["run", "counting"]).expect(0);
    let pending = || up.run(&["show", "counting/3"]).expect(0);
    wait_until("the reason why it waits", PATIENCE, || pending().contains("draining"));
    assert_eq!(up.run(&["agent", "undrain", "host-1"]).expect(0), "agent host-1 takes new work\n");
    wait_until("the run that waited", PATIENCE, || pending().contains("succeeded"));
    // A container goes after its end is told, and this mesh does not live for long.
    wait_until("its containers to go", PATIENCE, || containers_named("tickmesh.tickmesh.counting.3-").is_empty());
}

/// Two replicas of an image that the test names.
const PAIR: &str = r#"
labels: {aliyun.project_type: batch}
services:
  s1:
    image: IMAGE
    network_mode: none
    labels: {tickmesh.scale: "2", tickmesh.remove_containers: remove-all}
    command: ["true"]
  "#;

#[test]
fn show_says_how_far_an_image_is_until_its_replica_runs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(Registry::start());
    let image = registry.put("job", "1", "job");
    registry.hold_layers();
    let place = Place::alone();
    place.write("imaged.yml", &PAIR.replace("IMAGE", &image));
    let up = Up::start(place);
    up.run(&["apply", "imaged.yml"]).expect(0);
    up.run(&["run", "imaged"]).expect(0);
    let shown = || up.run(&["show", "imaged/1"]).expect(0);
    let is_progress = |line: &str| line.contains("  pulling  ") && line.contains(&format!("  image {image}: "));
    wait_until("the progress of the pull", PATIENCE, || shown().lines().filter(|line| is_progress(line)).count() == 2);
    registry.release_layers();
    wait_until("the run's success", PATIENCE, || shown().contains("2 of 2 succeeded"));
    wait_until("its containers to go", PATIENCE, || containers_named("tickmesh.tickmesh.imaged.1-").is_empty());
    up.stop();
}

/// Due every second, and never done.
const BUSY: &str = r#"
labels:
  aliyun.schedule: "* * * * * *"
services:
  s1:
    image: busybox
    network_mode: none
    labels:
      aliyun.remove_containers: remove-all
    command: sleep 600
    stop_signal: KILL
"#;

#[test]
fn ls_shows_what_waits_and_what_was_dropped() {
    let place = Place::alone();
    place.write("busy.yml", BUSY);
    let up = Up::start(place);
    up.run(&["apply", "busy.yml"]).expect(0);
    wait_until("a dropped tick", PATIENCE, || {
        let apps = up.run(&["ls", "-o", "json"]).json();
        assert!(apps[0]["queue"]["waiting"].as_u64() <= Some(3), "{apps}");
        apps[0]["counters"]["dropped"].as_u64() > Some(0)
    });
    let table = up.run(&["ls"]).expect(0);
    assert!(table.contains("3/3, ") && table.contains(" dropped"), "{table}");
    up.run(&["rm", "busy"]).expect(0);
    wait_until("the end of the last run", PATIENCE, || up.run(&["ls", "-o", "name"]).expect(0).is_empty());
    up.stop();
}

#[test]
fn a_data_directory_has_one_user() {
    let up = Up::start(Place::alone());
    let second = up.place.run(&["up", "--data", "data"]);
    second
        .expect_error(2, "error: another `tickmesh up` uses data\n  hint: stop it, or give this one another directory");
}

#[test]
fn the_server_ends_with_a_killed_supervisor() {
    let mut up = Up::start(Place::alone());
    let mut connection = BufReader::new(up.connection());
    let mut greeting = String::new();
    connection.read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("INFO "), "{greeting}");
    up.child.kill().unwrap();
    up.child.wait().unwrap();
    // Ends with the server, or else fails with a timeout.
    connection.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_machine_without_an_engine_is_told_so_in_one_sentence() {
    let place = Place::alone();
    let nowhere = format!("unix://{}", place.folder.path().join("no.sock").display());
    for command in ["demo", "up"] {
        let mut command = place.command(&[command]);
        command.env("DOCKER_HOST", &nowhere);
        let answer = Answer::from(command.output().unwrap());
        assert_eq!(answer.stderr.matches("error: ").count(), 1, "{answer:?}");
        answer.expect_error(3, "hint: start Docker, or say with DOCKER_HOST where it is");
    }
}
