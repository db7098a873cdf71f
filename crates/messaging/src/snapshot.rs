//! Copies of streams, as the server hands them out while it works, and streams made of such copies.
//!
//! A copy is the server's own archive of a stream at one moment: messages with their sequences and times. Streams are copied
//! one after the other, so the moments differ; [`StreamKind::BACKUP_ORDER`] makes sure that what depends on something is
//! copied no later than that.

use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    connect::within,
    error::{Error, Source},
    names::StreamKind,
    store::Store,
};

/// Size of a piece. Small enough for any server's largest message.
const CHUNK_BYTES: usize = 128 * 1024;
/// How long the server may take for the next piece, and to make a stream of what it was sent.
const PATIENCE: Duration = Duration::from_secs(60);

impl StreamKind {
    /// The streams of a backup, in the order in which they are copied. Orders are wake-ups of the last minute, and commands and notices
    /// would be carried out and told a second time, days later: they are left out. So is the last word of each agent: one that was restarted since would find
    /// its predecessor's, take itself for replaced, and end what it runs. Agents that live say anew what they hold.
    ///
    /// A ledger is copied before everything that a decision rests on or leaves behind: apps, results, ticks and history of the
    /// copy are then never older than what the ledger has seen of them. The identity is last, since a mesh without one is not there.
    pub const BACKUP_ORDER: [Self; 9] = [
        Self::Ledger,
        Self::Apps,
        Self::Results,
        Self::Ticks,
        Self::History,
        Self::Mesh,
        Self::Logs,
        Self::Lease,
        Self::Meta,
    ];
}

/// What the server says of a stream when it is copied, and wants to hear when the stream is made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamShape {
    /// Its settings.
    pub config: Value,
    /// What is in it.
    pub state: Value,
}

impl StreamShape {
    /// How many messages it has.
    pub fn messages(&self) -> u64 {
        self.state["messages"].as_u64().unwrap_or(0)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        self.config["name"].as_str().unwrap_or_default()
    }

    /// Servers that keep a copy.
    #[must_use]
    pub fn with_replicas(mut self, replicas: usize) -> Self {
        self.config["num_replicas"] = json!(replicas);
        self
    }
}

/// An answer of the server about streams.
#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<Refusal>,
    #[serde(default)]
    config: Value,
    #[serde(default)]
    state: Value,
    /// Where the pieces of a stream that is to be made are sent.
    deliver_subject: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Result<Self, Source> {
        let answer: Self = serde_json::from_slice(bytes)?;
        match answer.error {
            Some(refusal) => Err(refusal.description.into()),
            None => Ok(answer),
        }
    }
}

/// Code of the server for a stream that is not there.
const STREAM_NOT_FOUND: u64 = 10_059;

impl Store {
    /// Copies the stream. `begin` gets what it is like, `keep` piece after piece.
    pub(crate) async fn copy<E: From<Error>>(
        &self,
        begin: impl FnOnce(&StreamShape) -> Result<(), E>,
        mut keep: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<StreamShape, E> {
        let client = &self.link.client;
        let failed = |source: Source| Error::unavailable(format!("copy stream `{}`", self.name), source);
        let inbox = client.new_inbox();
        let mut pieces = client.subscribe(inbox.clone()).await.map_err(|error| failed(error.into()))?;
        let request = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK_BYTES });
        let shape = self.asked("SNAPSHOT", &request).await?;
        begin(&shape)?;
        loop {
            let piece = timeout(PATIENCE, pieces.next()).await.map_err(|late| failed(late.into()))?;
            let Some(Message { payload, reply, status, description, .. }) = piece else {
                return Err(failed("the connection ended".into()).into());
            };
            if payload.is_empty() {
                let is_end = status.is_none_or(|status| status.as_u16() < 300);
                let why = description.unwrap_or_else(|| "the server gave up".to_owned());
                return if is_end { Ok(shape) } else { Err(failed(why.into()).into()) };
            }
            keep(&payload)?;
            // The server sends so much ahead of these, and no more.
            if let Some(reply) = reply {
                client.publish(reply, Bytes::new()).await.map_err(|error| failed(error.into()))?;
            }
        }
    }

    /// Makes the stream of a copy. It must not be there.
    pub(crate) async fn restore<E: From<Error>>(
        &self,
        shape: &StreamShape,
        mut next: impl FnMut() -> Result<Option<Bytes>, E>,
    ) -> Result<(), E> {
        let failed = |source: Source| Error::unavailable(format!("restore stream `{}`", self.name), source);
        let answer = self.call("RESTORE", &json!(shape)).await.map_err(failed)?;
        let Some(subject) = answer.deliver_subject else {
            return Err(failed("the server does not say where to send it".into()).into());
        };
        let send = async |piece: Bytes| -> Result<(), Source> {
            let answer = within(PATIENCE, self.link.client.request(subject.clone(), piece)).await??;
            // Pieces are acknowledged by an empty message, the end by what became of the stream.
            if answer.payload.is_empty() || !answer.payload.starts_with(b"{") {
                return Ok(());
            }
            Answer::read(&answer.payload).map(drop)
        };
        while let Some(piece) = next()? {
            send(piece).await.map_err(failed)?;
        }
        send(Bytes::new()).await.map_err(failed)?;
        Ok(())
    }

    /// Removes the stream, if it is there.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let failed = |source: Source| Error::unavailable(format!("remove stream `{}`", self.name), source);
        let answer = self.request("DELETE", &json!({})).await.map_err(failed)?;
        match serde_json::from_slice::<Answer>(&answer).map_err(|error| failed(error.into()))?.error {
            Some(Refusal { err_code: STREAM_NOT_FOUND, .. }) | None => Ok(()),
            Some(Refusal { description, .. }) => Err(failed(description.into())),
        }
    }

    async fn asked(&self, verb: &str, request: &Value) -> Result<StreamShape, Error> {
        let failed = |source: Source| Error::unavailable(format!("copy stream `{}`", self.name), source);
        let Answer { config, state, .. } = self.call(verb, request).await.map_err(failed)?;
        Ok(StreamShape { config, state })
    }

    async fn call(&self, verb: &str, request: &Value) -> Result<Answer, Source> {
        Answer::read(&self.request(verb, request).await?)
    }

    async fn request(&self, verb: &str, request: &Value) -> Result<Bytes, Source> {
        let subject = format!("$JS.API.STREAM.{verb}.{}", self.name);
        let request = self.link.client.request(subject, serde_json::to_vec(request)?.into());
        Ok(within(PATIENCE, request).await??.payload)
    }
}
