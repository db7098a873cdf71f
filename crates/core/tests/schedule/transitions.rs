//! Days on which the clock jumps.
//!
//! A second oracle walks over *instants*, second by second, reads the wall clock at each, and applies the documented rule.
//! That is the other way round from the implementation, which walks over the wall clock and asks for its instants. What
//! comes out in the zones that people ask about is in `zones`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::{Schedule, zone};

use crate::{ZONES, instant, instants, oracle::Entry, random, schedule_in};

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

/// Each kind of jump that any zone ever made or is going to make until 2040: how far, from which offset, at which time of
/// day. Zone, and instant.
fn every_kind_of_jump() -> Vec<(String, Timestamp)> {
    let mut kinds = BTreeMap::new();
    for name in ZONES.available() {
        let zone = zone(&ZONES, name.as_str()).unwrap();
        let until = instant("2040-01-01T00:00:00Z");
        for transition in zone.following(Timestamp::MIN).take_while(|it| it.timestamp() < until) {
            let at = transition.timestamp();
            let before = zone.to_offset(at - SignedDuration::from_nanos(1));
            let kind = (before, transition.offset(), before.to_datetime(at).time());
            kinds.entry(kind).or_insert_with(|| (name.as_str().to_owned(), at));
        }
    }
    kinds.into_values().collect()
}

/// Moments from a day before to a day after: about one an hour, and each second close to the jump.
fn moments_around(jump: Timestamp) -> impl Iterator<Item = Timestamp> {
    let mut seconds: BTreeSet<i64> = (-86_400..=86_400).step_by(3_433).collect();
    seconds.extend(-5..=5);
    seconds.into_iter().map(move |second| jump + SignedDuration::from_secs(second))
}

#[track_caller]
fn check_ascending(zone_name: &str, jump: Timestamp, expression: &str) {
    let schedule = schedule_in(zone_name, expression);
    let mut last: Option<Timestamp> = None;
    for moment in moments_around(jump) {
        let next = schedule.next_after(moment).unwrap();
        assert!(next > moment, "`{expression}` in {zone_name}: {next} is next after {moment}");
        if let Some(last) = last {
            let right = if last > moment { next == last } else { next > last };
            assert!(right, "`{expression}` in {zone_name}: {next} is next after {moment}, but {last} was before");
        }
        last = Some(next);
    }
}

#[test]
fn around_every_kind_of_jump_the_next_instant_is_later_and_none_comes_twice() {
    let kinds = every_kind_of_jump();
    assert!(kinds.len() > 500, "{} kinds of jumps", kinds.len());
    for (zone_name, jump) in kinds {
        for expression in ["0 0 0 * * *", "0 30 2 * * *", "0 */20 * * * *", "0 0,30 1-3 * * 0,6"] {
            check_ascending(&zone_name, jump, expression);
        }
    }
}
