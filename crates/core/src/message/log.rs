use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{id::AttemptId, name::AgentName};

/// Part of the output of one attempt. The batches of an attempt are numbered from 0; the last one has [`Self::last`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Schema version.
    pub schema: u32,
    /// The attempt.
    pub attempt: AttemptId,
    /// The agent it ran on.
    pub agent: AgentName,
    /// Number of this batch.
    pub number: u64,
    /// The output, in the order in which the engine gave it.
    pub chunks: Vec<LogChunk>,
    /// Bytes left out up to the end of this batch, because the attempt wrote more than is kept.
    pub dropped_bytes: u64,
    /// Nothing follows.
    pub last: bool,
}

/// Bytes that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// When the engine got it.
    pub at: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// The bytes.
    pub output: LogBytes,
}

/// Bytes as JSON carries them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogBytes {
    /// Valid UTF-8.
    Text(String),
    /// Anything else, in base64.
    Base64(String),
}

impl LogBytes {
    /// The form that `bytes` take.
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64.encode(bytes)),
        }
    }

    /// The bytes; `None` if the message is damaged.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().to_vec()),
            Self::Base64(text) => BASE64.decode(text).ok(),
        }
    }
}

/// Where a container wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_wire() {
        for bytes in [&b"plain text\n"[..], &[0xff, 0x00, 0xfe], "\u{0}\u{7f}é".as_bytes(), &[]] {
            let wire = serde_json::to_string(&LogBytes::new(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<LogBytes>(&wire).unwrap().bytes().unwrap(), bytes);
        }
    }
}
