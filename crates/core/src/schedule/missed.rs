//! The instants that nobody was there to decide.

use jiff::Timestamp;

/// Instants that a stretch of time contains, as needed to account for all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    pub count: u64,
    /// The latest of them.
    pub last: Option<Timestamp>,
}

impl Missed {
    /// Adds those of a later stretch.
    pub(super) fn then(self, later: Self) -> Self {
        Self { count: self.count + later.count, last: later.last.or(self.last) }
    }
}
