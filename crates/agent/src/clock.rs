//! The only clock that this crate decides by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// Longest time without a look at the clock: a timer stands still while the host sleeps, and deadlines do not.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Time since the host's boot, suspend included: an order that a laptop slept on is old when it wakes up.
pub(crate) fn uptime() -> Duration {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

/// Waits until then, or not for so long; `None`: for ever.
pub(crate) async fn wait_until(at: Option<Duration>) {
    match at {
        Some(at) => sleep(at.saturating_sub(uptime()).min(SLEEP_MAX)).await,
        None => std::future::pending().await,
    }
}
