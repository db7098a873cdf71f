//! A leader without any I/O: the dispatcher, and what may be purged.
//!
//! The tenure moves events in and effects out; a simulated world does the same. A leader whose lease is too old takes no step any
//! more, whatever it has just concluded; nor does the tenure begin one that has had to wait. What is under way by then goes on
//! until the tenure ends: it is fenced or harmless.

use std::time::Duration;

use rand::rngs::StdRng;
use tickmesh_core::{decide::Tenure, fleet::Reservations, timing::Timing};

use crate::{
    clock::Moment,
    dispatcher::{Conflict, Dispatcher, Event, Outcome},
    effect::Effect,
    purge::Ends,
};

/// Why a leader has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The lease is too old to act under.
    LeaseLost,
    /// Somebody else writes.
    Conflict(Conflict),
}

/// Whether the lease is young enough to act under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is.
    Held,
    /// It is not.
    Expired,
}

/// One tenure's leader.
#[derive(Debug)]
pub struct Leader {
    dispatcher: Dispatcher,
    ends: Ends,
}

impl Leader {
    /// Begins a tenure. `random` gives uids and jitter.
    pub fn new(tenure: Tenure, timing: Timing, random: StdRng) -> Self {
        let dispatcher = Dispatcher::new(tenure, timing, random);
        Self { dispatcher, ends: Ends::new(timing.results_kept) }
    }

    /// The same where containers reserve something else than by default.
    #[must_use]
    pub fn reserving(self, reservations: Reservations) -> Self {
        Self { dispatcher: self.dispatcher.reserving(reservations), ..self }
    }

    /// Folds an event, and returns what is to be begun. `trust` is asked after the fold: a process that was stopped for a
    /// while finds its lease too old before it does anything.
    pub fn handle(&mut self, event: Event, moment: Moment, trust: impl FnOnce() -> Trust) -> Result<Outcome, Stop> {
        let outcome = self.dispatcher.handle(event, moment).map_err(Stop::Conflict)?;
        match trust() {
            Trust::Held => Ok(outcome),
            Trust::Expired => Err(Stop::LeaseLost),
        }
    }

    /// Once every [`Timing::purge`]: removes what nobody needs, and makes the stored ledgers
    /// need less by the next time.
    pub fn purge(&mut self, moment: Moment, trust: impl FnOnce() -> Trust) -> Result<Outcome, Stop> {
        let end = self.dispatcher.results_through();
        let needed_from = self.dispatcher.results_needed_after().map_or(end, |after| after + 1);
        let below = self.ends.purge_below(moment.uptime, end, needed_from);
        let mut outcome = self.handle(Event::Checkpoint, moment, trust)?;
        outcome.effects.push(Effect::ReadCommandsBegin);
        outcome.effects.extend(below.map(|below| Effect::PurgeResults { below }));
        Ok(outcome)
    }

    /// When [`Event::Woken`] is next needed, at the latest; `None`: when something else happens.
    pub fn wake_in(&self, moment: Moment) -> Option<Duration> {
        self.dispatcher.wake_in(moment)
    }

    /// The sequence up to which all results are folded: from there on they are followed.
    pub fn results_through(&self) -> u64 {
        self.dispatcher.results_through()
    }
}
