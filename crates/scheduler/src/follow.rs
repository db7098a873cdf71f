//! The streams that a scheduler follows, made into events.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use tickmesh_core::{
    ledger::{Ledger, LedgerWrite},
    message::{AgentRecord, AppRecord, AttemptReport},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{
    self as messaging, Change, Delivery, Following, LEASE_KEY, LeaseRecord, Mesh, StreamKind, Unreadable, chain,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    apps::{Reader, StoredApp},
    deliveries::Deliveries,
    dispatcher::{self, StateChange, UnreadableLedger},
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
                forward(changes, events, ledger_changed).await
            }
            Source::LedgerWrites { after } => {
                let writes =
                    open("follow who writes ledgers", || async { mesh.ledger_writes().follow_after(after).await });
                forward(writes.await, events, ledger_seen).await
            }
            Source::Agents => {
                let changes = open("follow the agents", || async { mesh.agents().follow().await }).await;
                forward(changes, events, agent_changed).await
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

/// Whether a change of a bucket concerns nobody: its key is no name.
fn passed(stream: StreamKind, sequence: u64) -> Option<Event> {
    Some(Event::Passed { stream, sequence })
}

fn snapshot_end(stream: StreamKind, sequence: u64) -> Option<Event> {
    Some(Event::SnapshotEnd { stream, sequence })
}

fn ledger_changed(change: Change<Ledger>) -> Option<Event> {
    let stream = StreamKind::Ledger;
    let (key, revision, ledger) = match change {
        Change::Entry(entry) => (entry.key, entry.sequence, Ok(Box::new(entry.value))),
        Change::Unreadable { key, sequence, error, .. } => (key, sequence, Err(unreadable_ledger(&error))),
        Change::SnapshotEnd { last_sequence } => return snapshot_end(stream, last_sequence),
    };
    let Ok(app) = AppName::new(key) else { return passed(stream, revision) };
    Some(Event::Changed(StateChange::Ledger { app, revision, ledger }))
}

fn ledger_seen(change: Change<LedgerWrite>) -> Option<Event> {
    let stream = StreamKind::Ledger;
    let (key, revision, write) = match change {
        Change::Entry(entry) => (entry.key, entry.sequence, Ok(entry.value.write)),
        Change::Unreadable { key, sequence, error, .. } => (key, sequence, Err(unreadable_ledger(&error))),
        Change::SnapshotEnd { last_sequence } => return snapshot_end(stream, last_sequence),
    };
    let Ok(app) = AppName::new(key) else { return passed(stream, revision) };
    Some(Event::Mesh(match write {
        Ok(write) => dispatcher::Event::LedgerSeen { app, revision, epoch: write.epoch },
        Err(problem) => dispatcher::Event::LedgerUnreadable { app, revision, problem },
    }))
}

pub(crate) fn unreadable_ledger(error: &Unreadable) -> UnreadableLedger {
    UnreadableLedger { reason: chain(error), is_newer: error.is_newer() }
}

fn agent_changed(change: Change<AgentRecord>) -> Option<Event> {
    let stream = StreamKind::Agents;
    Some(Event::Changed(match change {
        Change::Entry(entry) => {
            StateChange::Agent { revision: entry.sequence, at: entry.at, record: Box::new(entry.value) }
        }
        Change::Unreadable { key, sequence, error, .. } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable heartbeat");
            let Ok(agent) = AgentName::new(key) else { return passed(stream, sequence) };
            StateChange::UnreadableAgent { agent, revision: sequence }
        }
        Change::SnapshotEnd { last_sequence } => return snapshot_end(stream, last_sequence),
    }))
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
        Change::Unreadable { sequence: revision, error, .. } => {
            warn!(revision, error = &error as &dyn std::error::Error, "unreadable lease");
            Some(Event::LeaseDamaged { revision })
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
