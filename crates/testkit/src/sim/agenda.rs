//! What is going to happen, in the order in which it will.

use std::{cmp::Ordering, collections::BinaryHeap, time::Duration};

/// Things to come, each at its moment; those of one moment in the order in which they were put in.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    entries: BinaryHeap<Entry<T>>,
    serial: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Duration,
    serial: u64,
    what: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), serial: 0 }
    }
}

impl<T> Agenda<T> {
    pub(super) fn put(&mut self, at: Duration, what: T) {
        self.serial += 1;
        self.entries.push(Entry { at, serial: self.serial, what });
    }

    /// What comes next, and when.
    pub(super) fn next(&mut self) -> Option<(Duration, T)> {
        self.entries.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.serial)
    }
}

/// The heap gives its greatest entry, and that is to be the earliest.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_nothing_overtakes_within_a_moment() {
        let mut agenda = Agenda::default();
        for (second, what) in [(3, "c"), (1, "a"), (3, "d"), (2, "b")] {
            agenda.put(Duration::from_secs(second), what);
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).map(|(_, what)| what).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
