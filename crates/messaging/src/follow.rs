//! Reads a stream from some point on, without gaps and without repeats, whatever happens to the connection.
//!
//! The server keeps a short-lived consumer for each reader. It is gone after a restart of the server, and it may be gone after
//! any disconnect; so a new connection, a missed heartbeat, a gap in the consumer's own numbers or an error all lead to one
//! answer: a new consumer, from the sequence after the last one seen. (The library's ordered consumer does much the same, but
//! takes many seconds to notice a restarted server, and starts from the beginning if it had not seen a message before.)

use std::{collections::HashSet, time::Duration};

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::{ConsumerErrorKind, State as StreamState},
};
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{debug, warn};

use crate::{
    connect::within,
    error::{Error, chain},
    marks::{Loss, LossKind},
    names::StreamKind,
    store::{Store, timestamp},
    wire::Stored,
};

/// A stream that goes on until it is dropped. An error is its last item: it says that the stream itself is gone or was
/// replaced, or that this process has closed its connection. Disconnects are no errors, they only take time.
pub type Following<T> = BoxStream<'static, Result<T, Error>>;

/// Messages asked for at a time.
const BATCH: usize = 256;
/// How often the server says that it has nothing to say; after two such periods of silence the consumer is made anew. In a cluster
/// a consumer can be on another server than the connection, and die with that one alone: an agent that is deaf for long is given
/// orders that it does not hear.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long one request for messages lasts.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// When nothing has come for this long, and it is not known yet whether there is more, the server is asked.
const SILENCE: Duration = Duration::from_millis(100);
/// When a consumer says so often in a row that it has sent everything, and the stream has more, it is made anew: what it has sent may be
/// lost, and in a cluster it may be with a server that lags behind.
const DOUBTS_MAX: u32 = 10;
/// The server forgets a consumer that nobody has read from for this long.
const INACTIVE: Duration = Duration::from_secs(60);
/// Pauses between attempts to get a new consumer.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(20);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A stream that is missing, or shorter than what was seen of it, must be so for this long before it is believed: a cluster
/// that elects a leader can say such things for a moment.
const GONE_AFTER: Duration = Duration::from_secs(15);

/// Where a reader begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// With the first message above this sequence.
    After(u64),
    /// With the last message of each of many subjects: all that the stream has.
    LastOfAll,
    /// With the last message of one subject.
    LastOfOne,
    /// With the next message to come.
    New,
}

/// What a reader is given.
#[derive(Debug)]
pub(crate) enum Item {
    /// A message. Sequences only go up.
    Message(Stored),
    /// A new consumer reads on, after whatever ended the last one: messages come from a store that may have been put back
    /// to an older copy meanwhile.
    Reopened,
    /// All that was stored when the reader began has been given. Comes exactly once.
    CaughtUp {
        /// Everything up to here has been given.
        last_sequence: u64,
    },
}

/// Reads the messages that a filter lets through.
pub(crate) struct Follower {
    store: Store,
    filter: String,
    from_last: bool,
    /// Highest sequence given.
    seen: u64,
    /// The stream has had messages up to here.
    known: u64,
    /// The end of what was stored when the reader began; `None`: the reader has been told that it is reached.
    target: Option<Target>,
    consumer: Option<Consumer>,
    connections: watch::Receiver<u64>,
    pause: Duration,
    /// A new consumer reads on, and the reader has not been told.
    is_reopened: bool,
    /// Since when the stream has looked gone.
    gone_since: Option<Instant>,
}

/// The end of what was stored when the reader began.
struct Target {
    sequence: u64,
    /// The consumer has sent all that it knows of. What `sequence` named may have been filtered out, overwritten or purged; or it is on its
    /// way, or the consumer does not know of it yet.
    is_idle: bool,
    subjects: Option<Subjects>,
}

/// The subjects of a reader that is given the last message of each. One that is written anew meanwhile is not to be missed: its old
/// message is gone then, and the new one comes behind the end that the stream had. Nor does the server's word help that nothing is
/// pending: between the two messages of such a subject it says so, too. So they are counted: there are never fewer of them.
struct Subjects {
    /// As the stream had them when it was asked last.
    count: u64,
    given: HashSet<String>,
}

impl Target {
    /// Whether all of it may have been given to a reader that has seen everything up to `seen`, as far as it can tell by itself.
    fn may_be_reached(&self, seen: u64) -> bool {
        self.is_idle || (seen >= self.sequence && self.subjects.as_ref().is_none_or(Subjects::are_all))
    }
}

impl Subjects {
    fn are_all(&self) -> bool {
        self.given.len() as u64 >= self.count
    }
}

struct Consumer {
    name: String,
    messages: pull::Stream,
    /// Consumer sequence of the last message: a gap means that messages got lost on their way.
    delivered: u64,
    /// How often it has said since then that it has sent everything, while not all had come.
    doubts: u32,
}

impl Follower {
    /// Begins to read. An error here is final; later on, only a stream that is gone ends the reading.
    pub(crate) async fn begin(store: &Store, filter: String, begin: Begin) -> Result<Self, Error> {
        let StreamState { last_sequence, subjects_count, .. } = store.state().await?;
        let (from_last, seen, counts) = match begin {
            Begin::After(sequence) => (false, sequence, false),
            Begin::LastOfAll => (true, 0, true),
            // The server's word is enough.
            Begin::LastOfOne => (true, 0, false),
            Begin::New => (false, last_sequence, false),
        };
        let subjects = counts.then(|| Subjects { count: subjects_count, given: HashSet::new() });
        let mut follower = Self {
            store: store.clone(),
            filter,
            from_last,
            seen,
            known: seen,
            target: Some(Target { sequence: last_sequence, is_idle: false, subjects }),
            consumer: None,
            connections: store.link.connections.clone(),
            pause: RETRY_PAUSE_MIN,
            is_reopened: false,
            gone_since: None,
        };
        follower.open_boxed().await?;
        Ok(follower)
    }

    /// The next item. An error is the last one.
    pub(crate) async fn next(&mut self) -> Result<Item, Error> {
        loop {
            if std::mem::take(&mut self.is_reopened) {
                return Ok(Item::Reopened);
            }
            if self.target.as_ref().is_some_and(|target| target.may_be_reached(self.seen)) && self.is_caught_up().await
            {
                return Ok(self.take_caught_up());
            }
            let Some(consumer) = &mut self.consumer else {
                self.reopen().await?;
                continue;
            };
            let message = tokio::select! {
                biased;
                connection = self.connections.changed() => {
                    self.store.still_open(connection)?;
                    None
                }
                message = consumer.messages.next() => message,
                () = silence(self.target.is_some()) => {
                    self.ask_for_more().await;
                    continue;
                }
            };
            let outcome = match message {
                Some(Ok(message)) => self.accept(message),
                Some(Err(problem)) => Err(problem.to_string()),
                None => Err("disconnected".to_owned()),
            };
            match outcome {
                Ok(Some(stored)) => return Ok(Item::Message(stored)),
                Ok(None) => {}
                Err(problem) => self.distrust(problem.as_str()),
            }
        }
    }

    /// The items as a stream of what `convert` makes of them.
    pub(crate) fn into_stream<T, F>(self, convert: F) -> Following<T>
    where
        T: Send + 'static,
        F: Fn(Item) -> Option<T> + Send + 'static,
    {
        let items = stream::unfold(Some(self), |follower| async {
            let mut follower = follower?;
            match follower.next().await {
                Ok(item) => Some((Ok(item), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        });
        items.filter_map(move |item| std::future::ready(item.map(&convert).transpose())).boxed()
    }

    /// Everything that was stored when the reader began. Fails when the server falls silent meanwhile.
    pub(crate) async fn collect(mut self) -> Result<Vec<Stored>, Error> {
        let mut messages = Vec::new();
        while let Some(message) = self.next_stored().await? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// The next of the messages that were stored when the reader began. `None`: that was all, and the consumer is removed.
    pub(crate) async fn next_stored(&mut self) -> Result<Option<Stored>, Error> {
        let time = self.store.link.request_timeout;
        match within(time, self.next_message()).await {
            Ok(Ok(Some(message))) => Ok(Some(message)),
            Ok(Ok(None)) => {
                self.close().await;
                Ok(None)
            }
            Ok(Err(error)) => Err(error),
            Err(late) => Err(Error::unavailable(format!("read stream `{}`", self.store.name), late)),
        }
    }

    async fn next_message(&mut self) -> Result<Option<Stored>, Error> {
        loop {
            match self.next().await? {
                Item::Message(message) => return Ok(Some(message)),
                Item::CaughtUp { .. } => return Ok(None),
                Item::Reopened => {}
            }
        }
    }

    /// Removes the consumer. If that fails, the server does it later.
    async fn close(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let context = &self.store.link.context;
            let request = context.delete_consumer_from_stream(&consumer.name, &self.store.name);
            if let Err(late) = self.store.bounded(request).await {
                debug!(stream = self.store.name, error = %late, "consumer is left to the server");
            }
        }
    }

    fn take_caught_up(&mut self) -> Item {
        let end = self.target.take().map_or(0, |target| target.sequence);
        self.known = self.known.max(end);
        Item::CaughtUp { last_sequence: self.seen.max(end) }
    }

    /// Whether everything has been given, as the stream's leader sees it.
    async fn is_caught_up(&mut self) -> bool {
        let Some(target) = &mut self.target else { return false };
        // If it is not so, the consumer may say it again; meanwhile the reader reads on.
        let was_idle = std::mem::take(&mut target.is_idle);
        match self.has_ended().await {
            Ok(true) => return true,
            Ok(false) if was_idle => self.doubt(),
            Ok(false) => {}
            Err(error) => debug!(stream = self.store.name, error = %chain(&error), "not known whether there is more"),
        }
        false
    }

    /// The consumer's word that nothing is pending is not enough: what it has sent may be on its way, and in a cluster it may be with a server
    /// that lags behind the stream.
    async fn has_ended(&mut self) -> Result<bool, Error> {
        let Some(Target { sequence, subjects, .. }) = &mut self.target else { return Ok(false) };
        if self.seen < *sequence {
            let next = self.store.next_sequence(&self.filter, self.seen + 1).await?;
            if next.is_some_and(|next| next <= *sequence) {
                return Ok(false);
            }
        }
        let Some(subjects) = subjects else { return Ok(true) };
        // Others may have come since they were counted, and some may have gone.
        subjects.count = self.store.state().await?.subjects_count;
        Ok(subjects.are_all())
    }

    /// The consumer says that it has nothing else. Where subjects are counted that is of interest only after a silence: between the two
    /// messages of one that is written anew it says so, too.
    fn idle(&mut self) {
        if let Some(target) = self.target.as_mut().filter(|target| target.subjects.is_none()) {
            target.is_idle = true;
        }
    }

    /// Asks the server whether it has anything else: the last message that it spoke of may have been removed since.
    async fn ask_for_more(&mut self) {
        let Some(consumer) = &self.consumer else { return };
        let context = &self.store.link.context;
        let request = context.get_consumer_from_stream::<pull::Config, _, _>(&consumer.name, &self.store.name);
        match self.store.bounded(request).await {
            Ok(Ok(consumer)) if consumer.cached_info().num_pending == 0 => {
                if let Some(target) = &mut self.target {
                    target.is_idle = true;
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => self.distrust(problem),
            Err(late) => self.distrust(late),
        }
    }

    /// The consumer has sent everything, and not all has come.
    fn doubt(&mut self) {
        let Some(consumer) = &mut self.consumer else { return };
        consumer.doubts += 1;
        if consumer.doubts >= DOUBTS_MAX {
            self.distrust("what is stored does not come");
        }
    }

    fn distrust(&mut self, problem: impl std::fmt::Display) {
        debug!(stream = self.store.name, %problem, "reading on with a new consumer");
        self.consumer = None;
    }

    /// Takes a message in, unless it is known already; an error if messages before it are missing.
    fn accept(&mut self, message: jetstream::Message) -> Result<Option<Stored>, String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let Some(consumer) = &mut self.consumer else { return Ok(None) };
        consumer.delivered += 1;
        consumer.doubts = 0;
        if info.consumer_sequence != consumer.delivered {
            return Err(format!(
                "message {} of the consumer instead of {}",
                info.consumer_sequence, consumer.delivered
            ));
        }
        let sequence = info.stream_sequence;
        if info.pending == 0 {
            self.idle();
        }
        if sequence <= self.seen {
            return Ok(None);
        }
        if let Some(Target { subjects: Some(subjects), .. }) = &mut self.target {
            subjects.given.insert(message.subject.to_string());
        }
        let at = timestamp(info.published.unix_timestamp_nanos()).map_err(|error| error.to_string())?;
        self.seen = sequence;
        Ok(Some(Stored { subject: message.subject.to_string(), sequence, at, body: message.message.payload }))
    }

    /// Gets a new consumer, after a pause if the last attempt failed.
    async fn reopen(&mut self) -> Result<(), Error> {
        self.store.still_open(self.connections.has_changed())?;
        match self.open_boxed().await {
            Ok(()) => {
                self.is_reopened = true;
                self.pause = RETRY_PAUSE_MIN;
                self.gone_since = None;
            }
            Err(error) => {
                self.check_gone(error)?;
                sleep(self.pause).await;
                self.pause = (self.pause * 2).min(RETRY_PAUSE_MAX);
            }
        }
        Ok(())
    }

    /// Passes an error on if the stream has been gone for long enough to believe it.
    fn check_gone(&mut self, error: Error) -> Result<(), Error> {
        // Orders only wake up: whoever hears them waits until somebody makes their stream anew.
        if error.is_unavailable() || (self.store.kind == StreamKind::Orders && error.may_pass()) {
            self.gone_since = None;
            warn!(stream = self.store.name, error = %chain(&error), "cannot read from NATS, trying again");
            return Ok(());
        }
        let since = *self.gone_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= GONE_AFTER { Err(error) } else { Ok(()) }
    }

    /// On the heap: it is rare, and would make every future that reads something large.
    fn open_boxed(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        self.open().boxed()
    }

    async fn open(&mut self) -> Result<(), Error> {
        self.connections.mark_unchanged();
        let (found, recorded) = (self.store.last_sequence().await?, self.seen.max(self.known));
        if found < recorded && self.store.kind == StreamKind::Orders {
            // Orders only wake up, and what is still wanted is sent again: whoever hears them needs none of those that got lost.
            warn!(stream = self.store.name, found, seen = recorded, "stored orders were lost: going on with new ones");
            (self.seen, self.known) = (self.seen.min(found), found);
        } else if found < recorded {
            let kind = LossKind::Shorter { recorded, found };
            return Err(Error::StateLost(Loss { stream: self.store.kind.as_str().to_owned(), kind }));
        }
        let action = || format!("read stream `{}`", self.store.name);
        let config = self.consumer_config();
        let name = config.name.clone().unwrap_or_default();
        let request = self.store.link.context.create_consumer_on_stream(config, &self.store.name);
        let consumer = match self.store.bounded(request).await {
            Ok(Ok(consumer)) => consumer,
            Ok(Err(error)) if is_gone(&error.kind()) => {
                return Err(Error::StreamGone { stream: self.store.name.clone() });
            }
            Ok(Err(error)) => return Err(Error::unavailable(action(), error)),
            Err(late) => return Err(Error::unavailable(action(), late)),
        };
        if consumer.cached_info().num_pending == 0 {
            // An empty bucket never sends a message that could say so.
            self.idle();
        }
        let messages = self.pull(&consumer).await?;
        self.consumer = Some(Consumer { name, messages, delivered: 0, doubts: 0 });
        Ok(())
    }

    async fn pull(&self, consumer: &jetstream::consumer::Consumer<pull::Config>) -> Result<pull::Stream, Error> {
        let action = || format!("pull from stream `{}`", self.store.name);
        let request = consumer.stream().max_messages_per_batch(BATCH).expires(PULL_EXPIRES).heartbeat(HEARTBEAT);
        match self.store.bounded(request.messages()).await {
            Ok(Ok(messages)) => Ok(messages),
            Ok(Err(error)) => Err(Error::unavailable(action(), error)),
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    fn consumer_config(&self) -> pull::Config {
        let deliver_policy = if self.from_last && self.seen == 0 {
            DeliverPolicy::LastPerSubject
        } else {
            DeliverPolicy::ByStartSequence { start_sequence: self.seen + 1 }
        };
        pull::Config {
            // With a name and one filter the request's subject has both, so that permissions can tell readers apart.
            name: Some(unique_name()),
            filter_subject: self.filter.clone(),
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: INACTIVE,
            num_replicas: 1,
            memory_storage: true,
            ..pull::Config::default()
        }
    }
}

/// Ends when nothing has come for a while, if that is of interest.
async fn silence(matters: bool) {
    if matters { sleep(SILENCE).await } else { std::future::pending().await }
}

fn is_gone(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(problem) if problem.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// A name that no other consumer has.
pub(crate) fn unique_name() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().simple().to_string()
}
