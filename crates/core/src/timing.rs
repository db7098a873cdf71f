//! Every period and deadline of the protocol, in one value, so that tests scale all of them by one factor.

use std::time::Duration;

/// Periods and deadlines. The relations between them are what keeps two containers of one replica apart: see
/// [`Timing::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// An agent's heartbeat.
    pub heartbeat: Duration,
    /// Pause before a heartbeat that was not acknowledged is sent again.
    pub heartbeat_retry: Duration,
    /// An agent whose key did not change for this long gets no new attempts.
    pub stale: Duration,
    /// An agent whose container engine has not answered for this long takes nothing, and gives back what has not been started.
    pub no_engine: Duration,
    /// An agent without an acknowledged heartbeat for this long stops its containers.
    pub fence: Duration,
    /// How long killing them may take.
    pub kill_margin: Duration,
    /// An agent whose key did not change for this long is lost, and with it its attempts.
    pub lost: Duration,
    /// An instant that the leader notices this much after it was due counts as missed.
    pub late_after: Duration,
    /// An order that nobody took is sent again after this long.
    pub resend: Duration,
    /// An order that nobody took is revoked after this long (protocol rule P12).
    pub unclaimed: Duration,
    /// Shortest time between two writes of one ledger, unless an order depends on it.
    pub write_pace: Duration,
    /// People are told of a run that has found no agent for this long.
    pub tell_pending: Duration,
    /// People are told of dropped ticks of one app once in this time.
    pub tell_dropped: Duration,
    /// The lease is free after this long without a renewal.
    pub lease: Duration,
    /// How often the leader removes results that nobody needs (protocol rule P14).
    pub purge: Duration,
    /// How long results are kept at least: far above the 60 s that an order lives, so that no order can claim an attempt whose
    /// messages are gone.
    pub results_kept: Duration,
}

/// Settings whose deadlines contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fence ({fence:?}) plus kill margin ({kill_margin:?}) must be less than lost ({lost:?})")]
pub struct UnsafeTiming {
    fence: Duration,
    kill_margin: Duration,
    lost: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(2),
            heartbeat_retry: Duration::from_millis(500),
            stale: Duration::from_secs(10),
            no_engine: Duration::from_secs(10),
            fence: Duration::from_secs(45),
            kill_margin: Duration::from_secs(10),
            lost: Duration::from_secs(60),
            late_after: Duration::from_secs(5),
            resend: Duration::from_secs(5),
            unclaimed: Duration::from_secs(30),
            write_pace: Duration::from_millis(50),
            tell_pending: Duration::from_secs(300),
            tell_dropped: Duration::from_secs(3_600),
            lease: Duration::from_secs(3),
            purge: Duration::from_secs(60),
            results_kept: Duration::from_secs(3_600),
        }
    }
}

impl Timing {
    /// All of it, multiplied, but for the patience with engines. Tests use factors below 1.
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |duration: Duration| duration.mul_f64(factor);
        Self {
            heartbeat: scale(self.heartbeat),
            heartbeat_retry: scale(self.heartbeat_retry),
            stale: scale(self.stale),
            // The engines of tests are real ones, and as slow as any.
            no_engine: self.no_engine,
            fence: scale(self.fence),
            kill_margin: scale(self.kill_margin),
            lost: scale(self.lost),
            late_after: scale(self.late_after),
            resend: scale(self.resend),
            unclaimed: scale(self.unclaimed),
            write_pace: scale(self.write_pace),
            tell_pending: scale(self.tell_pending),
            tell_dropped: scale(self.tell_dropped),
            lease: scale(self.lease),
            purge: scale(self.purge),
            results_kept: scale(self.results_kept),
        }
    }

    /// Refuses settings under which a container could still run while its replacement starts.
    pub fn check(&self) -> Result<(), UnsafeTiming> {
        let Self { fence, kill_margin, lost, .. } = *self;
        if fence + kill_margin >= lost {
            return Err(UnsafeTiming { fence, kill_margin, lost });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_safe_at_every_scale() {
        for factor in [0.02, 0.1, 1.0, 10.0] {
            assert_eq!(Timing::default().scaled(factor).check(), Ok(()));
        }
    }

    #[test]
    fn a_fence_that_ends_after_lost_is_refused() {
        let timing = Timing { fence: Duration::from_secs(55), ..Timing::default() };
        assert!(timing.check().is_err());
    }
}
