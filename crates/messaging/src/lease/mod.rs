//! The lease: which scheduler leads.
//!
//! It is one key without any expiry on the server, renewed by compare-and-set four times in a term; a standby takes it by
//! compare-and-set once no new revision has come for a whole term, or at once when it was released or its holder is gone from
//! the server (module `probe`). The revision of the write that took it is the tenure's epoch. What is decided is in [`Candidate`] and [`Hold`], without I/O; here it meets the network.
//!
//! The lease only keeps leaders from getting in each other's way. Safe they are by the compare-and-set on every record.
//! [`Candidate`], [`Hold`] and what is in `marks` are public so that a simulated network can drive them, too.

mod clock;
mod probe;
mod state;
mod tenure;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tickmesh_core::{id::Epoch, message::SCHEMA};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use self::probe::Probe;
pub use self::{
    clock::BootTime,
    state::{Candidate, DESERTED_FOR, Hold, Presence, RENEWALS_PER_TERM, Step},
    tenure::Tenure,
};
pub use crate::marks::{HighWaterMarks, Loss, LossKind, StreamMark, StreamMarks, first_loss};
use crate::{
    bucket::{Bucket, Change},
    compare_and_set::Cas,
    error::{Error, Unreadable, chain},
    follow::Following,
    marks::HighWaterMarks as MarkMemory,
    mesh::Mesh,
    names::{LEASE_KEY, StreamKind},
    store::Patience,
    wire::Entry,
};

/// Looks at the streams before a loss is believed, and the pause between two.
pub const LOSS_LOOKS: u32 = 4;
/// See [`LOSS_LOOKS`].
pub const LOSS_LOOK_PAUSE: Duration = Duration::from_millis(500);

/// In a tenure's number, what is above these bits counts how often lost data was accepted. Below is a revision of the lease: at four
/// renewals in three seconds there is room for a hundred years.
pub const ACCEPTANCE_SHIFT: u32 = 32;

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
    /// Where the streams stood when a leader looked last: see [`Mesh::stream_marks`].
    #[serde(default)]
    pub streams: StreamMarks,
    /// How often somebody has accepted that data was lost.
    #[serde(default)]
    pub acceptance: u64,
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
            streams: previous.map_or_else(StreamMarks::new, |record| record.streams.clone()),
            acceptance: previous.map_or(0, |record| record.acceptance),
        }
    }

    /// The record with which somebody accepts that data was lost: nobody holds it, and `found` is all that is asked for from now
    /// on. `acceptance` must be higher than any before.
    pub fn accepting(previous: Option<&Self>, process: &str, host: &str, found: StreamMarks, acceptance: u64) -> Self {
        Self { released: true, streams: found, acceptance, ..Self::first(process, host, previous) }
    }

    /// The tenure that the write of this record at `revision` begins. Revisions may come back with an older copy of a store;
    /// tenures do not, since somebody must have accepted that.
    pub fn epoch(&self, revision: u64) -> Epoch {
        Epoch((self.acceptance << ACCEPTANCE_SHIFT) + revision)
    }

    /// The record that renews this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { renewal: self.renewal + 1, ..self.clone() }
    }
}

/// Gets the lease for one process. Clones share what the process remembers of the streams.
#[derive(Debug, Clone)]
pub struct LeaseKeeper {
    mesh: Mesh,
    bucket: Bucket<LeaseRecord>,
    process: String,
    host: String,
    ttl: Duration,
    memory: Arc<Mutex<MarkMemory>>,
}

/// What a standby knows of the lease.
struct Standby {
    candidate: Candidate,
    /// The last record seen.
    record: Option<LeaseRecord>,
    probe: Probe,
}

impl LeaseKeeper {
    /// A keeper for a process with that id, which no other process may ever have. `ttl` is one term, and must be the same
    /// for all schedulers of a mesh.
    pub fn new(mesh: &Mesh, process: impl Into<String>, host: impl Into<String>, ttl: Duration) -> Self {
        // A renewal that takes longer than until the next one is due is tried again; one older than a term is worthless.
        let patience = Patience { request: ttl / RENEWALS_PER_TERM, total: ttl };
        let bucket = mesh.lease().with_patience(patience);
        Self { mesh: mesh.clone(), bucket, process: process.into(), host: host.into(), ttl, memory: Arc::default() }
    }

    /// Waits until this process holds the lease. Outages only make it wait longer; an error means that nobody can lead:
    /// [`Error::StateLost`] if stored data is missing, [`Error::Unreadable`] if a later release wrote the lease.
    pub async fn acquire(&self) -> Result<Tenure, Error> {
        let mut changes = self.watch().await?;
        let candidate = Candidate::new(self.ttl, BootTime::now());
        let mut standby = Standby { candidate, record: None, probe: Probe::new(&self.mesh) };
        loop {
            match standby.candidate.step(BootTime::now()) {
                Step::Wait(until) => {
                    standby.wait(&mut changes, until).await?;
                    self.remember(standby.record.as_ref());
                }
                Step::Take(revision) => {
                    if let Some(tenure) = self.take(&mut standby, revision).await? {
                        return Ok(tenure);
                    }
                }
            }
        }
    }

    /// Whether this process could lead on the streams as they are now: [`Error::StateLost`] if not.
    pub async fn check(&self) -> Result<(), Error> {
        let lease = self.bucket.read(LEASE_KEY).await?;
        self.check_streams(lease.as_ref().map(|entry| &entry.value)).await
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
        let checked = self.check_streams(standby.record.as_ref()).await;
        // The lease counts from here: what the check took is nobody's time in office.
        let sent_at = BootTime::now();
        let taken = match checked {
            Ok(()) => self.bucket.compare_and_set(LEASE_KEY, &record, revision).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(Cas::Stored { sequence }) => {
                info!(epoch = %record.epoch(sequence), process = self.process, "took the lease");
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
                warn!(error = %chain(&error), "could not try to take the lease");
                standby.candidate.unanswered(BootTime::now());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses to lead on streams that lack what an earlier leader has seen in them. One answer is not believed: a cluster that
    /// elects a leader can say such things for a moment.
    async fn check_streams(&self, lease: Option<&LeaseRecord>) -> Result<(), Error> {
        self.remember(lease);
        for _ in 1..LOSS_LOOKS {
            if self.loss(lease).await?.is_none() {
                return Ok(());
            }
            sleep(LOSS_LOOK_PAUSE).await;
        }
        self.loss(lease).await?.map_or(Ok(()), |loss| Err(Error::StateLost(loss)))
    }

    async fn loss(&self, lease: Option<&LeaseRecord>) -> Result<Option<Loss>, Error> {
        // Before the look: what is written meanwhile is no loss.
        let memory = self.memory();
        let found = self.mesh.stream_marks().await?;
        let gone = lease.is_none() && memory.marks().is_empty();
        let loss = if gone { without_lease(&found) } else { first_loss(memory.marks(), &found) };
        if loss.is_none() {
            self.see(memory.acceptance(), &found);
        }
        Ok(loss)
    }

    /// This process has read a stream up to a sequence: from then on it leads on no stream that ends earlier.
    pub fn saw(&self, stream: StreamKind, last_sequence: u64) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).saw(stream.as_str(), last_sequence);
    }

    /// How often lost data had been accepted, as far as this process has seen.
    pub fn acceptance(&self) -> u64 {
        self.memory().acceptance()
    }

    fn remember(&self, lease: Option<&LeaseRecord>) {
        if let Some(lease) = lease {
            self.see(lease.acceptance, &lease.streams);
        }
    }

    fn see(&self, acceptance: u64, marks: &StreamMarks) {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).see(acceptance, marks);
    }

    fn memory(&self) -> MarkMemory {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The loss of a lease that must have been there: ledgers are written by leaders only.
pub fn without_lease(found: &StreamMarks) -> Option<Loss> {
    let stream = StreamKind::Ledger.as_str();
    let written = found.get(stream).is_some_and(|mark| mark.last_sequence > 0);
    written.then(|| Loss { stream: stream.to_owned(), kind: LossKind::WithoutLease })
}

impl Standby {
    /// Waits for the next change of the lease, at most until that moment.
    async fn wait(&mut self, changes: &mut Following<Change<LeaseRecord>>, until: BootTime) -> Result<(), Error> {
        let holder = self.record.as_ref().filter(|record| !record.released).map(|record| record.holder.as_str());
        let change = tokio::select! {
            biased;
            change = changes.next() => change,
            presence = self.probe.next(holder) => {
                self.candidate.probed(presence, BootTime::now());
                return Ok(());
            }
            () = sleep(until.since(BootTime::now())) => return Ok(()),
        };
        match change.transpose()? {
            Some(Change::Entry(entry)) if entry.key == LEASE_KEY => self.observe(entry),
            Some(Change::SnapshotEnd { .. }) => self.candidate.absent(BootTime::now()),
            Some(Change::Unreadable { sequence, error: Unreadable::Deleted, .. }) => {
                self.candidate.released(sequence, BootTime::now());
            }
            Some(Change::Unreadable { key, sequence, error, .. }) => {
                return Err(Error::Unreadable { key, sequence, source: error });
            }
            Some(Change::Entry(_)) | None => {}
        }
        Ok(())
    }

    fn observe(&mut self, entry: Entry<LeaseRecord>) {
        let now = BootTime::now();
        if self.record.as_ref().is_none_or(|record| record.holder != entry.value.holder) {
            self.candidate.holder_changed();
        }
        if entry.value.released {
            self.candidate.released(entry.sequence, now);
        } else {
            self.candidate.renewed(entry.sequence, now);
        }
        self.record = Some(entry.value);
    }
}
