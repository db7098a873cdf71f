//! When an app is due.
use jiff::Timestamp;
/// Rule that yields instants.
#[derive(Debug, Clone)]
pub struct Schedule {}
impl Schedule {
    /// First instant after `after`.
    pub fn next_after(&self, _after: Timestamp) -> Option<Timestamp> {
        None
    }
}
