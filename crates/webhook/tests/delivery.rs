//! Notices on a real server, posted to a receiver of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tickmesh_core::{
    history::RunSummary,
    ledger::Cause,
    message::{Admission, DropReason, MeshEvent, SCHEMA, TickRecord},
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, Mesh};
use tickmesh_testkit::{nats::Server, records};
use tickmesh_webhook::{Config, SIGNATURE_HEADER};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was posted, as it arrives.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    posted: watch::Receiver<Vec<(Value, Option<String>)>>,
}

impl Receiver {
    /// Begins to listen. The first `refusals` requests are answered with 503.
    async fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posted) = watch::channel(Vec::new());
        let (sender, left) = (Arc::new(Mutex::new(sender)), Arc::new(AtomicUsize::new(refusals)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, left) = (sender.clone(), left.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (sender, left) = (sender.clone(), left.clone());
                    async move {
                        let signature = request.headers().get(SIGNATURE_HEADER);
                        let signature = signature.map(|value| value.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await?.to_bytes();
                        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                            let answer = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
                            return Ok::<_, hyper::Error>(answer.body(Full::new(Bytes::new())).unwrap());
                        }
                        let notice = serde_json::from_slice(&body).unwrap();
                        sender.lock().unwrap().send_modify(|posted| posted.push((notice, signature)));
                        Ok(Response::new(Full::new(Bytes::new())))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, posted }
    }

    /// Waits for that many, and returns their ids.
    async fn ids(&mut self, count: usize) -> Vec<String> {
        let posted = timeout(PATIENCE, self.posted.wait_for(|posted| posted.len() >= count)).await;
        let posted = posted.unwrap_or_else(|_| panic!("{count} notices")).unwrap();
        posted.iter().map(|(notice, _)| notice["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// A process that delivers while it leads.
struct Process {
    leading: watch::Sender<bool>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Process {
    /// One that leads, and has found where it begins.
    async fn leading(mesh: &Mesh, receiver: &Receiver, secret: Option<&[u8]>) -> Self {
        let (leading, leads) = watch::channel(true);
        let shutdown = CancellationToken::new();
        let config = Config {
            targets: vec![format!("http://{}/hook?x=1", receiver.address).parse().unwrap()],
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

/// Waits until a process has found where it begins: it tells that of an agent that is lost.
async fn ready(mesh: &Mesh, receiver: &mut Receiver, count: usize) {
    let began = Instant::now();
    while receiver.posted.borrow().len() < count {
        assert!(began.elapsed() < PATIENCE, "no notice of a lost agent");
        mesh.events().publish(&MeshEvent::AgentLost { agent: records::agent() }).await;
        let _none_yet = timeout(Duration::from_millis(200), receiver.posted.changed()).await;
    }
}

#[tokio::test]
async fn failures_recoveries_drops_and_lost_agents_are_posted() {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    let before = end(&mesh, 1, Outcome::failed(1), 0).await;
    let mut receiver = Receiver::start(0).await;
    let process = Process::leading(&mesh, &receiver, Some(b"secret")).await;
    ready(&mesh, &mut receiver, 1).await;
    let agents = receiver.posted.borrow().len();
    let failed = end(&mesh, 2, Outcome::failed(3), before).await;
    let fine = end(&mesh, 3, Outcome::Succeeded, failed).await;
    end(&mesh, 4, Outcome::Succeeded, fine).await;
    drop_tick(&mesh, 1).await;
    let mut ids = receiver.ids(agents + 3).await.split_off(agents);
    ids.sort();
    assert_eq!(ids, ["run-nightly-2", "run-nightly-3", "tick-nightly-1"], "what was before is not told");
    let posted = receiver.posted.borrow().clone();
    let kinds: Vec<&Value> = posted.iter().map(|(notice, _)| &notice["type"]).collect();
    for kind in ["agent_lost", "run_failed", "run_recovered", "tick_dropped"] {
        assert!(kinds.iter().any(|it| **it == kind), "{kind} is not among {kinds:?}");
    }
    assert!(posted.iter().all(|(_, signature)| signature.as_ref().is_some_and(|it| it.starts_with("sha256="))));
    process.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_it_later_and_the_next_leader_goes_on() {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    // One round of pauses: the first notice is taken at the second try.
    let mut receiver = Receiver::start(1).await;
    let first = Process::leading(&mesh, &receiver, None).await;
    ready(&mesh, &mut receiver, 1).await;
    let told = end(&mesh, 1, Outcome::failed(1), 0).await;
    let count = receiver.ids(2).await.len().max(2);
    let position = async || mesh.notice_position().await.unwrap().map_or(0, |it| it.value.history);
    while position().await < told {}
    // Nobody leads, and what happens meanwhile is told by the next one: once, and nothing before it again.
    first.leading.send_replace(false);
    let told = end(&mesh, 2, Outcome::failed(2), told).await;
    let agents = receiver.ids(count).await.len();
    let second = Process::leading(&mesh, &receiver, None).await;
    end(&mesh, 3, Outcome::failed(3), told).await;
    let ids = timeout(PATIENCE, async {
        loop {
            let ids = receiver.ids(agents).await;
            if ids.iter().any(|id| id == "run-nightly-3") {
                return ids;
            }
            receiver.posted.changed().await.unwrap();
        }
    });
    let ids: Vec<String> = ids.await.unwrap().into_iter().filter(|id| id.starts_with("run-")).collect();
    assert_eq!(ids, ["run-nightly-1", "run-nightly-2", "run-nightly-3"]);
    first.stop().await;
    second.stop().await;
}
