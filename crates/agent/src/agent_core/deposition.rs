//! What a process does that finds its name taken (protocol rule P10): it removes the containers of its own claims, and no
//! others, tells how their attempts ended, and is gone.

use std::{collections::VecDeque, time::Duration};

use super::io::Effect;
use crate::{
    attempt_table::OwnClaim,
    backoff::Backoff,
    engine::{ContainerId, ContainerView},
    ownership::Ownership,
};

/// Sweeps, one after the other: a container whose creation was under way shows up late.
const SWEEPS: usize = 3;
/// Pause between two sweeps.
const SWEEP_PAUSE: Duration = Duration::from_millis(500);
/// Longest time for everything. What is left is for the leader's deadline, and the guard.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Gives up what a process claimed.
#[derive(Debug)]
pub(super) struct Deposition {
    claims: VecDeque<OwnClaim>,
    sweeps_left: usize,
    backoff: Backoff,
    until: Duration,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Listing,
    /// One is being removed, these come after it.
    Removing(VecDeque<ContainerId>),
    Pausing {
        until: Duration,
    },
    Telling,
}

/// What follows.
#[derive(Debug)]
pub(super) enum Next {
    /// This is to be done.
    Do(Effect),
    /// An answer, or a moment, has to come first.
    Wait,
    /// Nothing is left to give up.
    Done,
}

impl Deposition {
    /// Gives up these.
    pub(super) fn begin(claims: Vec<OwnClaim>, now: Duration) -> (Self, Next) {
        let (sweeps_left, backoff, until) = (SWEEPS, Backoff::default(), now + TIMEOUT);
        let deposition = Self { claims: claims.into(), sweeps_left, backoff, until, step: Step::Listing };
        let next = if deposition.claims.is_empty() { Next::Done } else { Next::Do(Effect::List) };
        (deposition, next)
    }

    /// What the engine has now.
    pub(super) fn listed(&mut self, containers: Vec<ContainerView>, ownership: &Ownership, now: Duration) -> Next {
        let Step::Listing = self.step else { return Next::Wait };
        let is_own = |container: &ContainerView| {
            ownership.tag_of(container).is_some_and(|tag| self.claims.iter().any(|claim| claim.nonce == tag.nonce))
        };
        let own = containers.into_iter().filter(is_own).map(|container| container.id).collect();
        self.step = Step::Removing(own);
        self.removed(now)
    }

    /// A container is removed; the next one follows.
    pub(super) fn removed(&mut self, now: Duration) -> Next {
        let Step::Removing(own) = &mut self.step else { return Next::Wait };
        match own.pop_front() {
            Some(container) => Next::Do(Effect::RemoveOwn { container }),
            None => self.swept(now),
        }
    }

    fn swept(&mut self, now: Duration) -> Next {
        self.sweeps_left -= 1;
        if self.sweeps_left == 0 {
            self.step = Step::Telling;
            return self.told();
        }
        self.backoff = Backoff::default();
        self.step = Step::Pausing { until: now + SWEEP_PAUSE };
        Next::Wait
    }

    /// The engine did not do it: the sweep begins again after a while.
    pub(super) fn failed(&mut self, now: Duration) -> Next {
        self.step = Step::Pausing { until: now + self.backoff.advance() };
        Next::Wait
    }

    /// The end of an attempt was told; the next one follows. The process that has the name now cannot tell it, for it holds no
    /// claim.
    pub(super) fn told(&mut self) -> Next {
        let Step::Telling = self.step else { return Next::Wait };
        while let Some(claim) = self.claims.pop_front() {
            if let Some((claim_sequence, event)) = claim.last_words {
                return Next::Do(Effect::TellEnd { attempt: claim.attempt, claim_sequence, event });
            }
        }
        Next::Done
    }

    /// Goes on with what is due now.
    pub(super) fn woken(&mut self, now: Duration) -> Next {
        if self.until <= now {
            tracing::error!("gave up before every container was removed and every end told");
            return Next::Done;
        }
        match self.step {
            Step::Pausing { until } if until <= now => {
                self.step = Step::Listing;
                Next::Do(Effect::List)
            }
            Step::Pausing { .. } | Step::Listing | Step::Removing(_) | Step::Telling => Next::Wait,
        }
    }

    /// When something is due.
    pub(super) fn wake_at(&self) -> Duration {
        match self.step {
            Step::Pausing { until } => until.min(self.until),
            Step::Listing | Step::Removing(_) | Step::Telling => self.until,
        }
    }
}
