//! The shortest time between two instants of a cron expression: what `jitter` must stay below.
//!
//! The wall clock alone would be arithmetic on the times of day. But a clock that jumps brings instants closer together: a
//! daily job's by the hour that a gap takes away, and two times of day on both sides of a jump by any amount. So each kind of
//! jump that the zone has is looked at. Dates are left out of that, as if every one matched: more instants than there are
//! are never further apart.

use std::collections::BTreeSet;

use jiff::{
    Timestamp,
    civil::Date,
    tz::{TimeZone, TimeZoneTransition},
};

use super::{cron::CronRule, times::DAY_SECONDS};

/// Jumps from here on count. What zones did earlier (Samoa left out a day in 2011) says nothing of runs to come.
const JUMPS_SINCE: Timestamp = Timestamp::constant(1_704_067_200, 0);

/// Jumps that are looked at. A zone repeats itself after two; Morocco's move with the moon, and come round in about 33 years.
const JUMPS_MAX: usize = 70;

/// The calendar repeats itself after 400 years. Twice that is the most between two dates that match, if they are as rare as
/// can be.
const CALENDAR_DAYS: usize = 2 * 146_097;
const CALENDAR_START: Date = Date::constant(2000, 1, 1);

/// A lower bound, in seconds, of the time between two consecutive instants from [`JUMPS_SINCE`] on; at least 1.
pub(super) fn shortest_seconds(rule: &CronRule, zone: &TimeZone) -> i64 {
    let times: Vec<i64> = rule.times_of_day().iter().collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return DAY_SECONDS };
    let across_days = shortest_days(rule) * DAY_SECONDS - (last - first);
    let shortest = if first == last {
        // Once a day, whatever the clock does; but it may be ahead of where it was the last time.
        across_days - offset_span(zone)
    } else {
        let within_day = times.windows(2).map(|pair| pair[1] - pair[0]);
        let across_jumps = jumps(zone).into_iter().map(|jump| jump.shortest(&times));
        within_day.chain(across_jumps).fold(across_days, i64::min)
    };
    shortest.max(1)
}

/// The fewest days from one date that matches to the next.
fn shortest_days(rule: &CronRule) -> i64 {
    let dates = std::iter::successors(Some(CALENDAR_START), |date| date.tomorrow().ok()).take(CALENDAR_DAYS);
    let mut matching = (0_i64..).zip(dates).filter(|(_, date)| rule.matches_date(*date)).map(|(day, _)| day);
    let Some(mut last) = matching.next() else { return 1 };
    let mut shortest = i64::MAX;
    for day in matching {
        shortest = shortest.min(day - last);
        last = day;
        if shortest == 1 {
            break;
        }
    }
    shortest
}

/// A jump of the wall clock, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Jump {
    /// What the clock would have shown without it: second of the day.
    at: i64,
    /// By how much it was set forward; back, if negative.
    by: i64,
}

impl Jump {
    /// Time from the last of these times of day before the jump to the first behind it.
    fn shortest(self, times: &[i64]) -> i64 {
        let days = || times.iter().flat_map(|time| [-1, 0, 1, 2].map(|day| time + day * DAY_SECONDS));
        let before = days().filter(|time| *time < self.at).max();
        let behind = days().filter(|time| *time >= self.at + self.by).min();
        before.zip(behind).map_or(DAY_SECONDS, |(before, behind)| behind - before - self.by)
    }
}

fn jumps(zone: &TimeZone) -> BTreeSet<Jump> {
    transitions(zone)
        .map(|(before, after, instant)| Jump { at: (instant + before).rem_euclid(DAY_SECONDS), by: after - before })
        .collect()
}

/// How far apart the zone's offsets from UTC are.
fn offset_span(zone: &TimeZone) -> i64 {
    let offsets = transitions(zone).flat_map(|(before, after, _)| [before, after]);
    let (least, most) = offsets.fold((i64::MAX, i64::MIN), |(least, most), it| (least.min(it), most.max(it)));
    most.saturating_sub(least).max(0)
}

/// Offsets before and after, and the second of each jump.
fn transitions(zone: &TimeZone) -> impl Iterator<Item = (i64, i64, i64)> {
    let offset = |second| Timestamp::from_second(second).map(|instant| i64::from(zone.to_offset(instant).seconds()));
    zone.following(JUMPS_SINCE).take(JUMPS_MAX).filter_map(move |transition: TimeZoneTransition<'_>| {
        let second = transition.timestamp().as_second();
        Some((offset(second - 1).ok()?, i64::from(transition.offset().seconds()), second))
    })
}
