//! The publication of a numbered message, as protocol rule P11 says.

use tickmesh_messaging::Cas;

/// A message that has to be on its subject, after all with lower numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    number: u64,
    /// Sequence of the message that it wants to follow.
    expected: u64,
}

/// What follows from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is stored, and with it every message up to the subject's last one.
    Stored {
        /// Number of the last one.
        number: u64,
        sequence: u64,
    },
    /// It is not: again, after the message at [`Publication::expected`].
    Again(Publication),
}

impl Publication {
    /// A message with that number, after the one at `expected` as far as known; 0: it is the first.
    pub fn new(number: u64, expected: u64) -> Self {
        Self { number, expected }
    }

    /// The sequence that the next compare-and-set is on.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// Takes the answer to a compare-and-set. Refused, the last message on the subject has this number or a higher one (done),
    /// or a lower one, or there is none (again, on its sequence).
    pub fn answered<T>(self, answer: Cas<T>, number_of: impl FnOnce(&T) -> u64) -> Progress {
        match answer {
            Cas::Stored { sequence } => Progress::Stored { number: self.number, sequence },
            Cas::Refused { current: None } => Progress::Again(Self { expected: 0, ..self }),
            Cas::Refused { current: Some(last) } => {
                let number = number_of(&last.value);
                if number >= self.number {
                    // All up to that one are stored. Told of this one alone, a leader would publish the others again, on top.
                    Progress::Stored { number, sequence: last.sequence }
                } else {
                    Progress::Again(Self { expected: last.sequence, ..self })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_messaging::Entry;

    use super::*;

    /// Message 7, expected after the one at sequence 20, meets `(number, sequence)` as the last one.
    #[track_caller]
    fn check(last: Option<(u64, u64)>, progress: Progress) {
        let entry = |(value, sequence)| Entry { key: "tick".to_owned(), sequence, at: Timestamp::UNIX_EPOCH, value };
        let answer = Cas::Refused { current: last.map(entry) };
        assert_eq!(Publication::new(7, 20).answered(answer, |number| *number), progress);
    }

    #[test]
    fn a_refused_message_is_stored_already_or_sent_again() {
        check(Some((7, 21)), Progress::Stored { number: 7, sequence: 21 });
        check(Some((9, 30)), Progress::Stored { number: 9, sequence: 30 });
        check(Some((6, 25)), Progress::Again(Publication::new(7, 25)));
        check(None, Progress::Again(Publication::new(7, 0)));
    }

    #[test]
    fn an_acknowledged_message_is_stored() {
        let progress = Publication::new(7, 20).answered(Cas::<u64>::Stored { sequence: 21 }, |number| *number);
        assert_eq!(progress, Progress::Stored { number: 7, sequence: 21 });
    }
}
