//! Several schedules as one: the instants of all of them, each once.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::Schedule;

use crate::{ZONES, instant, instants, random::expression, schedule_in, time_of};

/// Zones whose clocks jump at other times, and by other amounts.
const ZONE_NAMES: [&str; 5] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"];
/// Spans of the property tests: a stretch with a jump of most zones, and a plain one.
const BEGINNINGS: [&str; 3] = ["2026-10-24T20:00:00Z", "2027-03-27T21:30:00Z", "2026-12-01T00:00:00Z"];

fn all_of(schedules: &[Schedule]) -> Schedule {
    Schedule::all_of(schedules.iter().cloned()).unwrap()
}

/// The union, by visiting every instant of each.
fn union(schedules: &[Schedule], after: Timestamp, through: Timestamp) -> Vec<Timestamp> {
    let all: BTreeSet<Timestamp> = schedules.iter().flat_map(|it| instants(it, after, through)).collect();
    all.into_iter().collect()
}

#[track_caller]
fn check(schedules: &[Schedule], after: Timestamp, through: Timestamp) {
    let whole = all_of(schedules);
    let expect = union(schedules, after, through);
    assert_eq!(instants(&whole, after, through), expect, "{whole}");
    let counted = whole.count_between(after, through);
    assert_eq!((counted.count, counted.last), (expect.len() as u64, expect.last().copied()), "{whole}");
}

#[test]
fn an_instant_that_two_have_is_one() {
    let [after, through] = ["2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z"].map(instant);
    let hourly = schedule_in("UTC", "0 0 * * * *");
    let daily = schedule_in("UTC", "0 0 3 * * *");
    let berlin = schedule_in("Europe/Berlin", "0 0 4 * * *");
    check(&[hourly.clone(), daily.clone()], after, through);
    check(&[daily.clone(), berlin.clone()], after, through);
    assert_eq!(all_of(&[daily.clone(), berlin.clone()]).count_between(after, through).count, 3);
    check(&[daily, schedule_in("UTC", "@every 7h"), berlin, hourly], after, through);
}

#[test]
fn several_of_one_are_that_one() {
    let daily = schedule_in("UTC", "@daily");
    assert_eq!(Schedule::all_of([]), None);
    assert_eq!(Schedule::all_of([daily.clone(), daily.clone()]), Some(daily.clone()));
    let weekly = schedule_in("Europe/Berlin", "0 0 3 * * 6");
    let both = all_of(&[daily.clone(), weekly.clone()]);
    assert_eq!(both.to_string(), "@daily; TZ=Europe/Berlin 0 0 3 * * 6 (UTC)");
    assert_eq!(both.in_words(), "every day at 00:00; at 03:00, on Saturday");
    assert_eq!(Schedule::all_of([both.clone(), weekly.clone()]), Some(both.clone()));
    assert_ne!(both, all_of(&[weekly, daily]));
    assert_eq!(both.shortest_period(), Duration::from_secs(1));
}

#[test]
fn a_month_of_a_dense_schedule_and_others_is_counted_at_once() {
    let dense = all_of(&[
        schedule_in("UTC", "* * * * * *"),
        schedule_in("Europe/Berlin", "0 */5 * * * *"),
        schedule_in("UTC", "@every 90s"),
    ]);
    let [after, through] = ["2026-10-01T00:00:00Z", "2026-10-31T00:00:00Z"].map(instant);
    assert_eq!(dense.count_between(after, through).count, 30 * 86_400);
    let took = time_of(|| dense.count_between(after, through));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn several_are_the_union_of_their_instants(
        written in prop::collection::vec((expression(), select(&ZONE_NAMES[..])), 2..5),
        beginning in select(&BEGINNINGS[..]),
        minutes in 1_i64..180,
    ) {
        let parsed = written.iter().filter_map(|(text, zone)| Schedule::parse(text, zone, &ZONES).ok());
        let schedules: Vec<Schedule> = parsed.collect();
        prop_assume!(!schedules.is_empty());
        let after = instant(beginning);
        let through = after.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        check(&schedules, after, through);
    }
}
