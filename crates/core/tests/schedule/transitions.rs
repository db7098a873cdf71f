//! Days on which the clock jumps.
//!
//! First a table of known cases, then a second oracle: it walks over *instants*, second by second, reads the wall clock
//! at each, and applies the documented rule. That is the other way round from the implementation, which walks over the
//! wall clock and asks for its instants.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::{Schedule, zone};

use crate::{ZONES, instant, instants, oracle::Entry, random, schedule_in};

/// What a schedule yields from an instant on, as the zone's clock shows it.
#[track_caller]
fn check(zone_name: &str, expression: &str, after: &str, expected: &[&str]) {
    let schedule = schedule_in(zone_name, expression);
    let mut actual = Vec::new();
    let mut cursor = instant(after);
    for _ in expected {
        cursor = schedule.next_after(cursor).unwrap();
        actual.push(cursor.to_zoned(schedule.zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
    }
    assert_eq!(actual, expected, "`{expression}` in {zone_name} after {after}");
}

#[test]
fn a_job_at_one_time_of_day_runs_right_after_the_gap_that_swallowed_its_time() {
    check(
        "Europe/Berlin",
        "0 30 2 * * *",
        "2027-03-27T12:00:00Z",
        &["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"],
    );
    check(
        "America/New_York",
        "0 30 2 * * *",
        "2027-03-13T12:00:00Z",
        &["2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"],
    );
    check("Africa/Cairo", "0 0 0 * * *", "2027-04-29T12:00:00Z", &["2027-04-30T01:00:00+03:00"]);
    check("Australia/Lord_Howe", "0 15 2 * * *", "2026-10-03T12:00:00Z", &["2026-10-04T02:30:00+11:00"]);
    check(
        "America/Sao_Paulo",
        "0 0 0 * * *",
        "2018-11-03T12:00:00Z",
        &["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"],
    );
    check("Pacific/Chatham", "0 50 2 * * *", "2026-09-26T02:00:00Z", &["2026-09-27T03:45:00+13:45"]);
    check("Asia/Shanghai", "0 30 2 * * *", "1991-04-13T12:00:00Z", &["1991-04-14T03:00:00+09:00"]);
    check("Europe/London", "0 30 1 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T02:00:00+01:00"]);
}

#[test]
fn a_job_at_one_time_of_day_runs_once_in_an_overlap_the_first_time() {
    check(
        "Europe/Berlin",
        "0 30 2 * * *",
        "2026-10-24T12:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    );
    check(
        "America/New_York",
        "0 30 1 * * *",
        "2026-10-31T12:00:00Z",
        &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
    );
    check(
        "Australia/Lord_Howe",
        "0 45 1 * * *",
        "2027-04-03T12:00:00Z",
        &["2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"],
    );
}

#[test]
fn other_jobs_follow_the_wall_clock_in_ascending_order() {
    check(
        "Europe/Berlin",
        "0 0,30 2 * * *",
        "2026-10-24T12:00:00Z",
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-26T02:00:00+01:00",
        ],
    );
    check(
        "Europe/Berlin",
        "0 30 1-3 * * *",
        "2027-03-27T12:00:00Z",
        &["2027-03-28T01:30:00+01:00", "2027-03-28T03:30:00+02:00", "2027-03-29T01:30:00+02:00"],
    );
    check(
        "Europe/Berlin",
        "0 0 * * * *",
        "2027-03-28T00:00:00Z",
        &["2027-03-28T03:00:00+02:00", "2027-03-28T04:00:00+02:00"],
    );
    check(
        "Europe/Berlin",
        "0 */30 * * * *",
        "2027-03-28T00:00:00Z",
        &["2027-03-28T01:30:00+01:00", "2027-03-28T03:00:00+02:00"],
    );
    check("Europe/Berlin", "0 0 */2 * * *", "2027-03-27T23:30:00Z", &["2027-03-28T04:00:00+02:00"]);
    check(
        "Europe/Berlin",
        "0 0 * * * *",
        "2026-10-24T23:30:00Z",
        &["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
    );
}

#[test]
fn periods_know_no_summer_time() {
    check(
        "Europe/Berlin",
        "@every 1h",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
    );
}

/// Samoa left out 30 December 2011. What would have run that day does not, its last two hours excepted; what comes later
/// is not disturbed.
#[test]
fn a_day_that_does_not_exist_is_passed_over() {
    for after in ["2011-12-29T22:00:00Z", "2011-12-30T03:00:00Z", "2011-12-30T10:00:00Z"] {
        check("Pacific/Apia", "0 0 12 * * *", after, &["2011-12-31T12:00:00+14:00", "2012-01-01T12:00:00+14:00"]);
    }
    check(
        "Pacific/Apia",
        "0 0 22 * * *",
        "2011-12-30T09:00:00Z",
        &["2011-12-31T00:00:00+14:00", "2011-12-31T22:00:00+14:00"],
    );
    check("Pacific/Apia", "0 0 12 30 12 *", "2011-01-15T00:00:00Z", &["2012-12-30T12:00:00+14:00"]);
    check("Pacific/Apia", "0 0 */12 * * *", "2011-12-29T23:00:00Z", &["2011-12-31T00:00:00+14:00"]);
}

/// Greenland's clock goes from 23:00 on Saturday to 00:00 on Sunday. A daily job is moved to midnight; a job for
/// Saturdays only is not, because midnight is no longer Saturday. The page of the module says so.
#[test]
fn a_gap_across_midnight_swallows_a_job_of_the_day_before() {
    check("America/Nuuk", "0 30 23 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T00:00:00-01:00"]);
    check("America/Nuuk", "0 30 23 * * 6", "2027-03-27T12:00:00Z", &["2027-04-03T23:30:00-01:00"]);
}

#[test]
fn the_fraction_of_the_start_does_not_leak_into_the_instants() {
    check("Asia/Shanghai", "0-59/30 * * * * *", "2026-11-22T04:00:07.133Z", &["2026-11-22T12:00:30+08:00"]);
    let schedule = schedule_in("Asia/Shanghai", "* * * * * *");
    assert_eq!(schedule.next_after(instant("2026-11-22T04:00:07.133Z")), Some(instant("2026-11-22T04:00:08Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:59:59.5Z")), Some(instant("1970-01-01T00:00:00Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:59:58.5Z")), Some(instant("1969-12-31T23:59:59Z")));
}

/// Transitions of every kind: an hour, half an hour, at midnight, across midnight, a day, and no daylight saving at all.
const TRANSITIONS: [(&str, &str); 20] = [
    ("America/New_York", "2027-03-14T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Europe/Berlin", "2027-03-28T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("Europe/London", "2027-03-28T01:00:00Z"),
    ("Europe/London", "2026-10-25T01:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Australia/Lord_Howe", "2027-04-03T15:00:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("Pacific/Chatham", "2026-09-26T14:00:00Z"),
    ("Pacific/Chatham", "2027-04-03T14:00:00Z"),
    ("Africa/Cairo", "2027-04-29T22:00:00Z"),
    ("Africa/Cairo", "2026-10-29T21:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("America/Nuuk", "2027-03-28T01:00:00Z"),
    ("America/Nuuk", "2026-10-25T01:00:00Z"),
    ("America/St_Johns", "2006-10-29T02:31:00Z"),
    ("America/Caracas", "2016-05-01T07:00:00Z"),
    ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
];

/// An instant up to two days before one of the transitions.
pub(crate) fn near_a_transition() -> impl Strategy<Value = Timestamp> {
    (select(&TRANSITIONS[..]), 0_i64..172_800)
        .prop_map(|((_, transition), seconds)| instant(transition) - SignedDuration::from_secs(seconds))
}

#[test]
fn the_table_of_transitions_is_true() {
    for (zone_name, transition) in TRANSITIONS {
        let zone = zone(&ZONES, zone_name).unwrap();
        let before = instant(transition) - SignedDuration::from_secs(1);
        let found = zone.following(before).next().map(|found| found.timestamp());
        assert_eq!(found, Some(instant(transition)), "{zone_name}");
    }
}

/// Around one transition: what the wall clock shows at every second.
struct WallClock {
    from: Timestamp,
    shown: Vec<DateTime>,
}

impl WallClock {
    /// Thirty hours each way: whole days on both sides.
    fn around(transition: Timestamp, zone: &TimeZone) -> Self {
        let from = transition - SignedDuration::from_hours(30);
        let at = |second| zone.to_datetime(from + SignedDuration::from_secs(second));
        Self { from, shown: (0..60 * 3_600).map(at).collect() }
    }

    fn through(&self) -> Timestamp {
        self.at(self.shown.len() - 1)
    }

    fn at(&self, index: usize) -> Timestamp {
        self.from + SignedDuration::from_secs(index as i64)
    }

    /// The instants of an entry after the first second, by the documented rule.
    fn instants(&self, entry: &Entry) -> Vec<Timestamp> {
        if entry.is_at_one_time_of_day() { self.once_a_day(entry) } else { self.every_showing(entry) }
    }

    fn every_showing(&self, entry: &Entry) -> Vec<Timestamp> {
        (1..self.shown.len()).filter(|index| entry.matches(self.shown[*index])).map(|index| self.at(index)).collect()
    }

    fn once_a_day(&self, entry: &Entry) -> Vec<Timestamp> {
        let mut seen = BTreeSet::<Date>::new();
        let mut found = Vec::new();
        for index in 1..self.shown.len() {
            let (before, now) = (self.shown[index - 1], self.shown[index]);
            let due = entry.matches(now) && seen.insert(now.date());
            if due || self.swallowed(entry, before, now) {
                found.push(self.at(index));
            }
        }
        found
    }

    /// Whether the clock jumped over a match, to at most two hours behind it, and onto a date that matches too.
    fn swallowed(&self, entry: &Entry, before: DateTime, now: DateTime) -> bool {
        let jump = now.duration_since(before).as_secs();
        let skipped = |seconds| entry.matches(before + SignedDuration::from_secs(seconds));
        entry.matches_date(now.date()) && (1..jump).skip_while(|seconds| jump - seconds > 7_200).any(skipped)
    }
}

/// Expressions of the kind that a jump can disturb: dense ones, and times of day near the jumps.
pub(crate) fn disturbed_expression() -> impl Strategy<Value = String> {
    let minute = select(&["0", "15", "30", "45", "1", "59", "0,30", "*/30", "*/7", "10-50/20"][..]);
    let hour = select(&["0", "1", "2", "3", "22", "23", "*", "*/2", "0-3", "1,2", "23,0"][..]);
    let day = select(&["* * *", "* * *", "* * *", "* * 0", "* * 6", "*/2 * *", "1-15 * 1"][..]);
    let second = select(&["0", "0", "30", "*/20"][..]);
    prop_oneof![
        4 => (second, minute, hour, day).prop_map(|(second, minute, hour, day)| format!("{second} {minute} {hour} {day}")),
        1 => random::expression(),
    ]
}

#[test]
fn around_every_transition_the_instants_are_those_of_the_rule() {
    for (zone_name, transition) in TRANSITIONS {
        let zone = zone(&ZONES, zone_name).unwrap();
        let wall_clock = WallClock::around(instant(transition), &zone);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(60)
        });
        let equal = runner.run(&disturbed_expression(), |expression| {
            let Ok(schedule) = Schedule::parse(&expression, zone_name, &ZONES) else { return Ok(()) };
            let expected = wall_clock.instants(&Entry::load(&expression).unwrap());
            let actual = instants(&schedule, wall_clock.from, wall_clock.through());
            prop_assert_eq!(&actual, &expected, "{} in {}", expression, zone_name);
            let counted = schedule.count_between(wall_clock.from, wall_clock.through());
            prop_assert_eq!((counted.count, counted.last), (expected.len() as u64, expected.last().copied()));
            Ok(())
        });
        equal.unwrap();
    }
}

/// A zone of the whole table, and an instant up to two days before one of its own transitions.
fn any_zone_near_a_transition() -> impl Strategy<Value = (String, Timestamp)> {
    let names: Vec<String> = ZONES.available().map(|name| name.as_str().to_owned()).collect();
    (select(names), 631_152_000_i64..1_893_456_000, 0_i64..172_800).prop_map(|(name, from, seconds_before)| {
        let from = Timestamp::from_second(from).unwrap();
        let zone = zone(&ZONES, &name).unwrap();
        let transition = zone.following(from).next().map_or(from, |transition| transition.timestamp());
        (name, transition - SignedDuration::from_secs(seconds_before))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Strictly later, a whole second, and never earlier for a later start: in every zone there is.
    #[test]
    fn the_next_instant_is_later_and_monotonic(
        expression in disturbed_expression(),
        (zone_name, around) in any_zone_near_a_transition(),
        later_ms in 0_i64..200_000_000,
    ) {
        let Ok(schedule) = Schedule::parse(&expression, &zone_name, &ZONES) else { return Ok(()) };
        let later = around + SignedDuration::from_millis(later_ms);
        let (first, second) = (schedule.next_after(around).unwrap(), schedule.next_after(later).unwrap());
        prop_assert!(first > around && second > later);
        prop_assert!(first.subsec_nanosecond() == 0 && second.subsec_nanosecond() == 0);
        prop_assert!(first <= second, "{first} is next after {around}, {second} after {later}");
        if later < first {
            prop_assert_eq!(first, second);
        }
    }
}
