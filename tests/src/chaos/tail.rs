//! Reads a stream of the mesh with a plain NATS client, so that what is seen does not pass through tickmesh's own reader.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::RawMessageErrorKind,
};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::poison::POISON;

/// How long one request for messages lasts.
const PULL: Duration = Duration::from_secs(1);
/// How long anything may take: after that the server is asked anew.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// Messages asked for at a time.
const BATCH: usize = 512;
/// Pause before the server is asked anew.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A stored message.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    /// When the server stored it.
    pub at: Timestamp,
    /// What it says.
    pub value: T,
}

/// Everything that was ever stored in a stream, as far as it was still there when it was read.
#[derive(Debug)]
pub struct Tail<T> {
    seen: Arc<Mutex<Vec<Seen<T>>>>,
    _reader: AbortOnDropHandle<()>,
}

impl<T: DeserializeOwned + Clone + Send + 'static> Tail<T> {
    /// Follows a stream, by its whole name on the servers, over every disconnect.
    pub fn follow(urls: String, stream: String) -> Self {
        let seen: Arc<Mutex<Vec<Seen<T>>>> = Arc::default();
        let mut reader = Reader { urls, stream, last: 0, seen: seen.clone() };
        let task = tokio::spawn(async move {
            loop {
                // Whatever the problem is, the next try goes on where this one ended.
                let Err(_problem) = reader.read().await;
                sleep(RETRY_PAUSE).await;
            }
        });
        Self { seen, _reader: AbortOnDropHandle::new(task) }
    }

    /// Everything that was read, without the garbage that a row of the table stores.
    ///
    /// # Panics
    ///
    /// If another message was not readable.
    pub fn all(&self) -> Vec<Seen<T>> {
        self.seen.lock().expect("nobody panicked").clone()
    }

    /// The first, of those from index `from` on, that `look` likes.
    pub(super) fn find<R>(&self, from: usize, look: impl FnMut(&Seen<T>) -> Option<R>) -> Option<R> {
        self.seen.lock().expect("nobody panicked")[from..].iter().find_map(look)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().expect("nobody panicked").len()
    }
}

struct Reader<T> {
    urls: String,
    stream: String,
    /// Sequence of the last message seen.
    last: u64,
    seen: Arc<Mutex<Vec<Seen<T>>>>,
}

impl<T: DeserializeOwned> Reader<T> {
    async fn read(&mut self) -> anyhow::Result<Infallible> {
        let stream = timeout(ANSWER_MAX, self.open()).await.context("no answer")??;
        let consumer = timeout(ANSWER_MAX, self.consumer(&stream)).await.context("no answer")??;
        let mut delivered = 0;
        loop {
            let batch = consumer.batch().max_messages(BATCH).expires(PULL).messages();
            let mut batch = timeout(ANSWER_MAX, batch).await.context("no answer")?.context("ask")?;
            while let Some(message) = timeout(ANSWER_MAX, batch.next()).await.context("no answer")? {
                let Ok(message) = message else { bail!("the batch broke off") };
                let Ok(info) = message.info() else { bail!("no message of a stream") };
                // Nothing is acknowledged: a message that got lost on its way shows in this number only.
                ensure!(info.consumer_sequence == delivered + 1, "messages got lost on their way");
                delivered += 1;
                for passed in self.last + 1..info.stream_sequence {
                    self.look_up(&stream, passed).await?;
                }
                self.take(info.stream_sequence, info.published.unix_timestamp_nanos(), &message.payload)?;
            }
        }
    }

    /// Reads a message that a consumer passed over. One that is made while the servers of a cluster change their leaders may
    /// begin too late; what is not stored was removed, or never was.
    async fn look_up(&mut self, stream: &jetstream::stream::Stream, sequence: u64) -> anyhow::Result<()> {
        let found = timeout(ANSWER_MAX, stream.get_raw_message(sequence)).await.context("no answer")?;
        match found {
            Ok(message) => self.take(sequence, message.time.unix_timestamp_nanos(), &message.payload),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(()),
            Err(error) => Err(error).context("look up a message"),
        }
    }

    fn take(&mut self, sequence: u64, stored_nanoseconds: i128, payload: &[u8]) -> anyhow::Result<()> {
        let at = Timestamp::from_nanosecond(stored_nanoseconds)?;
        if payload != POISON {
            let value = serde_json::from_slice(payload)
                .unwrap_or_else(|error| panic!("a message in {} is not readable: {error}", self.stream));
            self.seen.lock().expect("nobody panicked").push(Seen { at, value });
        }
        self.last = sequence;
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<jetstream::stream::Stream> {
        let urls: Vec<_> = self.urls.split(',').collect();
        let client = async_nats::connect(urls).await.context("connect")?;
        jetstream::new(client).get_stream(&self.stream).await.context("find the stream")
    }

    async fn consumer(&self, stream: &jetstream::stream::Stream) -> anyhow::Result<jetstream::consumer::PullConsumer> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.last + 1 },
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_secs(30),
            num_replicas: 1,
            memory_storage: true,
            ..pull::Config::default()
        };
        stream.create_consumer(config).await.context("make a consumer")
    }
}
