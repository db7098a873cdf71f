//! Counting must equal asking for one instant after the other, and must not cost as much.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::{Missed, Schedule};

use crate::{ZONES, instant, instants, random, schedule_in, time_of, transitions};

/// Zones with every kind of jump that there is.
const ZONE_NAMES: [&str; 9] = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/Nuuk",
    "America/St_Johns",
    "UTC",
];

#[track_caller]
fn check(zone: &str, expression: &str, after: &str, through: &str, count: u64, last: Option<&str>) {
    let missed = schedule_in(zone, expression).count_between(instant(after), instant(through));
    assert_eq!(missed, Missed { count, last: last.map(instant) }, "`{expression}` in {zone}");
}

#[test]
fn the_stretch_is_open_at_its_start_and_closed_at_its_end() {
    let check = |after, through, count, last| check("UTC", "0 * * * * *", after, through, count, last);
    check("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", 1, Some("2026-01-01T00:01:00Z"));
    check("2026-01-01T00:00:00Z", "2026-01-01T00:00:59.999Z", 0, None);
    check("2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00Z", 1, Some("2026-01-01T00:00:00Z"));
    check("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 0, None);
    check("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.9Z", 0, None);
    check("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", 0, None);
}

#[test]
fn a_month_of_seconds_is_counted_whole() {
    check(
        "Asia/Shanghai",
        "* * * * * *",
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
        30 * 86_400,
        Some("2026-12-01T00:00:00Z"),
    );
}

/// One by one, 30 days take seconds, and each app of a mesh would take them.
#[test]
fn counting_a_month_of_seconds_costs_next_to_nothing() {
    let schedule = schedule_in("Europe/Berlin", "* * * * * *");
    let took = time_of(|| schedule.count_between(instant("2026-10-10T00:00:00Z"), instant("2026-11-09T00:00:00Z")));
    assert!(took < Duration::from_millis(20), "took {took:?}");
}

#[test]
fn an_hour_that_the_clock_skips_or_repeats_is_not_made_up_or_forgotten() {
    let check = |after, through, count| {
        check("Europe/Berlin", "* * * * * *", after, through, count, Some(through));
        check("Europe/Berlin", "0 * * * * *", after, through, count / 60, Some(through));
    };
    check("2027-03-27T00:00:00Z", "2027-03-29T00:00:00Z", 2 * 86_400);
    check("2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z", 2 * 86_400);
}

#[test]
fn periods_are_counted_by_arithmetic() {
    check("UTC", "@every 90s", "1970-01-01T00:00:00Z", "1970-01-01T00:03:00Z", 2, Some("1970-01-01T00:03:00Z"));
    check("UTC", "@every 90s", "1969-12-31T23:58:29Z", "1970-01-01T00:00:00Z", 2, Some("1970-01-01T00:00:00Z"));
    check("UTC", "@every 90s", "1970-01-01T00:00:00Z", "1970-01-01T00:01:29Z", 0, None);
    check(
        "UTC",
        "@every 1s",
        "1970-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
        1_767_225_600,
        Some("2026-01-01T00:00:00Z"),
    );
    check("UTC", "@every 1h", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", 0, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Up to three days, most of them plain.
    #[test]
    fn counting_equals_asking_one_after_the_other(
        expression in random::expression(),
        zone in select(&ZONE_NAMES[..]),
        after_ms in 1_767_225_600_000_i64..1_893_456_000_000,
        length_ms in 0_i64..3 * 86_400_000,
    ) {
        let Ok(schedule) = Schedule::parse(&expression, zone, &ZONES) else { return Ok(()) };
        let after = Timestamp::from_millisecond(after_ms).unwrap();
        let through = after + SignedDuration::from_millis(length_ms);
        let one_by_one = instants(&schedule, after, through);
        let expected = Missed { count: one_by_one.len() as u64, last: one_by_one.last().copied() };
        prop_assert_eq!(schedule.count_between(after, through), expected);
    }

    /// Any cut of a stretch into two gives the same sum: no day is counted twice or left out.
    #[test]
    fn counting_in_two_parts_gives_the_same_sum(
        expression in random::expression(),
        zone in select(&ZONE_NAMES[..]),
        around in transitions::near_a_transition(),
        parts_s in (0_i64..200_000, 0_i64..200_000),
    ) {
        let Ok(schedule) = Schedule::parse(&expression, zone, &ZONES) else { return Ok(()) };
        let middle = around + SignedDuration::from_secs(parts_s.0);
        let through = middle + SignedDuration::from_secs(parts_s.1);
        let (first, second) = (schedule.count_between(around, middle), schedule.count_between(middle, through));
        let whole = schedule.count_between(around, through);
        prop_assert_eq!(whole, Missed { count: first.count + second.count, last: second.last.or(first.last) });
    }
}
