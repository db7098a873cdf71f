//! The shortest time between two instants, against the instants themselves.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::{Schedule, zone};

use crate::{ZONES, instant, instants, random, schedule_in, time_of, transitions::disturbed_expression};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

#[track_caller]
fn check(zone: &str, expression: &str, expected_seconds: u64) {
    let period = schedule_in(zone, expression).shortest_period();
    assert_eq!(period, Duration::from_secs(expected_seconds), "`{expression}` in {zone}");
}

#[test]
fn without_jumps_it_is_the_least_distance_on_the_wall_clock() {
    check("Asia/Shanghai", "* * * * * *", 1);
    check("Asia/Shanghai", "0-59/30 * * * * *", 30);
    check("Asia/Shanghai", "0,50 * * * * *", 10);
    check("Asia/Shanghai", "0 */7 * * * *", 4 * 60);
    check("Asia/Shanghai", "0 0 9-17 * * *", HOUR);
    check("Asia/Shanghai", "0 0 1,23 * * *", 2 * HOUR);
    check("Asia/Shanghai", "0 0 1,23 * * 1", 22 * HOUR);
    check("Asia/Shanghai", "@daily", DAY);
    check("Asia/Shanghai", "0 0 0 * * 1-5", DAY);
    check("Asia/Shanghai", "@weekly", 7 * DAY);
    check("Asia/Shanghai", "@monthly", 28 * DAY);
    check("Asia/Shanghai", "@yearly", 365 * DAY);
    check("Asia/Shanghai", "0 0 0 29 2 *", 1_461 * DAY);
    check("Asia/Shanghai", "@every 90s", 90);
}

#[test]
fn a_jump_of_the_clock_brings_instants_closer_together() {
    check("Europe/Berlin", "@daily", 23 * HOUR);
    check("Australia/Lord_Howe", "@daily", 23 * HOUR + HOUR / 2);
    check("Europe/Berlin", "0 59 1,3,4 * * *", HOUR);
    check("Europe/Berlin", "0 0,59 1,3 * * *", 60);
    check("Australia/Lord_Howe", "0 0 * * * *", HOUR);
    check("Australia/Lord_Howe", "0 45 * * * *", HOUR / 2);
    check("Australia/Lord_Howe", "0 30,59 1 * * *", 60);
    check("Europe/Berlin", "0 */30 * * * *", HOUR / 2);
    check("Europe/Berlin", "@every 1d", DAY);
}

/// The rarest date has to be looked for in the whole calendar.
#[test]
fn it_is_found_at_once() {
    for expression in ["* * * * * *", "0 0 0 29 2 */7"] {
        let schedule = schedule_in("Africa/Casablanca", expression);
        let took = time_of(|| schedule.shortest_period());
        assert!(took < Duration::from_millis(200), "{expression} took {took:?}");
    }
}

/// A zone of the whole table, and an instant shortly before one of its jumps in these years: some minutes, so that dense
/// schedules come across it, or up to two days.
fn any_zone_of_these_years() -> impl Strategy<Value = (String, Timestamp)> {
    let names: Vec<String> = ZONES.available().map(|name| name.as_str().to_owned()).collect();
    let seconds_before = prop_oneof![0_i64..600, 0_i64..172_800];
    (select(names), 1_704_240_000_i64..2_500_000_000, seconds_before).prop_map(|(name, from, seconds_before)| {
        let from = Timestamp::from_second(from).unwrap();
        let zone = zone(&ZONES, &name).unwrap();
        let transition = zone.following(from).next();
        let around = transition.map_or(from, |transition| transition.timestamp());
        (name, around - SignedDuration::from_secs(seconds_before))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_two_instants_are_closer(
        expression in prop_oneof![disturbed_expression(), random::expression()],
        (zone_name, after) in any_zone_of_these_years(),
    ) {
        let Ok(schedule) = Schedule::parse(&expression, &zone_name, &ZONES) else { return Ok(()) };
        let period = SignedDuration::try_from(schedule.shortest_period()).unwrap();
        let first = schedule.next_after(after);
        let pairs = std::iter::successors(first, |instant| schedule.next_after(*instant)).take(200);
        for (one, next) in pairs.clone().zip(pairs.skip(1)) {
            prop_assert!(next.duration_since(one) >= period, "{one} and {next}, not {period:#}");
        }
    }

    /// Where no clock jumps, two times of day are as close: the bound is not merely safe.
    #[test]
    fn every_day_two_instants_are_as_close(expression in random::expression()) {
        let times: Vec<&str> = expression.split_whitespace().take(3).chain(["*", "*", "*"]).collect();
        let Ok(schedule) = Schedule::parse(&times.join(" "), "Asia/Shanghai", &ZONES) else { return Ok(()) };
        let (from, through) = (instant("2026-01-01T00:00:00Z"), instant("2026-01-03T00:00:00Z"));
        prop_assume!(schedule.count_between(from, through).count < 5_000);
        let found = instants(&schedule, from, through);
        let least = found.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs()).min();
        prop_assert_eq!(Some(schedule.shortest_period()), least);
    }
}
