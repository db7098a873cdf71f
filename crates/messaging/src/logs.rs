//! The output of containers, in numbered batches. Agents write it over a connection of its own, so that a chatty container
//! never delays a heartbeat: connect a second time for it.

use futures_util::{StreamExt, TryStreamExt as _, stream};
use tickmesh_core::{id::AttemptId, message::LogBatch, name::AgentName};

use crate::{
    address::AttemptAddress,
    compare_and_set::last_entry,
    error::Error,
    follow::{Begin, Follower, Following, Item},
    journal::readable,
    names::LogFilter,
    store::{Message, Store},
    wire::{Entry, encode},
};

/// The stream `logs`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Logs {
    store: Store,
}

/// What a follower of output is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogNews {
    Batch {
        /// Its sequence. Sequences only go up.
        sequence: u64,
        batch: Box<LogBatch>,
    },
    /// All that was stored when the follower began has been given. Comes exactly once.
    CaughtUp,
}

impl Logs {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a batch. Sent again after a timeout it may be stored twice, with the same number.
    pub async fn publish(&self, batch: &LogBatch) -> Result<(), Error> {
        let subject = self.store.names.log(&batch.attempt, &batch.agent);
        let body = encode(self.store.kind, &subject, batch)?;
        self.store.publish(&subject, Message::plain(body)).await.map(drop)
    }

    /// The stored batches, oldest first; the stream ends at the last one. An error means that some are missing.
    pub async fn read(&self, filter: LogFilter) -> Result<Following<LogBatch>, Error> {
        let batches = self.read_after(filter, 0).await?;
        Ok(batches.map(|batch| batch.map(|(_, batch)| batch)).boxed())
    }

    /// Reads the batches above a sequence, each with its own sequence.
    pub async fn read_after(&self, filter: LogFilter, sequence: u64) -> Result<Following<(u64, LogBatch)>, Error> {
        let follower = self.follower(&filter, sequence).await?;
        let stored = stream::unfold(Some(follower), |follower| async {
            let mut follower = follower?;
            match follower.next_stored().await {
                Ok(Some(stored)) => Some((Ok(stored), Some(follower))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        let store = self.store.clone();
        let batches = stored.filter_map(move |stored| {
            let batch = stored.map(|stored| {
                let sequence = stored.sequence;
                admitted(&store, &filter, Item::Message(stored)).map(|batch| (sequence, batch))
            });
            std::future::ready(batch.transpose())
        });
        Ok(batches.boxed())
    }

    /// Reads the batches above a sequence in one round trip where that can be, each with its own sequence. The newest one is
    /// known to be at `last`.
    pub async fn look_between(&self, filter: &LogFilter, after: u64, last: u64) -> Result<Vec<(u64, LogBatch)>, Error> {
        let Some(stored) = self.store.look_between(&self.store.names.logs(filter), after, last).await else {
            return self.read_after(filter.clone(), after).await?.try_collect().await;
        };
        let batches = stored.into_iter().filter_map(|stored| {
            let sequence = stored.sequence;
            admitted(&self.store, filter, Item::Message(stored)).map(|batch| (sequence, batch))
        });
        Ok(batches.collect())
    }

    /// The stored batches, oldest first, then those to come.
    pub async fn follow(&self, filter: LogFilter) -> Result<Following<LogNews>, Error> {
        self.follow_after(filter, 0).await
    }

    /// Follows the batches above a sequence.
    pub async fn follow_after(&self, filter: LogFilter, sequence: u64) -> Result<Following<LogNews>, Error> {
        let store = self.store.clone();
        let follower = self.follower(&filter, sequence).await?;
        Ok(follower.into_stream(move |item| match item {
            Item::CaughtUp { .. } => Some(LogNews::CaughtUp),
            Item::Reopened => None,
            Item::Message(stored) => {
                let sequence = stored.sequence;
                let batch = admitted(&store, &filter, Item::Message(stored))?;
                Some(LogNews::Batch { sequence, batch: Box::new(batch) })
            }
        }))
    }

    /// Returns the sequence of the newest stored batch of those; 0: there is none.
    pub async fn last_sequence(&self, filter: &LogFilter) -> Result<u64, Error> {
        let last = self.store.last(&self.store.names.logs(filter)).await?;
        Ok(last.map_or(0, |stored| stored.sequence))
    }

    /// The newest stored batch of an attempt that can be read.
    pub async fn last_of(&self, attempt: &AttemptId, agent: &AgentName) -> Result<Option<Entry<LogBatch>>, Error> {
        last_entry(&self.store, &self.store.names.log(attempt, agent)).await
    }

    async fn follower(&self, filter: &LogFilter, after: u64) -> Result<Follower, Error> {
        Follower::begin(&self.store, self.store.names.logs(filter), Begin::After(after)).await
    }
}

fn admitted(store: &Store, filter: &LogFilter, item: Item) -> Option<LogBatch> {
    let batch: LogBatch = readable(store, item)?.value;
    filter.admits(&AttemptAddress::of(&batch.attempt, &batch.agent)).then_some(batch)
}
