//! One stream on the server: what buckets, journals and queues are made of.
//!
//! Every call ends within a deadline. Reads that a decision rests on ask the stream's leader (`STREAM.MSG.GET`): the direct
//! reads of a bucket may be answered by a replica that lags behind.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{GetStreamErrorKind, PublishError, PublishErrorKind},
    message::{PublishMessage, StreamMessage},
    stream::{LastRawMessageErrorKind, Stream},
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    connect::Link,
    error::{Error, NoAnswer},
    names::{Names, StreamKind},
    wire::Stored,
};

/// A stream of a mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) link: Link,
    pub(crate) names: Arc<Names>,
    pub(crate) kind: StreamKind,
    pub(crate) name: String,
}

impl Store {
    pub(crate) fn new(link: Link, names: Arc<Names>, kind: StreamKind) -> Self {
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

    /// Sequence of the last message that the stream ever had.
    pub(crate) async fn last_sequence(&self) -> Result<u64, Error> {
        let action = || format!("ask for the state of stream `{}`", self.name);
        match self.bounded(self.link.context.get_stream(&self.name)).await {
            Ok(Ok(stream)) => Ok(stream.cached_info().state.last_sequence),
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

    /// Stores a message, once. A timeout leaves open whether it was stored.
    pub(crate) async fn publish(&self, subject: &str, message: PublishMessage) -> Result<u64, Error> {
        let action = || format!("publish on `{subject}`");
        match self.bounded(self.publish_once(subject, message)).await {
            Ok(Ok(sequence)) => Ok(sequence),
            Ok(Err(error)) => Err(Error::unavailable(action(), error)),
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// Sends one message and waits for its acknowledgement: an acknowledgement that nobody awaits would, with thousands of
    /// its kind, block all later ones.
    pub(crate) async fn publish_once(&self, subject: &str, message: PublishMessage) -> Result<u64, PublishError> {
        let acknowledgement = self.link.context.send_publish(subject.to_owned(), message).await?.await?;
        if acknowledgement.stream != self.name {
            let problem = format!("stream `{}` took it", acknowledgement.stream);
            return Err(PublishError::with_source(PublishErrorKind::Other, problem));
        }
        Ok(acknowledgement.sequence)
    }

    /// Removes all messages below a sequence.
    pub(crate) async fn purge_below(&self, sequence: u64) -> Result<(), Error> {
        let action = || format!("purge stream `{}` below {sequence}", self.name);
        let handle = self.handle().await?;
        match self.bounded(handle.purge().sequence(sequence)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::unavailable(action(), error)),
            Err(late) => Err(Error::unavailable(action(), late)),
        }
    }

    /// Ends a wait of any kind: also the library's waits for a free place in its own queues, which have no end.
    pub(crate) async fn bounded<F: IntoFuture>(&self, request: F) -> Result<F::Output, NoAnswer> {
        within(self.link.request_timeout, request).await
    }
}

/// Gives `request` that long.
pub(crate) async fn within<F: IntoFuture>(time: Duration, request: F) -> Result<F::Output, NoAnswer> {
    tokio::time::timeout(time, request).await.map_err(|_| NoAnswer(time))
}

/// A plain message.
pub(crate) fn message(body: Bytes) -> PublishMessage {
    PublishMessage::build().payload(body)
}

fn stored(message: StreamMessage) -> Result<Stored, jiff::Error> {
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
