//! The only place of this crate that reads clocks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Now, on both clocks of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock of the host. Instants are decided by the server's, which a leader estimates from this one.
    pub wall: Timestamp,
    /// Time since the host's boot, suspend included: what silence and the lease are measured with.
    pub uptime: Duration,
}

/// The clocks of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// How far the wall clock is taken to be ahead of what the host says. For tests with hosts whose clocks differ.
    pub shift: SignedDuration,
}

impl Clock {
    /// Both clocks, now. Uptime counts suspend: a laptop that wakes up has been silent.
    pub(crate) fn now(self) -> Moment {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
        let now = Timestamp::now();
        let wall = now.checked_add(self.shift).unwrap_or(now);
        Moment { wall, uptime: Duration::new(seconds, nanos) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_clock_is_shifted() {
        let shift = SignedDuration::from_secs(3_600);
        let ahead = Clock { shift }.now().wall.duration_since(Clock::default().now().wall);
        assert!((ahead - shift).abs() < SignedDuration::from_secs(60), "{ahead:#}");
    }
}
