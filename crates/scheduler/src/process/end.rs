//! Why a tenure or a try to stand by ends, and what the process does then.

use std::time::Duration;

use tickmesh_messaging::{Cas, SchedulerRole, StoreLost, chain};
use tracing::{debug, error, info, warn};

use super::{
    Process, Stage,
    held_lease::{HeldLease, Release},
    io::LeaseWritten,
    reason::End,
};
use crate::{dispatcher::Conflict, effect::Effect, error::Error};

/// Between two tenures of one process, and between two tries to stand by.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks whether somebody has mended what keeps this process from leading.
const REFUSING_PAUSE: Duration = Duration::from_secs(5);

/// A tenure that has ended and gives its lease back.
#[derive(Debug)]
pub(super) struct SteppingDown {
    lease: HeldLease,
    /// A renewal was under way: its revision is the one that can be given back.
    is_renewing: bool,
    /// A standby takes the lease by then in any case.
    pub(super) until: Duration,
    end: End,
}

impl Process {
    /// Ends whatever the process does. Nothing of it is done any more, but for what is under way already.
    pub(super) fn end(&mut self, end: End, now: Duration) -> Vec<Effect> {
        let mut effects = vec![Effect::Abandon];
        let mut lease = match std::mem::replace(&mut self.stage, Stage::Stopped) {
            Stage::CatchingUp(catching_up) => catching_up.lease,
            Stage::Leading(leader) => leader.lease,
            Stage::SteppingDown(stepping_down) => {
                // The tenure ends already: only the reason changes.
                self.stage = Stage::SteppingDown(Box::new(SteppingDown { end, ..*stepping_down }));
                return Vec::new();
            }
            Stage::Checking(_)
            | Stage::Loading(_)
            | Stage::Standby(_)
            | Stage::Resting { .. }
            | Stage::Refusing { .. }
            | Stage::Stopped => {
                effects.extend(self.rest(end, now));
                return effects;
            }
        };
        effects.push(Effect::ShowRole(SchedulerRole::Preparing));
        let is_renewing = match lease.release() {
            Release::Nothing => {
                effects.extend(self.rest(end, now));
                return effects;
            }
            Release::AfterRenewal => true,
            Release::Write(release) => {
                effects.push(release);
                false
            }
        };
        let until = now + self.settings.timing.lease;
        self.stage = Stage::SteppingDown(Box::new(SteppingDown { lease, is_renewing, until, end }));
        effects
    }

    /// Takes what became of the last write of a lease.
    pub(super) fn given_back(&mut self, written: LeaseWritten, now: Duration) -> Vec<Effect> {
        let Stage::SteppingDown(stepping_down) = &mut self.stage else { return Vec::new() };
        if !stepping_down.lease.has_sent(&written) {
            return Vec::new();
        }
        if std::mem::take(&mut stepping_down.is_renewing) {
            if let Ok(Some(again)) = stepping_down.lease.written(written) {
                stepping_down.is_renewing = true;
                return vec![again];
            }
            if let Release::Write(release) = stepping_down.lease.release() {
                return vec![release];
            }
        } else {
            match written.answer.as_deref() {
                Ok(Cas::Stored { .. }) => info!("released the lease"),
                Ok(Cas::Refused { .. }) => debug!("nothing to release: the lease was lost"),
                Err(error) => warn!(error = error as &dyn std::error::Error, "could not release the lease"),
            }
        }
        self.stepped_down(now)
    }

    /// The lease is given back, or a standby will take it when it runs out.
    pub(super) fn stepped_down(&mut self, now: Duration) -> Vec<Effect> {
        match std::mem::replace(&mut self.stage, Stage::Stopped) {
            Stage::SteppingDown(stepping_down) => self.rest(stepping_down.end, now),
            stage => {
                self.stage = stage;
                Vec::new()
            }
        }
    }

    /// Says why this process does not lead or stand by, and waits before it tries again: whatever was wrong
    /// may last.
    fn rest(&mut self, end: End, now: Duration) -> Vec<Effect> {
        let scheduler = &self.settings.id;
        let pause = match end {
            End::Shutdown => return vec![Effect::End],
            End::SteppedDown => {
                info!(%scheduler, "stepped down");
                // Long enough for anybody else to take the lease.
                self.settings.timing.lease
            }
            End::InDoubt => {
                warn!(%scheduler, "stepped down: this host's clock is wrong, and another scheduler's is not");
                self.settings.timing.lease
            }
            End::LeaseLost => {
                warn!(%scheduler, "lease lost");
                PAUSE
            }
            End::Conflict(Conflict { reason }) => {
                warn!(%scheduler, reason, "tenure ended");
                PAUSE
            }
            End::Broken(error) => return self.rest_from(&error, now),
        };
        self.stage = Stage::Resting { until: now + pause };
        Vec::new()
    }

    fn rest_from(&mut self, error: &Error, now: Duration) -> Vec<Effect> {
        let scheduler = &self.settings.id;
        self.is_stream_missing |= error.is_missing_stream();
        self.stage = Stage::Resting { until: now + PAUSE };
        if error.is_rival() {
            warn!(%scheduler, error = error as &dyn std::error::Error, "tenure ended");
            return Vec::new();
        }
        if error.is_outage() {
            warn!(%scheduler, error = error as &dyn std::error::Error, "cannot stand by yet");
            return vec![Effect::ShowRole(SchedulerRole::Preparing)];
        }
        error!(%scheduler, error = error as &dyn std::error::Error, "refusing to lead: see `tickmesh doctor`");
        // Whether a stream is gone alone or with the whole store is looked into soon.
        let pause = if error.is_missing_stream() { PAUSE } else { REFUSING_PAUSE };
        self.stage = Stage::Refusing { until: now + pause };
        let (reason, acceptance) = (chain(error), self.marks.acceptance());
        let store = error.store_lost().map(|missing| StoreLost {
            mesh: self.mesh,
            missing: missing.iter().map(|kind| kind.as_str().to_owned()).collect(),
        });
        vec![Effect::ShowRole(SchedulerRole::Refusing { reason, data_lost: error.is_loss(), acceptance, store })]
    }
}
