//! Whether the streams of a mesh would take what is written: a message is sent to each that has to be refused.

use async_nats::jetstream::context::PublishErrorKind;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::{
    denials,
    error::{Error, NoAnswer},
    mesh::Mesh,
    names::StreamKind,
    store::{Condition, Message, Store},
};

/// End of the subject of a message that is never stored.
const PROBE: &str = "doctor";
/// A sequence that no stream comes to.
const NEVER: u64 = i64::MAX as u64;

/// Whether a stream would take a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteTrial {
    /// Its leader judges what is sent.
    Taken,
    /// This login may not write there.
    Denied,
    /// The stream is not there, or nobody leads it: others say which.
    Absent,
    /// Nobody answers for it, or it takes nothing.
    Untaken {
        /// What came instead.
        reason: String,
    },
}

impl Mesh {
    /// Tries every stream that schedulers and agents write.
    pub async fn try_writes(&self) -> Vec<(StreamKind, WriteTrial)> {
        join_all(StreamKind::ALL.map(async |kind| (kind, self.store(kind).try_write().await))).await
    }
}

impl Store {
    /// Sends a message on the condition that it follows one that will never be there: a stream that works refuses it by that.
    async fn try_write(&self) -> WriteTrial {
        let subject = self.names.subjects(self.kind).replace('>', PROBE);
        let message = Message { body: Bytes::from_static(b"{}"), condition: Condition::After(NEVER) };
        let sent = async {
            let acknowledged = self.link.context.send_publish(subject.clone(), message.into()).await?;
            acknowledged.await
        };
        match denials::within(self.link.request_timeout, sent, &self.link.denials, &format!("\"{subject}\"")).await {
            Ok(Err(error)) => match error.kind() {
                PublishErrorKind::WrongLastSequence => WriteTrial::Taken,
                PublishErrorKind::StreamNotFound => WriteTrial::Absent,
                PublishErrorKind::WrongLastMessageId
                | PublishErrorKind::TimedOut
                | PublishErrorKind::BrokenPipe
                | PublishErrorKind::MaxAckPending
                | PublishErrorKind::MaxPayloadExceeded
                | PublishErrorKind::Other => WriteTrial::Untaken { reason: error.to_string() },
            },
            Ok(Ok(stored)) => {
                WriteTrial::Untaken { reason: format!("what it has to refuse is stored at {}", stored.sequence) }
            }
            Err(NoAnswer::Denied(_)) => WriteTrial::Denied,
            Err(late @ NoAnswer::Late(_)) => {
                WriteTrial::Untaken { reason: Error::unavailable("write", late).to_string() }
            }
        }
    }
}
