//! How far the streams have come: what a leader notes, and what a later one must find again.
//!
//! Decisions are only as durable as the streams. If one of them ends before what a leader has seen of it, or was made anew, then
//! instants that were decided and attempts that were claimed would be so again. Nobody leads on such streams until somebody
//! accepts the loss. The marks are in the lease, and in the memory of every scheduler that has seen it: a store that was
//! restored as a whole, the lease included, still shows to whoever was alive meanwhile.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::names::StreamKind;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamMark {
    /// Sequence of the last message that it ever had.
    pub last_sequence: u64,
    /// When the stream was made, by the server's clock.
    pub created: Timestamp,
}

/// Where the streams stand whose loss would break a promise, by their short names: see [`crate::DURABLE_STREAMS`].
pub type StreamMarks = BTreeMap<String, StreamMark>;

/// A stream that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The stream's short name.
    pub stream: String,
    /// What is wrong with it.
    pub kind: LossKind,
}

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// It ends too early.
    Shorter {
        /// Its last sequence, as somebody has seen it.
        recorded: u64,
        /// Its last sequence now.
        found: u64,
    },
    /// It was removed, and another one made in its place.
    Remade {
        /// When it was made that somebody has seen.
        recorded: Timestamp,
        /// When it was made that is there now.
        found: Timestamp,
    },
    /// It has messages that only a leader writes, but there is no lease that a leader must have held.
    WithoutLease,
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = &self.stream;
        match self.kind {
            LossKind::Shorter { recorded, found } => {
                write!(formatter, "stream `{stream}` ends at sequence {found}, but a scheduler has seen {recorded}")
            }
            LossKind::Remade { recorded, found } => {
                write!(
                    formatter,
                    "stream `{stream}` was made at {found}, but a scheduler has seen one made at {recorded}"
                )
            }
            LossKind::WithoutLease => write!(formatter, "stream `{stream}` has messages, but the lease is gone"),
        }
    }
}

/// The first of the recorded streams that is not what it was. Streams that this release does not ask about are passed over.
pub fn first_loss(recorded: &StreamMarks, found: &StreamMarks) -> Option<Loss> {
    recorded.iter().find_map(|(stream, recorded)| {
        let kind = loss(*recorded, *found.get(stream)?)?;
        Some(Loss { stream: stream.clone(), kind })
    })
}

fn loss(recorded: StreamMark, found: StreamMark) -> Option<LossKind> {
    if found.created != recorded.created {
        return Some(LossKind::Remade { recorded: recorded.created, found: found.created });
    }
    let (recorded, found) = (recorded.last_sequence, found.last_sequence);
    (found < recorded).then_some(LossKind::Shorter { recorded, found })
}

/// The loss of a lease that must have been there: ledgers are written by leaders only.
pub fn without_lease(found: &StreamMarks) -> Option<Loss> {
    let stream = StreamKind::Ledger.as_str();
    let written = found.get(stream).is_some_and(|mark| mark.last_sequence > 0);
    written.then(|| Loss { stream: stream.to_owned(), kind: LossKind::WithoutLease })
}

/// The highest marks that a process has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HighWaterMarks {
    /// How often lost data had been accepted then.
    acceptance: u64,
    marks: StreamMarks,
}

impl HighWaterMarks {
    /// Takes marks in that a lease has, or that were just read. Marks from before lost data was accepted are forgotten.
    pub fn see(&mut self, acceptance: u64, marks: &StreamMarks) {
        if acceptance > self.acceptance {
            *self = Self { acceptance, marks: marks.clone() };
        } else if acceptance == self.acceptance {
            for (stream, mark) in marks {
                let known = self.marks.entry(stream.clone()).or_insert(*mark);
                if known.created == mark.created {
                    known.last_sequence = known.last_sequence.max(mark.last_sequence);
                }
            }
        }
    }

    /// A stream was read up to a sequence. Of one that no lease has named yet, nothing is remembered.
    pub fn saw(&mut self, stream: &str, last_sequence: u64) {
        if let Some(mark) = self.marks.get_mut(stream) {
            mark.last_sequence = mark.last_sequence.max(last_sequence);
        }
    }

    /// The highest marks seen.
    pub fn marks(&self) -> &StreamMarks {
        &self.marks
    }

    /// How often lost data had been accepted.
    pub fn acceptance(&self) -> u64 {
        self.acceptance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Streams with their last sequences, all made at that second.
    fn marks(made: i64, list: &[(&str, u64)]) -> StreamMarks {
        let mark = |last_sequence| StreamMark { last_sequence, created: at(made) };
        list.iter().map(|(stream, sequence)| ((*stream).to_owned(), mark(*sequence))).collect()
    }

    #[track_caller]
    fn check(recorded: &StreamMarks, found: &StreamMarks, loss: Option<&str>) {
        assert_eq!(first_loss(recorded, found).map(|loss| loss.to_string()).as_deref(), loss);
    }

    #[test]
    fn a_stream_that_ends_before_what_was_seen_of_it_is_a_loss() {
        let recorded = marks(0, &[("apps", 5), ("ledger", 9)]);
        check(&recorded, &marks(0, &[("apps", 5), ("ledger", 12)]), None);
        let shorter = "stream `ledger` ends at sequence 8, but a scheduler has seen 9";
        check(&recorded, &marks(0, &[("apps", 6), ("ledger", 8)]), Some(shorter));
        check(&marks(0, &[("a stream of a later release", 5)]), &marks(0, &[("apps", 1)]), None);
        check(&StreamMarks::new(), &marks(0, &[("apps", 0)]), None);
    }

    #[test]
    fn a_stream_that_was_made_anew_is_a_loss_however_long_it_is() {
        let remade =
            "stream `apps` was made at 1970-01-01T00:00:07Z, but a scheduler has seen one made at 1970-01-01T00:00:00Z";
        check(&marks(0, &[("apps", 5)]), &marks(7, &[("apps", 500)]), Some(remade));
    }

    #[test]
    fn a_process_remembers_more_than_a_restored_lease() {
        let mut memory = HighWaterMarks::default();
        memory.see(0, &marks(0, &[("apps", 5), ("ledger", 9)]));
        memory.see(0, &marks(0, &[("apps", 3), ("ledger", 12)]));
        assert_eq!(*memory.marks(), marks(0, &[("apps", 5), ("ledger", 12)]));
    }

    #[test]
    fn what_was_read_counts_although_no_lease_says_so_yet() {
        let mut memory = HighWaterMarks::default();
        memory.see(0, &marks(0, &[("ledger", 9)]));
        memory.saw("ledger", 12);
        memory.saw("ledger", 3);
        memory.saw("apps", 5);
        assert_eq!(*memory.marks(), marks(0, &[("ledger", 12)]));
    }

    #[test]
    fn a_stream_made_anew_does_not_take_the_place_of_the_one_remembered() {
        let mut memory = HighWaterMarks::default();
        memory.see(0, &marks(0, &[("apps", 5)]));
        memory.see(0, &marks(7, &[("apps", 50)]));
        assert_eq!(*memory.marks(), marks(0, &[("apps", 5)]));
    }

    #[test]
    fn what_was_accepted_is_forgotten_and_does_not_come_back() {
        let mut memory = HighWaterMarks::default();
        memory.see(0, &marks(0, &[("apps", 5)]));
        memory.see(1, &marks(7, &[("apps", 2)]));
        memory.see(0, &marks(0, &[("apps", 5)]));
        assert_eq!((memory.acceptance(), memory.marks()), (1, &marks(7, &[("apps", 2)])));
    }
}
