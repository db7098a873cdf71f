//! A mesh on a server of its own, and small records to fill it with.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, Epoch, Nonce, RequestId, RunUid},
    message::{
        Admission, AppRecord, AttemptEvent, AttemptReport, Command, CommandKind, LogBatch, LogMarks, MachineId, Order,
        OrderKind, SCHEMA, TickRecord,
    },
    name::{AgentName, AppName, Namespace, ServiceName},
};
use tickmesh_messaging::{Cas, ConnectOptions, Following, ForAgent, Login, Mesh, Provisioning};
use tickmesh_testkit::nats::Server;

/// Nothing in these tests takes longer, not even on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long one request may take. Tests that freeze the server wait for it to pass.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A provisioned mesh on a server of its own.
pub(crate) async fn mesh() -> (Server, Mesh) {
    let server = Server::start();
    let mesh = connect(&server, "mesh").await;
    within("provisioning", mesh.provision(&Provisioning::default())).await.unwrap();
    (server, mesh)
}

/// Another connection to a server.
pub(crate) async fn connect(server: &Server, namespace: &str) -> Mesh {
    within("a connection", Mesh::connect(&options(&server.url(), namespace))).await.unwrap()
}

pub(crate) fn options(url: &str, namespace: &str) -> ConnectOptions {
    ConnectOptions {
        url: url.to_owned(),
        login: Login::default(),
        namespace: Namespace::new(namespace).unwrap(),
        client_name: "test".to_owned(),
        request_timeout: REQUEST_TIMEOUT,
    }
}

/// What `future` comes to; fails the test if that takes too long.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// The next item of a stream that must have one.
pub(crate) async fn next<T>(what: &str, following: &mut Following<T>) -> T {
    within(what, following.next()).await.unwrap_or_else(|| panic!("the stream ended instead of {what}")).unwrap()
}

/// The next order, from a connection that lasts.
pub(crate) async fn next_order(what: &str, orders: &mut Following<ForAgent>) -> Order {
    match next(what, orders).await {
        ForAgent::Order(order) => *order,
        ForAgent::Reopened => panic!("followed anew instead of {what}"),
    }
}

/// The sequence of a write that must succeed.
#[track_caller]
pub(crate) fn stored<T: std::fmt::Debug>(cas: Cas<T>) -> u64 {
    match cas {
        Cas::Stored { sequence } => sequence,
        Cas::Refused { current } => panic!("refused by {current:?}"),
    }
}

pub(crate) fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

pub(crate) fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

/// A record of the bucket `apps`, told apart by its author.
pub(crate) fn record(by: impl Into<String>) -> AppRecord {
    AppRecord { schema: SCHEMA, by: by.into(), number: None, source: None }
}

pub(crate) fn tick(number: u64) -> TickRecord {
    let admission = Admission::Start { run: number };
    let at = Timestamp::UNIX_EPOCH;
    TickRecord {
        schema: SCHEMA,
        number,
        app: app("nightly"),
        scheduled_at: at,
        decided_at: at,
        admission,
        coalesced: 0,
    }
}

pub(crate) fn attempt(run: u64, replica: u32) -> AttemptId {
    AttemptId {
        app: app("nightly"),
        run,
        uid: RunUid::from_random([7; 16]),
        service: ServiceName::new("db.backup").unwrap(),
        replica,
        attempt: 1,
    }
}

pub(crate) fn claim(run: u64, replica: u32) -> AttemptReport {
    let event = AttemptEvent::Claimed { nonce: Nonce::from_random([1; 16]), machine: MachineId("m".to_owned()) };
    let attempt = attempt(run, replica);
    AttemptReport { schema: SCHEMA, attempt, agent: agent("host-1"), at: Timestamp::UNIX_EPOCH, event }
}

pub(crate) fn command(number: u8) -> Command {
    Command {
        schema: SCHEMA,
        request: RequestId::from_random([number; 16]),
        app: app("nightly"),
        app_revision: 1,
        by: format!("person {number}"),
        at: Timestamp::UNIX_EPOCH,
        kind: CommandKind::Cancel { run: None, force: false },
    }
}

pub(crate) fn order(to: &str, replica: u32) -> Order {
    let attempt = attempt(1, replica);
    Order { schema: SCHEMA, epoch: Epoch(1), agent: agent(to), attempt, kind: OrderKind::Stop }
}

pub(crate) fn batch(run: u64, replica: u32, number: u64) -> LogBatch {
    let attempt = attempt(run, replica);
    LogBatch {
        schema: SCHEMA,
        attempt,
        agent: agent("host-1"),
        number,
        gap: None,
        chunks: vec![],
        dropped_bytes: 0,
        held_back: false,
        marks: LogMarks::default(),
        last: false,
    }
}
