//! A ledger that cannot be read any more, built anew from what the other streams have of its app.

use jiff::Timestamp;

use super::{Ledger, Remains};
use crate::name::AppName;

impl Ledger {
    /// Returns the ledger of an app whose stored one cannot be read. `applied_at` is when its oldest known revision was
    /// stored. Revisions are folded anew; numbers go on well above all that are known; what the clock is on record to have
    /// decided stays decided. The run that was active, the queue, the counters and the pause are lost.
    pub fn rebuilt(app: &AppName, applied_at: Timestamp, remains: Remains) -> Self {
        let summary = remains.summary.as_ref().and_then(|summary| summary.message.scheduled_at);
        let mut ledger = Self::new(0, summary.map_or(applied_at, |scheduled_at| scheduled_at.max(applied_at)));
        ledger.app = Some(app.clone());
        ledger.move_ahead(app, remains);
        ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{NUMBERS_AHEAD, Published},
        message::{Admission, SCHEMA, TickRecord},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_rebuilt_ledger_decides_nothing_twice() {
        let app = AppName::new("nightly").unwrap();
        let tick = TickRecord {
            schema: SCHEMA,
            number: 7,
            app: app.clone(),
            scheduled_at: at(90),
            decided_at: at(90),
            admission: Admission::Start { run: 5 },
            coalesced: 0,
        };
        let tick = Some(Published { message: tick, sequence: 33 });
        let ledger = Ledger::rebuilt(&app, at(30), Remains { tick, ..Remains::default() });
        assert_eq!((ledger.decided_through, ledger.app_revision), (at(90), 0));
        assert_eq!((ledger.ticks.last_number, ledger.ticks.last_sequence), (7 + NUMBERS_AHEAD, 33));
        let nothing = Ledger::rebuilt(&app, at(30), Remains::default());
        assert_eq!((nothing.decided_through, nothing.last_run), (at(30), NUMBERS_AHEAD));
    }
}
