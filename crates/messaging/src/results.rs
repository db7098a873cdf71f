//! The life of every attempt, each on its own subject: claimed, revoked or cancelled first, terminal last. Everything here
//! is a compare-and-set, so that of an agent, a leader and their predecessors exactly one wins.

use tickmesh_core::{
    id::{AttemptId, RunToken},
    message::AttemptReport,
    name::{AgentName, AppName},
};

use crate::{
    address::AttemptAddress,
    bucket::{Change, change},
    compare_and_set::{Cas, Write, compare_and_set},
    error::{Error, Unreadable},
    follow::{Begin, Follower, Following},
    names::Names,
    store::{Patience, Store},
    wire::{Entry, Stored, encode},
};

/// The stream `results`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Results {
    store: Store,
}

impl Results {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a report on its attempt's subject if the last one there is at `expected`; 0: if there is none.
    pub async fn append(&self, report: &AttemptReport, expected: u64) -> Result<Cas<AttemptReport>, Error> {
        let subject = self.store.names.result(&report.attempt, &report.agent);
        let body = encode(self.store.kind, &subject, report)?;
        let write = Write { subject: &subject, body, expected };
        let patience = Patience::of(self.store.link.request_timeout);
        compare_and_set(&self.store, write, patience).await?.decode(&subject)
    }

    /// The last report on an attempt, from the stream's leader.
    pub async fn last_of(&self, attempt: &AttemptId, agent: &AgentName) -> Result<Option<Entry<AttemptReport>>, Error> {
        let subject = self.store.names.result(attempt, agent);
        let stored = self.store.last(&subject).await?;
        stored.map(|stored| stored.decode(&subject)).transpose()
    }

    /// Sequence of the last report that was ever stored.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        self.store.last_sequence().await
    }

    /// Every report above a sequence: those stored already, then [`Change::SnapshotEnd`], then those to come. A report whose
    /// body is about another attempt than its subject is [`Unreadable::Misplaced`].
    pub async fn follow(&self, after_sequence: u64) -> Result<Following<Change<AttemptReport>>, Error> {
        self.changes(self.store.names.subjects(self.store.kind), after_sequence).await
    }

    /// The same of one app alone.
    pub async fn follow_app(
        &self,
        app: &AppName,
        after_sequence: u64,
    ) -> Result<Following<Change<AttemptReport>>, Error> {
        self.changes(self.store.names.results_of_app(app), after_sequence).await
    }

    async fn changes(&self, filter: String, after_sequence: u64) -> Result<Following<Change<AttemptReport>>, Error> {
        let names = self.store.names.clone();
        let follower = Follower::begin(&self.store, filter, Begin::After(after_sequence)).await?;
        Ok(follower.into_stream(move |item| {
            Some(change(item, |stored| stored.subject.clone(), |stored, report| belongs(&names, stored, report)))
        }))
    }

    /// Every stored report of a run, in order.
    pub async fn of_run(&self, app: &AppName, run: RunToken) -> Result<Vec<Entry<AttemptReport>>, Error> {
        let filter = self.store.names.results_of_run(app, run);
        let stored = Follower::begin(&self.store, filter, Begin::After(0)).await?.collect().await?;
        stored.iter().map(|stored| self.decode(stored)).collect()
    }

    /// Removes every report below a sequence (protocol rule P14).
    pub async fn purge_below(&self, sequence: u64) -> Result<(), Error> {
        self.store.purge_below(sequence).await
    }

    fn decode(&self, stored: &Stored) -> Result<Entry<AttemptReport>, Error> {
        let entry = stored.decode(&stored.subject)?;
        if !belongs(&self.store.names, stored, &entry.value) {
            let (key, sequence) = (entry.key, entry.sequence);
            return Err(Error::Unreadable { key, sequence, source: Unreadable::Misplaced });
        }
        Ok(entry)
    }
}

/// Whether a report is about the attempt that its subject names. An agent may write only on subjects that end with its own
/// name, so this is what keeps it from reporting for another one.
fn belongs(names: &Names, stored: &Stored, report: &AttemptReport) -> bool {
    names
        .parse_result(&stored.subject)
        .is_ok_and(|address| address == AttemptAddress::of(&report.attempt, &report.agent))
}
