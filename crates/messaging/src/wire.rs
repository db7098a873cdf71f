//! How records become bytes, and back: JSON, with a schema version that is looked at first.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tickmesh_core::message::SCHEMA;

use crate::{
    error::{Error, Field, Problem, Unreadable},
    limits::{BODY_BYTES_MAX, bytes_max},
    listing::UnreadableRecord,
    names::StreamKind,
    record::Record,
    store::Store,
};

/// Most that an error quotes of what it found: enough for a person to see what it is, and no burden to a log.
const QUOTED_CHARS_MAX: usize = 200;

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
    /// Returns the record of this message of a store, if it is one that belongs on its subject. One that cannot be read is
    /// counted.
    pub(crate) fn record<T: Record>(&self, store: &Store) -> Result<T, Unreadable> {
        let belongs = |record: &T| record.belongs_on(&store.names, &self.subject);
        let record = decode(&self.body).and_then(|it| if belongs(&it) { Ok(it) } else { Err(Unreadable::Misplaced) });
        if record.is_err() {
            store.link.skipped.count(store.kind);
        }
        record
    }

    /// Returns the record of this message, under the key that its reader knows it by.
    pub(crate) fn decode<T: Record>(&self, store: &Store, key: &str) -> Result<Entry<T>, Error> {
        match self.record(store) {
            Ok(value) => Ok(self.entry(key, value)),
            Err(source) => Err(Error::Unreadable { key: key.to_owned(), sequence: self.sequence, source }),
        }
    }

    /// Returns the record of this message for a list.
    pub(crate) fn listed<T: Record>(&self, store: &Store, key: &str) -> Listed<T> {
        match self.record(store) {
            Ok(value) => Ok(self.entry(key, value)),
            Err(error) => {
                let key = store.names.key_of(store.kind, &self.subject).to_owned();
                Err(UnreadableRecord { stream: store.kind, key, sequence: self.sequence, at: self.at, error })
            }
        }
    }

    pub(crate) fn entry<T>(&self, key: &str, value: T) -> Entry<T> {
        Entry { key: key.to_owned(), sequence: self.sequence, at: self.at, value }
    }
}

/// An item of a list.
type Listed<T> = Result<Entry<T>, UnreadableRecord>;

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

#[cfg(test)]
mod tests;
