//! Key-value buckets: the current record of each key. They are streams, laid out as NATS's own tools expect them.

use std::{collections::HashMap, marker::PhantomData};

use jiff::Timestamp;

use crate::{
    compare_and_set::{Cas, Write, compare_and_set},
    direct::LastOfEach,
    error::{Error, Unreadable},
    follow::{Begin, Follower, Following, Item},
    listing::{Listing, UnreadableRecord},
    record::Record,
    store::{Patience, Store},
    wire::{Entry, Stored, encode},
};

/// What a reader who follows a store is told.
#[derive(Debug)]
pub enum Change<T> {
    /// A record, stored before or just now.
    Entry(Entry<T>),
    /// A record that this release cannot understand. The others are unharmed by it.
    Unreadable {
        /// Key in its bucket, or subject.
        key: String,
        /// Sequence in its stream.
        sequence: u64,
        /// When it was stored, by the server's clock.
        at: Timestamp,
        error: Unreadable,
    },
    /// All that was stored when the reader began has been told. Comes exactly once, and at once where nothing is stored.
    SnapshotEnd {
        /// Everything up to this sequence has been told.
        last_sequence: u64,
    },
}

impl<T> Change<T> {
    /// Returns how far the stream is read with this change.
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.sequence,
            Self::Unreadable { sequence, .. } => *sequence,
            Self::SnapshotEnd { last_sequence } => *last_sequence,
        }
    }
}

/// The current record of each key. Cheap to clone.
#[derive(Debug)]
pub struct Bucket<T> {
    store: Store,
    patience: Patience,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), patience: self.patience, record: PhantomData }
    }
}

impl<T: Record> Bucket<T> {
    pub(crate) fn new(store: Store) -> Self {
        let patience = Patience::of(store.link.request_timeout);
        Self { store, patience, record: PhantomData }
    }

    /// Returns the bucket for a writer whose writes are worthless after a while.
    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The record of a key, from the stream's leader.
    pub async fn read(&self, key: &str) -> Result<Option<Entry<T>>, Error> {
        let stored = self.store.last(&self.subject(key)).await?;
        stored.map(|stored| stored.decode(&self.store, key)).transpose()
    }

    /// The record of a key, from the stream's leader. Of one that cannot be read, where it is and when it was stored.
    pub async fn read_listed(&self, key: &str) -> Result<Option<Result<Entry<T>, UnreadableRecord>>, Error> {
        let stored = self.store.last(&self.subject(key)).await?;
        Ok(stored.map(|stored| self.listed(&stored)))
    }

    /// Sequence of the last record that was ever written, of any key.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        self.store.last_sequence().await
    }

    /// What the clock says now that [`Entry::at`] is read from: how old an entry is does not depend on anybody else's.
    pub async fn clock(&self) -> Result<Timestamp, Error> {
        self.store.clock().await
    }

    /// Writes the record of a key if its revision is `expected`; 0: if there is none. `value` must differ from every record
    /// that another writer, or another try, could write in its place (see the module `compare_and_set`). Refused because
    /// of a record that cannot be read, the call fails with [`Error::Unreadable`], and whoever owns the key may write on
    /// that one's revision.
    pub async fn compare_and_set(&self, key: &str, value: &T, expected: u64) -> Result<Cas<T>, Error> {
        let body = encode(self.store.kind, key, value)?;
        let subject = self.subject(key);
        let write = Write { subject: &subject, body, expected };
        compare_and_set(&self.store, write, self.patience).await?.decode(&self.store, key)
    }

    /// The last record of every key, in the order in which they were written.
    pub async fn list(&self) -> Result<Listing<T>, Error> {
        let stored = self.follower(Begin::LastOfAll).await?.collect().await?;
        // A key that was written meanwhile may come again.
        let last: HashMap<&str, u64> = stored.iter().map(|stored| (stored.subject.as_str(), stored.sequence)).collect();
        let is_last = |stored: &&Stored| last.get(stored.subject.as_str()) == Some(&stored.sequence);
        Ok(Listing::of(stored.iter().filter(is_last).map(|stored| self.listed(stored))))
    }

    /// Like [`Self::list`], in one round trip, with what [`Self::clock`] says: for whoever looks, and decides nothing by it.
    pub async fn look(&self) -> Result<(Listing<T>, Timestamp), Error> {
        let LastOfEach { messages, clock } = self.store.look_at_last().await?;
        Ok(match messages {
            Some(stored) => (Listing::of(stored.iter().map(|stored| self.listed(stored))), clock),
            None => (self.list().await?, clock),
        })
    }

    /// Every revision of a key that is still stored, oldest first.
    pub async fn history(&self, key: &str) -> Result<Listing<T>, Error> {
        let stored = Follower::begin(&self.store, self.subject(key), Begin::After(0)).await?.collect().await?;
        Ok(Listing::of(stored.iter().map(|stored| self.listed(stored))))
    }

    /// Like [`Self::history`], in one round trip: for whoever looks, and decides nothing by it.
    pub async fn look_at_history(&self, key: &str) -> Result<Listing<T>, Error> {
        match self.store.look_at_all(&self.subject(key)).await? {
            Some(stored) => Ok(Listing::of(stored.iter().map(|stored| self.listed(stored)))),
            None => self.history(key).await,
        }
    }

    /// The sequence of every revision of a key that is still stored, oldest first.
    pub(crate) async fn sequences(&self, key: &str) -> Result<Vec<u64>, Error> {
        let stored = Follower::begin(&self.store, self.subject(key), Begin::After(0)).await?.collect().await?;
        Ok(stored.into_iter().map(|stored| stored.sequence).collect())
    }

    /// Every record, then [`Change::SnapshotEnd`], then every change. Revisions only go up; a record that was overwritten
    /// while the reader was away may be left out.
    pub async fn follow(&self) -> Result<Following<Change<T>>, Error> {
        Ok(self.changes(self.follower(Begin::LastOfAll).await?))
    }

    /// Like [`Self::follow`], but of one key only.
    pub async fn follow_key(&self, key: &str) -> Result<Following<Change<T>>, Error> {
        Ok(self.changes(Follower::begin(&self.store, self.subject(key), Begin::LastOfOne).await?))
    }

    /// Like [`Self::follow`], but with every revision that is still stored, oldest first, not only the last of each key.
    pub async fn follow_history(&self) -> Result<Following<Change<T>>, Error> {
        Ok(self.changes(self.follower(Begin::After(0)).await?))
    }

    /// Every change above a sequence, after [`Change::SnapshotEnd`] those to come.
    pub async fn follow_after(&self, sequence: u64) -> Result<Following<Change<T>>, Error> {
        Ok(self.changes(self.follower(Begin::After(sequence)).await?))
    }

    fn changes(&self, follower: Follower) -> Following<Change<T>> {
        let store = self.store.clone();
        let key = |store: &Store, stored: &Stored| store.names.key_of(store.kind, &stored.subject).to_owned();
        follower.into_stream(move |item| change(item, &store, key))
    }

    async fn follower(&self, begin: Begin) -> Result<Follower, Error> {
        Follower::begin(&self.store, self.store.names.subjects(self.store.kind), begin).await
    }

    fn subject(&self, key: &str) -> String {
        self.store.names.key(self.store.kind, key)
    }

    fn listed(&self, stored: &Stored) -> Result<Entry<T>, UnreadableRecord> {
        stored.listed(&self.store, self.store.names.key_of(self.store.kind, &stored.subject))
    }
}

/// What a reader is told about an item, if anything. `key` is what the reader knows a message by.
pub(crate) fn change<T: Record>(
    item: Item,
    store: &Store,
    key: impl FnOnce(&Store, &Stored) -> String,
) -> Option<Change<T>> {
    let stored = match item {
        Item::CaughtUp { last_sequence } => return Some(Change::SnapshotEnd { last_sequence }),
        Item::Reopened => return None,
        Item::Message(stored) => stored,
    };
    let (key, sequence, at) = (key(store, &stored), stored.sequence, stored.at);
    Some(match stored.record(store) {
        Ok(value) => Change::Entry(Entry { key, sequence, at, value }),
        Err(error) => Change::Unreadable { key, sequence, at, error },
    })
}
