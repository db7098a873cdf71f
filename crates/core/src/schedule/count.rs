//! Counts the instants of a cron expression in a stretch of time without visiting each of them.
//!
//! On a *plain* day, one on which the wall clock shows every second once and in order, the instants of a schedule are
//! every combination of its hours, minutes and seconds, or none: that is arithmetic. Days on which the clock jumps are
//! left to the search, instant by instant. The tests hold both against each other.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{cron::CronRule, whole_second};

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

/// Counts the instants in `(after, through]`, day by day.
pub(super) fn between(rule: &CronRule, zone: &TimeZone, after: Timestamp, through: Timestamp) -> Missed {
    let mut missed = Missed::default();
    let Ok(mut counted_through) = Timestamp::from_second(whole_second(after)) else { return missed };
    // The date can be a day behind inside an overlap at midnight; then the first turns count nothing.
    let mut date = Some(zone.to_datetime(counted_through).date());
    while let Some(today) = date.filter(|_| counted_through < through) {
        let tomorrow = today.tomorrow().ok();
        let last_second = tomorrow.and_then(|date| start_of(date, zone)?.checked_sub(SECOND).ok());
        let until = last_second.map_or(through, |last_second| last_second.min(through));
        if until > counted_through {
            missed = missed.then(day_part(rule, zone, today, counted_through, until));
            counted_through = until;
        }
        date = tomorrow;
    }
    missed
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const DAY_SECONDS: i64 = 86_400;

/// The first second of a date.
fn start_of(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = date.to_zoned(zone.clone()).ok()?;
    Some(midnight.timestamp())
}

/// Counts in `(after, through]`, which lies within one date.
fn day_part(rule: &CronRule, zone: &TimeZone, date: Date, after: Timestamp, through: Timestamp) -> Missed {
    match start_of_plain_day(date, zone) {
        Some(midnight) if rule.matches_date(date) => {
            plain_day_part(rule.times_of_day(), midnight, whole_second(after), whole_second(through))
        }
        Some(_) => Missed::default(),
        None => one_by_one(rule, zone, after, through),
    }
}

/// The first second of a date on which the clock shows every second once; `None` for all other dates.
fn start_of_plain_day(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let first = start_of(date, zone)?;
    let last = first.checked_add(SignedDuration::from_secs(DAY_SECONDS - 1)).ok()?;
    let before = first.checked_sub(SECOND).ok()?;
    let undisturbed = zone.following(before).next().is_none_or(|transition| transition.timestamp() > last);
    // A gap that swallows midnight moves the start away from it, and lies before the start.
    let at_midnight = zone.to_datetime(first) == date.at(0, 0, 0, 0);
    (undisturbed && at_midnight).then_some(first)
}

fn plain_day_part(times: TimesOfDay, midnight: Timestamp, after: i64, through: i64) -> Missed {
    // Before the first second of the day, nothing of it is counted: -1 has no matching time at or before it.
    let second_of_day = |second: i64| (second - midnight.as_second()).clamp(-1, DAY_SECONDS - 1);
    let through = second_of_day(through);
    let count = times.count_through(through) - times.count_through(second_of_day(after));
    let last = times.last_through(through).filter(|_| count > 0);
    Missed { count, last: last.and_then(|second| Timestamp::from_second(midnight.as_second() + second).ok()) }
}

fn one_by_one(rule: &CronRule, zone: &TimeZone, after: Timestamp, through: Timestamp) -> Missed {
    let next = |instant: &Timestamp| rule.next_after(*instant, zone);
    let instants = std::iter::successors(next(&after), next).take_while(|instant| *instant <= through);
    instants.fold(Missed::default(), |missed, instant| missed.then(Missed { count: 1, last: Some(instant) }))
}

/// Every combination of some hours, minutes and seconds: sets of values, one bit each.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimesOfDay {
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
}

impl TimesOfDay {
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

fn highest(values: u64) -> Option<u32> {
    values.checked_ilog2()
}
