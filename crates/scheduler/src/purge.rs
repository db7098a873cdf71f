//! Which results nobody needs any more (protocol rule P14).

use std::{collections::VecDeque, time::Duration};

/// How often results are purged.
pub const PURGE_PERIOD: Duration = Duration::from_secs(60);
/// How long results are kept at least: far above the 60 s that an order lives, so that no order can claim an attempt whose
/// messages are gone.
const RESULTS_AGE_MIN: Duration = Duration::from_secs(3_600);

/// Where the end of the results stream was, at every purge of the last hour.
#[derive(Debug, Default)]
pub struct Ends {
    seen: VecDeque<(Duration, u64)>,
}

impl Ends {
    /// Takes in where the stream ends now. Returned is the sequence below which nothing is needed: the lowest of the first
    /// one that an active run needs, and that of an hour ago.
    pub fn purge_below(&mut self, uptime: Duration, end: u64, needed_from: u64) -> u64 {
        self.seen.push_back((uptime, end));
        let old = |at: Duration| uptime.saturating_sub(at) >= RESULTS_AGE_MIN;
        // The youngest entry that is old enough stays: it is the answer until the next one is.
        while self.seen.get(1).is_some_and(|(at, _)| old(*at)) {
            self.seen.pop_front();
        }
        let hour_ago = self.seen.front().filter(|(at, _)| old(*at)).map_or(0, |(_, end)| *end);
        hour_ago.min(needed_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_purged_in_the_first_hour() {
        let mut ends = Ends::default();
        for minute in 0..60 {
            assert_eq!(ends.purge_below(PURGE_PERIOD * minute, 100 * u64::from(minute), u64::MAX), 0);
        }
        assert_eq!(ends.purge_below(PURGE_PERIOD * 65, 7_000, u64::MAX), 500);
    }

    #[test]
    fn what_an_active_run_needs_stays() {
        let mut ends = Ends::default();
        ends.purge_below(Duration::ZERO, 900, u64::MAX);
        assert_eq!(ends.purge_below(RESULTS_AGE_MIN, 1_000, 300), 300);
    }
}
