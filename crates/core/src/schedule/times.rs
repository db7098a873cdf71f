//! Seconds and times of day, by the wall clock and since 1970.

use jiff::Timestamp;

/// Seconds that the wall clock shows between two midnights.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// The last whole second at or before `instant`.
pub(super) fn whole_second(instant: Timestamp) -> i64 {
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

/// Every combination of some hours, minutes and seconds: sets of values, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimesOfDay {
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
}

impl TimesOfDay {
    /// Whether it is one exact time of day.
    pub(super) fn is_one(self) -> bool {
        [self.hours, self.minutes, self.seconds].iter().all(|values| size(*values) == 1)
    }

    /// The one exact time of day that this is, as a second of the day.
    pub(super) fn one(self) -> Option<i64> {
        self.is_one().then(|| self.first_from(0)).flatten()
    }

    /// All of them, as seconds of the day, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = i64> {
        (0..DAY_SECONDS).filter(move |second_of_day| {
            split(*second_of_day).is_some_and(|(hour, minute, second)| {
                has(self.hours, hour) && has(self.minutes, minute) && has(self.seconds, second)
            })
        })
    }

    /// How many lie within `(after, through]`, seconds of the day, and the latest of them. Both may lie outside of it.
    pub(super) fn within(self, after: i64, through: i64) -> (u64, Option<i64>) {
        // At second -1 the day has not begun, and nothing is counted.
        let clamp = |second: i64| second.clamp(-1, DAY_SECONDS - 1);
        let count = self.count_through(clamp(through)).saturating_sub(self.count_through(clamp(after)));
        (count, self.last_through(clamp(through)).filter(|_| count > 0))
    }

    /// The earliest at or after this second of the day.
    pub(super) fn first_from(self, second_of_day: i64) -> Option<i64> {
        let (hour, minute, second) = split(second_of_day)?;
        let in_minute = || Some((hour, minute, lowest(self.seconds & !below(second))?));
        let in_hour = || Some((hour, lowest(self.minutes & !through(minute))?, lowest(self.seconds)?));
        let in_day = || Some((lowest(self.hours & !through(hour))?, lowest(self.minutes)?, lowest(self.seconds)?));
        let mut found = None;
        if has(self.hours, hour) {
            found = has(self.minutes, minute).then(in_minute).flatten().or_else(in_hour);
        }
        let (hour, minute, second) = found.or_else(in_day)?;
        Some(i64::from(hour * 3_600 + minute * 60 + second))
    }

    /// How many are at or before this second of the day.
    fn count_through(self, second_of_day: i64) -> u64 {
        let Some((hour, minute, second)) = split(second_of_day) else { return 0 };
        let in_minute = size(self.seconds & through(second));
        let in_hour = size(self.minutes & below(minute)) * size(self.seconds)
            + if has(self.minutes, minute) { in_minute } else { 0 };
        size(self.hours & below(hour)) * size(self.minutes) * size(self.seconds)
            + if has(self.hours, hour) { in_hour } else { 0 }
    }

    /// The latest at or before this second of the day.
    fn last_through(self, second_of_day: i64) -> Option<i64> {
        let (hour, minute, second) = split(second_of_day)?;
        let in_minute = || Some((hour, minute, highest(self.seconds & through(second))?));
        let in_hour = || Some((hour, highest(self.minutes & below(minute))?, highest(self.seconds)?));
        let in_day = || Some((highest(self.hours & below(hour))?, highest(self.minutes)?, highest(self.seconds)?));
        let mut found = None;
        if has(self.hours, hour) {
            found = has(self.minutes, minute).then(in_minute).flatten().or_else(in_hour);
        }
        let (hour, minute, second) = found.or_else(in_day)?;
        Some(i64::from(hour * 3_600 + minute * 60 + second))
    }
}

/// Hour, minute and second; `None` before the day begins.
fn split(second_of_day: i64) -> Option<(u32, u32, u32)> {
    let second_of_day = u32::try_from(second_of_day).ok()?;
    Some((second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60))
}

fn has(values: u64, value: u32) -> bool {
    values >> value & 1 == 1
}

fn below(value: u32) -> u64 {
    (1 << value) - 1
}

fn through(value: u32) -> u64 {
    below(value + 1)
}

fn size(values: u64) -> u64 {
    u64::from(values.count_ones())
}

fn lowest(values: u64) -> Option<u32> {
    (values != 0).then(|| values.trailing_zeros())
}

fn highest(values: u64) -> Option<u32> {
    values.checked_ilog2()
}
