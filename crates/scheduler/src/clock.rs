//! The only place of this crate that reads clocks.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::dispatcher::Moment;

/// Both clocks, now. Uptime counts suspend: a laptop that wakes up has been silent.
pub(crate) fn now() -> Moment {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
    Moment { wall: Timestamp::now(), uptime: Duration::new(seconds, nanos) }
}
