//! What a standby keeps in memory, so that it need not load a mesh first when it takes over: every ledger, every heartbeat,
//! and of each app the revisions from the one in force on.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt as _;
use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::{
    decide::AppContent,
    ledger::Ledger,
    message::{AgentRecord, AppRecord},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{self as messaging, Change, Mesh, StreamKind};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use crate::{
    Error,
    apps::{Reader, Stored},
    dispatcher::Event,
    follow::{Changes, follow_ledger_writes, follow_state, readable},
};

/// The stored state of a mesh, kept up with.
pub(crate) struct Warm {
    ledgers: Followed<Ledger>,
    agents: Followed<AgentRecord>,
    apps: Followed<AppRecord>,
    memory: Memory,
    reader: Reader,
}

/// A stream, and how far it has been read.
struct Followed<T> {
    changes: Changes<T>,
    through: u64,
}

/// Where the streams ended when somebody looked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    ledgers: u64,
    agents: u64,
    apps: u64,
}

impl Ends {
    /// Looks.
    pub(crate) async fn read(mesh: &Mesh) -> Result<Self, messaging::Error> {
        let (ledgers, agents, apps) = (mesh.ledgers(), mesh.agents(), mesh.apps());
        let ends = tokio::try_join!(ledgers.last_sequence(), agents.last_sequence(), apps.last_sequence());
        ends.map(|(ledgers, agents, apps)| Self { ledgers, agents, apps })
    }
}

/// What was read.
#[derive(Debug, Default)]
struct Memory {
    ledgers: BTreeMap<AppName, (u64, Ledger)>,
    agents: BTreeMap<AgentName, Heartbeat>,
    apps: BTreeMap<AppName, Vec<Revision>>,
}

#[derive(Debug)]
struct Heartbeat {
    revision: u64,
    at: Timestamp,
    record: AgentRecord,
}

#[derive(Debug, Clone)]
struct Revision {
    revision: u64,
    at: Timestamp,
    content: AppContent,
}

impl<T> Followed<T> {
    fn new(changes: Changes<T>) -> Self {
        Self { changes, through: 0 }
    }

    /// The next change. Losing the future loses nothing.
    async fn next(&mut self) -> Result<Change<T>, Error> {
        let change = self.changes.next().await.ok_or(Error::StreamEnded)?.map_err(Error::Follow)?;
        let sequence = match &change {
            Change::Entry(entry) => entry.sequence,
            Change::Unreadable { sequence, .. } => *sequence,
            Change::SnapshotEnd { last_sequence } => *last_sequence,
        };
        self.through = self.through.max(sequence);
        Ok(change)
    }
}

impl Warm {
    /// Reads all that is stored.
    pub(crate) async fn load(mesh: &Mesh, zones: &TimeZoneDatabase) -> Result<Self, Error> {
        let mut warm = Self {
            ledgers: Followed::new(mesh.ledgers().follow().await.map_err(Error::Load)?),
            agents: Followed::new(mesh.agents().follow().await.map_err(Error::Load)?),
            apps: Followed::new(mesh.apps().follow_history().await.map_err(Error::Load)?),
            memory: Memory::default(),
            reader: Reader::new(zones.clone()),
        };
        // Ledgers first: they say which revisions of the apps are still needed.
        while let Some(change) = unless_end(warm.ledgers.next().await?) {
            warm.memory.ledger(change);
        }
        while let Some(change) = unless_end(warm.agents.next().await?) {
            warm.memory.agent(change);
        }
        while let Some(change) = unless_end(warm.apps.next().await?) {
            warm.memory.app(change, &mut warm.reader);
        }
        Ok(warm)
    }

    /// Takes in what changes, until a stream breaks: never, as long as all is well. May be dropped at any moment.
    pub(crate) async fn keep_up(&mut self) -> Error {
        loop {
            if let Err(error) = self.take_next().await {
                return error;
            }
        }
    }

    /// How far the streams were read that must not lose anything.
    pub(crate) fn through(&self) -> [(StreamKind, u64); 2] {
        [(StreamKind::Ledger, self.ledgers.through), (StreamKind::Apps, self.apps.through)]
    }

    /// Takes in everything up to `ends`.
    pub(crate) async fn reach(&mut self, ends: Ends, patience: Duration) -> Result<(), Error> {
        let reaching = async {
            while self.ledgers.through < ends.ledgers
                || self.agents.through < ends.agents
                || self.apps.through < ends.apps
            {
                self.take_next().await?;
            }
            Ok(())
        };
        timeout(patience, reaching).await.unwrap_or(Err(Error::Behind))
    }

    async fn take_next(&mut self) -> Result<(), Error> {
        tokio::select! {
            change = self.ledgers.next() => self.memory.ledger(change?),
            change = self.agents.next() => self.memory.agent(change?),
            change = self.apps.next() => self.memory.app(change?, &mut self.reader),
        }
        Ok(())
    }

    /// All that is known, as events in the order in which a dispatcher must be told.
    pub(crate) fn tell(&mut self) -> impl Iterator<Item = Event> {
        let Memory { ledgers, agents, apps } = std::mem::take(&mut self.memory);
        let ledgers = ledgers.into_iter().map(|(app, (revision, ledger))| {
            let ledger = Box::new(ledger);
            Event::LedgerLoaded { app, revision, ledger }
        });
        let agents = agents.into_values().map(|Heartbeat { revision, at, record }| {
            let record = Box::new(record);
            Event::AgentSeen { revision, at, record }
        });
        let apps = apps.into_iter().flat_map(|(app, revisions)| {
            revisions.into_iter().map(move |Revision { revision, at, content }| {
                let app = app.clone();
                Event::AppSeen { app, revision, at, content }
            })
        });
        ledgers.chain(agents).chain(apps)
    }

    /// Goes on following as a leader, in tasks that end with `tasks`.
    pub(crate) async fn follow(
        self,
        mesh: &Mesh,
        events: &mpsc::Sender<Event>,
        tasks: &mut JoinSet<Error>,
    ) -> Result<(), Error> {
        follow_ledger_writes(mesh, self.ledgers.through, events, tasks).await?;
        follow_state((self.agents.changes, self.apps.changes), self.reader, events, tasks);
        Ok(())
    }
}

fn unless_end<T>(change: Change<T>) -> Option<Change<T>> {
    match change {
        Change::SnapshotEnd { .. } => None,
        change @ (Change::Entry(_) | Change::Unreadable { .. }) => Some(change),
    }
}

impl Memory {
    fn ledger(&mut self, change: Change<Ledger>) {
        let Some(entry) = readable(change) else { return };
        let Ok(app) = AppName::new(entry.key) else { return };
        if let Some(revisions) = self.apps.get_mut(&app) {
            forget_old(revisions, entry.value.app_revision);
        }
        self.ledgers.insert(app, (entry.sequence, entry.value));
    }

    fn agent(&mut self, change: Change<AgentRecord>) {
        let Some(entry) = readable(change) else { return };
        let heartbeat = Heartbeat { revision: entry.sequence, at: entry.at, record: entry.value };
        self.agents.insert(heartbeat.record.agent.clone(), heartbeat);
    }

    fn app(&mut self, change: Change<AppRecord>, reader: &mut Reader) {
        let Some(stored) = Stored::of(change) else { return };
        let folded = self.ledgers.get(&stored.app).map_or(0, |(_, ledger)| ledger.app_revision);
        if stored.revision < folded {
            // It is over: to read it would only take time.
            return;
        }
        let revision = Revision { revision: stored.revision, at: stored.at, content: reader.content(&stored) };
        // Mostly there is one, and room for four is what a vector begins with.
        self.apps.entry(stored.app).or_insert_with(|| Vec::with_capacity(1)).push(revision);
    }
}

/// Only the revision in force and those after it can still matter.
fn forget_old(revisions: &mut Vec<Revision>, folded: u64) {
    revisions.retain(|revision| revision.revision >= folded);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(revision: u64) -> Revision {
        Revision { revision, at: Timestamp::UNIX_EPOCH, content: AppContent::Removed }
    }

    #[track_caller]
    fn check(stored: &[u64], folded: u64, kept: &[u64]) {
        let mut revisions: Vec<_> = stored.iter().copied().map(revision).collect();
        forget_old(&mut revisions, folded);
        assert_eq!(revisions.iter().map(|it| it.revision).collect::<Vec<_>>(), kept);
    }

    #[test]
    fn the_revision_in_force_and_all_later_ones_are_kept() {
        check(&[2, 5, 9], 0, &[2, 5, 9]);
        check(&[2, 5, 9], 5, &[5, 9]);
        check(&[2, 5, 9], 9, &[9]);
    }
}
