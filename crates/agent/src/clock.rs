//! The only clock that this crate decides by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the host's boot, suspend included: an order that a laptop slept on is old when it wakes up.
pub(crate) fn uptime() -> Duration {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}
