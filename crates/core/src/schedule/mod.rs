//! When an app is due.
use jiff::Timestamp;
/// Rule that yields instants.
#[derive(Debug, Clone)]
pub struct Schedule {}
/// Missed
pub struct Missed {
    /// n
    pub count: u64,
    /// l
    pub last: Option<Timestamp>,
}
impl Schedule {
    /// First instant after `after`.
    pub fn next_after(&self, _after: Timestamp) -> Option<Timestamp> {
        None
    }
    /// c
    pub fn count_between(&self, _after: Timestamp, _through: Timestamp) -> Missed {
        Missed { count: 0, last: None }
    }
}
