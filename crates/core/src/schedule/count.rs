//! Counts the instants of a cron expression in a stretch of time without visiting each of them.
//!
//! A job that follows the wall clock is due whenever the clock shows a matching time. Between two jumps of the clock that
//! is arithmetic: on each date that matches, every combination of the hours, minutes and seconds. So the stretch is cut at
//! the jumps, and each piece is counted by the date. A job at one exact time of day has rules of its own about jumps, and
//! one instant a day: it is simply searched. The tests hold both against the search, instant by instant.

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use super::{
    cron::CronRule,
    missed::Missed,
    next,
    times::{DAY_SECONDS, whole_second},
};

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
