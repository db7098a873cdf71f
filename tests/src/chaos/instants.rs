//! The instants of a schedule, counted without tickmesh: whole seconds that a period divides.

use jiff::Timestamp;

/// An app that is due whenever its period divides the seconds since the epoch, as `@every` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub app: String,
    /// Seconds between two instants.
    pub period: i64,
    /// When it was applied, by the server's clock: what is due later counts.
    pub after: Timestamp,
    /// The last moment that is judged.
    pub through: Timestamp,
}

impl Schedule {
    /// Every instant that must be decided, as seconds since the epoch.
    pub fn instants(&self) -> impl Iterator<Item = i64> + use<> {
        self.instants_through(self.through)
    }

    /// The instants up to another moment.
    pub fn instants_through(&self, through: Timestamp) -> impl Iterator<Item = i64> + use<> {
        let (period, through) = (self.period, through.as_second());
        // An instant at the very moment of the apply is not after it.
        let first = (self.after.as_second().div_euclid(period) + 1) * period;
        (0..).map(move |index| first + index * period).take_while(move |second| *second <= through)
    }
}
