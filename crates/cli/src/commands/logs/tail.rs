//! The last lines of each replica.

use std::collections::{BTreeMap, VecDeque};

use tickmesh_client::transcript::{Line, LineEnd};

/// Holds lines back until it is known which are the last.
pub(super) struct Tail {
    count: usize,
    seen: u64,
    replicas: BTreeMap<(String, u32), Kept>,
}

/// What is kept of a replica.
#[derive(Default)]
struct Kept {
    /// With the place of each line among all, so that they come out in order.
    lines: VecDeque<(u64, Line)>,
    /// How many of them count: what is said about the output is none of it. Counted as they come, since to count them for each line
    /// takes as long as there are lines.
    counted: usize,
}

impl Tail {
    /// Keeps that many of each replica.
    pub(super) fn new(count: u32) -> Self {
        Self { count: count as usize, seen: 0, replicas: BTreeMap::new() }
    }

    /// Takes a line in.
    pub(super) fn keep(&mut self, line: Line) {
        self.seen += 1;
        let kept = self.replicas.entry((line.writer.service.clone(), line.writer.replica)).or_default();
        kept.counted += counts(&line);
        kept.lines.push_back((self.seen, line));
        while kept.counted > self.count {
            let gone = kept.lines.pop_front();
            kept.counted -= gone.map_or(0, |(_, line)| counts(&line));
        }
    }

    /// The last lines, in the order of all.
    pub(super) fn into_lines(self) -> Vec<Line> {
        let mut lines: Vec<(u64, Line)> = self.replicas.into_values().flat_map(|kept| kept.lines).collect();
        lines.sort_by_key(|(place, _)| *place);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

fn counts(line: &Line) -> usize {
    match line.end {
        LineEnd::Newline | LineEnd::Open => 1,
        LineEnd::Note => 0,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use tickmesh_client::transcript::Writer;

    fn line(replica: u32, text: &str) -> Line {
        let writer = Writer { service: "s1".to_owned(), replica, attempt: 1 };
        Line { writer, at: Timestamp::UNIX_EPOCH, text: text.as_bytes().to_vec(), end: LineEnd::Newline }
    }

    #[test]
    fn the_tail_of_each_replica_comes_out_in_the_order_of_all() {
        let mut tail = Tail::new(1);
        for (replica, text) in [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (1, "e")] {
            tail.keep(line(replica, text));
        }
        let texts: Vec<_> = tail.into_lines().into_iter().map(|line| String::from_utf8(line.text).unwrap()).collect();
        assert_eq!(texts, ["c", "e"]);
    }

    #[test]
    fn a_note_is_shown_beside_the_lines_that_it_is_about() {
        let mut tail = Tail::new(1);
        tail.keep(line(0, "a"));
        tail.keep(line(0, "b"));
        tail.keep(Line { end: LineEnd::Note, ..line(0, "much was written") });
        let texts: Vec<_> = tail.into_lines().into_iter().map(|line| String::from_utf8(line.text).unwrap()).collect();
        assert_eq!(texts, ["b", "much was written"]);
    }

    /// A hundred thousand may be asked for, of millions: what is kept must not be counted again for each. That took minutes here.
    #[test]
    fn as_many_as_may_be_kept_are_kept_of_many_more() {
        let count = super::super::TAIL_MAX;
        let mut tail = Tail::new(count);
        let note = || Line { end: LineEnd::Note, ..line(0, "a note") };
        (0..3 * count).for_each(|place| tail.keep(if place % 1000 == 0 { note() } else { line(0, "a") }));
        let lines = tail.into_lines();
        assert_eq!(lines.iter().filter(|line| line.end == LineEnd::Newline).count(), count as usize);
        assert!(lines.len() > count as usize, "with the notes among them");
    }

    #[test]
    fn a_tail_of_nothing_is_nothing() {
        let mut tail = Tail::new(0);
        tail.keep(line(0, "a"));
        assert_eq!(tail.into_lines(), []);
    }
}
