//! What an agent process knows of itself, for whoever measures it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_core::message::{AgentRecord, AttemptEvent, Awaited};

use crate::{
    agent_core::{Effect, Event},
    attempt,
};

/// What an agent process knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// What the last heartbeat said, once one was sent.
    pub said: Option<Said>,
    /// Heartbeats that the mesh has acknowledged.
    pub acknowledged: u64,
    /// Heartbeats without an answer in time.
    pub unanswered: u64,
    /// When the last heartbeat was acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// Claims that were sent.
    pub claims: u64,
    /// Images that were asked for.
    pub pulls: u64,
    /// Containers that the engine was asked to start.
    pub starts: u64,
    /// Ends of attempts that were reported, by how they ended.
    pub ends: BTreeMap<&'static str, u64>,
}

/// What a heartbeat said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Attempts that may be held at once.
    pub slots: u32,
    /// Attempts that are held.
    pub held: usize,
    /// Attempts whose image is on its way.
    pub pulling: usize,
    /// Attempts that wait for their turn to be started.
    pub queued: usize,
    /// The engine answers.
    pub engine_answers: bool,
    /// The agent takes no new attempts.
    pub draining: bool,
}

impl Said {
    fn of(record: &AgentRecord) -> Self {
        let count = |is: fn(&Awaited) -> bool| record.preparing.iter().filter(|it| is(&it.awaited)).count();
        Self {
            slots: record.capacity.slots,
            held: record.held.len(),
            pulling: count(|it| matches!(it, Awaited::Pulling(_))),
            queued: count(|it| matches!(it, Awaited::Queued)),
            engine_answers: record.engine_trouble.is_none(),
            draining: record.draining,
        }
    }
}

impl Figures {
    /// Takes note of what the process is about to do. Returns whether anything has changed.
    pub(crate) fn note_effect(&mut self, effect: &Effect) -> bool {
        let before = self.clone();
        if let Effect::WriteKey { record, .. } = effect {
            self.said = Some(Said::of(record));
        }
        if let Effect::Attempt(task) = effect {
            self.note_task(&task.effect);
        }
        *self != before
    }

    fn note_task(&mut self, effect: &attempt::Effect) {
        if let attempt::Effect::Claim { .. } = effect {
            self.claims += 1;
        } else if let attempt::Effect::Pull { .. } = effect {
            self.pulls += 1;
        } else if let attempt::Effect::Start { .. } = effect {
            self.starts += 1;
        } else if let attempt::Effect::Report { event, .. } = effect {
            *self.ends.entry(end(event)).or_default() += 1;
        }
    }

    /// Takes note of what has happened. Returns whether anything has changed.
    pub(crate) fn note_event(&mut self, event: &Event, now: Timestamp) -> bool {
        if let Event::KeyWritten { .. } = event {
            self.acknowledged += 1;
            self.acknowledged_at = Some(now);
            return true;
        }
        if let Event::HeartbeatUnanswered = event {
            self.unanswered += 1;
            return true;
        }
        false
    }
}

/// How an attempt ended, in a word.
fn end(event: &AttemptEvent) -> &'static str {
    match event {
        AttemptEvent::Claimed { .. } => "claimed",
        AttemptEvent::Revoked { .. } => "revoked",
        AttemptEvent::Returned { .. } => "returned",
        AttemptEvent::Cancelled { .. } => "cancelled",
        AttemptEvent::Exited { exit_code: 0, .. } => "succeeded",
        AttemptEvent::Exited { .. } => "failed",
        AttemptEvent::TimedOut { .. } => "timed_out",
        AttemptEvent::CouldNotStart { .. } => "could_not_start",
        AttemptEvent::Lost { .. } => "lost",
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{id::Nonce, message::EngineTrouble, name::AgentName};

    use super::*;

    #[test]
    fn heartbeats_tell_slots_and_engine() {
        let agent = AgentName::new("a1").unwrap();
        let mut record = AgentRecord::unknown(agent, Nonce::from_random([1; 16]), Timestamp::UNIX_EPOCH);
        record.capacity.slots = 4;
        let mut figures = Figures::default();
        let beat = |record: &AgentRecord| Effect::WriteKey { record: Box::new(record.clone()), expected: 1 };
        assert!(figures.note_effect(&beat(&record)));
        assert!(!figures.note_effect(&beat(&record)), "nothing is new");
        let said = figures.said.unwrap();
        assert!(said.engine_answers && said.slots == 4 && said.pulling == 0);
        let trouble = EngineTrouble { since: Timestamp::UNIX_EPOCH, reason: "away".to_owned(), lasting: false };
        record.engine_trouble = Some(trouble);
        assert!(figures.note_effect(&beat(&record)));
        assert!(!figures.said.unwrap().engine_answers);
    }

    #[test]
    fn acknowledged_heartbeats_are_counted() {
        let mut figures = Figures::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!(figures.note_event(&Event::KeyWritten { revision: 3 }, now));
        assert!(figures.note_event(&Event::HeartbeatUnanswered, now));
        assert!(!figures.note_event(&Event::Woken, now));
        assert_eq!((figures.acknowledged, figures.unanswered, figures.acknowledged_at), (1, 1, Some(now)));
    }
}
