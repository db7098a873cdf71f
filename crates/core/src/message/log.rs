//! Output of containers in batches, on subjects of their attempts.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{id::AttemptId, name::AgentName};

/// Part of the output of one attempt. The batches of an attempt are numbered from 0; the last one has [`Self::last`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Schema version.
    pub schema: u32,
    pub attempt: AttemptId,
    /// The agent it ran on.
    pub agent: AgentName,
    /// Number of this batch.
    pub number: u64,
    /// Output that is left out between the batches before and the chunks of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<LogGap>,
    /// The output, in the order in which the engine got it.
    pub chunks: Vec<LogChunk>,
    /// Bytes known to be left out up to the end of this batch.
    pub dropped_bytes: u64,
    /// The attempt has written as much as is stored at once: the newest of what follows comes when it has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_back: bool,
    /// How far the output is stored, this batch included.
    #[serde(default, skip_serializing_if = "LogMarks::is_empty")]
    pub marks: LogMarks,
    /// Nothing follows.
    pub last: bool,
}

/// Output that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGap {
    /// Bytes left out.
    pub bytes: u64,
    /// Lines left out: newlines among those bytes.
    pub lines: u64,
    /// Whether that is all of it.
    pub extent: LogExtent,
}

/// What is known of the size of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogExtent {
    /// It was counted.
    Exact,
    /// So much was counted, and there may be more.
    AtLeast,
}

/// How far the output of an attempt is stored, for each stream. Whoever goes on there reads the engine's log again from about
/// that instant on, and leaves out what the marks cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMarks {
    /// Of standard output; `None`: nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<LogMark>,
    /// Of standard error; `None`: nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<LogMark>,
}

/// A place in the output of one stream. An instant alone is not one: an engine gives all pieces of a long line the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// The instant of the last piece before it.
    pub at: Timestamp,
    /// Bytes before it that have this very instant.
    pub bytes: u64,
}

impl LogMarks {
    /// The mark of a stream.
    pub fn of(&self, stream: LogStream) -> Option<LogMark> {
        match stream {
            LogStream::Stdout => self.stdout,
            LogStream::Stderr => self.stderr,
        }
    }

    /// Moves the mark of a stream behind a piece of output.
    pub fn pass(&mut self, stream: LogStream, at: Timestamp, bytes: u64) {
        let mark = match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        match mark {
            Some(mark) if at == mark.at => mark.bytes = mark.bytes.saturating_add(bytes),
            // The engine's clock was set back. The mark stays: what is stored must not be stored again.
            Some(mark) if at < mark.at => {}
            Some(_) | None => *mark = Some(LogMark { at, bytes }),
        }
    }

    /// The later of the two instants.
    pub fn latest(&self) -> Option<Timestamp> {
        [self.stdout, self.stderr].into_iter().flatten().map(|mark| mark.at).max()
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Bytes that a container wrote, all within a millisecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// When the engine got the first of it.
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

    /// How many bytes they are; 0 if the message is damaged.
    pub fn byte_count(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Base64(_) => self.bytes().map_or(0, |bytes| bytes.len()),
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
    fn a_batch_of_an_older_agent_is_read() {
        let attempt =
            r#"{"app":"a","run":1,"uid":"01010101-0101-0101-0101-010101010101","service":"s","replica":0,"attempt":1}"#;
        let old = format!(
            r#"{{"schema":1,"attempt":{attempt},"agent":"h","number":3,"chunks":[],"dropped_bytes":7,"last":true}}"#
        );
        let batch: LogBatch = serde_json::from_str(&old).unwrap();
        assert_eq!((batch.gap, batch.held_back, batch.marks), (None, false, LogMarks::default()));
        assert_eq!(serde_json::to_string(&batch).unwrap(), old, "and what is new takes no room while it is not used");
    }

    #[test]
    fn marks_only_go_forward() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut marks = LogMarks::default();
        assert_eq!(marks.latest(), None);
        for (second, bytes) in [(5, 10), (5, 2), (4, 100)] {
            marks.pass(LogStream::Stdout, at(second), bytes);
        }
        marks.pass(LogStream::Stderr, at(6), 1);
        assert_eq!(marks.of(LogStream::Stdout), Some(LogMark { at: at(5), bytes: 12 }));
        assert_eq!((marks.of(LogStream::Stderr), marks.latest()), (Some(LogMark { at: at(6), bytes: 1 }), Some(at(6))));
    }

    #[test]
    fn any_bytes_survive_the_wire() {
        for bytes in [&b"plain text\n"[..], &[0xff, 0x00, 0xfe], "\u{0}\u{7f}é".as_bytes(), &[]] {
            let wire = serde_json::to_string(&LogBytes::new(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<LogBytes>(&wire).unwrap().bytes().unwrap(), bytes);
        }
    }
}
