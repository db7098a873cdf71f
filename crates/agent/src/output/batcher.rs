//! Packs lines into numbered batches.

use jiff::{SignedDuration, Timestamp};
use tickmesh_core::{
    id::AttemptId,
    message::{LogBatch, LogBytes, LogChunk, LogGap, LogMarks, LogStream, SCHEMA},
    name::AgentName,
};

use crate::engine::LogLine;

/// A batch weighs at most this. JSON may need six bytes for one, and a message has at most 1 MiB.
const BATCH_WEIGHT_MAX: usize = 64 * 1024;
/// What a chunk weighs beside its bytes: its instant, stream and punctuation in JSON.
const CHUNK_WEIGHT: usize = 96;
/// Longer lines are cut into pieces, so that one fits into a batch.
const PIECE_BYTES_MAX: usize = 32 * 1024;
/// Lines that the engine got within this time of each other share a chunk: else a million short lines would take a hundred
/// times as much room as they have bytes. Nobody reads instants closer than that.
const CHUNK_SPAN: SignedDuration = SignedDuration::from_millis(1);

/// How far the output of an attempt has been stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of the next batch.
    pub next_number: u64,
    /// Bytes stored.
    pub kept_bytes: usize,
    /// Bytes known to be left out.
    pub dropped_bytes: u64,
    /// Where the output goes on.
    pub marks: LogMarks,
    /// What is stored next.
    pub phase: Phase,
}

/// What of the output is stored next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// What comes.
    #[default]
    Head,
    /// Nothing until the attempt has ended, then the newest.
    HeldBack,
    /// Nothing: the last batch is stored.
    Done,
}

impl Progress {
    /// Takes a stored batch of the attempt into account. They may come twice.
    pub fn note(&mut self, batch: &LogBatch) {
        if batch.number < self.next_number {
            return;
        }
        self.next_number = batch.number + 1;
        self.dropped_bytes = batch.dropped_bytes;
        self.kept_bytes += batch.chunks.iter().map(|chunk| chunk.output.byte_count()).sum::<usize>();
        if batch.marks == LogMarks::default() {
            // An agent before this one had no marks, and a chunk for each line.
            batch
                .chunks
                .iter()
                .for_each(|chunk| pass(&mut self.marks, chunk.stream, chunk.at, chunk.output.byte_count()));
        } else {
            self.marks = batch.marks;
        }
        if batch.last {
            self.phase = Phase::Done;
        } else if batch.held_back || batch.dropped_bytes > 0 {
            self.phase = Phase::HeldBack;
        }
    }
}

fn pass(marks: &mut LogMarks, stream: LogStream, at: Timestamp, bytes: usize) {
    marks.pass(stream, at, bytes as u64);
}

/// Packs the lines of one attempt.
#[derive(Debug)]
pub struct Batcher {
    attempt: AttemptId,
    agent: AgentName,
    progress: Progress,
    /// Stands before the chunks.
    gap: Option<LogGap>,
    chunks: Vec<Chunk>,
    weight: usize,
}

/// A chunk in the making.
#[derive(Debug)]
struct Chunk {
    at: Timestamp,
    stream: LogStream,
    output: Vec<u8>,
}

impl Chunk {
    fn has_room_for(&self, line: &LogLine, piece: &[u8]) -> bool {
        let later = line.at.duration_since(self.at);
        self.stream == line.stream
            && !later.is_negative()
            && later < CHUNK_SPAN
            && self.output.len() + piece.len() <= PIECE_BYTES_MAX
    }
}

impl Batcher {
    /// Goes on from `progress`.
    pub fn new(attempt: AttemptId, agent: AgentName, progress: Progress) -> Self {
        Self { attempt, agent, progress, gap: None, chunks: Vec::new(), weight: 0 }
    }

    /// How far the output will be stored, with all that waits.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether nothing waits for a batch.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.gap.is_none()
    }

    /// Takes a line, and returns the batches that are full because of it.
    pub fn push(&mut self, line: &LogLine) -> Vec<LogBatch> {
        let mut full = Vec::new();
        for piece in line.output.chunks(PIECE_BYTES_MAX) {
            let shared = self.chunks.last().is_some_and(|chunk| chunk.has_room_for(line, piece));
            let weight = piece.len() + if shared { 0 } else { CHUNK_WEIGHT };
            if self.weight + weight > BATCH_WEIGHT_MAX {
                full.extend(self.flush());
            }
            self.progress.kept_bytes += piece.len();
            pass(&mut self.progress.marks, line.stream, line.at, piece.len());
            self.weight += weight;
            match self.chunks.last_mut().filter(|_| shared) {
                Some(chunk) => chunk.output.extend_from_slice(piece),
                None => self.chunks.push(Chunk { at: line.at, stream: line.stream, output: piece.to_vec() }),
            }
        }
        full
    }

    /// What waits, as a batch.
    pub fn flush(&mut self) -> Option<LogBatch> {
        if self.is_empty() { None } else { Some(self.batch()) }
    }

    /// Notes a gap in the output between what was pushed before and what comes next. Returns the pending output as a batch.
    pub fn leave_out(&mut self, gap: LogGap) -> Option<LogBatch> {
        let before = self.flush();
        self.progress.dropped_bytes = self.progress.dropped_bytes.saturating_add(gap.bytes);
        self.gap = Some(gap);
        before
    }

    /// A batch with what waits, which says that what follows is held back.
    pub fn hold_back(&mut self) -> LogBatch {
        self.progress.phase = Phase::HeldBack;
        self.batch()
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
            gap: self.gap.take(),
            chunks: chunks.into_iter().map(LogChunk::from).collect(),
            dropped_bytes: self.progress.dropped_bytes,
            held_back: self.progress.phase == Phase::HeldBack,
            marks: self.progress.marks,
            last: false,
        }
    }
}

impl From<Chunk> for LogChunk {
    fn from(Chunk { at, stream, output }: Chunk) -> Self {
        Self { at, stream, output: LogBytes::new(&output) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tickmesh_core::message::{LogExtent, LogMark};

    use super::*;
    use crate::fixture;

    fn batcher() -> Batcher {
        Batcher::new(fixture::attempt(), fixture::agent(), Progress::default())
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn line(at: Timestamp, output: impl Into<Bytes>) -> LogLine {
        LogLine { at, stream: LogStream::Stdout, output: output.into() }
    }

    fn text(batch: &LogBatch) -> Vec<u8> {
        batch.chunks.iter().flat_map(|chunk| chunk.output.bytes().unwrap()).collect()
    }

    #[test]
    fn batches_are_numbered_and_the_last_one_says_so() {
        let mut batcher = batcher();
        assert_eq!(batcher.flush(), None);
        assert!(batcher.push(&line(second(1), "a\n")).is_empty());
        let first = batcher.flush().unwrap();
        assert_eq!((first.number, first.last, text(&first)), (0, false, b"a\n".to_vec()));
        batcher.push(&line(second(2), "b\n"));
        let last = batcher.finish();
        assert_eq!((last.number, last.last, text(&last)), (1, true, b"b\n".to_vec()));
    }

    #[test]
    fn within_a_batch_lines_are_in_the_order_of_their_instants() {
        let mut batcher = batcher();
        batcher.push(&line(second(2), "second\n"));
        batcher.push(&line(second(1), "first\n"));
        assert_eq!(text(&batcher.finish()), b"first\nsecond\n");
    }

    #[test]
    fn lines_of_one_millisecond_share_a_chunk_with_the_instant_of_the_first() {
        let mut batcher = batcher();
        let at = |microsecond| Timestamp::from_microsecond(microsecond).unwrap();
        for (microsecond, output) in [(0, "a\n"), (999, "b\n"), (1_000, "c\n"), (1_001, "d\n")] {
            batcher.push(&line(at(microsecond), output));
        }
        batcher.push(&LogLine { stream: LogStream::Stderr, ..line(at(1_001), "e\n") });
        let batch = batcher.finish();
        let chunks: Vec<_> = batch.chunks.iter().map(|chunk| (chunk.at, chunk.output.bytes().unwrap())).collect();
        let expected = [(at(0), b"a\nb\n".to_vec()), (at(1_000), b"c\nd\n".to_vec()), (at(1_001), b"e\n".to_vec())];
        assert_eq!(chunks, expected);
        assert_eq!(batch.marks.stdout, Some(LogMark { at: at(1_001), bytes: 2 }), "where to go on is exact");
    }

    #[test]
    fn every_batch_fits_into_a_message_whatever_is_written() {
        let mut batcher = batcher();
        let mut batches = Vec::new();
        for at in 0..2_000 {
            batches.extend(batcher.push(&line(second(at), "\n")));
        }
        // The worst case of JSON: six bytes for one.
        for at in 2_000..2_030 {
            batches.extend(batcher.push(&line(second(at), vec![1_u8; 20_000])));
        }
        batches.extend(batcher.push(&line(second(2_030), vec![1_u8; 500_000])));
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
    fn a_gap_stands_where_it_is() {
        let mut batcher = batcher();
        batcher.push(&line(second(1), "head\n"));
        let head = batcher.hold_back();
        assert_eq!((head.held_back, head.gap, text(&head)), (true, None, b"head\n".to_vec()));
        let gap = LogGap { bytes: 70, lines: 7, extent: LogExtent::Exact };
        assert_eq!(batcher.leave_out(gap), None);
        assert!(!batcher.is_empty(), "a gap is told also if nothing follows it");
        batcher.push(&line(second(9), "tail\n"));
        let tail = batcher.finish();
        assert_eq!((tail.gap, tail.dropped_bytes, text(&tail)), (Some(gap), 70, b"tail\n".to_vec()));
    }

    #[test]
    fn a_new_process_goes_on_behind_what_is_stored() {
        let mut before = batcher();
        before.push(&line(second(5), "abc\n"));
        let first = before.flush().unwrap();
        let mut progress = Progress::default();
        progress.note(&first);
        progress.note(&first);
        assert_eq!(progress, *before.progress());
        assert_eq!((progress.next_number, progress.kept_bytes, progress.phase), (1, 4, Phase::Head));
        progress.note(&before.hold_back());
        assert_eq!(progress, *before.progress());
        progress.note(&before.finish());
        assert_eq!(progress.phase, Phase::Done);
    }

    #[test]
    fn an_older_agents_batches_say_where_they_end() {
        let mut before = batcher();
        before.push(&line(second(5), "abc\n"));
        let old = LogBatch { marks: LogMarks::default(), dropped_bytes: 3, ..before.flush().unwrap() };
        let mut progress = Progress::default();
        progress.note(&old);
        assert_eq!(progress.marks, before.progress().marks);
        assert_eq!((progress.phase, progress.dropped_bytes), (Phase::HeldBack, 3));
    }
}
