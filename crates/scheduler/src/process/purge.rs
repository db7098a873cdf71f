//! Which results nobody needs any more (protocol rule P14).

use std::{collections::VecDeque, time::Duration};

/// Where the end of the results stream was, at every purge for as long as results are kept at least.
#[derive(Debug)]
pub(super) struct Ends {
    kept: Duration,
    seen: VecDeque<(Duration, u64)>,
}

impl Ends {
    /// Before the first purge. Results are kept for that long at least.
    pub(super) fn new(kept: Duration) -> Self {
        Self { kept, seen: VecDeque::new() }
    }

    /// Takes in where the stream ends now. Returns the sequence below which nothing is needed: the lowest of the first
    /// one that an active run needs, and the first one that is young. `None`: everything may be needed.
    pub(super) fn purge_below(&mut self, uptime: Duration, end: u64, needed_from: u64) -> Option<u64> {
        self.seen.push_back((uptime, end));
        let old = |at: Duration| uptime.saturating_sub(at) >= self.kept;
        // The youngest entry that is old enough stays: it is the answer until the next one is.
        while self.seen.get(1).is_some_and(|(at, _)| old(*at)) {
            self.seen.pop_front();
        }
        let (_, end_then) = self.seen.front().filter(|(at, _)| old(*at))?;
        Some(needed_from.min(*end_then)).filter(|below| *below > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn nothing_is_purged_in_the_first_hour() {
        let mut ends = Ends::new(MINUTE * 60);
        for minute in 0..60 {
            assert_eq!(ends.purge_below(MINUTE * minute, 100 * u64::from(minute), u64::MAX), None);
        }
        assert_eq!(ends.purge_below(MINUTE * 65, 7_000, u64::MAX), Some(500));
    }

    #[test]
    fn what_an_active_run_needs_stays() {
        let mut ends = Ends::new(MINUTE * 60);
        ends.purge_below(Duration::ZERO, 900, u64::MAX);
        assert_eq!(ends.purge_below(MINUTE * 60, 1_000, 300), Some(300));
        assert_eq!(ends.purge_below(MINUTE * 60, 1_000, 0), None);
    }
}
