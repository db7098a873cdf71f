//! Notices on a real server, posted to receivers of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    env,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, Uri, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sha2::Sha256;
use tickmesh_core::{
    history::RunSummary,
    ledger::Cause,
    message::{Admission, DropReason, MeshEvent, SCHEMA, TickRecord},
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, Mesh, NoticePosition};
use tickmesh_testkit::{nats::Server, records};
use tickmesh_webhook::{Config, Error, SIGNATURE_HEADER, digest};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Long enough for anything on a busy machine, and far shorter than a notice is tried for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where no certificates are.
const NOWHERE: &str = "/nowhere/at-all";

/// What was posted and taken, byte for byte.
#[derive(Clone)]
struct Posted {
    body: Bytes,
    signature: Option<String>,
}

impl Posted {
    fn get(&self, field: &str) -> String {
        let notice: Value = serde_json::from_slice(&self.body).unwrap();
        notice[field].as_str().unwrap().to_owned()
    }
}

/// Somebody who is told.
#[derive(Clone)]
struct Receiver {
    target: Uri,
    posted: watch::Receiver<Vec<Posted>>,
    refused: watch::Receiver<usize>,
}

impl Receiver {
    /// Begins to listen. The first `refusals` requests are answered with 503.
    async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (sender, posted) = watch::channel(Vec::new());
        let (counter, refused) = watch::channel(0);
        let (sender, counter) = (Arc::new(Mutex::new(sender)), Arc::new(Mutex::new(counter)));
        let left = Arc::new(AtomicUsize::new(refusals));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, counter, left) = (sender.clone(), counter.clone(), left.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (sender, counter, left) = (sender.clone(), counter.clone(), left.clone());
                    async move {
                        let signature = request.headers().get(SIGNATURE_HEADER);
                        let signature = signature.map(|value| value.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await?.to_bytes();
                        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                            counter.lock().unwrap().send_modify(|refused| *refused += 1);
                            let answer = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
                            return Ok::<_, hyper::Error>(answer.body(Full::new(Bytes::new())).unwrap());
                        }
                        sender.lock().unwrap().send_modify(|posted| posted.push(Posted { body, signature }));
                        Ok(Response::new(Full::new(Bytes::new())))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { target: format!("http://{address}/hook?x=1").parse().unwrap(), posted, refused }
    }

    /// Waits for that many, and returns all.
    async fn posted(&mut self, count: usize) -> Vec<Posted> {
        let posted = timeout(PATIENCE, self.posted.wait_for(|posted| posted.len() >= count)).await;
        posted.unwrap_or_else(|_| panic!("no {count} notices")).unwrap().clone()
    }

    /// Waits for that many, and returns their ids.
    async fn ids(&mut self, count: usize) -> Vec<String> {
        self.posted(count).await.iter().map(|posted| posted.get("id")).collect()
    }

    /// Waits until it has refused one.
    async fn has_refused(&mut self) {
        timeout(PATIENCE, self.refused.wait_for(|refused| *refused > 0)).await.unwrap().unwrap();
    }
}

/// A process that delivers while it leads.
struct Process {
    leading: watch::Sender<bool>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Process {
    /// One that leads.
    fn leading(mesh: &Mesh, receivers: &[&Receiver], secret: Option<&[u8]>) -> Self {
        let (leading, leads) = watch::channel(true);
        let shutdown = CancellationToken::new();
        let config = Config {
            targets: receivers.iter().map(|receiver| receiver.target.clone()).collect(),
            secret: secret.map(<[u8]>::to_vec),
        };
        let (mesh, stop) = (mesh.clone(), shutdown.clone());
        let task = tokio::spawn(async move { tickmesh_webhook::run(config, mesh, leads, stop).await.unwrap() });
        Self { leading, shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }

    /// As kill -9 does: it stores nothing any more.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until the stored position of a receiver is as wanted.
async fn place(mesh: &Mesh, receiver: &Receiver, wanted: impl Fn(&NoticePosition) -> bool) -> NoticePosition {
    let reading = async {
        loop {
            let stored = mesh.notice_position(digest(&receiver.target)).await.unwrap();
            if let Some(stored) = stored.filter(|stored| wanted(&stored.value)) {
                return stored.value;
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("a position like that is stored")
}

/// Waits until somebody has found where to begin: what happens from here on is told.
async fn begun(mesh: &Mesh, receiver: &Receiver) {
    place(mesh, receiver, |_| true).await;
}

/// Publishes the end of a run, the app's `number`th, on top of the one at `expected`.
async fn end(mesh: &Mesh, number: u64, outcome: Outcome, expected: u64) -> u64 {
    let summary: RunSummary = records::summary(number, Cause::Schedule, &[outcome]);
    match mesh.history().append(&records::app(), &summary, expected).await.unwrap() {
        Cas::Stored { sequence } => sequence,
        Cas::Refused { .. } => panic!("nobody else writes"),
    }
}

async fn drop_tick(mesh: &Mesh, number: u64) {
    let record = TickRecord {
        schema: SCHEMA,
        number,
        app: records::app(),
        scheduled_at: records::now(),
        decided_at: records::now(),
        admission: Admission::Drop { reason: DropReason::QueueFull },
        coalesced: 0,
    };
    let stored = mesh.ticks().append(&records::app(), &record, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
}

/// A mesh, and a receiver that refuses so many notices first.
async fn set_up(refusals: usize) -> (Server, Mesh, Receiver) {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    (server, mesh, Receiver::start(refusals).await)
}

#[tokio::test]
async fn failures_recoveries_drops_and_lost_agents_are_posted_and_signed() {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    let before = end(&mesh, 1, Outcome::failed(1), 0).await;
    let mut receiver = Receiver::start(0).await;
    let process = Process::leading(&mesh, &[&receiver], Some(b"secret"));
    begun(&mesh, &receiver).await;
    let failed = end(&mesh, 2, Outcome::failed(3), before).await;
    let fine = end(&mesh, 3, Outcome::Succeeded, failed).await;
    end(&mesh, 4, Outcome::Succeeded, fine).await;
    drop_tick(&mesh, 1).await;
    mesh.events().publish(&MeshEvent::AgentLost { agent: records::agent() }).await;
    let posted = receiver.posted(4).await;
    let mut told: Vec<(String, String)> = posted.iter().map(|it| (it.get("id"), it.get("type"))).collect();
    told.sort();
    let expected = [
        ("mesh-1", "agent_lost"),
        ("run-nightly-2", "run_failed"),
        ("run-nightly-3", "run_recovered"),
        ("tick-nightly-1", "tick_dropped"),
    ];
    assert_eq!(told, expected.map(|(id, kind)| (id.to_owned(), kind.to_owned())), "what was before is not told");
    for it in &posted {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        mac.update(&it.body);
        let bytes = mac.finalize().into_bytes();
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(it.signature, Some(format!("sha256={hexadecimal}")));
    }
    process.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_it_later_and_the_next_leader_goes_on() {
    // The first notice is taken at the second try.
    let (_server, mesh, mut receiver) = set_up(1).await;
    let first = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    let told = end(&mesh, 1, Outcome::failed(1), 0).await;
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    place(&mesh, &receiver, |place| place.history >= told).await;
    // Nobody leads, and what happens meanwhile is told by the next one: once, and nothing before it again.
    first.leading.send_replace(false);
    let told = end(&mesh, 2, Outcome::failed(2), told).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    end(&mesh, 3, Outcome::failed(3), told).await;
    assert_eq!(receiver.ids(3).await, ["run-nightly-1", "run-nightly-2", "run-nightly-3"]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_the_first_leader_had_not_posted_when_it_died_is_posted_by_the_next() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let first = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    first.kill().await;
    end(&mesh, 1, Outcome::failed(1), 0).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    second.stop().await;
}

#[tokio::test]
async fn so_it_is_on_streams_that_were_made_anew() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let gone = NoticePosition { schema: SCHEMA, ticks: 9_000, history: 9_000, mesh: 9_000 };
    let stored = mesh.store_notice_position(digest(&receiver.target), &gone, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    let first = Process::leading(&mesh, &[&receiver], None);
    place(&mesh, &receiver, |place| *place != gone).await;
    first.kill().await;
    end(&mesh, 1, Outcome::failed(1), 0).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    second.stop().await;
}

#[tokio::test]
async fn what_a_leader_was_trying_again_when_it_died_is_posted_by_the_next() {
    let (_server, mesh, mut receiver) = set_up(1).await;
    let first = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    end(&mesh, 1, Outcome::failed(1), 0).await;
    receiver.has_refused().await;
    first.kill().await;
    assert!(receiver.posted.borrow().is_empty());
    let second = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    second.stop().await;
}

#[tokio::test]
async fn a_webhook_that_is_away_holds_up_no_other() {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    let (mut away, mut healthy) = (Receiver::start(usize::MAX).await, Receiver::start(0).await);
    let process = Process::leading(&mesh, &[&away, &healthy], None);
    begun(&mesh, &away).await;
    begun(&mesh, &healthy).await;
    let mut told = 0;
    // More than the stream keeps of an app: whoever waited would never see the first.
    for number in 1..=12 {
        told = end(&mesh, number, Outcome::failed(1), told).await;
        healthy.posted(usize::try_from(number).unwrap()).await;
    }
    let expected: Vec<String> = (1..=12).map(|number| format!("run-nightly-{number}")).collect();
    assert_eq!(healthy.ids(12).await, expected);
    away.has_refused().await;
    place(&mesh, &healthy, |place| place.history == told).await;
    assert_eq!(place(&mesh, &away, |_| true).await.history, 0, "it has its own place");
    process.stop().await;
}

#[tokio::test]
async fn a_run_that_was_cancelled_hides_no_recovery() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let first = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    // Of a process that saw the failure, and of one that has to ask for it.
    let failed = end(&mesh, 1, Outcome::failed(1), 0).await;
    let cancelled = end(&mesh, 2, Outcome::Cancelled, failed).await;
    let fine = end(&mesh, 3, Outcome::Succeeded, cancelled).await;
    assert_eq!(receiver.posted(2).await[1].get("type"), "run_recovered");
    let failed = end(&mesh, 4, Outcome::failed(1), fine).await;
    let cancelled = end(&mesh, 5, Outcome::Cancelled, failed).await;
    receiver.posted(3).await;
    place(&mesh, &receiver, |place| place.history >= failed).await;
    first.stop().await;
    let second = Process::leading(&mesh, &[&receiver], None);
    end(&mesh, 6, Outcome::Succeeded, cancelled).await;
    assert_eq!(receiver.ids(4).await, ["run-nightly-1", "run-nightly-3", "run-nightly-4", "run-nightly-6"]);
    assert_eq!(receiver.posted(4).await[3].get("type"), "run_recovered");
    second.stop().await;
}

/// Where certificates are is said by the environment, and a process cannot safely change its own: the test runs itself again.
#[tokio::test]
async fn only_https_needs_certificates() {
    if env::var("SSL_CERT_FILE").as_deref() != Ok(NOWHERE) {
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", "only_https_needs_certificates"]);
        let output = again.env("SSL_CERT_FILE", NOWHERE).env("SSL_CERT_DIR", NOWHERE).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    let over = CancellationToken::new();
    over.cancel();
    let serve = async |target: &str| {
        let config = Config { targets: vec![target.parse().unwrap()], secret: None };
        tickmesh_webhook::run(config, mesh.clone(), watch::channel(false).1, over.clone()).await
    };
    serve("http://127.0.0.1:1/hook").await.unwrap();
    let refused = serve("https://127.0.0.1:1/hook").await;
    assert!(matches!(refused, Err(Error::Certificates(_))), "{refused:?}");
}
