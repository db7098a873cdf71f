//! Arithmetic on instants that cannot fail.

use std::time::Duration;

use jiff::Timestamp;

/// `instant` plus `duration`, or the end of time.
pub fn after(instant: Timestamp, duration: Duration) -> Timestamp {
    instant.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// `instant` minus `duration`, or the beginning of time.
pub fn before(instant: Timestamp, duration: Duration) -> Timestamp {
    instant.checked_sub(duration).unwrap_or(Timestamp::MIN)
}
