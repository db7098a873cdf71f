//! The clock of the lease: it never jumps, and it goes on while the host is suspended.

use std::time::Duration;

/// A moment, as time since the host's boot, suspend included: a leader that slept for an hour must not
/// believe that it renewed its lease a second ago. Means nothing on another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// The moment that much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Time from `earlier` to this moment; none if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
