//! One stream on the server: what buckets, journals and queues are made of.
//!
//! Every call ends within a deadline. Reads that a decision rests on ask the stream's leader (`STREAM.MSG.GET`): the direct
//! reads of a bucket may be answered by a replica that lags behind.

use std::{sync::Arc, time::Duration};

use async_nats::{
    connection::State,
    jetstream::{
        ErrorCode,
        context::{GetStreamErrorKind, PublishError, PublishErrorKind},
        message::{PublishMessage, StreamMessage},
        stream::{Info as StreamInfo, LastRawMessageErrorKind, State as StreamState, Stream},
    },
};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, error::Elapsed, sleep, timeout_at},
};

use crate::{
    connect::Link,
    denials::{self, denied},
    error::{Error, NoAnswer, Source},
    marks::StreamMark,
    names::{Names, StreamKind},
    servers::Asked,
    wire::Stored,
};

/// Pause before a write is tried again, so that an outage without timeouts ("no responders") is not a busy loop.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(25);
/// Pause before it is told that the server denies a write: whoever tries again at once would do so thousands of times a second.
pub(crate) const DENIED_PAUSE: Duration = Duration::from_millis(200);
/// A write may take this many request timeouts before its outcome is left unknown: a try, its read-back, and once more.
const REQUESTS_PER_WRITE: u32 = 4;

/// A stream of a mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) link: Arc<Link>,
    pub(crate) names: Arc<Names>,
    pub(crate) kind: StreamKind,
    pub(crate) name: String,
}

impl Store {
    pub(crate) fn new(link: Arc<Link>, names: Arc<Names>, kind: StreamKind) -> Self {
        let name = names.stream(kind);
        Self { link, names, kind, name }
    }

    /// The library's handle. Nothing is asked of the server.
    pub(crate) async fn handle(&self) -> Result<Stream<()>, Error> {
        let handle = self.link.context.get_stream_no_info(&self.name).await;
        handle.map_err(|source| Error::unavailable(format!("address stream `{}`", self.name), source))
    }

    /// The last message on a subject, as the stream's leader has it.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        self.link.noted(Asked::Read, self.ask_last(subject).await).await
    }

    async fn ask_last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        let action = || format!("read the last message on `{subject}`");
        let handle = self.handle().await?;
        match self.bounded(handle.get_last_raw_message_by_subject(subject)).await {
            Ok(Ok(message)) => stored(message).map(Some).map_err(|source| Error::unavailable(action(), source)),
            Ok(Err(error)) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(problem) if problem.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Err(Error::StreamGone { stream: self.name.clone() })
                }
                LastRawMessageErrorKind::InvalidSubject
                | LastRawMessageErrorKind::JetStream(_)
                | LastRawMessageErrorKind::Other => Err(Error::unavailable(action(), error)),
            },
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// Sequence of the first message from `from` on that a filter lets through, as the stream's leader has it.
    pub(crate) async fn next_sequence(&self, filter: &str, from: u64) -> Result<Option<u64>, Error> {
        self.link.noted(Asked::Read, self.ask_next_sequence(filter, from).await).await
    }

    async fn ask_next_sequence(&self, filter: &str, from: u64) -> Result<Option<u64>, Error> {
        let action = || format!("look for messages of `{filter}` from {from} on");
        let handle = self.handle().await?;
        match self.bounded(handle.get_first_raw_message_by_subject(filter, from)).await {
            Ok(Ok(message)) => Ok(Some(message.sequence)),
            Ok(Err(error)) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::InvalidSubject
                | LastRawMessageErrorKind::JetStream(_)
                | LastRawMessageErrorKind::Other => Err(Error::unavailable(action(), error)),
            },
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// Sequence of the last message that the stream ever had.
    pub(crate) async fn last_sequence(&self) -> Result<u64, Error> {
        Ok(self.state().await?.last_sequence)
    }

    /// Where the stream stands.
    pub(crate) async fn mark(&self) -> Result<StreamMark, Error> {
        let info = self.info().await?;
        let action = || format!("read when stream `{}` was made", self.name);
        let created = timestamp(info.created.unix_timestamp_nanos());
        let created = created.map_err(|source| Error::unavailable(action(), source))?;
        Ok(StreamMark { last_sequence: info.state.last_sequence, created })
    }

    /// Sequence of the oldest stored message; that of the next one to come if none is stored.
    pub(crate) async fn first_sequence(&self) -> Result<u64, Error> {
        let state = self.state().await?;
        // Of a stream that never had a message, the server says that it begins with 0.
        Ok(if state.messages == 0 { state.last_sequence + 1 } else { state.first_sequence })
    }

    /// What the clock says now that messages are stamped with.
    pub(crate) async fn clock(&self) -> Result<Timestamp, Error> {
        Ok(self.leader_word().await?.clock)
    }

    /// How far the stream has come, as its leader says.
    pub(crate) async fn leader_word(&self) -> Result<LeaderWord, Error> {
        self.link.noted(Asked::Read, self.ask_leader().await).await
    }

    async fn ask_leader(&self) -> Result<LeaderWord, Error> {
        let action = || format!("ask for the clock of stream `{}`", self.name);
        let request = self.link.context.request(format!("STREAM.INFO.{}", self.name), &());
        let answer: LeaderAnswer = match self.bounded(request).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Error::unavailable(action(), error)),
            Err(late) => return Err(Error::unavailable(action(), late)),
        };
        match answer {
            LeaderAnswer::Read { ts, state } => {
                Ok(LeaderWord { clock: ts, messages: state.messages, last_sequence: state.last_seq })
            }
            LeaderAnswer::Refused { error } if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Err(Error::StreamGone { stream: self.name.clone() })
            }
            LeaderAnswer::Refused { error } => Err(Error::unavailable(action(), error)),
        }
    }

    /// The stream's state, as its leader has it.
    pub(crate) async fn state(&self) -> Result<StreamState, Error> {
        Ok(self.info().await?.state)
    }

    /// All that the server says of the stream.
    pub(crate) async fn info(&self) -> Result<StreamInfo, Error> {
        self.link.noted(Asked::Read, self.ask_info().await).await
    }

    async fn ask_info(&self) -> Result<StreamInfo, Error> {
        let action = || format!("ask for the state of stream `{}`", self.name);
        match self.bounded(self.link.context.get_stream(&self.name)).await {
            Ok(Ok(stream)) => Ok(stream.cached_info().clone()),
            Ok(Err(error)) => match error.kind() {
                GetStreamErrorKind::JetStream(problem) if problem.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Err(Error::StreamGone { stream: self.name.clone() })
                }
                GetStreamErrorKind::EmptyName
                | GetStreamErrorKind::Request
                | GetStreamErrorKind::InvalidStreamName
                | GetStreamErrorKind::JetStream(_) => Err(Error::unavailable(action(), error)),
            },
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// Stores a message, at least once: for messages that do no harm when they come twice.
    pub(crate) async fn publish(&self, subject: &str, message: Message) -> Result<u64, Error> {
        let patience = Patience::of(self.link.request_timeout);
        let deadline = Instant::now() + patience.total;
        loop {
            let problem = match self.send(subject, message.clone(), deadline.min(patience.end_of_request())).await {
                Ok(sequence) => return Ok(sequence),
                Err(SendError::TooLarge { bytes, limit }) => {
                    return Err(Error::TooLarge { key: subject.to_owned(), bytes, limit });
                }
                Err(SendError::Denied(denial)) => {
                    sleep(DENIED_PAUSE).await;
                    return Err(Error::Denied { action: format!("publish on `{subject}`"), denial });
                }
                Err(SendError::Open(problem)) => problem,
            };
            if Instant::now() + RETRY_PAUSE >= deadline {
                return Err(Error::unavailable(format!("publish on `{subject}`"), problem));
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// Sends one message and waits for its acknowledgement: an acknowledgement that nobody awaits would, with thousands of
    /// its kind, block all later ones.
    pub(crate) async fn send(&self, subject: &str, message: Message, end: Instant) -> Result<u64, SendError> {
        let bytes = message.body.len();
        let mut connections = self.link.connections.clone();
        connections.mark_unchanged();
        let connected = self.link.client.connection_state() == State::Connected;
        let mut denials = self.link.denials.clone();
        denials.mark_unchanged();
        let quoted = format!("\"{subject}\"");
        let acknowledged = timeout_at(end, self.acknowledged(subject, message.into()));
        tokio::select! {
            biased;
            outcome = acknowledged => {
                self.note_acknowledgement(&outcome).await;
                match outcome {
                    Ok(Ok(sequence)) => Ok(sequence),
                    Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                        Err(SendError::TooLarge { bytes, limit: self.link.client.max_payload() })
                    }
                    Ok(Err(error)) => Err(SendError::Open(error.into())),
                    Err(_) => Err(SendError::Open("no acknowledgement in time (a server whose disk is full gives none: see its log)".into())),
                }
            },
            // What was under way on the old connection, message or answer, is gone. What is sent without a connection goes
            // out with the next one.
            denial = denied(&mut denials, &quoted) => Err(SendError::Denied(denial)),
            _ = connections.changed(), if connected => Err(SendError::Open("the connection was lost meanwhile".into())),
        }
    }

    /// A server that refuses a message has answered; one that knows nobody who would store it, or could not, has not.
    async fn note_acknowledgement(&self, outcome: &Result<Result<u64, PublishError>, Elapsed>) {
        let answered = match outcome {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => matches!(
                error.kind(),
                PublishErrorKind::WrongLastMessageId
                    | PublishErrorKind::WrongLastSequence
                    | PublishErrorKind::MaxPayloadExceeded
            ),
            Err(_) => false,
        };
        if answered {
            self.link.answered(Asked::Write);
        } else {
            self.link.unanswered(Asked::Write).await;
        }
    }

    async fn acknowledged(&self, subject: &str, message: PublishMessage) -> Result<u64, PublishError> {
        let acknowledgement = self.link.context.send_publish(subject.to_owned(), message).await?.await?;
        if acknowledgement.stream != self.name {
            let problem = format!("stream `{}` took it", acknowledgement.stream);
            return Err(PublishError::with_source(PublishErrorKind::Other, problem));
        }
        Ok(acknowledgement.sequence)
    }

    /// Removes all messages below a sequence.
    pub(crate) async fn purge_below(&self, sequence: u64) -> Result<(), Error> {
        // To the server, a purge below 0 is one without a limit: it removes everything.
        if sequence == 0 {
            return Ok(());
        }
        let action = || format!("purge stream `{}` below {sequence}", self.name);
        let handle = self.handle().await?;
        match self.bounded(handle.purge().sequence(sequence)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable(action(), error)),
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// What a reader makes of news about its connection. The library's side of the channel is gone once the connection was
    /// closed for good: then there will be no news any more, and asking for them again would be a busy loop.
    pub(crate) fn still_open<T>(&self, connection: Result<T, watch::error::RecvError>) -> Result<(), Error> {
        connection.map(drop).map_err(|_| Error::Closed { stream: self.name.clone() })
    }

    /// Ends a wait of any kind: also the library's waits for a free place in its own queues, which have no end.
    pub(crate) async fn bounded<F: IntoFuture>(&self, request: F) -> Result<F::Output, NoAnswer> {
        denials::within(self.link.request_timeout, request, &self.link.denials, &self.name).await
    }
}

/// What a stream's leader says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaderWord {
    /// The clock that messages are stamped with, which async-nats leaves out.
    pub(crate) clock: Timestamp,
    /// Messages that are stored.
    pub(crate) messages: u64,
    /// Sequence of the last message that the stream ever had.
    pub(crate) last_sequence: u64,
}

/// That on the wire, or why there is none.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum LeaderAnswer {
    Read { ts: Timestamp, state: LeaderState },
    Refused { error: async_nats::jetstream::Error },
}

#[derive(Debug, Deserialize)]
struct LeaderState {
    messages: u64,
    last_seq: u64,
}

/// A message that goes out.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) body: Bytes,
    pub(crate) condition: Condition,
}

/// When the server stores a message.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Always.
    None,
    /// If the last message on its subject is at this sequence; 0: if there is none.
    After(u64),
    /// Unless it remembers a message of this id.
    UnlessKnown(String),
}

impl Message {
    pub(crate) fn plain(body: Bytes) -> Self {
        Self { body, condition: Condition::None }
    }
}

impl From<Message> for PublishMessage {
    fn from(message: Message) -> Self {
        let publish = Self::build().payload(message.body);
        match message.condition {
            Condition::None => publish,
            Condition::After(sequence) => publish.expected_last_subject_sequence(sequence),
            Condition::UnlessKnown(id) => publish.message_id(id),
        }
    }
}

/// Why a message was not acknowledged.
pub(crate) enum SendError {
    /// It was never sent.
    TooLarge { bytes: usize, limit: usize },
    /// It may be stored, or may yet be.
    Open(Source),
    /// The server does not allow it.
    Denied(String),
}

/// How long a write is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For one request.
    pub(crate) request: Duration,
    /// For all of it.
    pub(crate) total: Duration,
}

impl Patience {
    pub(crate) fn of(request: Duration) -> Self {
        Self { request, total: request * REQUESTS_PER_WRITE }
    }

    pub(crate) fn end_of_request(self) -> Instant {
        Instant::now() + self.request
    }
}

/// Returns a message of a stream as all of this crate has it.
pub(crate) fn stored(message: StreamMessage) -> Result<Stored, jiff::Error> {
    Ok(Stored {
        subject: message.subject.to_string(),
        sequence: message.sequence,
        at: timestamp(message.time.unix_timestamp_nanos())?,
        body: message.payload,
    })
}

/// The server's time, in nanoseconds since the epoch, as all of tickmesh has it.
pub(crate) fn timestamp(nanoseconds: i128) -> Result<Timestamp, jiff::Error> {
    Timestamp::from_nanosecond(nanoseconds)
}
