//! The life of every attempt, each on its own subject: claimed, revoked or cancelled first, terminal last. Everything here
//! is a compare-and-set, so that of an agent, a leader and their predecessors exactly one wins.

use tickmesh_core::{
    id::{AttemptId, RunToken},
    message::AttemptReport,
    name::{AgentName, AppName},
};

use crate::{
    bucket::{Change, change},
    compare_and_set::{Cas, append, last_entry},
    error::Error,
    follow::{Begin, Follower, Following},
    journal::{listed, looked_at},
    listing::Listing,
    store::Store,
    wire::{Entry, encode},
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

    /// Stores a report on its attempt's subject if the last one there is at `expected`; 0: if there is none. Reports that
    /// cannot be read do not count.
    pub async fn append(&self, report: &AttemptReport, expected: u64) -> Result<Cas<AttemptReport>, Error> {
        let subject = self.store.names.result(&report.attempt, &report.agent);
        let body = encode(self.store.kind, &subject, report)?;
        append(&self.store, &subject, body, expected).await
    }

    /// The last report on an attempt that can be read, from the stream's leader.
    pub async fn last_of(&self, attempt: &AttemptId, agent: &AgentName) -> Result<Option<Entry<AttemptReport>>, Error> {
        last_entry(&self.store, &self.store.names.result(attempt, agent)).await
    }

    /// Sequence of the last report that was ever stored.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        self.store.last_sequence().await
    }

    /// Every report above a sequence: those stored already, then [`Change::SnapshotEnd`], then those to come. A report whose
    /// body is about another attempt than its subject is [`crate::Unreadable::Misplaced`].
    pub async fn follow(&self, after_sequence: u64) -> Result<Following<Change<AttemptReport>>, Error> {
        self.changes(self.store.names.subjects(self.store.kind), after_sequence).await
    }

    /// Follows the messages about the attempts of one app.
    pub async fn follow_app(
        &self,
        app: &AppName,
        after_sequence: u64,
    ) -> Result<Following<Change<AttemptReport>>, Error> {
        self.changes(self.store.names.results_of_app(app), after_sequence).await
    }

    async fn changes(&self, filter: String, after_sequence: u64) -> Result<Following<Change<AttemptReport>>, Error> {
        let store = self.store.clone();
        let follower = Follower::begin(&self.store, filter, Begin::After(after_sequence)).await?;
        Ok(follower.into_stream(move |item| change(item, &store, |_, stored| stored.subject.clone())))
    }

    /// Every stored report of a run, in order.
    pub async fn of_run(&self, app: &AppName, run: RunToken) -> Result<Listing<AttemptReport>, Error> {
        listed(&self.store, self.store.names.results_of_run(app, run)).await
    }

    /// Like [`Self::of_run`], in one round trip: for whoever looks, and decides nothing by it.
    pub async fn look_at_run(&self, app: &AppName, run: RunToken) -> Result<Listing<AttemptReport>, Error> {
        looked_at(&self.store, self.store.names.results_of_run(app, run)).await
    }

    /// Removes every report below a sequence (protocol rule P14).
    pub async fn purge_below(&self, sequence: u64) -> Result<(), Error> {
        self.store.purge_below(sequence).await
    }
}
