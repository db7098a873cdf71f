//! What croner itself says, beside crontab and us: why our own grammar stands before it. Each row where it differs from
//! crontab would otherwise be a job that runs when nobody expects it, or a typing error that nobody is told of.

use croner::parser::{CronParser, Seconds, Year};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::Schedule;

use crate::{ZONES, instant, oracle::Entry};

/// Noon on Sunday, 22 November 2026, in UTC.
const AFTER: &str = "2026-11-22T12:00:00Z";

const REFUSED: &str = "refused";

/// The first instant, or that the expression is refused.
fn croner(expression: &str) -> String {
    let parser = CronParser::builder().seconds(Seconds::Required).build();
    let after = instant(AFTER).to_zoned(TimeZone::UTC);
    match parser.parse(expression).and_then(|cron| cron.find_next_occurrence(&after, false)) {
        Ok(next) => next.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => REFUSED.to_owned(),
    }
}

fn ours(expression: &str) -> String {
    let next = |schedule: Schedule| schedule.next_after(instant(AFTER)).unwrap();
    Schedule::parse(expression, "UTC", &ZONES)
        .map_or(REFUSED.to_owned(), |it| next(it).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn crontab(expression: &str) -> String {
    let after = TimeZone::UTC.to_datetime(instant(AFTER));
    let next = Entry::load(expression).and_then(|entry| entry.next(after));
    next.map_or(REFUSED.to_owned(), |next| next.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// croner's answer differs from crontab's as written; ours is crontab's.
#[track_caller]
fn check_differs(expression: &str, croner_says: &str, crontab_says: &str) {
    assert_eq!(
        (croner(expression).as_str(), crontab(expression).as_str()),
        (croner_says, crontab_says),
        "`{expression}`"
    );
    assert_eq!(ours(expression), crontab_says, "`{expression}`");
}

#[test]
fn croner_joins_the_day_fields_by_another_rule() {
    check_differs("0 0 0 */3 * 1", "2026-11-23 00:00:00", "2026-12-07 00:00:00");
    check_differs("0 0 0 13 * */5", "2026-11-27 00:00:00", "2026-12-13 00:00:00");
    check_differs("0 0 0 *,5 * 1", REFUSED, "2026-11-23 00:00:00");
}

#[test]
fn croner_speaks_dialects_that_crontab_does_not_know() {
    check_differs("0 0 0 ? * *", "2026-11-23 00:00:00", REFUSED);
    check_differs("0 0 0 L * *", "2026-11-30 00:00:00", REFUSED);
    check_differs("0 0 0 15W * *", "2026-12-15 00:00:00", REFUSED);
    check_differs("0 0 0 * * 5#2", "2026-12-11 00:00:00", REFUSED);
    check_differs("0 0 0 * * 5L", "2026-11-27 00:00:00", REFUSED);
    check_differs("0 0 0 1 * +1", "2027-02-01 00:00:00", REFUSED);
}

/// A digit before a name makes `1JAN` November: croner writes numbers for names, wherever they stand.
#[test]
fn croner_takes_typing_errors_for_something_else() {
    check_differs("0 0 0 1 1JAN *", "2027-11-01 00:00:00", REFUSED);
    check_differs("0 0 0 1 JANFEB *", "2026-12-01 00:00:00", REFUSED);
    check_differs("0 0 0 1 MON *", "2027-01-01 00:00:00", REFUSED);
    check_differs("0 MON * * * *", "2026-11-22 12:01:00", REFUSED);
    check_differs("0 0 0 * * SUNMON", "2026-11-23 00:00:00", REFUSED);
    check_differs("0 5,,6 * * * *", "2026-11-22 12:05:00", REFUSED);
    check_differs("0 5, * * * *", "2026-11-22 12:05:00", REFUSED);
}

/// What every other library takes, and neither crontab nor croner does.
#[test]
fn a_step_without_a_range_is_refused_by_all_three() {
    for expression in ["0 5/15 * * * *", "0 0 22-2 * * *", "0 0 0 * * fri-mon", "0 */0 * * * *"] {
        let answers = [croner(expression), crontab(expression), ours(expression)];
        assert_eq!(answers, [REFUSED; 3], "`{expression}`");
    }
}

/// Zones in which clocks jump in every way: by an hour, by half of one, at midnight, across the line between two dates, with the moon.
const ZONES_THAT_JUMP: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Nuuk",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Chatham",
];

/// What croner finds after an instant, given nothing but what crontab means.
fn croner_next(expression: &str, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let starred = fields[3].starts_with('*') || fields[5].starts_with('*');
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(starred).build();
    let cron = parser.parse(expression).ok()?;
    let start = Timestamp::from_second(after.as_second()).ok()?.to_zoned(zone.clone());
    Some(cron.find_next_occurrence(&start, false).ok()?.timestamp())
}

/// A moment between 2024 and 2040; every other one within 28 hours before a jump.
fn moment(zone: &TimeZone, second: i64, near: bool) -> Timestamp {
    let anywhere = Timestamp::from_second(second).unwrap();
    let jump = zone.following(anywhere).next().filter(|_| near);
    jump.map_or(anywhere, |jump| jump.timestamp() - SignedDuration::from_secs(second % 100_000))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Some instants in a row are compared: they pass the jump that they begin before.
    #[test]
    fn ten_thousand_random_expressions_jump_with_the_clock_as_croner_does(
        expression in crate::random::plain_expression(),
        zone in select(&ZONES_THAT_JUMP[..]),
        second in 1_704_067_200_i64..2_209_000_000,
        near in any::<bool>(),
    ) {
        let schedule = Schedule::parse(&expression, zone, &ZONES).unwrap();
        let mut after = moment(schedule.zone(), second, near);
        for _ in 0..INSTANTS {
            let found = schedule.next_after(after);
            prop_assert_eq!(found, croner_next(&expression, schedule.zone(), after), "{} in {} after {}", expression, zone, after);
            after = found.unwrap();
        }
    }
}

/// Instants that are compared in a row.
const INSTANTS: usize = 5;
