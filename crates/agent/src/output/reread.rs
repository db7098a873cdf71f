//! Goes on in a container's output where the last batch ended: reads it again from about there, and leaves out what is stored.

use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::{LogMark, LogMarks, LogStream};

use crate::engine::LogLine;

/// The engine notes lines of two streams out of order when they come at the same moment, so it is read from this much before.
const SLACK: SignedDuration = SignedDuration::from_secs(1);

/// Leaves out the lines that marks cover.
#[derive(Debug)]
pub(super) struct Reread {
    marks: LogMarks,
    from: Option<Timestamp>,
    continuity: Continuity,
}

/// Whether what is read again follows what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuity {
    /// Nothing is stored, or some of what is stored was met again.
    Unbroken,
    /// Nothing known was met. If that stays so, the engine has thrown output away that is not stored.
    Unproven,
}

impl Reread {
    /// Begins with all of `marks` still to come.
    pub(super) fn new(marks: LogMarks) -> Self {
        let latest = marks.latest();
        let from = latest.map(|at| at.checked_sub(SLACK).unwrap_or(at));
        let continuity = if latest.is_some() { Continuity::Unproven } else { Continuity::Unbroken };
        Self { marks, from, continuity }
    }

    /// Where the engine is to begin; `None`: at the beginning.
    pub(super) fn from(&self) -> Option<Timestamp> {
        self.from
    }

    /// What is known by now.
    pub(super) fn continuity(&self) -> Continuity {
        self.continuity
    }

    /// What is known when a new line is met. Who is told that nothing is proven is told so once.
    pub(super) fn meets_new(&mut self) -> Continuity {
        std::mem::replace(&mut self.continuity, Continuity::Unbroken)
    }

    /// What is new of a line, if anything is.
    pub(super) fn admit(&mut self, mut line: LogLine) -> Option<LogLine> {
        let mark = match line.stream {
            LogStream::Stdout => &mut self.marks.stdout,
            LogStream::Stderr => &mut self.marks.stderr,
        };
        let Some(LogMark { at, bytes }) = mark else { return Some(line) };
        if line.at > *at {
            return Some(line);
        }
        self.continuity = Continuity::Unbroken;
        if line.at < *at {
            return None;
        }
        let known = line.output.len().min(usize::try_from(*bytes).unwrap_or(usize::MAX));
        *bytes -= known as u64;
        let new = line.output.split_off(known);
        (!new.is_empty()).then_some(LogLine { output: new, ..line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: LogStream, millisecond: i64, output: &'static str) -> LogLine {
        let at = Timestamp::from_millisecond(millisecond).unwrap();
        LogLine { at, stream, output: output.into() }
    }

    const OUT: LogStream = LogStream::Stdout;
    const ERR: LogStream = LogStream::Stderr;

    /// Takes the first `taken` bytes of `log`, then reads it again.
    #[track_caller]
    fn check(log: &[LogLine], taken: usize) {
        let all: Vec<u8> = log.iter().flat_map(|line| line.output.to_vec()).collect();
        let mut marks = LogMarks::default();
        let mut left = taken;
        for line in log {
            let bytes = left.min(line.output.len());
            if bytes > 0 {
                marks.pass(line.stream, line.at, bytes as u64);
            }
            left -= bytes;
        }
        let mut reread = Reread::new(marks);
        let rest: Vec<u8> =
            log.iter().filter_map(|line| reread.admit(line.clone())).flat_map(|line| line.output.to_vec()).collect();
        assert_eq!(String::from_utf8_lossy(&rest), String::from_utf8_lossy(&all[taken..]), "after {taken}");
        assert_eq!(reread.continuity(), Continuity::Unbroken);
    }

    #[test]
    fn reading_goes_on_at_any_byte() {
        // A long line in three pieces, which have one instant; and two streams, noted out of order.
        let log = [
            line(OUT, 1, "first\n"),
            line(OUT, 2, "piece-1"),
            line(OUT, 2, "piece-2"),
            line(ERR, 5, "err\n"),
            line(OUT, 2, "piece-3\n"),
            line(OUT, 4, "late\n"),
            line(ERR, 5, "more\n"),
        ];
        let length = log.iter().map(|line| line.output.len()).sum();
        for taken in 0..=length {
            check(&log, taken);
        }
    }

    #[test]
    fn without_anything_known_something_may_be_missing() {
        let mut marks = LogMarks::default();
        marks.pass(OUT, Timestamp::from_second(10).unwrap(), 1);
        let mut reread = Reread::new(marks);
        assert_eq!(reread.from(), Some(Timestamp::from_second(9).unwrap()));
        assert!(reread.admit(line(OUT, 12_000, "new\n")).is_some());
        assert_eq!(reread.continuity(), Continuity::Unproven);
    }
}
