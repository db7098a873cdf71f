//! How records become bytes, and back: JSON, with a schema version that is looked at first.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tickmesh_core::{ledger::LEDGER_BYTES_MAX, message::SCHEMA};

use crate::{error::Error, names::StreamKind};

/// Largest body of anything but a ledger, in bytes. A server takes 1 MiB by default, headers included, and closes the
/// connection of who sends more.
pub const BODY_BYTES_MAX: usize = 768 * 1024;

/// Most that an error quotes of what it found: enough for a person to see what it is, and no burden to a log.
const QUOTED_CHARS_MAX: usize = 200;

/// Why stored bytes are not a record that this release understands.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Written by a later release. Its fields may mean something else, so it is not even tried.
    #[error("schema {found} is newer than {SCHEMA}, the newest that this release knows")]
    NewerSchema {
        /// The record's schema.
        found: u32,
    },
    /// Not the JSON of this record.
    #[error("not a valid record{field}")]
    Json {
        /// Where.
        field: Field,
        /// Why.
        #[source]
        source: Problem,
    },
    /// Larger than anything that tickmesh stores.
    #[error("the record has {bytes} bytes, more than any that tickmesh stores ({BODY_BYTES_MAX})")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Deleted with another tool. tickmesh never deletes a record.
    #[error("the record was deleted by another program")]
    Deleted,
    /// The body is about something else than the subject that carries it.
    #[error("the body does not belong on this subject")]
    Misplaced,
}

/// The part of a record that cannot be read, such as `held[3].run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(String);

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            // The whole, or where a reader has to look at a part as a whole.
            "" | "." | "?" => Ok(()),
            field => write!(formatter, ": field `{field}`"),
        }
    }
}

/// What is wrong with it. Quotes what was found, and so much of it only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

/// A stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// Key in its bucket, or subject.
    pub key: String,
    /// Sequence in its stream; in a bucket, the revision.
    pub sequence: u64,
    /// When the server stored it, by the server's clock.
    pub at: Timestamp,
    /// The record.
    pub value: T,
}

/// A stored message, not decoded yet.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) body: Bytes,
}

impl Stored {
    /// The record of this message, under the key that its reader knows it by.
    pub(crate) fn decode<T: DeserializeOwned>(&self, key: &str) -> Result<Entry<T>, Error> {
        match decode(&self.body) {
            Ok(value) => Ok(self.entry(key, value)),
            Err(source) => Err(Error::Unreadable { key: key.to_owned(), sequence: self.sequence, source }),
        }
    }

    pub(crate) fn entry<T>(&self, key: &str, value: T) -> Entry<T> {
        Entry { key: key.to_owned(), sequence: self.sequence, at: self.at, value }
    }
}

/// How the records of this release begin: such a one need not be read twice. A test holds it to [`SCHEMA`].
const BEGINNING: &[u8] = br#"{"schema":1,"#;

/// Reads the schema of any record, whatever else it has.
#[derive(Deserialize)]
struct Probe {
    schema: Option<u32>,
}

/// The record in `body`.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    if body.is_empty() {
        return Err(Unreadable::Deleted);
    }
    if body.len() > BODY_BYTES_MAX {
        return Err(Unreadable::TooLarge { bytes: body.len() });
    }
    if body.starts_with(BEGINNING) {
        return parse(body);
    }
    let probe: Probe = parse(body)?;
    match probe.schema {
        Some(found) if found > SCHEMA => Err(Unreadable::NewerSchema { found }),
        Some(_) | None => parse(body),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| unreadable::<T>(body, &error))
}

/// Why it cannot be read. Keeping track of the field costs time, so only who needs to know reads the body that way.
fn unreadable<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Unreadable {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let located: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    let field = located.err().map(|error| error.path().to_string()).unwrap_or_default();
    Unreadable::Json { field: Field(shortened(&field)), source: Problem(shortened(&error.to_string())) }
}

/// The beginning of a text that somebody else may have written.
fn shortened(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// The bytes of a record that goes to a stream under `key`.
pub(crate) fn encode<T: Serialize>(kind: StreamKind, key: &str, value: &T) -> Result<Bytes, Error> {
    let body = serde_json::to_vec(value).map_err(|source| Error::Encode { key: key.to_owned(), source })?;
    let limit = bytes_max(kind);
    if body.len() > limit {
        return Err(Error::TooLarge { key: key.to_owned(), bytes: body.len(), limit });
    }
    Ok(body.into())
}

fn bytes_max(kind: StreamKind) -> usize {
    match kind {
        StreamKind::Ledger => LEDGER_BYTES_MAX,
        StreamKind::Meta
        | StreamKind::Lease
        | StreamKind::Apps
        | StreamKind::Agents
        | StreamKind::Commands
        | StreamKind::Ticks
        | StreamKind::Orders
        | StreamKind::Results
        | StreamKind::History
        | StreamKind::Logs
        | StreamKind::Mesh => BODY_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests;
