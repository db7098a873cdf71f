//! Finds the next instant of a cron expression.
//!
//! A job that follows the wall clock is due whenever the clock shows a matching time: between two jumps of the clock that is a search
//! among the dates, and then among the times of one day. A job at one exact time of day has one instant on each date that matches,
//! wherever the clock jumps on it. The costs are those of the dates that are passed over, with whole months at a time.
//!
//! The rules are croner's, which was here before: a compiled pattern of it took 100 us to make and 5.4 kB to keep, for each app. The
//! tests hold this against it, in every kind of zone, and against an oracle of their own.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::{
    cron::CronRule,
    times::{DAY_SECONDS, whole_second},
};

/// No two offsets of a zone, from east of the date line to west of it, are further apart.
const OFFSETS_APART_MAX: i64 = 2 * DAY_SECONDS;

/// A job at one time of day runs behind a gap that its time lies in, but not later than this after it.
const GAP_WAIT_MAX: SignedDuration = SignedDuration::from_hours(2);

/// The first instant after `after`; `None` at the end of the calendar.
pub(super) fn after(rule: &CronRule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    match rule.times_of_day().one() {
        Some(time) => at_one_time(rule, zone, time, after),
        None => by_the_wall_clock(rule, zone, whole_second(after)),
    }
}

fn by_the_wall_clock(rule: &CronRule, zone: &TimeZone, mut after: i64) -> Option<Timestamp> {
    loop {
        // Seconds until the next jump: during them the clock is ahead of UTC by a constant.
        let begin = Timestamp::from_second(after + 1).ok()?;
        let offset = i64::from(zone.to_offset(begin).seconds());
        let shown = next_shown(rule, after + offset)?;
        let found = shown - offset;
        let jump = zone.following(begin).next().map(|jump| jump.timestamp().as_second());
        match jump.filter(|jump| *jump <= found) {
            None => return Timestamp::from_second(found).ok(),
            // The clock may be set back, and show times of today again.
            Some(jump) if jump <= after + DAY_SECONDS + OFFSETS_APART_MAX => after = jump - 1,
            // No date between today and that of what was found matches, whatever the offset: years of jumps need no look.
            Some(jump) => after = (jump - 1).max(shown - DAY_SECONDS - OFFSETS_APART_MAX),
        }
    }
}

/// The first matching time that a clock without jumps shows after `after`. Both are seconds since 1970, as the clock shows them.
fn next_shown(rule: &CronRule, after: i64) -> Option<i64> {
    let (first, times) = (Timestamp::from_second(after + 1).ok()?, rule.times_of_day());
    let today = Offset::UTC.to_datetime(first).date();
    let midnight = (after + 1).div_euclid(DAY_SECONDS) * DAY_SECONDS;
    if rule.matches_date(today)
        && let Some(second) = times.first_from(after + 1 - midnight)
    {
        return Some(midnight + second);
    }
    let date = rule.first_date_from(today.tomorrow().ok()?)?;
    let days_later = date.duration_since(today).as_secs();
    Some(midnight + days_later + times.first_from(0)?)
}

fn at_one_time(rule: &CronRule, zone: &TimeZone, second: i64, after: Timestamp) -> Option<Timestamp> {
    let time = Time::midnight().saturating_add(SignedDuration::from_secs(second));
    let mut date = zone.to_datetime(after).date();
    loop {
        date = rule.first_date_from(date)?;
        if let Some(found) = on_date(rule, zone, date, time).filter(|found| *found > after) {
            return Some(found);
        }
        date = date.tomorrow().ok()?;
    }
}

/// When the clock shows this time on this date: the first time if it does so twice, and right behind a gap that contains it, unless that
/// is late, or another date that does not match.
fn on_date(rule: &CronRule, zone: &TimeZone, date: Date, time: Time) -> Option<Timestamp> {
    let shown = date.to_datetime(time);
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(shown).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // By the clock that is ahead already, the time has not come before the jump.
            let jump = zone.following(after.to_timestamp(shown).ok()?).next()?.timestamp();
            let behind = after.to_datetime(jump);
            let in_time = behind.duration_since(shown) <= GAP_WAIT_MAX;
            (in_time && rule.matches_date(behind.date())).then_some(jump)
        }
    }
}
