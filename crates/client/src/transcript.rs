//! Output of containers as lines: batches in, lines out. Pure.
//!
//! A batch may come twice, one may be missing, a line may be spread over several; and where an attempt wrote more than is
//! kept, a note says so, in its place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_core::message::{LogBatch, LogChunk, LogExtent, LogGap, LogStream};

/// Longest line that is put together. What is longer comes out in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Who wrote a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    /// The service.
    pub service: String,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub attempt: u32,
}

/// One line, or a word about lines that are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who wrote it.
    pub writer: Writer,
    /// When the engine got its end.
    pub at: Timestamp,
    /// What it says, without the newline.
    pub text: Vec<u8>,
    /// What comes after the text.
    pub end: LineEnd,
}

/// What comes after the text of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// A newline.
    Newline,
    /// The rest of the line, or nothing: it had no newline.
    Open,
    /// Nothing of the container's: the text is not its own, but about it.
    Note,
}

/// Puts lines together.
#[derive(Debug, Default)]
pub struct Transcript {
    /// What is before the first batch of an attempt was not asked for.
    midway: bool,
    attempts: BTreeMap<Writer, Attempt>,
}

/// Where the output of one attempt has got to.
#[derive(Debug, Default)]
struct Attempt {
    next_batch: u64,
    dropped_bytes: u64,
    state: State,
    stdout: Unfinished,
    stderr: Unfinished,
}

/// What is to come of an attempt's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// What it writes.
    #[default]
    Live,
    /// The newest of it, when it has ended.
    HeldBack,
    /// Nothing.
    Ended,
}

/// A line whose end has not come yet.
#[derive(Debug, Default)]
struct Unfinished {
    text: Vec<u8>,
    at: Option<Timestamp>,
}

impl Transcript {
    /// Begins somewhere in the output: what was written before is not missing.
    pub fn midway() -> Self {
        Self { midway: true, ..Self::default() }
    }

    /// Takes a batch in, and returns the lines that are complete.
    pub fn fold(&mut self, batch: &LogBatch) -> Vec<Line> {
        let id = &batch.attempt;
        let writer = Writer { service: id.service.to_string(), replica: id.replica, attempt: id.attempt };
        let (midway, dropped_bytes) = (self.midway && batch.number > 0, batch.dropped_bytes);
        let attempt = self.attempts.entry(writer.clone()).or_insert_with(|| match midway {
            true => Attempt { next_batch: batch.number, dropped_bytes, ..Attempt::default() },
            false => Attempt::default(),
        });
        if batch.number < attempt.next_batch {
            return Vec::new();
        }
        let mut lines = Vec::new();
        let at = batch.chunks.first().map_or(Timestamp::UNIX_EPOCH, |chunk| chunk.at);
        let note = |text: String| Line { writer: writer.clone(), at, text: text.into_bytes(), end: LineEnd::Note };
        if batch.number > attempt.next_batch {
            attempt.finish(&writer, &mut lines);
            lines.push(note("... output is missing here: it is not stored any more ...".to_owned()));
        }
        attempt.next_batch = batch.number + 1;
        if let Some(gap) = &batch.gap {
            attempt.finish(&writer, &mut lines);
            attempt.dropped_bytes = batch.dropped_bytes;
            lines.push(note(gap_text(gap)));
        }
        for chunk in &batch.chunks {
            attempt.fold(chunk, &writer, &mut lines);
        }
        if batch.dropped_bytes > attempt.dropped_bytes {
            let bytes = batch.dropped_bytes - attempt.dropped_bytes;
            attempt.dropped_bytes = batch.dropped_bytes;
            lines.push(note(format!("... {} bytes left out: the attempt wrote more than is kept ...", grouped(bytes))));
        }
        if batch.held_back && attempt.state == State::Live {
            attempt.state = State::HeldBack;
            if !batch.last {
                lines.push(note("... much is written: the newest follows when the attempt has ended ...".to_owned()));
            }
        }
        if batch.last {
            attempt.state = State::Ended;
            attempt.finish(&writer, &mut lines);
        }
        lines
    }

    /// What is to come of an attempt's output; `None`: nothing has come yet.
    pub fn state(&self, writer: &Writer) -> Option<State> {
        self.attempts.get(writer).map(|attempt| attempt.state)
    }

    /// The attempts of which something is to come.
    pub fn unended(&self) -> impl Iterator<Item = (&Writer, State)> {
        self.attempts
            .iter()
            .map(|(writer, attempt)| (writer, attempt.state))
            .filter(|(_, state)| *state != State::Ended)
    }

    /// What never got a newline.
    pub fn finish(mut self) -> Vec<Line> {
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
            lines.push(Line { writer: writer.clone(), at: chunk.at, text, end: LineEnd::Note });
            return;
        };
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            unfinished.text.extend_from_slice(piece);
            unfinished.at = Some(chunk.at);
            if unfinished.text.ends_with(b"\n") {
                unfinished.text.pop();
                lines.extend(unfinished.take(writer, LineEnd::Newline));
            } else if unfinished.text.len() >= LINE_BYTES_MAX {
                lines.extend(unfinished.take(writer, LineEnd::Open));
            }
        }
    }

    fn finish(&mut self, writer: &Writer, lines: &mut Vec<Line>) {
        lines.extend(self.stdout.take(writer, LineEnd::Open));
        lines.extend(self.stderr.take(writer, LineEnd::Open));
    }
}

impl Unfinished {
    fn take(&mut self, writer: &Writer, end: LineEnd) -> Option<Line> {
        let at = self.at.take()?;
        Some(Line { writer: writer.clone(), at, text: std::mem::take(&mut self.text), end })
    }
}

fn gap_text(gap: &LogGap) -> String {
    let size = format!("{} bytes in {} lines", grouped(gap.bytes), grouped(gap.lines));
    match gap.extent {
        LogExtent::Exact => format!("... {size} left out here: the attempt wrote more than is kept ..."),
        LogExtent::AtLeast if gap.bytes == 0 => "... output is left out here, nobody knows how much ...".to_owned(),
        LogExtent::AtLeast => format!("... at least {size} left out here: the attempt wrote more than is kept ..."),
    }
}

/// A number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let place = |index: usize| if index > 0 && index % 3 == first { "," } else { "" };
    digits.char_indices().map(|(index, digit)| format!("{}{digit}", place(index))).collect()
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        id::{AttemptId, RunUid},
        message::{LogBytes, LogMarks, SCHEMA},
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
            gap: None,
            chunks: output.iter().map(chunk).collect(),
            dropped_bytes: 0,
            held_back: false,
            marks: LogMarks::default(),
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
    fn what_is_before_the_middle_is_not_missing() {
        let mut transcript = Transcript::midway();
        let late = LogBatch { dropped_bytes: 5, ..batch(2, &[(OUT, b"c\n")]) };
        let later = LogBatch { dropped_bytes: 5, ..batch(4, &[(OUT, b"e\n")]) };
        let lines: Vec<Line> = [late, later].iter().flat_map(|batch| transcript.fold(batch)).collect();
        let found: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.text)).collect();
        assert_eq!(found, ["c", "... output is missing here: it is not stored any more ...", "e"]);
    }

    #[test]
    fn a_gap_stands_where_it_is_with_its_size() {
        let gap = |bytes, lines, extent| Some(LogGap { bytes, lines, extent });
        let head = LogBatch { held_back: true, ..batch(0, &[(OUT, b"head\nhalf")]) };
        let exact = gap(1_019_215_872, 12_345, LogExtent::Exact);
        let tail =
            LogBatch { gap: exact, held_back: true, dropped_bytes: 7, last: true, ..batch(1, &[(OUT, b"tail\n")]) };
        let told = "... much is written: the newest follows when the attempt has ended ...";
        let left_out = "1,019,215,872 bytes in 12,345 lines left out here: the attempt wrote more than is kept ...";
        check(&[head.clone(), tail.clone()], &["head", told, "half", &format!("... {left_out}"), "tail"]);
        let at_least = LogBatch { gap: gap(1_019_215_872, 12_345, LogExtent::AtLeast), ..tail.clone() };
        check(&[head.clone(), at_least], &["head", told, "half", &format!("... at least {left_out}"), "tail"]);
        let unknown = LogBatch { gap: gap(0, 0, LogExtent::AtLeast), dropped_bytes: 0, ..tail };
        let nobody = "... output is left out here, nobody knows how much ...";
        check(&[head, unknown], &["head", told, "half", nobody, "tail"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped),
            ["0", "12", "123", "1,234", "123,456", "1,234,567"]
        );
    }

    #[test]
    fn whether_a_line_had_a_newline_is_known() {
        let mut transcript = Transcript::default();
        let last = LogBatch { last: true, ..batch(0, &[(OUT, b"a\n\nb")]) };
        let lines = transcript.fold(&last);
        assert_eq!(
            lines.iter().map(|line| line.end).collect::<Vec<_>>(),
            [LineEnd::Newline, LineEnd::Newline, LineEnd::Open]
        );
        assert_eq!(transcript.unended().count(), 0);
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
