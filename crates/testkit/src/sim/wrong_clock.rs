//! A leader whose clock goes wrong while everything else is well: another scheduler leads soon, and decides ticks.

use std::time::Duration;

use anyhow::ensure;
use jiff::SignedDuration;
use rand::RngExt as _;

use super::{faults::Fault, scheduler::Scheduler, world::World};

/// How long everything is well before: whoever died is back, and a scheduler leads.
const WELL_BEFORE: Duration = Duration::from_secs(40);
/// By then another one leads: the next reading of the clock, 5 s in doubt, and a take-over.
const HANDED_OVER: Duration = Duration::from_secs(12);

impl World {
    /// Sets the leader's clock wrong for a while.
    pub(super) fn wrong_clock(&mut self) -> anyhow::Result<()> {
        self.pass(WELL_BEFORE)?;
        // The release before keeps the lease in doubt, and does not say what a standby thinks of its clock.
        let knows = !self.schedulers.iter().any(Scheduler::is_earlier);
        let stands_by = |it: &&Scheduler| it.stage() == "standing by";
        let others = self.schedulers.iter().filter(stands_by).count();
        let is_well = knows && self.context.net.stalled_until <= self.context.now && others > 0;
        let Some(leader) = self.schedulers.iter().position(Scheduler::leads).filter(|_| is_well) else {
            return Ok(());
        };
        self.context.count(Fault::LeaderClockWrong);
        let seconds = if self.context.random.random_ratio(1, 2) { 30 } else { -3_600 };
        self.schedulers[leader].clock.set_error(SignedDuration::from_secs(seconds));
        self.pass(HANDED_OVER)?;
        let leads = self.schedulers.iter().position(Scheduler::leads);
        ensure!(leads.is_some_and(|it| it != leader), "nobody took over from a leader whose clock is {seconds} s off");
        self.pass(HANDED_OVER)?;
        let leads = self.schedulers.iter().position(Scheduler::leads);
        ensure!(leads.is_some_and(|it| it != leader), "a scheduler leads again whose clock is {seconds} s off");
        self.schedulers[leader].clock.set_error(SignedDuration::ZERO);
        Ok(())
    }
}
