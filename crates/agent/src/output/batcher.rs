//! Packs lines into numbered batches.

use bytes::Bytes;
use jiff::Timestamp;
use tickmesh_core::{
    id::AttemptId,
    message::{LogBatch, LogBytes, LogChunk, SCHEMA},
    name::AgentName,
};

use crate::engine::LogLine;

/// A batch weighs at most this. JSON may need six bytes for one, and a message has at most 1 MiB.
const BATCH_WEIGHT_MAX: usize = 64 * 1024;
/// What a line weighs beside its bytes: its instant, stream and punctuation in JSON.
const LINE_WEIGHT: usize = 96;
/// Longer lines are cut into pieces, so that one fits into a batch.
const PIECE_BYTES_MAX: usize = 32 * 1024;

/// How far the output of an attempt has been stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of the next batch.
    pub next_number: u64,
    /// Bytes stored.
    pub kept_bytes: usize,
    /// Bytes left out.
    pub dropped_bytes: u64,
    /// Instant of the last line taken.
    pub after: Option<Timestamp>,
    /// Whether the last batch is stored.
    pub end: End,
}

/// Whether more output may come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// It may.
    #[default]
    Open,
    /// The last batch is stored.
    Stored,
}

impl Progress {
    /// Takes a stored batch of the attempt into account. They may come twice.
    pub fn note(&mut self, batch: &LogBatch) {
        if batch.number < self.next_number {
            return;
        }
        self.next_number = batch.number + 1;
        self.dropped_bytes = batch.dropped_bytes;
        self.kept_bytes += batch.chunks.iter().map(|chunk| byte_count(&chunk.output)).sum::<usize>();
        self.after = self.after.max(batch.chunks.iter().map(|chunk| chunk.at).max());
        if batch.last {
            self.end = End::Stored;
        }
    }
}

fn byte_count(output: &LogBytes) -> usize {
    match output {
        LogBytes::Text(text) => text.len(),
        LogBytes::Base64(_) => output.bytes().map_or(0, |bytes| bytes.len()),
    }
}

/// Packs the lines of one attempt.
#[derive(Debug)]
pub struct Batcher {
    attempt: AttemptId,
    agent: AgentName,
    bytes_max: usize,
    progress: Progress,
    chunks: Vec<LogChunk>,
    weight: usize,
}

impl Batcher {
    /// Goes on from `progress`, and keeps at most `bytes_max` bytes of the attempt.
    pub fn new(attempt: AttemptId, agent: AgentName, bytes_max: usize, progress: Progress) -> Self {
        Self { attempt, agent, bytes_max, progress, chunks: Vec::new(), weight: 0 }
    }

    /// Instant of the last line taken: where to go on after an interruption.
    pub fn after(&self) -> Option<Timestamp> {
        self.progress.after
    }

    /// Whether nothing waits for a batch.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Takes a line, and returns the batches that are full because of it.
    pub fn push(&mut self, line: LogLine) -> Vec<LogBatch> {
        self.progress.after = self.progress.after.max(Some(line.at));
        let mut full = Vec::new();
        for piece in pieces(line.output) {
            // Once something was dropped everything is: output with holes would mislead.
            if self.progress.dropped_bytes > 0 || self.progress.kept_bytes + piece.len() > self.bytes_max {
                self.progress.dropped_bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                continue;
            }
            if self.weight + LINE_WEIGHT + piece.len() > BATCH_WEIGHT_MAX {
                full.extend(self.flush());
            }
            self.progress.kept_bytes += piece.len();
            self.weight += LINE_WEIGHT + piece.len();
            self.chunks.push(LogChunk { at: line.at, stream: line.stream, output: LogBytes::new(&piece) });
        }
        full
    }

    /// What waits, as a batch.
    pub fn flush(&mut self) -> Option<LogBatch> {
        if self.chunks.is_empty() {
            return None;
        }
        Some(self.batch())
    }

    /// The last batch, with what waits.
    pub fn finish(mut self) -> LogBatch {
        LogBatch { last: true, ..self.batch() }
    }

    fn batch(&mut self) -> LogBatch {
        let mut chunks = std::mem::take(&mut self.chunks);
        // The engine reads the two streams one by one; their order is in the instants.
        chunks.sort_by_key(|chunk| chunk.at);
        self.weight = 0;
        let number = self.progress.next_number;
        self.progress.next_number += 1;
        LogBatch {
            schema: SCHEMA,
            attempt: self.attempt.clone(),
            agent: self.agent.clone(),
            number,
            chunks,
            dropped_bytes: self.progress.dropped_bytes,
            last: false,
        }
    }
}

fn pieces(mut line: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!line.is_empty()).then(|| line.split_to(line.len().min(PIECE_BYTES_MAX))))
}

#[cfg(test)]
mod tests {
    use tickmesh_core::message::LogStream;

    use super::*;
    use crate::fixture;

    fn batcher(bytes_max: usize) -> Batcher {
        Batcher::new(fixture::attempt(), fixture::agent(), bytes_max, Progress::default())
    }

    fn line(second: i64, output: impl Into<Bytes>) -> LogLine {
        let at = Timestamp::from_second(second).unwrap();
        LogLine { at, stream: LogStream::Stdout, output: output.into() }
    }

    fn text(batch: &LogBatch) -> Vec<u8> {
        batch.chunks.iter().flat_map(|chunk| chunk.output.bytes().unwrap()).collect()
    }

    #[test]
    fn batches_are_numbered_and_the_last_one_says_so() {
        let mut batcher = batcher(1_000);
        assert_eq!(batcher.flush(), None);
        assert!(batcher.push(line(1, "a\n")).is_empty());
        let first = batcher.flush().unwrap();
        assert_eq!((first.number, first.last, text(&first)), (0, false, b"a\n".to_vec()));
        batcher.push(line(2, "b\n"));
        let last = batcher.finish();
        assert_eq!((last.number, last.last, text(&last)), (1, true, b"b\n".to_vec()));
    }

    #[test]
    fn within_a_batch_lines_are_in_the_order_of_their_instants() {
        let mut batcher = batcher(1_000);
        batcher.push(line(2, "second\n"));
        batcher.push(line(1, "first\n"));
        assert_eq!(text(&batcher.finish()), b"first\nsecond\n");
    }

    #[test]
    fn every_batch_fits_into_a_message_whatever_is_written() {
        let mut batcher = batcher(usize::MAX);
        let mut batches = Vec::new();
        for second in 0..2_000 {
            batches.extend(batcher.push(line(second, "\n")));
        }
        // The worst case of JSON: six bytes for one.
        for second in 2_000..2_030 {
            batches.extend(batcher.push(line(second, vec![1_u8; 20_000])));
        }
        batches.extend(batcher.push(line(2_030, vec![1_u8; 500_000])));
        batches.push(batcher.finish());
        let kept: usize = batches.iter().map(|batch| text(batch).len()).sum();
        assert_eq!(kept, 2_000 + 30 * 20_000 + 500_000);
        let largest = batches.iter().map(|batch| serde_json::to_vec(batch).unwrap().len()).max().unwrap();
        assert!(largest < 512 * 1024, "{largest}");
        assert_eq!(
            batches.iter().map(|batch| batch.number).collect::<Vec<_>>(),
            (0..batches.len() as u64).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_exceeds_the_cap_is_counted_and_nothing_after_it_is_kept() {
        let mut batcher = batcher(10);
        for (second, output) in [(1, "12345678\n"), (2, "too long\n"), (3, "\n")] {
            batcher.push(line(second, output));
        }
        let last = batcher.finish();
        assert_eq!((text(&last), last.dropped_bytes), (b"12345678\n".to_vec(), 10));
    }

    #[test]
    fn a_new_process_goes_on_behind_what_is_stored() {
        let mut before = batcher(10);
        before.push(line(5, "abc\n"));
        let first = before.flush().unwrap();
        let mut progress = Progress::default();
        progress.note(&first);
        progress.note(&first);
        assert_eq!((progress.next_number, progress.kept_bytes, progress.end), (1, 4, End::Open));
        assert_eq!(progress.after, Some(Timestamp::from_second(5).unwrap()));
        let mut after = Batcher::new(fixture::attempt(), fixture::agent(), 10, progress);
        after.push(line(6, "defgh\n"));
        after.push(line(7, "i"));
        let last = after.finish();
        assert_eq!((last.number, text(&last), last.dropped_bytes), (1, b"defgh\n".to_vec(), 1));
        progress.note(&last);
        assert_eq!((progress.end, progress.dropped_bytes), (End::Stored, 1));
    }
}
