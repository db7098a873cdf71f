//! What a list of stored records holds: those that can be read, and word of the others.

use std::{
    fmt,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
    vec,
};

use jiff::Timestamp;

use crate::{
    error::{Unreadable, chain},
    names::StreamKind,
    wire::Entry,
};

/// A stored record that this release cannot read.
#[derive(Debug)]
pub struct UnreadableRecord {
    pub stream: StreamKind,
    /// Key in its bucket, or the end of its subject: for most, the app or the agent that the record is about.
    pub key: String,
    /// Sequence in its stream.
    pub sequence: u64,
    /// When the server stored it, by the server's clock.
    pub at: Timestamp,
    /// Why it cannot be read.
    pub error: Unreadable,
}

impl fmt::Display for UnreadableRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, key, sequence, at: _, error } = self;
        write!(formatter, "`{}/{key}` at sequence {sequence}: {}", stream.as_str(), chain(error))
    }
}

/// Counts records that could not be read, of each stream. Whoever reads a stream again counts them again.
#[derive(Debug, Default)]
pub(crate) struct Skipped([AtomicU64; StreamKind::ALL.len()]);

impl Skipped {
    pub(crate) fn count(&self, stream: StreamKind) {
        for (kind, count) in StreamKind::ALL.iter().zip(&self.0) {
            if *kind == stream {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (StreamKind, u64)> {
        StreamKind::ALL.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Records of a stream, in the order in which they were stored. One that cannot be read hides none of the others.
#[derive(Debug)]
pub struct Listing<T> {
    /// The records.
    pub entries: Vec<Entry<T>>,
    /// What is in the place of others.
    pub unreadable: Vec<UnreadableRecord>,
}

impl<T> Listing<T> {
    pub(crate) fn of(records: impl Iterator<Item = Result<Entry<T>, UnreadableRecord>>) -> Self {
        let mut listing = Self { entries: Vec::new(), unreadable: Vec::new() };
        for record in records {
            match record {
                Ok(entry) => listing.entries.push(entry),
                Err(unreadable) => listing.unreadable.push(unreadable),
            }
        }
        listing
    }
}

impl<T> Deref for Listing<T> {
    type Target = [Entry<T>];

    fn deref(&self) -> &[Entry<T>] {
        &self.entries
    }
}

impl<T> IntoIterator for Listing<T> {
    type Item = Entry<T>;
    type IntoIter = vec::IntoIter<Entry<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
