//! The streams that a tenure follows, made into events.

use futures_util::StreamExt as _;
use tickmesh_core::{
    ledger::LedgerWrite,
    message::{AgentRecord, AppRecord, AttemptReport},
    name::AppName,
};
use tickmesh_messaging::{Change, Delivery, Entry, Following, Mesh};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::warn;

use crate::{
    Error,
    apps::{Reader, Stored},
    dispatcher::Event,
};

pub(crate) type Changes<T> = Following<Change<T>>;

/// Goes on following what a standby has followed, in tasks that end with `tasks`.
pub(crate) fn follow_state(
    (agents, apps): (Changes<AgentRecord>, Changes<AppRecord>),
    mut reader: Reader,
    events: &mpsc::Sender<Event>,
    tasks: &mut JoinSet<Error>,
) {
    tasks.spawn(forward(agents, events.clone(), agent_seen));
    tasks.spawn(forward(apps, events.clone(), move |change| app_seen(change, &mut reader)));
}

/// Follows who writes the ledgers after a sequence. What is in them this leader knows, since it is to be the one who writes.
pub(crate) async fn follow_ledger_writes(
    mesh: &Mesh,
    after: u64,
    events: &mpsc::Sender<Event>,
    tasks: &mut JoinSet<Error>,
) -> Result<(), Error> {
    let writes = mesh.ledger_writes().follow_after(after).await.map_err(Error::Follow)?;
    tasks.spawn(forward(writes, events.clone(), ledger_seen));
    Ok(())
}

/// Follows the results after a sequence.
pub(crate) async fn follow_results(
    mesh: &Mesh,
    after: u64,
    events: &mpsc::Sender<Event>,
    tasks: &mut JoinSet<Error>,
) -> Result<(), Error> {
    let reports: Changes<AttemptReport> = mesh.results().follow(after).await.map_err(Error::Follow)?;
    tasks.spawn(forward(reports, events.clone(), report_seen));
    Ok(())
}

/// Follows the commands.
pub(crate) async fn follow_commands(
    mesh: &Mesh,
    commands: mpsc::Sender<Delivery>,
    tasks: &mut JoinSet<Error>,
) -> Result<(), Error> {
    let mut deliveries = mesh.commands().receive().await.map_err(Error::Follow)?;
    tasks.spawn(async move {
        while let Some(delivery) = deliveries.next().await {
            match delivery {
                Err(error) => return Error::Follow(error),
                Ok(delivery) => {
                    if commands.send(delivery).await.is_err() {
                        break;
                    }
                }
            }
        }
        Error::StreamEnded
    });
    Ok(())
}

/// Passes changes on until the stream or the tenure ends; returned is why the stream ended.
async fn forward<T>(
    mut changes: Changes<T>,
    events: mpsc::Sender<Event>,
    mut event: impl FnMut(Change<T>) -> Option<Event>,
) -> Error {
    while let Some(change) = changes.next().await {
        match change {
            Err(error) => return Error::Follow(error),
            Ok(change) => {
                if let Some(event) = event(change)
                    && events.send(event).await.is_err()
                {
                    break;
                }
            }
        }
    }
    Error::StreamEnded
}

fn ledger_seen(change: Change<LedgerWrite>) -> Option<Event> {
    let entry = readable(change)?;
    let app = AppName::new(entry.key).ok()?;
    Some(Event::LedgerSeen { app, revision: entry.sequence, epoch: entry.value.write.epoch })
}

fn agent_seen(change: Change<AgentRecord>) -> Option<Event> {
    let entry = readable(change)?;
    Some(Event::AgentSeen { revision: entry.sequence, at: entry.at, record: Box::new(entry.value) })
}

fn app_seen(change: Change<AppRecord>, reader: &mut Reader) -> Option<Event> {
    let stored = Stored::of(change)?;
    let content = reader.content(&stored);
    Some(Event::AppSeen { app: stored.app, revision: stored.revision, at: stored.at, content })
}

fn report_seen(change: Change<AttemptReport>) -> Option<Event> {
    match change {
        Change::Entry(entry) => {
            Some(Event::ReportSeen { sequence: entry.sequence, report: Some(Box::new(entry.value)) })
        }
        // Passed on as a gap: whoever waits for this sequence must not wait for ever.
        Change::Unreadable { key, sequence, error, .. } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable result ignored");
            Some(Event::ReportSeen { sequence, report: None })
        }
        // The same for a stream whose end was removed by hand.
        Change::SnapshotEnd { last_sequence } => Some(Event::ReportSeen { sequence: last_sequence, report: None }),
    }
}

/// A record, or a line in the log.
pub(crate) fn readable<T>(change: Change<T>) -> Option<Entry<T>> {
    match change {
        Change::Entry(entry) => Some(entry),
        Change::Unreadable { key, sequence, error, .. } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable record ignored");
            None
        }
        Change::SnapshotEnd { .. } => None,
    }
}
