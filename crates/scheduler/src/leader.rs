//! A leader without any I/O: the dispatcher, the commands that it has not confirmed, and what may be purged.
//!
//! The tenure moves events in and steps out; a simulated world does the same. A leader whose lease is too old takes no step any
//! more, whatever it has just concluded; nor does the tenure begin one that has had to wait. What is under way by then goes on
//! until the tenure ends: it is fenced or harmless.

use std::{collections::HashMap, time::Duration};

use rand::rngs::StdRng;
use tickmesh_core::{
    decide::Tenure, fleet::Reservations, id::RequestId, message::Command, name::AppName, timing::Timing,
};

use crate::{
    dispatcher::{Dispatcher, Effect, Event, Moment},
    purge::Ends,
};

/// Something to begin. `D` is a command's delivery: what confirms it.
#[derive(Debug)]
pub enum Step<D> {
    /// Carry an effect out.
    Perform(Effect),
    /// Confirm a command.
    Confirm {
        /// The app.
        app: AppName,
        /// The request.
        request: RequestId,
        /// What confirms it.
        delivery: D,
    },
    /// Ask where the command stream begins.
    ReadCommandsBegin,
    /// Remove the results below a sequence.
    PurgeResults {
        /// The sequence.
        below: u64,
    },
}

/// Why a leader has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The lease is too old to act under.
    LeaseLost,
    /// Somebody else writes.
    Conflict {
        /// What was seen.
        reason: String,
    },
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
pub struct Leader<D> {
    dispatcher: Dispatcher,
    /// Commands that are not confirmed yet; of one that came twice, the later delivery.
    deliveries: HashMap<RequestId, D>,
    ends: Ends,
}

impl<D> Leader<D> {
    /// Begins a tenure. `random` gives uids and jitter.
    pub fn new(tenure: Tenure, timing: Timing, random: StdRng) -> Self {
        let dispatcher = Dispatcher::new(tenure, timing, random);
        Self { dispatcher, deliveries: HashMap::new(), ends: Ends::new(timing.results_kept) }
    }

    /// The same where containers reserve something else than by default.
    #[must_use]
    pub fn reserving(self, reservations: Reservations) -> Self {
        Self { dispatcher: self.dispatcher.reserving(reservations), ..self }
    }

    /// Folds an event, and returns what is to be begun. `trust` is asked after the fold: a process that was stopped for a
    /// while finds its lease too old before it does anything.
    pub fn handle(
        &mut self,
        event: Event,
        moment: Moment,
        trust: impl FnOnce() -> Trust,
    ) -> Result<Vec<Step<D>>, Stop> {
        let effects = self.dispatcher.handle(event, moment);
        if trust() == Trust::Expired {
            return Err(Stop::LeaseLost);
        }
        let mut steps = Vec::with_capacity(effects.len());
        for effect in effects {
            steps.extend(self.step(effect)?);
        }
        Ok(steps)
    }

    fn step(&mut self, effect: Effect) -> Result<Option<Step<D>>, Stop> {
        Ok(match effect {
            Effect::EndTenure { reason } => return Err(Stop::Conflict { reason }),
            Effect::ConfirmCommand { app, request } => {
                self.deliveries.remove(&request).map(|delivery| Step::Confirm { app, request, delivery })
            }
            effect @ (Effect::WriteLedger { .. }
            | Effect::HastenWrite { .. }
            | Effect::Send(_)
            | Effect::StoreReport { .. }
            | Effect::PublishTick { .. }
            | Effect::PublishHistory { .. }
            | Effect::ReadResultsEnd { .. }
            | Effect::ReadAgent { .. }
            | Effect::ReadLedger { .. }
            | Effect::ReadSummary { .. }
            | Effect::Announce(_)) => Some(Step::Perform(effect)),
        })
    }

    /// Takes a command in.
    pub fn deliver(
        &mut self,
        sequence: u64,
        command: Command,
        delivery: D,
        moment: Moment,
        trust: impl FnOnce() -> Trust,
    ) -> Result<Vec<Step<D>>, Stop> {
        self.deliveries.insert(command.request, delivery);
        self.handle(Event::CommandSeen { sequence, command: Box::new(command) }, moment, trust)
    }

    /// Once every [`Timing::purge`]: removes what nobody needs, and makes the stored ledgers
    /// need less by the next time.
    pub fn purge(&mut self, moment: Moment, trust: impl FnOnce() -> Trust) -> Result<Vec<Step<D>>, Stop> {
        let end = self.dispatcher.results_through();
        let needed_from = self.dispatcher.results_needed_after().map_or(end, |after| after + 1);
        let below = self.ends.purge_below(moment.uptime, end, needed_from);
        let mut steps = vec![Step::ReadCommandsBegin];
        steps.extend(below.map(|below| Step::PurgeResults { below }));
        steps.extend(self.handle(Event::Checkpoint, moment, trust)?);
        Ok(steps)
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
