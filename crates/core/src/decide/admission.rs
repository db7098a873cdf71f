//! Admission: what becomes of a tick or of a run that a person asked for, and how a run begins.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Clock, Record, Transition};
use crate::{
    id::{RunNumber, RunUid},
    ledger::{
        ActiveRun, CarryOver, Cause, NewRun, Origin, RequestCounters, StopReason, TICKS_PENDING_MAX, Verdict, Waiting,
    },
    message::{Admission, DiscardReason, DropReason, RunRequest, SCHEMA, SkipReason, TickRecord},
    spec::{AppSpec, Overlap, RunSpec},
    time,
};

/// An instant to be admitted, with those that are folded into it.
pub(super) struct Tick {
    pub(super) scheduled_at: Timestamp,
    pub(super) cause: Cause,
    pub(super) coalesced: u64,
}

/// What becomes of something that is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admitted {
    Start { run: RunNumber },
    Enqueue { waiting: u32 },
    Drop { reason: DropReason },
    Skip { reason: SkipReason },
}

impl Transition<'_> {
    /// Decides about a tick, counts it, and puts the decision on record.
    pub(super) fn admit_tick(&mut self, spec: &AppSpec, tick: Tick) {
        let Tick { scheduled_at, cause, coalesced } = tick;
        let admitted = if self.is_too_late(spec, scheduled_at) {
            Admitted::Skip { reason: SkipReason::Deadline }
        } else {
            self.admit(spec, self.waiting(cause, Some(scheduled_at)))
        };
        let counters = &mut self.ledger.counters;
        let (count, admission) = match admitted {
            Admitted::Start { run } => (&mut counters.started, Admission::Start { run }),
            Admitted::Enqueue { waiting } => (&mut counters.enqueued, Admission::Enqueue { waiting }),
            Admitted::Drop { reason } => (&mut counters.dropped, Admission::Drop { reason }),
            Admitted::Skip { reason } => (&mut counters.skipped, Admission::Skip { reason, instants: 1 }),
        };
        *count += 1;
        self.put_on_record(scheduled_at, admission, coalesced);
        if let Admitted::Drop { reason } = admitted {
            self.tell_drop(scheduled_at, reason);
        }
    }

    /// Decides about a run that a person asked for, and counts it. It obeys the same bounds as a tick.
    pub(super) fn admit_manual(&mut self, spec: &AppSpec, waiting: Waiting) -> Verdict {
        let admitted = self.admit(spec, waiting);
        self.ledger.counters.manual.count(admitted)
    }

    /// Admits a run that repeats the replicas which had not succeeded.
    pub(super) fn admit_retry(&mut self, spec: &AppSpec, waiting: Waiting) -> Verdict {
        let admitted = self.admit(spec, waiting);
        self.ledger.counters.retry.count(admitted)
    }

    /// Something that waits since now, with nothing special about it.
    pub(super) fn waiting(&self, cause: Cause, scheduled_at: Option<Timestamp>) -> Waiting {
        let enqueued_at = self.context.now;
        Waiting { cause, scheduled_at, enqueued_at, request: RunRequest::default(), carried: CarryOver::default() }
    }

    /// One run at a time, or as many as may overlap (guarantee G1), and never more waiting than may (G3).
    fn admit(&mut self, spec: &AppSpec, waiting: Waiting) -> Admitted {
        self.expire_waiting(spec);
        if self.may_start(spec) && self.ledger.queue.is_empty() {
            return Admitted::Start { run: self.start_run(waiting, spec.run()) };
        }
        match spec.overlap {
            Overlap::Skip if !self.ledger.active.is_empty() => {
                return Admitted::Skip { reason: SkipReason::Overlap };
            }
            Overlap::Replace => {
                self.stop_all(&StopReason::Replaced);
                self.discard_waiting(DiscardReason::Replaced, |_| true);
            }
            Overlap::Queue | Overlap::Skip | Overlap::Allow { .. } => {}
        }
        self.enqueue(spec, waiting)
    }

    fn enqueue(&mut self, spec: &AppSpec, waiting: Waiting) -> Admitted {
        if self.ledger.queue.len() >= spec.queue_limit as usize {
            return Admitted::Drop { reason: DropReason::QueueFull };
        }
        if !self.ledger.has_room_in_queue(&waiting) {
            return Admitted::Drop { reason: DropReason::QueueTooLarge };
        }
        self.ledger.queue.push_back(waiting);
        Admitted::Enqueue { waiting: self.ledger.queue.len() as u32 }
    }

    /// Whether another run may begin beside those that are active, and has room in the ledger.
    pub(super) fn may_start(&self, spec: &AppSpec) -> bool {
        let active_max = match spec.overlap {
            Overlap::Queue | Overlap::Skip | Overlap::Replace => 1,
            Overlap::Allow { max_active } => max_active as usize,
        };
        self.ledger.active.len() < active_max && self.ledger.has_room_for_run(&spec.run)
    }

    /// Whether a tick may not start a run any more, because too much time has passed since it was due.
    fn is_too_late(&self, spec: &AppSpec, scheduled_at: Timestamp) -> bool {
        let due_at = time::after(scheduled_at, spec.offset());
        spec.start_deadline.is_some_and(|deadline| time::after(due_at, deadline) < self.context.now)
    }

    /// Whether the next to start is a tick that may be too late: by a clock that may be wrong, nobody knows.
    pub(super) fn must_wait_for_clock(&self, spec: &AppSpec) -> bool {
        let first = self.ledger.queue.front();
        let has_deadline = spec.start_deadline.is_some() && first.is_some_and(|it| it.cause.origin() == Origin::Tick);
        has_deadline && self.context.clock != Clock::Running
    }

    /// Throws out the ticks that have waited for longer than they may: their places are free.
    pub(super) fn expire_waiting(&mut self, spec: &AppSpec) {
        if self.context.clock != Clock::Running {
            return;
        }
        let is_expired = |waiting: &Waiting| {
            let tick = waiting.scheduled_at.filter(|_| waiting.cause.origin() == Origin::Tick);
            tick.is_some_and(|scheduled_at| self.is_too_late(spec, scheduled_at))
        };
        if self.ledger.queue.iter().any(is_expired) {
            let expired: BTreeSet<_> =
                self.ledger.queue.iter().filter(|it| is_expired(it)).map(|it| it.scheduled_at).collect();
            self.discard_waiting(DiscardReason::Expired, |it| {
                it.cause.origin() == Origin::Tick && expired.contains(&it.scheduled_at)
            });
        }
    }

    /// Throws out what waits and fits, oldest first, counts it, and puts the ticks among it on record. Returns how many
    /// runs that were.
    pub(super) fn discard_waiting(&mut self, reason: DiscardReason, mut discards: impl FnMut(&Waiting) -> bool) -> u32 {
        let (discarded, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ledger.queue).into_iter().partition(|waiting| discards(waiting));
        self.ledger.queue = kept.into();
        for waiting in &discarded {
            self.ledger.counters.count_discarded(waiting.cause.origin(), reason);
        }
        let is_tick = |waiting: &&Waiting| waiting.cause.origin() == Origin::Tick;
        let ticks = discarded.iter().filter(is_tick).count() as u64;
        if let Some(last) = discarded.iter().filter(is_tick).filter_map(|waiting| waiting.scheduled_at).max() {
            self.put_on_record(last, Admission::Discard { reason, ticks }, 0);
        }
        if !discarded.is_empty() {
            self.note(Record::Due);
        }
        discarded.len() as u32
    }

    /// Begins a run; its replicas are placed when the decision comes to [`Transition::progress`].
    pub(super) fn start_run(&mut self, waiting: Waiting, spec: Arc<RunSpec>) -> RunNumber {
        self.ledger.last_run += 1;
        let (number, uid, results_through) = (self.ledger.last_run, self.random_uid(), self.context.results_through);
        let started_at = self.context.now;
        self.ledger.active.push(ActiveRun::begin(NewRun { number, uid, waiting, started_at, spec, results_through }));
        self.note(Record::Due);
        number
    }

    /// The public record of the clock's decisions.
    pub(super) fn put_on_record(&mut self, scheduled_at: Timestamp, admission: Admission, coalesced: u64) {
        let (app, decided_at) = (self.context.app.clone(), self.context.now);
        self.ledger.ticks.push(|number| TickRecord {
            schema: SCHEMA,
            number,
            app,
            scheduled_at,
            decided_at,
            admission,
            coalesced,
        });
        self.ledger.ticks.keep_newest(TICKS_PENDING_MAX);
    }

    fn random_uid(&mut self) -> RunUid {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        RunUid::from_random(bytes)
    }
}

impl RequestCounters {
    /// Counts a run that a person asked for, and says what became of it.
    fn count(&mut self, admitted: Admitted) -> Verdict {
        let (count, verdict) = match admitted {
            Admitted::Start { run } => (&mut self.started, Verdict::Started { run }),
            Admitted::Enqueue { waiting } => (&mut self.enqueued, Verdict::Enqueued { waiting }),
            Admitted::Drop { reason } => (&mut self.dropped, Verdict::Dropped { reason }),
            Admitted::Skip { reason } => (&mut self.skipped, Verdict::Skipped { reason }),
        };
        *count += 1;
        verdict
    }
}
