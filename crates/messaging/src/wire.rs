//! How records become bytes, and back: JSON, with a schema version that is looked at first.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tickmesh_core::{ledger::LEDGER_BYTES_MAX, message::SCHEMA};

use crate::{error::Error, names::StreamKind};

/// Largest body of anything but a ledger, in bytes. A server takes 1 MiB by default, headers included, and closes the
/// connection of who sends more.
pub const BODY_BYTES_MAX: usize = 768 * 1024;

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
    #[error("not a valid record")]
    Json(#[source] serde_json::Error),
    /// Deleted with another tool. tickmesh never deletes a record.
    #[error("the record was deleted by another program")]
    Deleted,
    /// The body is about something else than the subject that carries it.
    #[error("the body does not belong on this subject")]
    Misplaced,
}

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
    let probe: Probe = serde_json::from_slice(body).map_err(Unreadable::Json)?;
    match probe.schema {
        Some(found) if found > SCHEMA => Err(Unreadable::NewerSchema { found }),
        Some(_) | None => serde_json::from_slice(body).map_err(Unreadable::Json),
    }
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
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Record {
        schema: u32,
        text: String,
    }

    #[track_caller]
    fn check_unreadable(body: &str, message: &str) {
        assert_eq!(decode::<Record>(body.as_bytes()).unwrap_err().to_string(), message, "{body}");
    }

    #[test]
    fn what_cannot_be_understood_says_why() {
        check_unreadable(
            r#"{"schema": 99, "text": "", "new": 1}"#,
            "schema 99 is newer than 1, the newest that this release knows",
        );
        check_unreadable(r#"{"schema": 1}"#, "not a valid record");
        check_unreadable("[]", "not a valid record");
        check_unreadable("{", "not a valid record");
        check_unreadable("", "the record was deleted by another program");
    }

    #[test]
    fn fields_that_a_later_release_added_are_ignored() {
        let record: Record = decode(br#"{"schema": 1, "text": "a", "added": 7}"#).unwrap();
        assert_eq!(record.text, "a");
    }

    #[test]
    fn a_ledger_that_is_too_large_is_not_sent() {
        let record = Record { schema: SCHEMA, text: "x".repeat(LEDGER_BYTES_MAX) };
        assert!(encode(StreamKind::Apps, "app", &record).is_ok());
        let error = encode(StreamKind::Ledger, "app", &record).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: LEDGER_BYTES_MAX, .. }), "{error}");
    }
}
