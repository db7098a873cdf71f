//! The streams that a scheduler follows, made into events.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use tickmesh_core::{
    ledger::{Ledger, LedgerWrite},
    message::{AgentRecord, AppRecord, AttemptReport},
    name::AppName,
};
use tickmesh_messaging::{
    self as messaging, Change, Delivery, Entry, Following, LEASE_KEY, LeaseRecord, Mesh, StreamKind, Unreadable,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    apps::{Reader, StoredApp},
    deliveries::Deliveries,
    dispatcher::{self, StateChange},
    effect::Source,
    error::Failure,
    patience::until_done,
    process::Event,
};

/// Where what is read goes.
pub(crate) struct Follower {
    pub(crate) mesh: Mesh,
    pub(crate) reader: Reader,
    pub(crate) deliveries: Deliveries,
    pub(crate) events: mpsc::Sender<Event>,
}

impl Follower {
    /// Follows a stream until it breaks. Returns why it did.
    pub(crate) async fn follow(self, source: Source) -> Option<Failure> {
        let Self { mesh, mut reader, deliveries, events } = self;
        match source {
            Source::Ledgers => {
                let changes = open("follow the ledgers", || async { mesh.ledgers().follow().await }).await;
                forward(changes, events, |change| told(StreamKind::Ledger, change, ledger_changed)).await
            }
            Source::LedgerWrites { after } => {
                let writes =
                    open("follow who writes ledgers", || async { mesh.ledger_writes().follow_after(after).await });
                forward(writes.await, events, |change| told(StreamKind::Ledger, change, ledger_seen)).await
            }
            Source::Agents => {
                let changes = open("follow the agents", || async { mesh.agents().follow().await }).await;
                forward(changes, events, |change| told(StreamKind::Agents, change, agent_changed)).await
            }
            Source::Apps { mut folded } => {
                let changes = open("follow the apps", || async { mesh.apps().follow_history().await }).await;
                forward(changes, events, move |change| app_changed(change, &mut folded, &mut reader)).await
            }
            Source::Lease => {
                let changes = open("follow the lease", || async { mesh.lease().follow().await }).await;
                forward(changes, events, lease_seen).await
            }
            Source::Results { after } => {
                let changes = open("follow the results", || async { mesh.results().follow(after).await }).await;
                forward(changes, events, report_seen).await
            }
            Source::Commands => {
                // Not retried: receiving takes the commands away from their present receiver, which may be a
                // later leader.
                let commands = mesh.commands().receive().await.map_err(Failure::new);
                forward(commands, events, move |delivery| command_seen(delivery, &deliveries)).await
            }
        }
    }
}

/// Opens a stream, however long that takes.
async fn open<T, F>(what: &'static str, open: impl Fn() -> F) -> Result<Following<T>, Failure>
where
    F: Future<Output = Result<Following<T>, messaging::Error>>,
{
    until_done(what, open).await.map_err(Failure::new)
}

/// Passes on what is read until the stream breaks or nobody listens any more.
async fn forward<T>(
    stream: Result<Following<T>, Failure>,
    events: mpsc::Sender<Event>,
    mut event: impl FnMut(T) -> Option<Event>,
) -> Option<Failure> {
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Some(error),
    };
    while let Some(item) = stream.next().await {
        match item {
            Err(error) => return Some(Failure::new(error)),
            Ok(item) => {
                if let Some(event) = event(item) {
                    events.send(event).await.ok()?;
                }
            }
        }
    }
    let source = "it ended without a reason".into();
    Some(Failure::new(messaging::Error::Unavailable { action: "follow a stream of the mesh".to_owned(), source }))
}

/// What a reader of a bucket is told. `event` makes an event of a record, unless its key is not ours.
fn told<T>(stream: StreamKind, change: Change<T>, event: impl FnOnce(Entry<T>) -> Option<Event>) -> Option<Event> {
    Some(match change {
        Change::Entry(entry) => {
            let sequence = entry.sequence;
            event(entry).unwrap_or(Event::Passed { stream, sequence })
        }
        Change::Unreadable { key, sequence, error, .. } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable record ignored");
            Event::Passed { stream, sequence }
        }
        Change::SnapshotEnd { last_sequence: sequence } => Event::SnapshotEnd { stream, sequence },
    })
}

fn ledger_changed(entry: Entry<Ledger>) -> Option<Event> {
    let app = AppName::new(entry.key).ok()?;
    let ledger = Box::new(entry.value);
    Some(Event::Changed(StateChange::Ledger { app, revision: entry.sequence, ledger }))
}

fn ledger_seen(entry: Entry<LedgerWrite>) -> Option<Event> {
    let app = AppName::new(entry.key).ok()?;
    let epoch = entry.value.write.epoch;
    Some(Event::Mesh(dispatcher::Event::LedgerSeen { app, revision: entry.sequence, epoch }))
}

fn agent_changed(entry: Entry<AgentRecord>) -> Option<Event> {
    let record = Box::new(entry.value);
    Some(Event::Changed(StateChange::Agent { revision: entry.sequence, at: entry.at, record }))
}

/// Reads what a revision of an app says, unless it is over: reading takes time.
fn app_changed(change: Change<AppRecord>, folded: &mut BTreeMap<AppName, u64>, reader: &mut Reader) -> Option<Event> {
    let stream = StreamKind::Apps;
    if let Change::SnapshotEnd { last_sequence: sequence } = change {
        // What comes from here on is news.
        folded.clear();
        return Some(Event::SnapshotEnd { stream, sequence });
    }
    let sequence = change.sequence();
    let Some(stored) = StoredApp::of(change) else { return Some(Event::Passed { stream, sequence }) };
    let StoredApp { revision, at, .. } = stored;
    if folded.get(&stored.app).is_some_and(|folded| revision < *folded) {
        return Some(Event::Passed { stream, sequence: revision });
    }
    let content = reader.content(&stored);
    Some(Event::Changed(StateChange::App { app: stored.app, revision, at, content }))
}

fn lease_seen(change: Change<LeaseRecord>) -> Option<Event> {
    match change {
        Change::Entry(entry) if entry.key == LEASE_KEY => {
            Some(Event::LeaseSeen { revision: entry.sequence, record: Box::new(entry.value) })
        }
        Change::Entry(_) => None,
        Change::Unreadable { sequence: revision, error: Unreadable::Deleted, .. } => {
            Some(Event::LeaseDeleted { revision })
        }
        Change::Unreadable { key, sequence, error: source, .. } => {
            Some(Event::FollowEnded(Failure::new(messaging::Error::Unreadable { key, sequence, source })))
        }
        Change::SnapshotEnd { last_sequence: sequence } => {
            Some(Event::SnapshotEnd { stream: StreamKind::Lease, sequence })
        }
    }
}

fn report_seen(change: Change<AttemptReport>) -> Option<Event> {
    let (sequence, report) = match change {
        Change::Entry(entry) => (entry.sequence, Some(Box::new(entry.value))),
        // Passed on as a gap: whoever waits for this sequence must not wait for ever.
        Change::Unreadable { key, sequence, error, .. } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable result ignored");
            (sequence, None)
        }
        // The same for a stream whose end was removed by hand.
        Change::SnapshotEnd { last_sequence } => (last_sequence, None),
    };
    Some(Event::Mesh(dispatcher::Event::ReportSeen { sequence, report }))
}

/// Keeps what confirms a command; of one that comes twice, the later delivery.
fn command_seen(delivery: Delivery, deliveries: &Deliveries) -> Option<Event> {
    let (sequence, command) = (delivery.sequence, Box::new(delivery.command.clone()));
    deliveries.keep(delivery);
    Some(Event::Mesh(dispatcher::Event::CommandSeen { sequence, command }))
}
