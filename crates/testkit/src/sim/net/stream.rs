//! A stream as JetStream has it: every message gets the next sequence, and may be conditional on the sequence of its
//! subject's last message.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;

use super::record::Record;

/// A stored message.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Stored {
    pub(in crate::sim) subject: Arc<str>,
    pub(in crate::sim) sequence: u64,
    /// By the server's clock.
    pub(in crate::sim) at: Timestamp,
    pub(in crate::sim) record: Record,
}

/// One stream. Cloned, it is a copy to restore it from.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Stream {
    messages: BTreeMap<u64, Stored>,
    /// Sequences of every subject that has messages.
    subjects: BTreeMap<Arc<str>, VecDeque<u64>>,
    last_sequence: u64,
    /// Messages kept of each subject. Where there are several, those that cannot be read stand for nothing: production
    /// writes on top of them.
    per_subject_max: usize,
}

/// A conditional write that met another message than it expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct Refused;

impl Stream {
    pub(in crate::sim) fn new(per_subject_max: usize) -> Self {
        Self { messages: BTreeMap::new(), subjects: BTreeMap::new(), last_sequence: 0, per_subject_max }
    }

    /// Stores a message; with `expected`, only after the message at that sequence (0: as the first).
    pub(in crate::sim) fn append(
        &mut self,
        subject: &Arc<str>,
        record: Record,
        at: Timestamp,
        expected: Option<u64>,
    ) -> Result<u64, Refused> {
        let last = self.last(subject).map_or(0, |last| last.sequence);
        if expected.is_some_and(|expected| expected != last) {
            return Err(Refused);
        }
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        self.messages.insert(sequence, Stored { subject: subject.clone(), sequence, at, record });
        let of_subject = self.subjects.entry(subject.clone()).or_default();
        of_subject.push_back(sequence);
        while of_subject.len() > self.per_subject_max {
            if let Some(oldest) = of_subject.pop_front() {
                self.messages.remove(&oldest);
            }
        }
        Ok(sequence)
    }

    /// Sequence of the last message that was ever stored.
    pub(in crate::sim) fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Sequence of the oldest message; that of the next one to come if there is none.
    pub(in crate::sim) fn first_sequence(&self) -> u64 {
        self.messages.first_key_value().map_or(self.last_sequence + 1, |(sequence, _)| *sequence)
    }

    /// The last message on a subject.
    pub(in crate::sim) fn last(&self, subject: &str) -> Option<&Stored> {
        let newest = self.subjects.get(subject)?.iter().rev().filter_map(|sequence| self.messages.get(sequence));
        newest.into_iter().find(|stored| self.per_subject_max == 1 || stored.record.is_readable())
    }

    /// The last message on every subject, by sequence.
    pub(in crate::sim) fn last_per_subject(&self) -> Vec<Stored> {
        let newest = |message: &&Stored| {
            let last = self.subjects.get(&message.subject).and_then(VecDeque::back);
            last == Some(&message.sequence)
        };
        self.messages.values().filter(newest).cloned().collect()
    }

    /// The messages on a subject, oldest first.
    pub(in crate::sim) fn on_subject(&self, subject: &str) -> Vec<Stored> {
        let sequences = self.subjects.get(subject).into_iter().flatten();
        sequences.filter_map(|sequence| self.messages.get(sequence)).cloned().collect()
    }

    /// The messages above a sequence, oldest first.
    pub(in crate::sim) fn after(&self, sequence: u64) -> impl Iterator<Item = &Stored> {
        self.messages.range(sequence + 1..).map(|(_, stored)| stored)
    }

    /// All messages, newest first.
    pub(in crate::sim) fn newest(&self) -> impl Iterator<Item = &Stored> {
        self.messages.values().rev()
    }

    pub(in crate::sim) fn remove(&mut self, sequence: u64) {
        if let Some(stored) = self.messages.remove(&sequence)
            && let Some(of_subject) = self.subjects.get_mut(&stored.subject)
        {
            of_subject.retain(|kept| *kept != sequence);
        }
    }

    /// Removes every message on a subject, without a trace.
    pub(in crate::sim) fn purge_subject(&mut self, subject: &str) {
        for sequence in self.subjects.remove(subject).unwrap_or_default() {
            self.messages.remove(&sequence);
        }
    }

    /// Removes every message below a sequence; below 0 it is every message, as a real server has it.
    pub(in crate::sim) fn purge_below(&mut self, sequence: u64) {
        let sequence = if sequence == 0 { u64::MAX } else { sequence };
        let kept = self.messages.split_off(&sequence);
        for stored in std::mem::replace(&mut self.messages, kept).into_values() {
            if let Some(of_subject) = self.subjects.get_mut(&stored.subject) {
                of_subject.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tickmesh_messaging::LeaseRecord;

    use super::*;

    static SUBJECT: LazyLock<Arc<str>> = LazyLock::new(|| "lease.leader".into());

    fn record() -> Record {
        Record::Lease(Arc::new(LeaseRecord::first("s1", "host", None)))
    }

    /// Appends on each of the expected sequences, and returns what is given out.
    #[track_caller]
    fn check(stream: &mut Stream, expected: &[Option<u64>], sequences: &[Option<u64>]) {
        let append = |expected: &Option<u64>| stream.append(&SUBJECT, record(), Timestamp::UNIX_EPOCH, *expected).ok();
        assert_eq!(expected.iter().map(append).collect::<Vec<_>>(), sequences);
    }

    #[test]
    fn a_condition_is_about_the_last_message_on_the_subject() {
        let mut stream = Stream::new(10);
        check(&mut stream, &[Some(1), Some(0), Some(0), Some(1), None], &[None, Some(1), None, Some(2), Some(3)]);
    }

    #[test]
    fn what_was_purged_is_expected_as_nothing() {
        let mut stream = Stream::new(10);
        check(&mut stream, &[None, None], &[Some(1), Some(2)]);
        stream.purge_below(3);
        check(&mut stream, &[Some(2), Some(0)], &[None, Some(3)]);
    }

    #[test]
    fn only_the_newest_of_a_subject_are_kept() {
        let mut stream = Stream::new(2);
        check(&mut stream, &[None, None, None], &[Some(1), Some(2), Some(3)]);
        assert_eq!(stream.after(0).map(|stored| stored.sequence).collect::<Vec<_>>(), [2, 3]);
    }
}
