//! What a scheduler and an agent tell of themselves to Prometheus.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use tickmesh_testkit::{nats::Server, wait::wait_until};

use crate::{command::Place, part::Part};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const EVERY_SECOND: &str = "labels: {aliyun.schedule: \"* * * * * *\"}\nservices: {s1: {image: busybox}}\n";
const METRICS: [&str; 2] = ["--metrics-bind", "127.0.0.1:0"];

/// Where a process says in its log that it serves metrics.
fn address(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap();
    let line = text.lines().find(|line| line.contains("metrics are served")).unwrap();
    let (_, rest) = line.split_once("127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}")
}

fn metrics(address: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    // The old version of the protocol: the answer ends where the connection does.
    write!(connection, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.contains("text/plain; version=0.0.4"), "{answer}");
    answer
}

/// Every metric has its help and its type in front, and is in the reference.
#[track_caller]
fn check_form(answer: &str) {
    let documented = include_str!("../../../../docs/reference/metrics.md");
    let text = answer.split_once("\r\n\r\n").unwrap().1;
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 8, "{text}");
    for name in names {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert!(documented.contains(&format!("`{name}")), "{name} is not in docs/reference/metrics.md");
    }
}

#[test]
fn scheduler_tells_what_it_decides() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    place.write("second.yml", EVERY_SECOND);
    place.run(&["apply", "second.yml"]).expect(0);
    let log = place.folder.path().join("scheduler.log");
    let arguments = [&["scheduler"], &METRICS[..]].concat();
    let (_scheduler, _said) = Part::logging(&place, &arguments, &log, "leading");
    let address = address(&log);
    let decided = "tickmesh_scheduler_decisions_total{outcome=\"started\"} 1\n";
    wait_until("a decision", PATIENCE, || metrics(&address).contains(decided));
    let text = metrics(&address);
    check_form(&text);
    for line in [
        "tickmesh_scheduler_leading 1\n",
        "tickmesh_scheduler_in_doubt 0\n",
        "tickmesh_scheduler_stage{stage=\"leading\"} 1\n",
        "tickmesh_scheduler_tenures_total 1\n",
        "tickmesh_scheduler_apps 1\n",
        "tickmesh_scheduler_runs_active 1\n",
        "tickmesh_scheduler_apps_pending 1\n",
        "# TYPE tickmesh_scheduler_lateness_seconds histogram\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in {text}");
    }
    let standby_log = place.folder.path().join("standby.log");
    let (_standby, _said) = Part::logging(&place, &arguments, &standby_log, "standing by");
    let standby = metrics(&self::address(&standby_log));
    assert!(standby.contains("tickmesh_scheduler_leading 0\n") && standby.contains("tickmesh_scheduler_apps 0\n"));
}

#[test]
fn agent_tells_how_its_engine_and_heartbeats_are() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let log = place.folder.path().join("agent.log");
    let arguments = [&["agent", "--name", "metrics-1", "--slots", "3"], &METRICS[..]].concat();
    let (_agent, _said) = Part::logging(&place, &arguments, &log, "agent starts");
    let address = address(&log);
    wait_until("two heartbeats", PATIENCE, || {
        metrics(&address).contains("tickmesh_agent_heartbeats_total{outcome=\"acknowledged\"} 2\n")
    });
    let text = metrics(&address);
    check_form(&text);
    for line in [
        "tickmesh_agent_engine_up 1\n",
        "tickmesh_agent_slots 3\n",
        "tickmesh_agent_attempts_held 0\n",
        "tickmesh_agent_heartbeats_total{outcome=\"unanswered\"} 0\n",
    ] {
        assert!(text.contains(line), "`{line}` is not in {text}");
    }
}
