//! The clocks of one host.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::context::SimContext;

/// A host's clocks: the time since its boot is right, wherever it began; its wall clock is what somebody set it to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Time that the host was up when the world began, or since then it has been up that much less.
    booted: SignedDuration,
    /// How wrong the wall clock is.
    error: SignedDuration,
}

impl Clock {
    /// A host that had been up for so long when the world began.
    pub(super) fn new(up_for: Duration) -> Self {
        let booted = SignedDuration::try_from(up_for).unwrap_or(SignedDuration::ZERO);
        Self { booted, error: SignedDuration::ZERO }
    }

    /// Time since the boot.
    pub(super) fn uptime(&self, context: &SimContext) -> Duration {
        let now = SignedDuration::try_from(context.now).unwrap_or(SignedDuration::MAX);
        Duration::try_from(now + self.booted).unwrap_or(Duration::ZERO)
    }

    /// The true time of a moment of this host's uptime.
    pub(super) fn true_time(&self, uptime: Duration) -> Duration {
        let uptime = SignedDuration::try_from(uptime).unwrap_or(SignedDuration::MAX);
        Duration::try_from(uptime - self.booted).unwrap_or(Duration::ZERO)
    }

    /// The wall clock.
    pub(super) fn wall(&self, context: &SimContext) -> Timestamp {
        context.server_time().checked_add(self.error).unwrap_or(Timestamp::MAX)
    }

    /// Sets the wall clock.
    pub(super) fn set_error(&mut self, error: SignedDuration) {
        self.error = error;
    }

    /// The host boots now.
    pub(super) fn boot(&mut self, context: &SimContext) {
        self.booted = -SignedDuration::try_from(context.now).unwrap_or(SignedDuration::ZERO);
    }
}
