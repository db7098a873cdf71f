//! Output of containers as lines: batches in, lines out. Pure.
//!
//! A batch may come twice, one may be missing, a line may be spread over several; and where an attempt wrote more than is
//! kept, the gap is told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_core::message::{LogBatch, LogChunk, LogStream};

/// Longest line that is put together. What is longer comes out in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Who wrote a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Writer {
    /// The service.
    pub service: String,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub attempt: u32,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Who wrote it.
    pub writer: Writer,
    /// When the engine got its end.
    pub at: Timestamp,
    /// What it says, without the newline.
    pub text: Vec<u8>,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    attempts: BTreeMap<Writer, Attempt>,
}

/// Where the output of one attempt has got to.
#[derive(Debug, Default)]
struct Attempt {
    next_batch: u64,
    dropped_bytes: u64,
    stdout: Unfinished,
    stderr: Unfinished,
}

/// A line whose end has not come yet.
#[derive(Debug, Default)]
struct Unfinished {
    text: Vec<u8>,
    at: Option<Timestamp>,
}

impl Transcript {
    /// Takes a batch in, and returns the lines that are complete.
    pub(crate) fn fold(&mut self, batch: &LogBatch) -> Vec<Line> {
        let id = &batch.attempt;
        let writer = Writer { service: id.service.to_string(), replica: id.replica, attempt: id.attempt };
        let attempt = self.attempts.entry(writer.clone()).or_default();
        if batch.number < attempt.next_batch {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let at = batch.chunks.first().map_or(Timestamp::UNIX_EPOCH, |chunk| chunk.at);
        let gap = |text: String| Line { writer: writer.clone(), at, text: text.into_bytes() };
        if batch.number > attempt.next_batch {
            lines.push(gap("... output is missing here: it is not stored any more ...".to_owned()));
        }
        attempt.next_batch = batch.number + 1;
        for chunk in &batch.chunks {
            attempt.fold(chunk, &writer, &mut lines);
        }
        if batch.dropped_bytes > attempt.dropped_bytes {
            let bytes = batch.dropped_bytes - attempt.dropped_bytes;
            attempt.dropped_bytes = batch.dropped_bytes;
            lines.push(gap(format!("... {bytes} bytes left out: the attempt wrote more than is kept ...")));
        }
        if batch.last {
            attempt.finish(&writer, &mut lines);
        }
        lines
    }

    /// What never got a newline.
    pub(crate) fn finish(mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (writer, attempt) in &mut self.attempts {
            attempt.finish(writer, &mut lines);
        }
        lines
    }
}

impl Attempt {
    fn fold(&mut self, chunk: &LogChunk, writer: &Writer, lines: &mut Vec<Line>) {
        let unfinished = match chunk.stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        let Some(bytes) = chunk.output.bytes() else {
            let text = b"... a damaged piece of output is left out ...".to_vec();
            lines.push(Line { writer: writer.clone(), at: chunk.at, text });
            return;
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            unfinished.text.extend_from_slice(piece);
            unfinished.at = Some(chunk.at);
            if unfinished.text.ends_with(b"\n") {
                unfinished.text.pop();
                lines.extend(unfinished.take(writer));
            } else if unfinished.text.len() >= LINE_BYTES_MAX {
                lines.extend(unfinished.take(writer));
            }
        }
    }

    fn finish(&mut self, writer: &Writer, lines: &mut Vec<Line>) {
        lines.extend(self.stdout.take(writer));
        lines.extend(self.stderr.take(writer));
    }
}

impl Unfinished {
    fn take(&mut self, writer: &Writer) -> Option<Line> {
        let at = self.at.take()?;
        Some(Line { writer: writer.clone(), at, text: std::mem::take(&mut self.text) })
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        id::{AttemptId, RunUid},
        message::{LogBytes, SCHEMA},
        name::{AgentName, AppName, ServiceName},
    };

    use super::*;

    fn batch(number: u64, output: &[(LogStream, &[u8])]) -> LogBatch {
        let chunk = |(stream, output): &(LogStream, &[u8])| LogChunk {
            at: Timestamp::UNIX_EPOCH,
            stream: *stream,
            output: LogBytes::new(output),
        };
        LogBatch {
            schema: SCHEMA,
            attempt: AttemptId {
                app: AppName::new("nightly").unwrap(),
                run: 1,
                uid: RunUid::from_random([1; 16]),
                service: ServiceName::new("s1").unwrap(),
                replica: 0,
                attempt: 1,
            },
            agent: AgentName::new("host-1").unwrap(),
            number,
            chunks: output.iter().map(chunk).collect(),
            dropped_bytes: 0,
            last: false,
        }
    }

    #[track_caller]
    fn check(batches: &[LogBatch], expected: &[&str]) {
        let mut transcript = Transcript::default();
        let mut lines: Vec<Line> = batches.iter().flat_map(|batch| transcript.fold(batch)).collect();
        lines.extend(transcript.finish());
        let found: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.text)).collect();
        assert_eq!(found, expected);
    }

    const OUT: LogStream = LogStream::Stdout;
    const ERR: LogStream = LogStream::Stderr;

    #[test]
    fn lines_are_put_together_for_each_stream() {
        check(&[batch(0, &[(OUT, b"a\nb"), (ERR, b"x\n")]), batch(1, &[(OUT, b"c\n\nd")])], &["a", "x", "bc", "", "d"]);
        check(&[batch(0, &[(OUT, b"\xff\xfe\n")])], &["\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn a_batch_that_came_twice_counts_once() {
        let first = batch(0, &[(OUT, b"a\n")]);
        check(&[first.clone(), first, batch(1, &[(OUT, b"b\n")])], &["a", "b"]);
    }

    #[test]
    fn gaps_are_told() {
        let late = batch(2, &[(OUT, b"c\n")]);
        check(
            &[batch(0, &[(OUT, b"a\n")]), late],
            &["a", "... output is missing here: it is not stored any more ...", "c"],
        );
        let full = LogBatch { dropped_bytes: 123, ..batch(0, &[(OUT, b"a\n")]) };
        let fuller = LogBatch { dropped_bytes: 125, last: true, ..batch(1, &[]) };
        check(
            &[full, fuller],
            &[
                "a",
                "... 123 bytes left out: the attempt wrote more than is kept ...",
                "... 2 bytes left out: the attempt wrote more than is kept ...",
            ],
        );
    }

    #[test]
    fn a_damaged_piece_does_not_end_the_output() {
        let mut damaged = batch(0, &[(OUT, b"a\n"), (OUT, b"b\n")]);
        damaged.chunks[0].output = LogBytes::Base64("not base64!".to_owned());
        check(&[damaged], &["... a damaged piece of output is left out ...", "b"]);
    }

    #[test]
    fn a_line_without_end_comes_out_in_pieces() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        let mut transcript = Transcript::default();
        assert_eq!(transcript.fold(&batch(0, &[(OUT, &long)])).len(), 1);
        assert_eq!(transcript.finish(), []);
    }
}
