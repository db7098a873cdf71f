//! A new leader reads on until its copy has everything that was stored when it took the lease.

use std::time::Duration;

use rand::rngs::StdRng;
use tickmesh_core::decide::Tenure;
use tracing::{info, warn};

use super::{
    clock_judge::Reading,
    held_lease::HeldLease,
    io::{Answer, Ends},
    reason::End,
    settings::Settings,
    standby::StandbyCopy,
};
use crate::{clock::Moment, effect::Effect, error::Error};

/// How long a new leader waits for what the streams hold already, in terms of the lease.
const CATCH_UP_TERMS: u32 = 10;

/// Before the server's clock is asked for again.
const CLOCK_PAUSE: Duration = Duration::from_millis(500);

/// A tenure before its leader can decide anything.
#[derive(Debug)]
pub(super) struct CatchingUp {
    pub(super) lease: HeldLease,
    pub(super) tenure: Tenure,
    pub(super) began: Duration,
    pub(super) copy: StandbyCopy,
    pub(super) random: StdRng,
    reading: Option<Reading>,
    /// When the server's clock is asked for again, after an answer that said nothing.
    clock_again_at: Option<Duration>,
    ends: Option<Ends>,
    until: Duration,
}

impl CatchingUp {
    /// Begins with the lease just taken. `random` gives uids and jitter.
    pub(super) fn begin(
        settings: &Settings,
        lease: HeldLease,
        copy: StandbyCopy,
        random: StdRng,
        moment: Moment,
    ) -> (Self, Vec<Effect>) {
        let tenure = Tenure { epoch: lease.epoch(), since: moment.wall };
        info!(scheduler = settings.id, epoch = %tenure.epoch, "leading");
        let (began, until) = (moment.uptime, moment.uptime + settings.timing.lease * CATCH_UP_TERMS);
        let catching_up =
            Self { lease, tenure, began, copy, random, reading: None, clock_again_at: None, ends: None, until };
        (catching_up, vec![Effect::ReadClock, Effect::ReadEnds])
    }

    /// Takes where the streams ended.
    pub(super) fn ends_read(&mut self, answer: Answer<Ends>) -> Result<(), End> {
        self.ends = Some(answer.map_err(|error| End::Broken(Error::Load(error)))?);
        Ok(())
    }

    /// Takes the server's clock. A failure may be of a question that this process asked as a standby: it asks again.
    pub(super) fn clock_read(&mut self, answer: Answer<Reading>, now: Duration) {
        match answer {
            Ok(reading) => self.reading = Some(reading),
            Err(error) => {
                warn!(error = &*error as &dyn std::error::Error, "the server's clock was not read");
                self.clock_again_at = Some(now + CLOCK_PAUSE);
            }
        }
    }

    /// Returns the server's clock once everything is there.
    pub(super) fn is_complete(&self) -> Option<Reading> {
        self.ends.as_ref().filter(|ends| self.copy.has_reached(ends)).and(self.reading)
    }

    /// When [`Self::woken`] has something to do.
    pub(super) fn wake_at(&self) -> Duration {
        self.lease.wake_at().into_iter().chain(self.clock_again_at).chain([self.until]).min().unwrap_or(self.until)
    }

    /// Looks at the clock.
    pub(super) fn woken(&mut self, now: Duration) -> Result<Vec<Effect>, End> {
        if self.until <= now {
            return Err(End::Broken(Error::Behind));
        }
        let ask = self.clock_again_at.take_if(|at| *at <= now).map(|_| Effect::ReadClock);
        Ok(self.lease.woken(now).into_iter().chain(ask).collect())
    }
}
