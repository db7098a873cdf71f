//! The one way in which state changes: a message is stored only if the last one on its subject is the one that the writer
//! knows.
//!
//! The server's answer may get lost, and then nobody but the stream knows whether the message was stored. Even its refusal
//! ("wrong last sequence") proves nothing, because the message in the way may be our own, from a try whose answer was lost.
//! So after anything but an acknowledgement the last message is read back **from the stream's leader** and its body compared
//! with ours, byte for byte.
//!
//! **Why equality of bodies suffices.** A body that is equal to ours and lies above the sequence we expected was either
//! written by this call or by a writer that wanted exactly the same state after exactly the same state. All bodies that
//! compete for something carry who wrote them and in which try: a claim its nonce, a ledger its write stamp, a heartbeat its
//! process and number, the lease its holder and renewal, a tick and a run's summary the number that only the ledger's writer
//! gives out. For these, equal means own. No message id is needed, and none is relied on: the server forgets ids after a
//! while, and one that it remembers it answers differently from version to version.
//!
//! If a third writer has built on our message before we read back, the answer is [`Cas::Refused`] although the message was
//! stored. That is harmless: whoever is refused reads the current state and decides again.

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, warn};

use crate::{
    error::{Error, NoAnswer, Source},
    follow::{Begin, Follower},
    record::Record,
    store::{Condition, DENIED_PAUSE, Message, Patience, RETRY_PAUSE, SendError, Store},
    wire::{Entry, Stored},
};

/// What became of a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cas<T> {
    /// The record is stored, by this call.
    Stored {
        /// At this sequence: what the next compare-and-set expects.
        sequence: u64,
    },
    /// Another writer was there before.
    Refused {
        /// What is stored; `None`: nothing.
        current: Option<Entry<T>>,
    },
}

/// What became of a compare-and-set, before anybody knows what the bodies mean.
#[derive(Debug)]
pub(crate) enum Verdict {
    Stored { sequence: u64 },
    Refused { current: Option<Stored> },
}

impl Verdict {
    /// Returns the same with the other writer's record decoded, under the key that the caller knows it by.
    pub(crate) fn decode<T: Record>(self, store: &Store, key: &str) -> Result<Cas<T>, Error> {
        Ok(match self {
            Self::Stored { sequence } => Cas::Stored { sequence },
            Self::Refused { current: None } => Cas::Refused { current: None },
            Self::Refused { current: Some(current) } => Cas::Refused { current: Some(current.decode(store, key)?) },
        })
    }
}

/// A message that wants to follow the one at `expected`; 0: wants to be the first.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) subject: &'a str,
    pub(crate) body: Bytes,
    pub(crate) expected: u64,
}

impl Write<'_> {
    fn message(&self) -> Message {
        Message { body: self.body.clone(), condition: Condition::After(self.expected) }
    }
}

/// Stores `write` if it may be stored. An error of kind [`Error::Unavailable`] leaves the outcome unknown.
pub(crate) async fn compare_and_set(store: &Store, write: Write<'_>, patience: Patience) -> Result<Verdict, Error> {
    let deadline = Instant::now() + patience.total;
    let mut is_tried = false;
    loop {
        let end = deadline.min(patience.end_of_request());
        let problem: Source = match store.send(write.subject, write.message(), end).await {
            Ok(sequence) => return Ok(Verdict::Stored { sequence }),
            Err(SendError::TooLarge { bytes, limit }) => {
                return Err(Error::TooLarge { key: write.subject.to_owned(), bytes, limit });
            }
            // A try before it may have been stored: what is there tells.
            Err(SendError::Denied(denial)) if is_tried => denial.into(),
            Err(SendError::Denied(denial)) => {
                sleep(DENIED_PAUSE).await;
                return Err(Error::Denied { action: format!("write `{}`", write.subject), denial });
            }
            Err(SendError::Open(source)) => source,
        };
        is_tried = true;
        debug!(subject = write.subject, %problem, "reading back a write");
        // On the heap: it is rare, and would make every future that writes four times as large.
        match read_back(store, &write, patience, deadline).boxed().await {
            Ok(Some(verdict)) => return Ok(verdict),
            Ok(None) => {}
            Err(error @ Error::StreamGone { .. }) => return Err(error),
            Err(error) => debug!(subject = write.subject, %error, "cannot read back yet"),
        }
        if Instant::now() + RETRY_PAUSE >= deadline {
            return Err(Error::unavailable(format!("write `{}`", write.subject), problem));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Tries to append on top of messages that cannot be read. Each is another one that came meanwhile.
const APPENDS_MAX: usize = 8;

/// Appends a message to a subject that keeps several, if the last one that can be read is at `expected`; 0: if there is none.
/// Messages that cannot be read stand for nothing, and this one is stored on top of them.
pub(crate) async fn append<T: Record>(
    store: &Store,
    subject: &str,
    body: Bytes,
    expected: u64,
) -> Result<Cas<T>, Error> {
    let patience = Patience::of(store.link.request_timeout);
    let mut top = expected;
    for _ in 0..APPENDS_MAX {
        let write = Write { subject, body: body.clone(), expected: top };
        let current = match compare_and_set(store, write, patience).await? {
            Verdict::Stored { sequence } => return Ok(Cas::Stored { sequence }),
            Verdict::Refused { current: None } => return Ok(Cas::Refused { current: None }),
            Verdict::Refused { current: Some(current) } => current,
        };
        if let Ok(value) = current.record(store) {
            return Ok(Cas::Refused { current: Some(current.entry(subject, value)) });
        }
        warn!(subject, sequence = current.sequence, "writing on top of a message that cannot be read");
        let readable = last_readable::<T>(store, subject).boxed().await?;
        match judge(&body, expected, readable.as_ref().map(|(stored, _)| (stored.sequence, &stored.body))) {
            // Whoever writes meanwhile writes above that message, and then this write is refused again.
            Judgement::Open => top = current.sequence,
            Judgement::Stored { sequence } => return Ok(Cas::Stored { sequence }),
            Judgement::Refused => {
                return Ok(Cas::Refused { current: readable.map(|(stored, value)| stored.entry(subject, value)) });
            }
        }
    }
    let problem = format!("{APPENDS_MAX} messages that cannot be read came in the way");
    Err(Error::unavailable(format!("append to `{subject}`"), problem))
}

/// Returns the last message on a subject that can be read, from the stream's leader.
pub(crate) async fn last_entry<T: Record>(store: &Store, subject: &str) -> Result<Option<Entry<T>>, Error> {
    let Some(last) = store.last(subject).await? else { return Ok(None) };
    if let Ok(value) = last.record(store) {
        return Ok(Some(last.entry(subject, value)));
    }
    let readable = last_readable::<T>(store, subject).boxed().await?;
    Ok(readable.map(|(stored, value)| stored.entry(subject, value)))
}

/// Looks for a message that can be read, on a subject whose last one cannot.
async fn last_readable<T: Record>(store: &Store, subject: &str) -> Result<Option<(Stored, T)>, Error> {
    let messages = Follower::begin(store, subject.to_owned(), Begin::After(0)).await?.collect().await?;
    Ok(messages.into_iter().rev().find_map(|stored| {
        let value = stored.record(store).ok()?;
        Some((stored, value))
    }))
}

/// What the stream says about `write`; `None`: nothing yet.
async fn read_back(
    store: &Store,
    write: &Write<'_>,
    patience: Patience,
    deadline: Instant,
) -> Result<Option<Verdict>, Error> {
    let end = deadline.min(patience.end_of_request());
    let last = match timeout_at(end, store.last(write.subject)).await {
        Ok(last) => last?,
        Err(_) => return Err(Error::unavailable("read back a write", NoAnswer::Late(patience.request))),
    };
    Ok(match judge(&write.body, write.expected, last.as_ref().map(|last| (last.sequence, &last.body))) {
        Judgement::Open => None,
        Judgement::Stored { sequence } => Some(Verdict::Stored { sequence }),
        Judgement::Refused => Some(Verdict::Refused { current: last }),
    })
}

/// What a message that was read back says about a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing yet: the write was not stored so far.
    Open,
    /// It is the write's own.
    Stored { sequence: u64 },
    /// Another writer was there before.
    Refused,
}

/// Judges the write of `body` on the message at `expected` by the `last` message on its subject, with its sequence. Public so
/// that a simulated network can lose answers, too.
pub fn judge<B: PartialEq>(body: &B, expected: u64, last: Option<(u64, &B)>) -> Judgement {
    match last {
        // A try whose answer was lost may still be under way: the next one competes with it, and whichever comes second
        // finds the other's body, which is its own.
        Some((sequence, _)) if sequence == expected => Judgement::Open,
        None if expected == 0 => Judgement::Open,
        Some((sequence, stored)) if sequence > expected && stored == body => Judgement::Stored { sequence },
        Some(_) | None => Judgement::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges the write of `mine` on 7 when `(sequence, body)` is the last message.
    #[track_caller]
    fn check(last: Option<(u64, &'static str)>, expected: Judgement) {
        assert_eq!(judge(&"mine", 7, last.as_ref().map(|(sequence, body)| (*sequence, body))), expected);
    }

    #[test]
    fn what_is_read_back_decides() {
        check(Some((7, "old")), Judgement::Open);
        check(Some((7, "mine")), Judgement::Open);
        check(Some((9, "mine")), Judgement::Stored { sequence: 9 });
        check(Some((9, "other")), Judgement::Refused);
        check(Some((5, "mine")), Judgement::Refused);
        check(None, Judgement::Refused);
    }
}
