//! `@every 90s`: the multiples of a period since 1970-01-01T00:00:00Z.
//!
//! Anchored to the epoch, not to the moment of the apply, so that every scheduler yields the same instants from the text
//! alone, across restarts.

use std::fmt;

use jiff::Timestamp;

use super::{
    error::{Problem, ScheduleError},
    limits::PERIOD_MAX,
    missed::Missed,
    times::whole_second,
    token::Token,
};

/// The units, largest first, which is the order they must stand in.
const UNITS: [(u8, u64); 4] = [(b'd', 86_400), (b'h', 3_600), (b'm', 60), (b's', 1)];

/// Whole seconds, at least one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period(i64);

impl Period {
    /// Reads what follows `@every`: `90s`, `1h30m`.
    pub(super) fn parse(every: Token<'_>, arguments: &[Token<'_>]) -> Result<Self, ScheduleError> {
        let example = "write whole days, hours, minutes and seconds, such as `@every 1h30m` or `@every 90s`";
        let argument = match *arguments {
            [] => return Err(Problem::NoDuration.at(every.column).hint_is(example)),
            [argument] => argument,
            [_, second, ..] => {
                let text = arguments.iter().map(|it| it.text).collect::<Vec<_>>().join(" ");
                return Err(Problem::Duration(text).at(second.column).hint_is(example));
            }
        };
        let not_understood = || Problem::Duration(argument.text.to_owned()).at(argument.column).hint_is(example);
        let seconds = seconds(argument.text).ok_or_else(not_understood)?;
        match i64::try_from(seconds) {
            Ok(period) if (1..=PERIOD_MAX).contains(&seconds) => Ok(Self(period)),
            Ok(_) | Err(_) => Err(Problem::Period(argument.text.to_owned()).at(argument.column)),
        }
    }

    /// Its length.
    pub(super) fn seconds(self) -> i64 {
        self.0
    }

    /// The first multiple after `after`.
    pub(super) fn next_after(self, after: Timestamp) -> Option<Timestamp> {
        let number = whole_second(after).div_euclid(self.0) + 1;
        Timestamp::from_second(number * self.0).ok()
    }

    /// The multiples in `(after, through]`.
    pub(super) fn count_between(self, after: Timestamp, through: Timestamp) -> Missed {
        let number = |instant| whole_second(instant).div_euclid(self.0);
        let count = u64::try_from(number(through) - number(after)).unwrap_or(0);
        let last = Timestamp::from_second(number(through) * self.0).ok().filter(|_| count > 0);
        Missed { count, last }
    }
}

/// As it would be written: `1h30m`.
impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.unsigned_abs();
        for (unit, length) in UNITS {
            if rest >= length {
                write!(formatter, "{}{}", rest / length, char::from(unit))?;
                rest %= length;
            }
        }
        Ok(())
    }
}

/// Sum of a text such as `1d2h3m4s`: each unit at most once, the largest first. Saturates, so that a number beyond all
/// measure is "too long" and not "not a duration".
fn seconds(text: &str) -> Option<u64> {
    let mut sum = 0_u64;
    let mut units = UNITS.iter();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let unit = tail.bytes().next()?;
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        if number.is_empty() {
            return None;
        }
        sum = sum.saturating_add(number.parse().unwrap_or(u64::MAX).saturating_mul(*factor));
        rest = &tail[1..];
    }
    (!text.is_empty()).then_some(sum)
}
