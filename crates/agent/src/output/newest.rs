//! Keeps the newest lines of many, and counts the others.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;
use tickmesh_core::message::{LogExtent, LogGap, LogStream};

use crate::engine::LogLine;

/// The newest lines, within a limit. Their bytes are in one buffer, for there may be very many that are very short.
#[derive(Debug)]
pub(super) struct Newest {
    bytes_max: usize,
    lines: VecDeque<Line>,
    output: VecDeque<u8>,
    passed: Amount,
    forgotten: Amount,
}

/// A line, or a piece of a long one. Its bytes are in the buffer.
#[derive(Debug)]
struct Line {
    at: Timestamp,
    stream: LogStream,
    bytes: u32,
    ends: bool,
}

/// How much output something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) bytes: u64,
    /// What the engine gives at a time: lines, and pieces of long ones.
    pub(super) pieces: u64,
    pub(super) newlines: u64,
}

impl Amount {
    fn add(&mut self, line: &Line) {
        self.bytes += u64::from(line.bytes);
        self.pieces += 1;
        self.newlines += u64::from(line.ends);
    }

    /// As a gap; `None` if it is nothing.
    pub(super) fn as_gap(self, extent: LogExtent) -> Option<LogGap> {
        let gap = LogGap { bytes: self.bytes, lines: self.newlines, extent };
        (self.bytes > 0 || extent == LogExtent::AtLeast).then_some(gap)
    }
}

impl Newest {
    /// Keeps `bytes_max` bytes at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (lines, output) = (VecDeque::new(), VecDeque::new());
        Self { bytes_max, lines, output, passed: Amount::default(), forgotten: Amount::default() }
    }

    /// Takes a line, and forgets the oldest for it.
    pub(super) fn push(&mut self, line: &LogLine) {
        let LogLine { at, stream, output } = line;
        let bytes = u32::try_from(output.len()).unwrap_or(u32::MAX);
        // An engine ends a piece at each newline.
        let taken = Line { at: *at, stream: *stream, bytes, ends: output.ends_with(b"\n") };
        self.passed.add(&taken);
        self.output.extend(output);
        self.lines.push_back(taken);
        while self.output.len() > self.bytes_max {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.output.drain(..oldest.bytes as usize);
            self.forgotten.add(&oldest);
        }
    }

    /// Everything that was taken.
    pub(super) fn passed(&self) -> Amount {
        self.passed
    }

    /// What was taken and is not kept.
    pub(super) fn forgotten(&self) -> Amount {
        self.forgotten
    }

    /// What was taken and is older than `at`.
    pub(super) fn before(&self, at: Timestamp) -> Amount {
        let mut before = self.forgotten;
        self.lines.iter().filter(|line| line.at < at).for_each(|line| before.add(line));
        before
    }

    /// Instant of the oldest line that is kept.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.lines.front().map(|line| line.at)
    }

    /// Gives the oldest line away.
    pub(super) fn pop(&mut self) -> Option<LogLine> {
        let Line { at, stream, bytes, .. } = self.lines.pop_front()?;
        let output: Bytes = self.output.drain(..bytes as usize).collect();
        Some(LogLine { at, stream, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, output: &'static str) -> LogLine {
        LogLine { at: Timestamp::from_second(second).unwrap(), stream: LogStream::Stdout, output: output.into() }
    }

    #[test]
    fn the_newest_lines_stay_and_the_others_are_counted() {
        let mut newest = Newest::new(8);
        for (second, output) in [(1, "piece"), (2, "a\n"), (3, "bc\n"), (4, "def\n"), (5, "\n")] {
            newest.push(&line(second, output));
        }
        assert_eq!(newest.forgotten(), Amount { bytes: 7, pieces: 2, newlines: 1 });
        assert_eq!(newest.passed(), Amount { bytes: 15, pieces: 5, newlines: 4 });
        assert_eq!(newest.oldest(), Some(Timestamp::from_second(3).unwrap()));
        assert_eq!(newest.before(Timestamp::from_second(3).unwrap()), newest.forgotten());
        assert_eq!(newest.before(Timestamp::from_second(5).unwrap()).bytes, 14);
        let kept: Vec<LogLine> = std::iter::from_fn(|| newest.pop()).collect();
        assert_eq!(kept, [line(3, "bc\n"), line(4, "def\n"), line(5, "\n")]);
    }

    #[test]
    fn nothing_is_a_gap_only_if_that_is_not_certain() {
        assert_eq!(Amount::default().as_gap(LogExtent::Exact), None);
        assert!(Amount::default().as_gap(LogExtent::AtLeast).is_some());
    }
}
