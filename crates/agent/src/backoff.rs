//! Pauses between tries of something that has to be done in the end.

use std::time::Duration;

/// First pause: most troubles are over by then.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause: an attempt's end is not told later than this after NATS or the engine came back.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses that double.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_MIN }
    }
}

impl Backoff {
    /// Waits before the next try.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.advance()).await;
    }

    /// The next pause, for who waits elsewhere.
    pub(crate) fn advance(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..7).map(|_| backoff.advance().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }
}
