//! Numbered messages of each app, of which the server keeps the last: ten decisions of the clock, ten finished runs, and a
//! hundred notices.

use std::marker::PhantomData;

use tickmesh_core::name::AppName;
use tracing::warn;

use crate::{
    compare_and_set::{Cas, append, last_entry},
    error::{Error, chain},
    follow::{Begin, Follower, Following, Item},
    listing::Listing,
    names::StreamKind,
    record::Record,
    store::Store,
    wire::{Entry, encode},
};

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next message to come.
    New,
    /// With the oldest that is kept.
    All,
    /// With the first one above a sequence.
    After(u64),
}

impl Start {
    pub(crate) fn begin(self) -> Begin {
        match self {
            Self::New => Begin::New,
            Self::All => Begin::After(0),
            Self::After(sequence) => Begin::After(sequence),
        }
    }
}

/// The last messages of each app. Cheap to clone.
#[derive(Debug)]
pub struct Journal<T> {
    store: Store,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), record: PhantomData }
    }
}

impl<T: Record> Journal<T> {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, record: PhantomData }
    }

    /// Stores the app's next message if its last one is at `expected`; 0: if it has none. Messages that cannot be read do
    /// not count.
    pub async fn append(&self, app: &AppName, value: &T, expected: u64) -> Result<Cas<T>, Error> {
        let subject = self.subject(app);
        let body = encode(self.store.kind, &subject, value)?;
        append(&self.store, &subject, body, expected).await
    }

    /// The app's last message that can be read, from the stream's leader.
    pub async fn newest(&self, app: &AppName) -> Result<Option<Entry<T>>, Error> {
        last_entry(&self.store, &self.subject(app)).await
    }

    /// Sequence of the last message that was ever stored, of any app.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        self.store.last_sequence().await
    }

    /// The app's messages that are kept, oldest first.
    pub async fn last(&self, app: &AppName) -> Result<Listing<T>, Error> {
        listed(&self.store, self.subject(app)).await
    }

    /// Like [`Self::last`], in one round trip: for whoever looks, and decides nothing by it.
    pub async fn look(&self, app: &AppName) -> Result<Listing<T>, Error> {
        looked_at(&self.store, self.subject(app)).await
    }

    /// The messages of every app that are kept, in the order in which they were stored.
    pub async fn list(&self) -> Result<Listing<T>, Error> {
        listed(&self.store, self.store.names.subjects(self.store.kind)).await
    }

    /// The messages of an app, or of all (`None`). A message that cannot be read is logged and left out.
    pub async fn follow(&self, app: Option<&AppName>, start: Start) -> Result<Following<Entry<T>>, Error> {
        let filter = match app {
            Some(app) => self.subject(app),
            None => self.store.names.subjects(self.store.kind),
        };
        let store = self.store.clone();
        Ok(Follower::begin(&self.store, filter, start.begin()).await?.into_stream(move |item| readable(&store, item)))
    }

    fn subject(&self, app: &AppName) -> String {
        match self.store.kind {
            StreamKind::Ticks => self.store.names.tick(app),
            StreamKind::History => self.store.names.history(app),
            StreamKind::Notices => self.store.names.notice(app),
            kind => unreachable!("{kind:?} is no journal"),
        }
    }
}

/// Lists the messages that a filter lets through.
pub(crate) async fn listed<T: Record>(store: &Store, filter: String) -> Result<Listing<T>, Error> {
    let stored = Follower::begin(store, filter, Begin::After(0)).await?.collect().await?;
    Ok(Listing::of(stored.iter().map(|stored| stored.listed(store, &stored.subject))))
}

/// Lists the messages that a filter lets through, in one round trip where that can be.
pub(crate) async fn looked_at<T: Record>(store: &Store, filter: String) -> Result<Listing<T>, Error> {
    match store.look_at_all(&filter).await? {
        Some(stored) => Ok(Listing::of(stored.iter().map(|stored| stored.listed(store, &stored.subject)))),
        None => listed(store, filter).await,
    }
}

/// The record of an item, for readers who have no use for one that they cannot read.
pub(crate) fn readable<T: Record>(store: &Store, item: Item) -> Option<Entry<T>> {
    let Item::Message(stored) = item else { return None };
    match stored.decode(store, &stored.subject) {
        Ok(entry) => Some(entry),
        Err(error) => {
            warn!(error = %chain(&error), "leaving a message out");
            None
        }
    }
}
