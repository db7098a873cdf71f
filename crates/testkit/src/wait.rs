//! Waiting with a deadline, and saying what for.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// Pause between two looks at something that takes milliseconds.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` says yes.
///
/// # Panics
///
/// If it does not within `patience`.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain for {what}");
        sleep(LOOK_PAUSE);
    }
}
