//! The streams that a tenure follows, made into events.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    decide::AppContent,
    ledger::Ledger,
    message::{AgentRecord, AppRecord, AttemptReport},
    name::AppName,
};
use tickmesh_messaging::{Change, Delivery, Entry, Following, Mesh};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::warn;

use crate::{Error, apps, clock, dispatcher::Event};

type Changes<T> = Following<Change<T>>;

/// Reads what is stored, as events, and leaves the streams at the point where they go live.
pub(crate) struct Loaded {
    /// What was stored, in the order in which the dispatcher must be told.
    pub(crate) events: Vec<Event>,
    ledgers: Changes<Ledger>,
    agents: Changes<AgentRecord>,
    apps: Changes<AppRecord>,
    zones: TimeZoneDatabase,
}

/// Loads ledgers, agents and apps.
pub(crate) async fn load(mesh: &Mesh, zones: &TimeZoneDatabase) -> Result<Loaded, Error> {
    let mut ledgers: Changes<Ledger> = mesh.ledgers().follow().await.map_err(Error::Load)?;
    let mut agents: Changes<AgentRecord> = mesh.agents().follow().await.map_err(Error::Load)?;
    let mut apps: Changes<AppRecord> = mesh.apps().follow_history().await.map_err(Error::Load)?;
    let mut events = Vec::new();
    snapshot(&mut ledgers, &mut events, ledger_loaded).await?;
    keep_newest(&mut events);
    snapshot(&mut agents, &mut events, agent_seen).await?;
    snapshot(&mut apps, &mut events, |change| app_seen(change, zones)).await?;
    Ok(Loaded { events, ledgers, agents, apps, zones: zones.clone() })
}

impl Loaded {
    /// Goes on following, in tasks that end with `tasks`.
    pub(crate) fn follow(self, events: &mpsc::Sender<Event>, tasks: &mut JoinSet<Error>) {
        let zones = self.zones;
        tasks.spawn(forward(self.ledgers, events.clone(), ledger_seen));
        tasks.spawn(forward(self.agents, events.clone(), agent_seen));
        tasks.spawn(forward(self.apps, events.clone(), move |change| app_seen(change, &zones)));
    }
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

async fn snapshot<T>(
    changes: &mut Changes<T>,
    events: &mut Vec<Event>,
    event: impl Fn(Change<T>) -> Option<Event>,
) -> Result<(), Error> {
    while let Some(change) = changes.next().await {
        let change = change.map_err(Error::Load)?;
        if matches!(change, Change::SnapshotEnd { .. }) {
            return Ok(());
        }
        events.extend(event(change));
    }
    Err(Error::StreamEnded)
}

/// A ledger that was written while it was loaded comes twice: what it binds must not be counted twice.
fn keep_newest(events: &mut Vec<Event>) {
    let mut newest = BTreeMap::new();
    for event in events.drain(..) {
        if let Event::LedgerLoaded { app, .. } = &event {
            newest.insert(app.clone(), event);
        }
    }
    events.extend(newest.into_values());
}

/// Passes changes on until the stream or the tenure ends; returned is why the stream ended.
async fn forward<T>(
    mut changes: Changes<T>,
    events: mpsc::Sender<Event>,
    event: impl Fn(Change<T>) -> Option<Event>,
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

fn ledger_loaded(change: Change<Ledger>) -> Option<Event> {
    let entry = readable(change)?;
    let app = AppName::new(entry.key).ok()?;
    Some(Event::LedgerLoaded { app, revision: entry.sequence, ledger: Box::new(entry.value) })
}

fn ledger_seen(change: Change<Ledger>) -> Option<Event> {
    let entry = readable(change)?;
    let app = AppName::new(entry.key).ok()?;
    Some(Event::LedgerSeen { app, revision: entry.sequence, epoch: entry.value.write.epoch })
}

fn agent_seen(change: Change<AgentRecord>) -> Option<Event> {
    let entry = readable(change)?;
    Some(Event::AgentSeen { revision: entry.sequence, at: entry.at, record: Box::new(entry.value) })
}

fn app_seen(change: Change<AppRecord>, zones: &TimeZoneDatabase) -> Option<Event> {
    match change {
        Change::Entry(entry) => {
            let app = AppName::new(entry.key).ok()?;
            let content = apps::content(&app, &entry.value, zones);
            Some(Event::AppSeen { app, revision: entry.sequence, at: entry.at, content })
        }
        // A revision of a later release: whatever it says, nothing new may be started under the old one.
        Change::Unreadable { key, sequence, error } => {
            let content = AppContent::Invalid { reason: error.to_string() };
            Some(Event::AppSeen { app: AppName::new(key).ok()?, revision: sequence, at: clock::now().wall, content })
        }
        Change::SnapshotEnd { .. } => None,
    }
}

fn report_seen(change: Change<AttemptReport>) -> Option<Event> {
    match change {
        Change::Entry(entry) => {
            Some(Event::ReportSeen { sequence: entry.sequence, report: Some(Box::new(entry.value)) })
        }
        // Passed on as a gap: whoever waits for this sequence must not wait for ever.
        Change::Unreadable { key, sequence, error } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable result ignored");
            Some(Event::ReportSeen { sequence, report: None })
        }
        // The same for a stream whose end was removed by hand.
        Change::SnapshotEnd { last_sequence } => Some(Event::ReportSeen { sequence: last_sequence, report: None }),
    }
}

fn readable<T>(change: Change<T>) -> Option<Entry<T>> {
    match change {
        Change::Entry(entry) => Some(entry),
        Change::Unreadable { key, sequence, error } => {
            warn!(%key, sequence, error = &error as &dyn std::error::Error, "unreadable record ignored");
            None
        }
        Change::SnapshotEnd { .. } => None,
    }
}
