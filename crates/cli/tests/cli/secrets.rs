//! Values that are given to a run, to a file's variables and in env files may be secrets. They are
//! stored where a run and its retry need them, and nowhere else is a trace of them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt as _;
use tickmesh_messaging::StreamKind;
use tickmesh_testkit::{nats::Server, wait::wait_until};
use tokio::runtime::Runtime;

use crate::{command::Place, part::Part};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Given with `run --env`.
const FROM_RUN: &str = "marker-of-a-run-7d1f";
/// Given with `apply --var`.
const FROM_VARIABLE: &str = "marker-of-a-variable-b2c4";
/// In an env file.
const FROM_FILE: &str = "marker-of-a-file-90aa";
/// In a history message of the release before, which stored values there.
const FROM_RECORD: &str = "marker-of-a-record-44e0";
const MARKERS: [&str; 4] = [FROM_RUN, FROM_VARIABLE, FROM_FILE, FROM_RECORD];

const JOB: &str = "\
labels: {aliyun.project_type: batch}
services:
  s1:
    image: busybox
    network_mode: none
    command: sh -c 'exit 3'
    environment: {A: '${TOKEN}'}
    env_file: job.env
    labels: {tickmesh.remove_containers: remove-all}
";

/// What a run of the release before left in the history.
const RECORD: &str = r#"{"schema":1,"number":1,"app":"ghost","run":1,"uid":"6cd368b5-0072-4b2b-b75e-a078b068254e","cause":
    {"cause":"manual","by":"ann@desk","request":"01a22ea1-098d-71d4-aa0f-040eaa3d029f"},"scheduled_at":null,
    "started_at":"2026-11-30T22:43:55Z","finished_at":"2026-11-30T22:43:59Z","outcome":{"failed":{"exit_code":4}},"request":
    {"environment":{"PASSWORD":"marker-of-a-record-44e0"}},"services":[{"name":"s1","replicas":[{"attempts":1,"outcome":
    {"failed":{"exit_code":4}},"agent":"host-1"}]}]}"#;

/// What people are told of it.
const NOTICE: &str = r#"{"schema":1,"number":1,"app":"ghost","at":"2026-11-30T22:43:59Z","notice":
    {"notice":"failed","run":1,"outcome":{"failed":{"exit_code":4}},"failures":1}}"#;

#[track_caller]
fn check_clean(what: &str, text: &str) {
    for marker in MARKERS {
        assert!(!text.contains(marker), "{what} has the value `{marker}`:\n{text}");
    }
}

/// Everything that is published on a server, by subject.
struct Tap {
    seen: Arc<Mutex<BTreeMap<String, String>>>,
    runtime: Runtime,
    client: async_nats::Client,
}

impl Tap {
    fn begin(server: &Server) -> Self {
        let runtime = Runtime::new().unwrap();
        let seen: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
        let client = runtime.block_on(async { async_nats::connect(server.url()).await.unwrap() });
        let mut messages = runtime.block_on(async { client.subscribe(">").await.unwrap() });
        runtime.block_on(client.flush()).unwrap();
        let all = seen.clone();
        runtime.spawn(async move {
            while let Some(message) = messages.next().await {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                let mut all = all.lock().unwrap();
                let of_subject = all.entry(message.subject.to_string()).or_default();
                of_subject.push_str(&text);
                of_subject.push('\n');
            }
        });
        Self { seen, runtime, client }
    }

    fn publish(&self, subject: &'static str, body: &'static str) {
        self.runtime.block_on(async {
            self.client.publish(subject, body.into()).await.unwrap();
            self.client.flush().await.unwrap();
        });
    }

    /// All that was stored in a stream.
    fn stored_in(&self, kind: StreamKind) -> String {
        let begins = subjects_of(kind);
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(subject, _)| subject.starts_with(begins)).map(|(_, text)| text.as_str()).collect()
    }
}

fn subjects_of(kind: StreamKind) -> &'static str {
    match kind {
        StreamKind::Meta => "$KV.tickmesh_meta.",
        StreamKind::Lease => "$KV.tickmesh_lease.",
        StreamKind::Apps => "$KV.tickmesh_apps.",
        StreamKind::Ledger => "$KV.tickmesh_ledger.",
        StreamKind::Agents => "$KV.tickmesh_agents.",
        StreamKind::Commands => "tickmesh.command.",
        StreamKind::Ticks => "tickmesh.tick.",
        StreamKind::Orders => "tickmesh.order.",
        StreamKind::Results => "tickmesh.result.",
        StreamKind::History => "tickmesh.history.",
        StreamKind::Notices => "tickmesh.notice.",
        StreamKind::Logs => "tickmesh.log.",
        StreamKind::Mesh => "tickmesh.mesh.",
    }
}

/// The markers that a stream needs.
fn needed_in(kind: StreamKind) -> &'static [&'static str] {
    match kind {
        StreamKind::Apps => &[FROM_VARIABLE, FROM_FILE],
        StreamKind::Commands => &[FROM_RUN],
        StreamKind::Ledger | StreamKind::Orders => &[FROM_RUN, FROM_VARIABLE, FROM_FILE],
        // Stored by the test itself.
        StreamKind::History => &[FROM_RECORD],
        StreamKind::Meta
        | StreamKind::Lease
        | StreamKind::Agents
        | StreamKind::Ticks
        | StreamKind::Results
        | StreamKind::Notices
        | StreamKind::Logs
        | StreamKind::Mesh => &[],
    }
}

/// Somebody who is told of failures, and keeps what is posted.
fn receiver() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let posted: Arc<Mutex<String>> = Arc::default();
    let all = posted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = take(stream).unwrap_or_default();
            all.lock().unwrap().push_str(&body);
        }
    });
    (url, posted)
}

fn take(stream: TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An answer of the page, up to the end or to that text.
fn get(address: &str, path: &str, until: Option<&str>) -> String {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).unwrap();
        answer.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&answer);
        if read == 0 || until.is_some_and(|until| text.contains(until)) {
            assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
            return text.into_owned();
        }
    }
}

#[test]
fn values_are_stored_where_a_retry_needs_them_only() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let tap = Tap::begin(&server);
    let (hook, posted) = receiver();
    let logs = ["scheduler", "agent", "web"].map(|name| place.folder.path().join(format!("{name}.log")));
    let (_leader, _) = Part::logging(&place, &["scheduler", "--webhook", &hook], &logs[0], "leading");
    let (_agent, _) = Part::logging(&place, &["agent", "--name", "host-1"], &logs[1], "agent starts");
    let (_web, said) = Part::logging(&place, &["web", "--bind", "127.0.0.1:0"], &logs[2], "");
    let page = BufReader::new(said).lines().next().unwrap().unwrap();
    wait_until("the agent", PATIENCE, || place.run(&["agents"]).stdout.contains("ready"));
    place.write("job.yml", JOB);
    place.write("job.env", &format!("FROM_FILE={FROM_FILE}\n"));
    place.run(&["apply", "job.yml", "--var", &format!("TOKEN={FROM_VARIABLE}")]).expect(0);
    place.run(&["run", "job", "--env", &format!("PASSWORD={FROM_RUN}"), "--wait"]).expect(3);
    place.run(&["retry", "job/1", "--wait"]).expect(3);
    let orders = tap.stored_in(StreamKind::Orders);
    let of_retry = orders.lines().filter(|order| order.contains(r#""run":2"#) && order.contains(FROM_RUN));
    assert!(of_retry.count() > 0, "the retry has the value: {orders}");
    tap.publish("tickmesh.history.ghost", RECORD);
    tap.publish("tickmesh.notice.ghost", NOTICE);
    wait_until("both to be posted", PATIENCE, || {
        let posted = posted.lock().unwrap();
        posted.contains("run-job-2") && posted.contains("run-ghost-1")
    });

    for kind in StreamKind::ALL {
        let mut stored = tap.stored_in(kind);
        // The test's apps have no schedule, so that there are no ticks.
        assert!(!stored.is_empty() || kind == StreamKind::Ticks || kind == StreamKind::Meta, "{kind:?} is empty");
        for marker in needed_in(kind) {
            assert!(stored.contains(marker), "{kind:?} does not have `{marker}`");
            stored = stored.replace(marker, "");
        }
        check_clean(&format!("{kind:?}"), &stored);
    }
    assert!(tap.stored_in(StreamKind::History).contains("PASSWORD"), "the name is told");
    check_clean("a notice", &posted.lock().unwrap());
    assert!(posted.lock().unwrap().contains("PASSWORD"));

    let revision = place.run(&["history", "job", "-o", "json"]).json()[0]["revision"].to_string();
    for (arguments, code) in [
        (&["ls", "-o", "json"][..], 0),
        (&["ls", "-o", "wide"], 0),
        (&["show", "job"], 0),
        (&["show", "job", "-o", "json"], 0),
        (&["show", "job/1", "-o", "json"], 0),
        (&["runs", "job", "-o", "json"], 0),
        (&["queue", "job", "-o", "json"], 0),
        (&["events", "-o", "json"], 0),
        (&["history", "job", &revision], 0),
        (&["diff", "job.yml", "--var", "TOKEN=other"], 1),
        (&["logs", "job/1"], 0),
        (&["agents", "-o", "json"], 0),
        (&["leader", "-o", "json"], 0),
        (&["doctor", "-o", "json"], 0),
    ] {
        let answer = place.run(arguments);
        check_clean(&format!("{arguments:?}"), &format!("{}{}", answer.stdout, answer.stderr));
        answer.expect(code);
    }
    let events = place.run(&["events", "-o", "json"]).expect(0);
    assert!(events.contains("PASSWORD") && events.contains("ghost"), "{events}");

    for path in [
        "/",
        "/apps/job",
        "/apps/job/runs/1",
        "/apps/job/runs/2",
        "/apps/job/runs/1/logs",
        "/timeline",
        "/agents",
        "/mesh",
        "/metrics",
        "/api/v1/apps",
        "/api/v1/apps/job",
        "/api/v1/apps/job/runs",
        "/api/v1/apps/job/runs/1",
        "/api/v1/apps/job/runs/1/logs",
        "/api/v1/agents",
    ] {
        check_clean(path, &get(&page, path, None));
    }
    let events = get(&page, "/api/v1/events?from=oldest", Some("\"ghost\""));
    check_clean("events", &events);
    assert!(events.contains("PASSWORD"), "{events}");
    for log in logs {
        let text = fs::read_to_string(&log).unwrap();
        assert!(text.contains("DEBUG"), "{}: {text}", log.display());
        check_clean(&log.display().to_string(), &text);
    }
}
