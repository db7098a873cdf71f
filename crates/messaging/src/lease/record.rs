//! The lease as it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_core::{id::Epoch, message::SCHEMA};

use crate::{
    marks::{StreamMark, StreamMarks},
    names::StreamKind,
};

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
    /// Where the streams stood when a leader looked last: see [`crate::Mesh::stream_marks`].
    #[serde(default)]
    pub streams: StreamMarks,
    /// How often somebody has accepted that data was lost.
    #[serde(default)]
    pub acceptance: u64,
    /// The mesh is being made of a backup, and its numbers are not moved ahead yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restoring: bool,
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
            restoring: false,
        }
    }

    /// The record with which somebody accepts that data was lost: nobody holds it, and `found` is all that is asked for from now
    /// on. `acceptance` must be higher than any before.
    pub fn accepting(previous: Option<&Self>, process: &str, host: &str, found: StreamMarks, acceptance: u64) -> Self {
        Self { released: true, streams: found, acceptance, ..Self::first(process, host, previous) }
    }

    /// The record that keeps everybody from leading while a mesh is made of a backup. By it the stream of ledgers that is there is
    /// not the one that was seen, which was made at `now`; and since `acceptance` is higher than any before, whoever remembers more
    /// believes it. [`Self::accepting`] ends that.
    #[must_use]
    pub fn withheld(&self, process: &str, host: &str, now: Timestamp, acceptance: u64) -> Self {
        let first = Self::first(process, host, Some(self));
        let mut record = Self { released: true, restoring: true, acceptance, ..first };
        let ledgers = record.streams.entry(StreamKind::Ledger.as_str().to_owned());
        ledgers.or_insert(StreamMark { last_sequence: 0, created: now }).created = now;
        record
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
