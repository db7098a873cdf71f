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
use jiff::tz::TimeZoneDatabase;
use serde_json::Value;
use sha2::Sha256;
use tickmesh_core::{
    history::RunSummary,
    id::Epoch,
    ledger::Cause,
    message::{Admission, AppNotice, DropReason, MeshEvent, NoticeRecord, SCHEMA, TickRecord},
    name::AppName,
    outcome::Outcome,
};
use tickmesh_messaging::{Cas, Mesh, NoticePosition, SchedulerRole, StreamKind};
use tickmesh_testkit::{nats::Server, records};
use tickmesh_webhook::{Config, Error, SIGNATURE_HEADER, Target, digest};
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
    role: watch::Sender<SchedulerRole>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Process {
    /// One that leads.
    fn leading(mesh: &Mesh, receivers: &[&Receiver], secret: Option<&[u8]>) -> Self {
        let target = |receiver: &&Receiver| Target::webhook(receiver.target.clone(), secret.map(<[u8]>::to_vec));
        Self::telling(mesh, receivers.iter().map(target).collect())
    }

    /// One that leads and tells these targets.
    fn telling(mesh: &Mesh, targets: Vec<Target>) -> Self {
        let (role, seen) = watch::channel(SchedulerRole::Leading { epoch: Epoch(1), doubt: None });
        let shutdown = CancellationToken::new();
        let public_url = Some("https://jobs.example.org/".to_owned());
        let config = Config { targets, public_url, zones: TimeZoneDatabase::bundled() };
        let (mesh, stop) = (mesh.clone(), shutdown.clone());
        let task = tokio::spawn(async move { tickmesh_webhook::run(config, mesh, seen, stop).await.unwrap() });
        Self { role, shutdown, task }
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

/// Publishes a notice of an app on top of all that it has, and returns its sequence.
async fn tell(mesh: &Mesh, app: &AppName, notice: AppNotice) -> u64 {
    let newest = mesh.notices().newest(app).await.unwrap();
    let (number, expected) = newest.map_or((1, 0), |entry| (entry.value.number + 1, entry.sequence));
    let record = NoticeRecord { schema: SCHEMA, number, app: app.clone(), at: records::now(), notice };
    match mesh.notices().append(app, &record, expected).await.unwrap() {
        Cas::Stored { sequence } => sequence,
        Cas::Refused { .. } => panic!("nobody else writes"),
    }
}

/// Publishes the end of a run as a leader does: the summary, and what people should hear of it.
async fn end(mesh: &Mesh, run: u64, outcome: Outcome) -> u64 {
    let summary: RunSummary = records::summary(run, Cause::Schedule, std::slice::from_ref(&outcome));
    let newest = mesh.history().newest(&records::app()).await.unwrap();
    let expected = newest.map_or(0, |entry| entry.sequence);
    let stored = mesh.history().append(&records::app(), &summary, expected).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    let notice = match outcome {
        Outcome::Succeeded => AppNotice::Recovered { run, failures: 1 },
        outcome => AppNotice::Failed { run, outcome, failures: 1 },
    };
    tell(mesh, &records::app(), notice).await
}

async fn drop_tick(mesh: &Mesh, number: u64) {
    let (scheduled_at, reason) = (records::now(), DropReason::QueueFull);
    let record = TickRecord {
        schema: SCHEMA,
        number,
        app: records::app(),
        scheduled_at,
        decided_at: scheduled_at,
        admission: Admission::Drop { reason },
        coalesced: 0,
    };
    let stored = mesh.ticks().append(&records::app(), &record, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    tell(mesh, &records::app(), AppNotice::Dropped { tick: number, scheduled_at, reason, ticks: 1 }).await;
}

/// A mesh, and a receiver that refuses so many notices first.
async fn set_up(refusals: usize) -> (Server, Mesh, Receiver) {
    let server = Server::start();
    let mesh = server.mesh("mesh").await;
    (server, mesh, Receiver::start(refusals).await)
}

#[tokio::test]
async fn failures_recoveries_drops_and_lost_agents_are_posted_and_signed() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    end(&mesh, 1, Outcome::failed(1)).await;
    let process = Process::leading(&mesh, &[&receiver], Some(b"secret"));
    begun(&mesh, &receiver).await;
    end(&mesh, 2, Outcome::failed(3)).await;
    end(&mesh, 3, Outcome::Succeeded).await;
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
    let failed = posted.iter().find(|it| it.get("type") == "run_failed").unwrap();
    assert_eq!(failed.get("text"), "run nightly/2 failed (exit code 3), 0 of 1 replicas succeeded");
    assert_eq!(failed.get("link"), "https://jobs.example.org/apps/nightly/runs/2");
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
    let told = end(&mesh, 1, Outcome::failed(1)).await;
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    place(&mesh, &receiver, |place| place.notices >= Some(told)).await;
    // Nobody leads, and what happens meanwhile is told by the next one: once, and nothing before it again.
    first.role.send_replace(SchedulerRole::StandingBy { doubt: None });
    end(&mesh, 2, Outcome::failed(2)).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    end(&mesh, 3, Outcome::failed(3)).await;
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
    end(&mesh, 1, Outcome::failed(1)).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    second.stop().await;
}

#[tokio::test]
async fn so_it_is_on_streams_that_were_made_anew() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let gone = NoticePosition { schema: SCHEMA, ticks: 9_000, history: 9_000, mesh: 9_000, notices: Some(9_000) };
    let stored = mesh.store_notice_position(digest(&receiver.target), &gone, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    let first = Process::leading(&mesh, &[&receiver], None);
    place(&mesh, &receiver, |place| *place != gone).await;
    first.kill().await;
    end(&mesh, 1, Outcome::failed(1)).await;
    let second = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    second.stop().await;
}

/// All notices were stored by leaders of this release, and none of them was delivered by one of the release before.
#[tokio::test]
async fn after_an_upgrade_every_notice_is_delivered() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let before = NoticePosition { schema: SCHEMA, ticks: 0, history: 0, mesh: 0, notices: None };
    let stored = mesh.store_notice_position(digest(&receiver.target), &before, 0).await.unwrap();
    assert!(matches!(stored, Cas::Stored { .. }));
    end(&mesh, 1, Outcome::failed(1)).await;
    let process = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    process.stop().await;
}

/// A mesh that was made of a backup has a stream of notices that begins anew. What the first leader tells is in it already
/// when somebody looks up how far the notices have been delivered.
#[tokio::test]
async fn after_a_restore_the_first_notices_are_delivered() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let process = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    end(&mesh, 1, Outcome::failed(1)).await;
    assert_eq!(receiver.ids(1).await, ["run-nightly-1"]);
    place(&mesh, &receiver, |place| place.notices == Some(1)).await;
    process.stop().await;
    mesh.remove_stream(StreamKind::Notices).await.unwrap();
    mesh.make_missing(&[StreamKind::Notices].into()).await.unwrap();
    for number in [2, 3] {
        end(&mesh, number, Outcome::failed(1)).await;
    }
    let process = Process::leading(&mesh, &[&receiver], None);
    assert_eq!(receiver.ids(3).await, ["run-nightly-1", "run-nightly-2", "run-nightly-3"]);
    process.stop().await;
}

#[tokio::test]
async fn what_a_leader_was_trying_again_when_it_died_is_posted_by_the_next() {
    let (_server, mesh, mut receiver) = set_up(1).await;
    let first = Process::leading(&mesh, &[&receiver], None);
    begun(&mesh, &receiver).await;
    end(&mesh, 1, Outcome::failed(1)).await;
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
    for number in 1..=3 {
        told = end(&mesh, number, Outcome::failed(1)).await;
        healthy.posted(usize::try_from(number).unwrap()).await;
    }
    let expected: Vec<String> = (1..=3).map(|number| format!("run-nightly-{number}")).collect();
    assert_eq!(healthy.ids(3).await, expected);
    away.has_refused().await;
    place(&mesh, &healthy, |place| place.notices == Some(told)).await;
    assert_eq!(place(&mesh, &away, |_| true).await.notices, Some(0), "it has its own place");
    process.stop().await;
}

#[tokio::test]
async fn a_storm_is_one_message_and_so_is_what_finds_no_room() {
    let (_server, mesh, mut receiver) = set_up(0).await;
    let target = Target { per_hour: 2, ..Target::webhook(receiver.target.clone(), None) };
    let process = Process::telling(&mesh, vec![target]);
    begun(&mesh, &receiver).await;
    let app = |number: u64| AppName::new(format!("a{number}")).unwrap();
    for number in 0..37 {
        let reason = "0 of 3 agents have disk=ssd".to_owned();
        tell(&mesh, &app(number), AppNotice::Pending { run: 1, since: records::now(), reason }).await;
    }
    let storm = &receiver.posted(1).await[0];
    assert!(
        storm.get("text").starts_with("37 apps wait: 0 of 3 agents have disk=ssd (a0, a1"),
        "{}",
        storm.get("text")
    );
    for number in 0..3 {
        let outcome = Outcome::failed(i64::try_from(number).unwrap());
        tell(&mesh, &app(number), AppNotice::Failed { run: 1, outcome, failures: number as u32 + 1 }).await;
    }
    let rest = &receiver.posted(2).await[1];
    assert_eq!((rest.get("type").as_str(), rest.get("text").lines().count()), ("digest", 4));
    process.stop().await;
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
        let targets = vec![Target::webhook(target.parse().unwrap(), None)];
        let config = Config { targets, public_url: None, zones: TimeZoneDatabase::bundled() };
        let role = watch::channel(SchedulerRole::Preparing).1;
        tickmesh_webhook::run(config, mesh.clone(), role, over.clone()).await
    };
    serve("http://127.0.0.1:1/hook").await.unwrap();
    let refused = serve("https://127.0.0.1:1/hook").await;
    assert!(matches!(refused, Err(Error::Certificates(_))), "{refused:?}");
}
