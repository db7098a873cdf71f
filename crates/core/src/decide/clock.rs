//! The clock's part: every instant of (decided_through, t] is accounted for, once.

use std::time::Duration;

use jiff::Timestamp;

use super::{Record, Transition, admission::Tick};
use crate::{ledger::Cause, spec::AppSpec, time};

impl Transition<'_> {
    /// Decides all instants up to and including `through`, under the spec of before this input.
    pub(super) fn fold_instants(&mut self, through: Timestamp) {
        let Some(spec) = self.spec.clone() else { return };
        let Some(schedule) = &spec.schedule else { return };
        let first_on_time = self.first_instant_on_time();
        if self.ledger.decided_through < first_on_time && self.ledger.decided_through < through {
            // Instants are whole seconds, so everything before a moment ends one nanosecond before it.
            let missed_through = time::before(first_on_time, Duration::from_nanos(1)).min(through);
            let missed = schedule.count_between(self.ledger.decided_through, missed_through);
            if let Some(last) = missed.last {
                let cause = Cause::CatchUp { missed: missed.count };
                self.decide_instant(&spec, Tick { scheduled_at: last, cause, coalesced: missed.count - 1 });
            }
        }
        while let Some(instant) = schedule.next_after(self.ledger.decided_through).filter(|it| *it <= through) {
            self.decide_instant(&spec, Tick { scheduled_at: instant, cause: Cause::Schedule, coalesced: 0 });
        }
    }

    /// An instant before this moment is missed: it fell due before the take-over, or is folded too late.
    fn first_instant_on_time(&self) -> Timestamp {
        let late = time::before(self.context.now, self.context.timing.late_after);
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
