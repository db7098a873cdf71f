//! The last lines of each replica.

use std::collections::{BTreeMap, VecDeque};

use tickmesh_client::transcript::{Line, LineEnd};

/// Holds lines back until it is known which are the last.
pub(super) struct Tail {
    count: usize,
    seen: u64,
    /// With the place of each line among all, so that they come out in order.
    replicas: BTreeMap<(String, u32), VecDeque<(u64, Line)>>,
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
        kept.push_back((self.seen, line));
        // What is said about the output is none of it.
        while kept.iter().filter(|(_, line)| line.end != LineEnd::Note).count() > self.count {
            kept.pop_front();
        }
    }

    /// The last lines, in the order of all.
    pub(super) fn into_lines(self) -> Vec<Line> {
        let mut lines: Vec<(u64, Line)> = self.replicas.into_values().flatten().collect();
        lines.sort_by_key(|(place, _)| *place);
        lines.into_iter().map(|(_, line)| line).collect()
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

    #[test]
    fn a_tail_of_nothing_is_nothing() {
        let mut tail = Tail::new(0);
        tail.keep(line(0, "a"));
        assert_eq!(tail.into_lines(), []);
    }
}
