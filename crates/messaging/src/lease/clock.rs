//! The clock of the lease: it never jumps, and it goes on while the host is suspended.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, as time since the host's boot. Means nothing on another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// This moment. A monotonic clock that stops during suspend would let a leader that slept for an hour believe that it
    /// renewed its lease a second ago.
    pub(crate) fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
        Self(Duration::new(seconds, nanoseconds))
    }

    /// The moment that much later.
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Time from `earlier` to this moment; none if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
