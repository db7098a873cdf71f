//! What expressions mean, as a table: six cron fields, shortcuts and periods.

use tickmesh_core::schedule::Schedule;

use crate::{ZONES, instant, schedule_in};

/// The first instants after noon on Sunday, 22 November 2026, in Beijing.
#[track_caller]
fn check(expression: &str, expected: &[&str]) {
    let schedule = schedule_in("Asia/Shanghai", expression);
    let mut actual = Vec::new();
    let mut cursor = instant("2026-11-22T04:00:07Z");
    for _ in expected {
        cursor = schedule.next_after(cursor).unwrap();
        actual.push(cursor.to_zoned(schedule.zone().clone()).strftime("%Y-%m-%d %H:%M:%S").to_string());
    }
    assert_eq!(actual, expected, "`{expression}`");
}

#[track_caller]
fn check_dates(expression: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|date| format!("{date} 00:00:00")).collect();
    check(expression, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_schedule_of_the_sample_file_is_due_twice_a_minute() {
    check("0-59/30 * * * * *", &["2026-11-22 12:00:30", "2026-11-22 12:01:00", "2026-11-22 12:01:30"]);
}

#[test]
fn weekdays_count_from_sunday_which_is_0_and_7() {
    check_dates("0 0 0 * * 0", &["2026-11-29", "2026-12-06"]);
    check_dates("0 0 0 * * 7", &["2026-11-29", "2026-12-06"]);
    check_dates("0 0 0 * * sun", &["2026-11-29", "2026-12-06"]);
    check_dates("0 0 0 * * 1", &["2026-11-23", "2026-11-30"]);
    check_dates("0 0 0 * * 5-7", &["2026-11-27", "2026-11-28", "2026-11-29", "2026-12-04"]);
    check_dates("0 0 0 * * 1-5", &["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-30"]);
    check_dates("0 0 0 * * MON-fri", &["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]);
    check_dates("0 0 0 * * 0-7", &["2026-11-23", "2026-11-24", "2026-11-25"]);
}

#[test]
fn two_restricted_day_fields_are_alternatives() {
    check_dates("0 0 0 13 * 5", &["2026-11-27", "2026-12-04", "2026-12-11", "2026-12-13"]);
    check_dates("0 0 0 1-31 * 1", &["2026-11-23", "2026-11-24", "2026-11-25"]);
    check_dates("0 0 0 5,* * 1", &["2026-11-23", "2026-11-24", "2026-11-25"]);
}

#[test]
fn a_day_field_that_begins_with_a_star_must_match_beside_the_other() {
    check_dates("0 0 0 */2 * 1", &["2026-11-23", "2026-12-07", "2026-12-21"]);
    check_dates("0 0 0 *,5 * 1", &["2026-11-23", "2026-11-30"]);
    check_dates("0 0 0 13 * */5", &["2026-12-13", "2027-06-13", "2027-08-13"]);
}

#[test]
fn steps_and_lists_are_those_of_crontab() {
    check("*/60 * * * * *", &["2026-11-22 12:01:00", "2026-11-22 12:02:00"]);
    check("*/61 * * * * *", &["2026-11-22 12:01:00"]);
    check("*/99999 * * * * *", &["2026-11-22 12:01:00"]);
    check("*,1 * * * * *", &["2026-11-22 12:00:08"]);
    check("5,10-20/5,007 * * * * *", &["2026-11-22 12:00:10", "2026-11-22 12:00:15", "2026-11-22 12:00:20"]);
    check("0 0 0 1 jan *", &["2027-01-01 00:00:00"]);
    check("0 0 0 1 FEB,apr-may *", &["2027-02-01 00:00:00", "2027-04-01 00:00:00", "2027-05-01 00:00:00"]);
    check("0 0-9,10-19,20-59 * * * *", &["2026-11-22 12:01:00"]);
}

#[test]
fn rare_dates_are_found_across_decades() {
    check_dates("0 0 0 29 2 *", &["2028-02-29", "2032-02-29", "2036-02-29"]);
    check_dates("0 0 0 29 2 */7", &["2032-02-29", "2060-02-29", "2088-02-29", "2128-02-29"]);
    check_dates("0 0 0 30 2 1", &["2027-02-01", "2027-02-08"]);
    check_dates("0 0 0 31 2,3 *", &["2027-03-31", "2028-03-31"]);
}

#[test]
fn shortcuts_are_six_fields() {
    check("@hourly", &["2026-11-22 13:00:00"]);
    check_dates("@daily", &["2026-11-23"]);
    check_dates("@midnight", &["2026-11-23"]);
    check_dates("@weekly", &["2026-11-29"]);
    check_dates("@monthly", &["2026-12-01"]);
    check_dates("@yearly", &["2027-01-01"]);
    check_dates(" @annually\n", &["2027-01-01"]);
}

#[test]
fn periods_are_multiples_since_the_epoch() {
    check("@every 90s", &["2026-11-22 12:01:30", "2026-11-22 12:03:00", "2026-11-22 12:04:30"]);
    check("@every 1s", &["2026-11-22 12:00:08"]);
    check("@every 1h30m", &["2026-11-22 12:30:00", "2026-11-22 14:00:00"]);
    check("@every 1d", &["2026-11-23 08:00:00"]);
    check("@every  2d0h1m1s", &["2026-11-22 15:59:06"]);
    assert_eq!(
        schedule_in("UTC", "@every 366d").next_after(instant("1970-01-01T00:00:00Z")),
        Some(instant("1971-01-02T00:00:00Z"))
    );
}

#[test]
fn periods_do_not_stumble_over_the_epoch() {
    let schedule = schedule_in("UTC", "@every 90s");
    assert_eq!(schedule.next_after(instant("1969-12-31T23:58:29Z")), Some(instant("1969-12-31T23:58:30Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:58:30Z")), Some(instant("1970-01-01T00:00:00Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:59:59.5Z")), Some(instant("1970-01-01T00:00:00Z")));
}

#[test]
fn time_ends_without_a_panic() {
    for expression in ["* * * * * *", "0 0 0 1 1 *", "@every 1s", "@every 366d"] {
        for zone in ["UTC", "Asia/Shanghai", "Europe/Berlin"] {
            let schedule = schedule_in(zone, expression);
            assert_eq!(schedule.next_after(jiff::Timestamp::MAX), None, "{expression}");
            assert!(schedule.next_after(jiff::Timestamp::MIN).is_some(), "{expression}");
        }
    }
}

#[test]
fn schedules_are_equal_when_expression_and_zone_are() {
    assert_eq!(schedule_in("Asia/Shanghai", "0  0 0\t* * *"), schedule_in("asia/shanghai", " 0 0 0 * * * "));
    assert_ne!(schedule_in("Asia/Shanghai", "0 0 0 * * *"), schedule_in("UTC", "0 0 0 * * *"));
    assert_ne!(schedule_in("UTC", "@daily"), schedule_in("UTC", "0 0 0 * * *"));
}

#[test]
fn a_schedule_shows_its_expression_and_its_zone() {
    let schedule = schedule_in("asia/shanghai", "0 0  3 * * mon");
    assert_eq!(schedule.expression(), "0 0 3 * * mon");
    assert_eq!(schedule.timezone(), "Asia/Shanghai");
    assert_eq!(schedule.to_string(), "0 0 3 * * mon (Asia/Shanghai)");
}

#[test]
fn every_bundled_zone_is_accepted_under_its_own_name() {
    for name in ZONES.available() {
        let schedule = Schedule::parse("@daily", name.as_str(), &ZONES);
        assert_eq!(schedule.unwrap().timezone(), name.as_str());
    }
}
