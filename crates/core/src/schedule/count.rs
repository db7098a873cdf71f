//! Counts the instants of a cron expression in a stretch of time without visiting each of them.
//!
//! A job that follows the wall clock is due whenever the clock shows a matching time. Between two jumps of the clock that
//! is arithmetic: on each date that matches, every combination of the hours, minutes and seconds. So the stretch is cut at
//! the jumps, and each piece is counted by the date. A job at one exact time of day has rules of its own about jumps, and
//! one instant a day: it is simply searched. The tests hold both against the search, instant by instant.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{DAY_SECONDS, cron::CronRule, next, whole_second};

/// Instants that a stretch of time contains, as needed to account for all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missed {
    /// How many.
    pub count: u64,
    /// The latest of them.
    pub last: Option<Timestamp>,
}

impl Missed {
    /// Adds those of a later stretch.
    fn then(self, later: Self) -> Self {
        Self { count: self.count + later.count, last: later.last.or(self.last) }
    }
}

/// Counts the instants in `(after, through]`.
pub(super) fn between(rule: &CronRule, zone: &TimeZone, after: Timestamp, through: Timestamp) -> Missed {
    if rule.times_of_day().is_one() {
        return one_by_one(rule, zone, after, through);
    }
    let mut missed = Missed::default();
    let mut counted_through = whole_second(after);
    for transition in zone.following(after).map(|transition| transition.timestamp()) {
        if transition > through {
            break;
        }
        let last_before = transition.as_second() - 1;
        missed = missed.then(between_jumps(rule, zone, counted_through, last_before));
        counted_through = last_before;
    }
    missed.then(between_jumps(rule, zone, counted_through, whole_second(through)))
}

fn one_by_one(rule: &CronRule, zone: &TimeZone, after: Timestamp, through: Timestamp) -> Missed {
    let next = |instant: &Timestamp| next::after(rule, zone, *instant);
    let instants = std::iter::successors(next(&after), next).take_while(|instant| *instant <= through);
    instants.fold(Missed::default(), |missed, instant| missed.then(Missed { count: 1, last: Some(instant) }))
}

/// Counts in the seconds `(after, through]`, during which the clock does not jump: by what it shows at their end, local
/// seconds since 1970 are seconds plus a constant.
fn between_jumps(rule: &CronRule, zone: &TimeZone, after: i64, through: i64) -> Missed {
    let mut missed = Missed::default();
    let Ok(end) = Timestamp::from_second(through) else { return missed };
    let offset = i64::from(zone.to_offset(end).seconds());
    let (after, through) = (after + offset, through + offset);
    let first_day = (after + 1).div_euclid(DAY_SECONDS);
    let mut date = EPOCH.checked_add(first_day.days()).ok();
    for midnight in (first_day * DAY_SECONDS..=through).step_by(DAY_SECONDS as usize) {
        let Some(today) = date else { break };
        if rule.matches_date(today) {
            let (count, last) = rule.times_of_day().within(after - midnight, through - midnight);
            let last = last.and_then(|second| Timestamp::from_second(midnight + second - offset).ok());
            missed = missed.then(Missed { count, last });
        }
        date = today.tomorrow().ok();
    }
    missed
}

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Every combination of some hours, minutes and seconds: sets of values, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimesOfDay {
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
}

impl TimesOfDay {
    /// Whether it is one exact time of day.
    fn is_one(self) -> bool {
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
    fn within(self, after: i64, through: i64) -> (u64, Option<i64>) {
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
