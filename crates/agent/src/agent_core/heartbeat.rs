//! The heartbeats of one agent process: what each of them says, when it is due, and what its answer means.
//!
//! Each is a compare-and-set on the one before, so of two processes with one name exactly one goes on (protocol rule P10). One
//! is under way at a time. It reads the last sequence of the results **before** the held attempts (rule P1): whatever was
//! claimed up to that sequence and is not in the list is not held, and the leader may say that it is lost.

use std::time::Duration;

use tickmesh_core::{
    id::Nonce,
    message::{AgentRecord, EngineStock, EngineTrouble, HeartbeatNumber},
    timing::Timing,
};

use super::{
    io::{Effect, KeyState, Moment},
    name_claim::{Predecessor, intake_of},
};
use crate::attempt_table::{AttemptTable, Intake};

/// What beats.
#[derive(Debug)]
pub(super) struct Heartbeat {
    /// The last heartbeat that was sent: the next one differs in what changes.
    record: AgentRecord,
    /// What the next one replaces.
    revision: u64,
    /// The last heartbeat of the process before, until one of ours is stored.
    predecessor: Option<(Nonce, HeartbeatNumber)>,
    beat: Beat,
    /// When the present heartbeat was tried first: the next one counts from there.
    begun: Duration,
    /// The first heartbeat that says farewell.
    farewell: Option<HeartbeatNumber>,
}

/// Where the present heartbeat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beat {
    /// There was none yet, or there are to be no more.
    Still,
    /// The last one was acknowledged, the next one is due then.
    Resting { until: Duration },
    /// The last try had no answer, the next one is due then.
    Retrying { at: Duration },
    /// The end of the results is being read.
    Reading,
    /// It was sent then.
    Sent { at: Duration },
}

/// What an answer to a heartbeat means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The heartbeat is stored.
    Acknowledged {
        /// When it was sent: whoever waits for the next one began to wait later than that.
        sent_at: Duration,
    },
    /// Somebody else wrote, but no other agent process: the next try is on top of that. With it comes what people wish.
    Again(Option<Intake>),
    /// Another process has the name.
    Deposed,
    /// Nobody asked.
    Unexpected,
}

impl Heartbeat {
    /// A heart that has not beaten yet.
    pub(super) fn new(record: AgentRecord) -> Self {
        Self { record, revision: 0, predecessor: None, beat: Beat::Still, begun: Duration::ZERO, farewell: None }
    }

    /// Whose heart it is.
    pub(super) fn record(&self) -> &AgentRecord {
        &self.record
    }

    /// Notes what the engine has, for the heartbeats from now on.
    pub(super) fn take_stock(&mut self, stock: EngineStock) {
        self.record.stock = stock;
    }

    /// The first heartbeat goes on top of what the predecessor left.
    pub(super) fn succeed(&mut self, predecessor: Predecessor) {
        self.revision = predecessor.revision;
        self.predecessor = predecessor.last;
        self.record.machine = predecessor.machine;
    }

    /// Begins the next heartbeat.
    pub(super) fn begin(&mut self, now: Duration) -> Effect {
        self.begun = now;
        self.try_again()
    }

    /// Begins another try of the present heartbeat.
    pub(super) fn try_again(&mut self) -> Effect {
        self.beat = Beat::Reading;
        Effect::ReadResultsEnd
    }

    /// Begins the farewell, unless a heartbeat is under way: that one, or the next, will say it.
    pub(super) fn begin_farewell(&mut self, now: Duration) -> Option<Effect> {
        self.record.stopped = true;
        self.farewell = Some(self.record.number + 1);
        match self.beat {
            Beat::Still | Beat::Resting { .. } | Beat::Retrying { .. } => Some(self.begin(now)),
            Beat::Reading | Beat::Sent { .. } => None,
        }
    }

    /// Whether the heartbeat that was sent last said farewell.
    pub(super) fn said_farewell(&self) -> bool {
        self.farewell.is_some_and(|first| self.record.number >= first)
    }

    /// The end of the results is known, and what is held is looked at only now (rule P1).
    pub(super) fn results_end(
        &mut self,
        sequence: u64,
        attempts: &AttemptTable,
        engine_trouble: Option<EngineTrouble>,
        now: Moment,
    ) -> Option<Effect> {
        if self.beat != Beat::Reading {
            return None;
        }
        self.record.results_seen = sequence;
        self.record.held = attempts.held();
        self.record.preparing = attempts.preparing();
        (self.record.draining, self.record.drain_by) = match attempts.intake() {
            Intake::Open => (false, None),
            Intake::Draining { by } => (true, by),
        };
        self.record.engine_trouble = engine_trouble;
        self.record.at = now.wall;
        // A body of its own for every try: a late acknowledgement of another one is told from this one's.
        self.record.number += 1;
        self.beat = Beat::Sent { at: now.uptime };
        Some(Effect::WriteKey { record: Box::new(self.record.clone()), expected: self.revision })
    }

    /// The heartbeat is stored.
    pub(super) fn written(&mut self, revision: u64, timing: &Timing) -> Answer {
        let Beat::Sent { at } = self.beat else { return Answer::Unexpected };
        self.revision = revision;
        self.predecessor = None;
        self.beat = Beat::Resting { until: self.begun + timing.heartbeat };
        Answer::Acknowledged { sent_at: at }
    }

    /// Another record is in the way.
    pub(super) fn refused(&mut self, current: Option<KeyState>) -> Answer {
        let Beat::Sent { .. } = self.beat else { return Answer::Unexpected };
        match current {
            // Forgotten by somebody: we are still here.
            None => {
                self.revision = 0;
                Answer::Again(None)
            }
            // Nobody's: another process of this name would have written a heartbeat.
            Some(KeyState { revision, record: None }) => {
                self.revision = revision;
                Answer::Again(None)
            }
            // A try of ours whose answer was lost, or our record with somebody's wish in it; or such a wish in what the process
            // before us said last, which it would have said anew if it lived.
            Some(KeyState { revision, record: Some(record) })
                if record.process == self.record.process
                    || self.predecessor == Some((record.process, record.number)) =>
            {
                self.revision = revision;
                Answer::Again(Some(intake_of(&record)))
            }
            Some(KeyState { record: Some(_), .. }) => {
                self.beat = Beat::Still;
                Answer::Deposed
            }
        }
    }

    /// There was no answer.
    pub(super) fn unanswered(&mut self, timing: &Timing, now: Duration) {
        if let Beat::Reading | Beat::Sent { .. } = self.beat {
            self.beat = Beat::Retrying { at: now + timing.heartbeat_retry };
        }
    }

    /// Begins what is due now.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        match self.beat {
            Beat::Resting { until } if until <= now => Some(self.begin(now)),
            Beat::Retrying { at } if at <= now => Some(self.try_again()),
            Beat::Still | Beat::Resting { .. } | Beat::Retrying { .. } | Beat::Reading | Beat::Sent { .. } => None,
        }
    }

    /// When the next heartbeat, or the next try, is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        match self.beat {
            Beat::Resting { until: at } | Beat::Retrying { at } => Some(at),
            Beat::Still | Beat::Reading | Beat::Sent { .. } => None,
        }
    }
}
