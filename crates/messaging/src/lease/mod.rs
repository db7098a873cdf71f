//! The lease: which scheduler leads.
//!
//! It is one key without any expiry on the server, renewed by compare-and-set four times in a term; a standby takes it by
//! compare-and-set once no new revision has come for a whole term, or at once when it was released. The revision of the write
//! that took it is the tenure's epoch. What is decided is in [`Candidate`] and [`Hold`], without I/O; here it meets the network.
//!
//! The lease only keeps leaders from getting in each other's way. Safe they are by the compare-and-set on every record.
//! [`Candidate`], [`Hold`] and [`first_loss`] are public so that a simulated network can drive them, too.

mod clock;
mod state;
mod tenure;

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tickmesh_core::message::SCHEMA;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

pub use self::{
    clock::BootTime,
    state::{Candidate, Hold, RENEWALS_PER_TERM, Step},
    tenure::Tenure,
};
use crate::{
    bucket::{Bucket, Change},
    compare_and_set::Cas,
    error::Error,
    follow::{Following, chain},
    mesh::Mesh,
    names::LEASE_KEY,
    store::Patience,
    wire::{Entry, Unreadable},
};

/// The lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Schema version.
    pub schema: u32,
    /// Id of the process that holds it.
    pub holder: String,
    /// Its host, for people.
    pub host: String,
    /// Given back: anybody may take it at once.
    pub released: bool,
    /// Counts the writes of the lease, so that no two are alike.
    pub renewal: u64,
    /// Last sequences of streams, as a leader has seen them: see [`Mesh::last_sequences`].
    pub last_sequences: BTreeMap<String, u64>,
}

impl LeaseRecord {
    /// The record with which a process takes the lease from the one before, if there was one.
    pub fn first(process: &str, host: &str, previous: Option<&Self>) -> Self {
        Self {
            schema: SCHEMA,
            holder: process.to_owned(),
            host: host.to_owned(),
            released: false,
            renewal: previous.map_or(0, |record| record.renewal) + 1,
            last_sequences: previous.map_or_else(BTreeMap::new, |record| record.last_sequences.clone()),
        }
    }

    /// The record that renews this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { renewal: self.renewal + 1, ..self.clone() }
    }
}

/// Gets the lease for one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LeaseKeeper {
    mesh: Mesh,
    bucket: Bucket<LeaseRecord>,
    process: String,
    host: String,
    ttl: Duration,
}

/// What a standby knows of the lease.
struct Standby {
    candidate: Candidate,
    /// The last record seen.
    record: Option<LeaseRecord>,
}

impl LeaseKeeper {
    /// A keeper for a process with that id, which no other process may ever have. `ttl` is one term, and must be the same
    /// for all schedulers of a mesh.
    pub fn new(mesh: &Mesh, process: impl Into<String>, host: impl Into<String>, ttl: Duration) -> Self {
        // A renewal that takes longer than until the next one is due is tried again; one older than a term is worthless.
        let patience = Patience { request: ttl / RENEWALS_PER_TERM, total: ttl };
        let bucket = mesh.lease().with_patience(patience);
        Self { mesh: mesh.clone(), bucket, process: process.into(), host: host.into(), ttl }
    }

    /// Waits until this process holds the lease. Outages only make it wait longer; an error means that nobody can lead:
    /// [`Error::StateLost`] if stored data is missing, [`Error::Unreadable`] if a later release wrote the lease.
    pub async fn acquire(&self) -> Result<Tenure, Error> {
        let mut changes = self.watch().await?;
        let mut standby = Standby { candidate: Candidate::new(self.ttl, BootTime::now()), record: None };
        loop {
            match standby.candidate.step(BootTime::now()) {
                Step::Wait(until) => standby.wait(&mut changes, until).await?,
                Step::Take(revision) => {
                    if let Some(tenure) = self.take(&mut standby, revision).await? {
                        return Ok(tenure);
                    }
                }
            }
        }
    }

    /// Begins to watch the lease, however long that takes.
    async fn watch(&self) -> Result<Following<Change<LeaseRecord>>, Error> {
        loop {
            match self.bucket.follow().await {
                Err(error) if error.is_unavailable() => {
                    warn!(error = %chain(&error), "cannot watch the lease yet");
                    sleep(self.ttl / RENEWALS_PER_TERM).await;
                }
                watched => return watched,
            }
        }
    }

    /// Tries to take the lease from `revision`.
    async fn take(&self, standby: &mut Standby, revision: u64) -> Result<Option<Tenure>, Error> {
        let record = LeaseRecord::first(&self.process, &self.host, standby.record.as_ref());
        let sent_at = BootTime::now();
        let taken = match self.check_streams(&record.last_sequences).await {
            Ok(()) => self.bucket.compare_and_set(LEASE_KEY, &record, revision).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(Cas::Stored { sequence }) => {
                info!(epoch = sequence, process = self.process, "took the lease");
                Ok(Some(Tenure::begin(self, record, Hold::new(self.ttl, sequence, sent_at))))
            }
            Ok(Cas::Refused { current: Some(current) }) => {
                debug!(holder = current.value.holder, "lost the election for the lease (not an error)");
                standby.observe(current);
                Ok(None)
            }
            Ok(Cas::Refused { current: None }) => {
                // The bucket was made anew under a key that we had seen: begin from nothing.
                standby.candidate = Candidate::new(self.ttl, BootTime::now());
                Ok(None)
            }
            Err(error) if error.is_unavailable() => {
                debug!(error = %chain(&error), "could not try to take the lease");
                standby.candidate.unanswered(BootTime::now());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses to lead on streams that lack what an earlier leader has seen in them: ticks that were decided, and attempts
    /// that were claimed, would be so again.
    async fn check_streams(&self, recorded: &BTreeMap<String, u64>) -> Result<(), Error> {
        if recorded.is_empty() {
            return Ok(());
        }
        let found = self.mesh.last_sequences().await?;
        match first_loss(recorded, &found) {
            None => Ok(()),
            Some((stream, recorded, found)) => Err(Error::StateLost { stream, recorded, found }),
        }
    }
}

/// The first stream that ends before its recorded sequence. Streams that this release does not ask about are passed over.
pub fn first_loss(recorded: &BTreeMap<String, u64>, found: &BTreeMap<String, u64>) -> Option<(String, u64, u64)> {
    recorded.iter().find_map(|(stream, recorded)| {
        let found = *found.get(stream)?;
        (found < *recorded).then(|| (stream.clone(), *recorded, found))
    })
}

impl Standby {
    /// Waits for the next change of the lease, at most until that moment.
    async fn wait(&mut self, changes: &mut Following<Change<LeaseRecord>>, until: BootTime) -> Result<(), Error> {
        let Ok(change) = timeout(until.since(BootTime::now()), changes.next()).await else { return Ok(()) };
        match change.transpose()? {
            Some(Change::Entry(entry)) if entry.key == LEASE_KEY => self.observe(entry),
            Some(Change::SnapshotEnd { .. }) => self.candidate.absent(BootTime::now()),
            Some(Change::Unreadable { sequence, error: Unreadable::Deleted, .. }) => {
                self.candidate.released(sequence, BootTime::now());
            }
            Some(Change::Unreadable { key, sequence, error }) => {
                return Err(Error::Unreadable { key, sequence, source: error });
            }
            Some(Change::Entry(_)) | None => {}
        }
        Ok(())
    }

    fn observe(&mut self, entry: Entry<LeaseRecord>) {
        let now = BootTime::now();
        if entry.value.released {
            self.candidate.released(entry.sequence, now);
        } else {
            self.candidate.renewed(entry.sequence, now);
        }
        self.record = Some(entry.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
        list.iter().map(|(stream, sequence)| ((*stream).to_owned(), *sequence)).collect()
    }

    #[track_caller]
    fn check(recorded: &[(&str, u64)], found: &[(&str, u64)], loss: Option<(&str, u64, u64)>) {
        let loss = loss.map(|(stream, recorded, found)| (stream.to_owned(), recorded, found));
        assert_eq!(first_loss(&sequences(recorded), &sequences(found)), loss);
    }

    #[test]
    fn a_stream_that_ends_before_what_was_seen_of_it_is_a_loss() {
        check(&[("apps", 5), ("ledger", 9)], &[("apps", 5), ("ledger", 12)], None);
        check(&[("apps", 5), ("ledger", 9)], &[("apps", 6), ("ledger", 8)], Some(("ledger", 9, 8)));
        check(&[("a stream of a later release", 5)], &[("apps", 1)], None);
        check(&[], &[("apps", 0)], None);
    }
}
