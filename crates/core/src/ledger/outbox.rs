//! Messages that a ledger holds until they are known to be stored (protocol rule P11).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bounds;

/// Messages on one subject that must all get there, in order: numbered, and kept until they are known to be stored
/// (protocol rule P11). Messages are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredOutbox<T>")]
pub struct Outbox<T> {
    /// Number of the last message put in.
    pub last_number: u64,
    /// Stream sequence of the subject's last message as far as known: the next one is a compare-and-set on it.
    pub last_sequence: u64,
    /// Messages that were given up, because too many waited.
    pub given_up: u64,
    /// Messages not known to be stored. The last one has the number `last_number`.
    pub pending: VecDeque<T>,
}

/// An outbox as it is stored.
#[derive(Deserialize)]
struct StoredOutbox<T> {
    #[serde(deserialize_with = "bounds::number")]
    last_number: u64,
    #[serde(deserialize_with = "bounds::number")]
    last_sequence: u64,
    #[serde(default, deserialize_with = "bounds::number")]
    given_up: u64,
    pending: VecDeque<T>,
}

/// Why a stored outbox makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{pending} messages wait, and the last one has the number {last_number}")]
struct Damaged {
    pending: u64,
    last_number: u64,
}

impl<T> TryFrom<StoredOutbox<T>> for Outbox<T> {
    type Error = Damaged;

    fn try_from(stored: StoredOutbox<T>) -> Result<Self, Damaged> {
        let StoredOutbox { last_number, last_sequence, given_up, pending } = stored;
        let waiting = pending.len() as u64;
        if waiting > last_number {
            return Err(Damaged { pending: waiting, last_number });
        }
        Ok(Self { last_number, last_sequence, given_up, pending })
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { last_number: 0, last_sequence: 0, given_up: 0, pending: VecDeque::new() }
    }
}

impl<T> Outbox<T> {
    /// Puts in the message that `make` returns for its number.
    pub fn push(&mut self, make: impl FnOnce(u64) -> T) {
        self.last_number += 1;
        self.pending.push_back(make(self.last_number));
    }

    /// Whether no message was ever put in.
    pub fn is_unused(&self) -> bool {
        self.last_number == 0 && self.last_sequence == 0
    }

    /// Lets the next number be above `number`, unless messages wait: theirs have no gaps.
    pub fn skip_to(&mut self, number: u64) {
        if self.pending.is_empty() {
            self.last_number = self.last_number.max(number);
        }
    }

    /// Gives up the oldest messages until at most `count` wait. Their numbers are not used again.
    pub fn keep_newest(&mut self, count: usize) {
        while self.pending.len() > count {
            self.pending.pop_front();
            self.given_up += 1;
        }
    }

    /// Number of the oldest message not known to be stored, and the message.
    pub fn first(&self) -> Option<(u64, &T)> {
        let first = self.pending.front()?;
        Some((self.last_number + 1 - self.pending.len() as u64, first))
    }

    /// Notes that every message up to `number` is stored, the last of them at `sequence`. Old news is ignored.
    pub fn stored(&mut self, number: u64, sequence: u64) {
        while self.first().is_some_and(|(first, _)| first <= number) {
            self.pending.pop_front();
        }
        // Most ledgers are at rest most of the time: room for four messages each would be most of their memory.
        if self.pending.is_empty() {
            self.pending = VecDeque::new();
        }
        self.last_sequence = self.last_sequence.max(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_in_order_once_stored() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(|number| number);
        }
        assert_eq!(outbox.first(), Some((1, &1)));
        outbox.stored(2, 70);
        assert_eq!(outbox.first(), Some((3, &3)));
        outbox.stored(1, 60);
        assert_eq!((outbox.first(), outbox.last_sequence), (Some((3, &3)), 70));
        outbox.stored(3, 71);
        assert_eq!((outbox.first(), outbox.pending.capacity()), (None, 0));
    }

    #[test]
    fn of_too_many_messages_the_newest_are_kept_with_their_numbers() {
        let mut outbox = Outbox::default();
        for _ in 0..5 {
            outbox.push(|number| number);
        }
        outbox.keep_newest(2);
        assert_eq!((outbox.first(), outbox.given_up), (Some((4, &4)), 3));
        outbox.stored(2, 70);
        assert_eq!(outbox.first(), Some((4, &4)), "one that was given up after all is old news");
    }
}
