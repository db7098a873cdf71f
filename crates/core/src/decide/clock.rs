//! The clock's part: every instant of (decided_through, t] is accounted for, once.
//!
//! Instants are what the schedule says. With `jitter` each falls due a fixed time later: so time t is folded by deciding the
//! instants up to t less that time.

use std::time::Duration;

use jiff::Timestamp;

use super::{Record, Transition, admission::Tick};
use crate::{
    cause::Cause,
    message::{Admission, SkipReason},
    schedule::{Missed, Schedule},
    spec::{AppSpec, Misfire},
    time,
};

impl Transition<'_> {
    /// Decides all instants that are due now, unless the app is paused: then they are counted when it is resumed.
    pub(super) fn fold_due_instants(&mut self) {
        let offset = self.spec.as_ref().map_or(Duration::ZERO, |spec| spec.offset());
        if self.ledger.pause.is_none() {
            self.fold_instants(time::before(self.context.now, offset));
        }
    }

    /// Decides all instants up to and including `through`, under the spec of before this input.
    pub(super) fn fold_instants(&mut self, through: Timestamp) {
        let Some(spec) = self.spec.clone() else { return };
        let Some(schedule) = &spec.schedule else { return };
        if self.ledger.pause.is_some() {
            self.skip_instants(schedule, through, SkipReason::Paused);
            return;
        }
        let first_on_time = time::before(self.first_moment_on_time(), spec.offset());
        if self.ledger.decided_through < first_on_time && self.ledger.decided_through < through {
            // Instants are whole seconds, so everything before a moment ends one nanosecond before it.
            let missed_through = time::before(first_on_time, Duration::from_nanos(1)).min(through);
            self.fold_missed(&spec, schedule, missed_through);
        }
        while let Some(instant) = schedule.next_after(self.ledger.decided_through).filter(|it| *it <= through) {
            self.decide_instant(&spec, Tick { scheduled_at: instant, cause: Cause::Schedule, coalesced: 0 });
        }
    }

    fn fold_missed(&mut self, spec: &AppSpec, schedule: &Schedule, through: Timestamp) {
        match spec.misfire {
            Misfire::Skip => _ = self.skip_instants(schedule, through, SkipReason::Misfire),
            Misfire::Latest => {
                let Missed { count, last } = schedule.count_between(self.ledger.decided_through, through);
                if let Some(last) = last {
                    let cause = Cause::CatchUp { missed: count };
                    self.decide_instant(spec, Tick { scheduled_at: last, cause, coalesced: count - 1 });
                }
            }
        }
    }

    /// Decides that no run comes of all instants up to and including `through`, and says how many they were.
    pub(super) fn skip_instants(&mut self, schedule: &Schedule, through: Timestamp, reason: SkipReason) -> u64 {
        let Missed { count: instants, last } = schedule.count_between(self.ledger.decided_through, through);
        if let Some(last) = last {
            self.ledger.counters.decided += instants;
            self.ledger.counters.skipped += instants;
            self.ledger.decided_through = last;
            self.put_on_record(last, Admission::Skip { reason, instants }, 0);
            self.note(Record::Due);
        }
        instants
    }

    /// What was due before this moment is missed: it fell due before the take-over, or was noticed too late.
    fn first_moment_on_time(&self) -> Timestamp {
        let late = time::before(self.context.noticed, self.context.timing.late_after);
        late.max(self.context.tenure.since)
    }

    fn decide_instant(&mut self, spec: &AppSpec, tick: Tick) {
        self.ledger.counters.decided += 1 + tick.coalesced;
        self.ledger.counters.coalesced += tick.coalesced;
        self.ledger.decided_through = tick.scheduled_at;
        self.admit_tick(spec, tick);
        self.note(Record::Due);
    }
}
