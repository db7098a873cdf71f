//! What the DST rule comes to, zone by zone: a job at one exact time of day runs right after a gap that contains its time,
//! and once in an overlap, the first time. All others follow the wall clock. docs/concepts/semantics.md quotes these tables.

use crate::{instant, schedule_in};

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

/// 02:00 to 03:00, and 02:00 back to 01:00.
#[test]
fn new_york() {
    let check = |expression, after, expected: &[&str]| check("America/New_York", expression, after, expected);
    let (spring, autumn) = ("2027-03-14T06:00:00Z", "2026-11-01T04:59:59Z");
    check("0 30 2 * * *", spring, &["2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"]);
    check("0 30 1 * * *", autumn, &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]);
    check("0 0 * * * *", spring, &["2027-03-14T03:00:00-04:00", "2027-03-14T04:00:00-04:00"]);
    check(
        "0 0 * * * *",
        autumn,
        &["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"],
    );
}

/// 02:00 to 03:00, and 03:00 back to 02:00.
#[test]
fn berlin() {
    let check = |expression, after, expected: &[&str]| check("Europe/Berlin", expression, after, expected);
    let (spring, autumn) = ("2027-03-28T00:00:00Z", "2026-10-24T23:30:00Z");
    check("0 30 2 * * *", spring, &["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]);
    check("0 30 2 * * *", autumn, &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]);
    check("0 0 * * * *", spring, &["2027-03-28T03:00:00+02:00", "2027-03-28T04:00:00+02:00"]);
    check("0 */30 * * * *", spring, &["2027-03-28T01:30:00+01:00", "2027-03-28T03:00:00+02:00"]);
    check("0 0 */2 * * *", spring, &["2027-03-28T04:00:00+02:00"]);
    check("0 30 1-3 * * *", spring, &["2027-03-28T01:30:00+01:00", "2027-03-28T03:30:00+02:00"]);
    check(
        "0 0 * * * *",
        autumn,
        &["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
    );
    check(
        "0 0,30 2 * * *",
        autumn,
        &[
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-26T02:00:00+01:00",
        ],
    );
}

/// 01:00 to 02:00, and 02:00 back to 01:00.
#[test]
fn london() {
    let check = |expression, after, expected: &[&str]| check("Europe/London", expression, after, expected);
    let (spring, autumn) = ("2027-03-28T00:00:00Z", "2026-10-24T23:30:00Z");
    check("0 30 1 * * *", spring, &["2027-03-28T02:00:00+01:00", "2027-03-29T01:30:00+01:00"]);
    check("0 30 1 * * *", autumn, &["2026-10-25T01:30:00+01:00", "2026-10-26T01:30:00+00:00"]);
    check("0 0 * * * *", spring, &["2027-03-28T02:00:00+01:00"]);
    check("0 0 * * * *", autumn, &["2026-10-25T01:00:00+01:00", "2026-10-25T01:00:00+00:00"]);
}

/// 02:00 to 02:30, and 02:00 back to 01:30: half an hour.
#[test]
fn lord_howe() {
    let check = |expression, after, expected: &[&str]| check("Australia/Lord_Howe", expression, after, expected);
    let (spring, autumn) = ("2026-10-03T15:00:00Z", "2027-04-03T14:30:00Z");
    check("0 15 2 * * *", spring, &["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]);
    check("0 45 1 * * *", autumn, &["2027-04-04T01:45:00+11:00", "2027-04-05T01:45:00+10:30"]);
    check("0 0 * * * *", spring, &["2026-10-04T03:00:00+11:00"]);
    check("0 */30 * * * *", spring, &["2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"]);
    check("0 */30 * * * *", autumn, &["2027-04-04T01:30:00+10:30", "2027-04-04T02:00:00+10:30"]);
}

/// 00:00 to 01:00, and 00:00 back to 23:00 of the day before.
#[test]
fn sao_paulo_in_2018() {
    let check = |expression, after, expected: &[&str]| check("America/Sao_Paulo", expression, after, expected);
    let (spring, autumn) = ("2018-11-04T02:00:00Z", "2018-02-18T00:30:00Z");
    check("0 0 0 * * *", spring, &["2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"]);
    check("0 0 0 4 11 *", spring, &["2018-11-04T01:00:00-02:00"]);
    check("0 0 0 * * *", autumn, &["2018-02-18T00:00:00-03:00", "2018-02-19T00:00:00-03:00"]);
    check("0 30 23 * * *", autumn, &["2018-02-17T23:30:00-02:00", "2018-02-18T23:30:00-03:00"]);
    check("0 0 * * * *", spring, &["2018-11-04T01:00:00-02:00"]);
    check("0 0 * * * *", autumn, &["2018-02-17T23:00:00-02:00", "2018-02-17T23:00:00-03:00"]);
}

/// 02:45 to 03:45, and 03:45 back to 02:45, on offsets of 45 minutes.
#[test]
fn chatham() {
    let check = |expression, after, expected: &[&str]| check("Pacific/Chatham", expression, after, expected);
    let (spring, autumn) = ("2026-09-26T13:30:00Z", "2027-04-03T13:00:00Z");
    check("0 50 2 * * *", spring, &["2026-09-27T03:45:00+13:45", "2026-09-28T02:50:00+13:45"]);
    check("0 50 2 * * *", autumn, &["2027-04-04T02:50:00+13:45", "2027-04-05T02:50:00+12:45"]);
    check("0 0 * * * *", spring, &["2026-09-27T04:00:00+13:45"]);
    check("0 0 * * * *", autumn, &["2027-04-04T03:00:00+13:45", "2027-04-04T03:00:00+12:45"]);
}

/// 00:00 to 01:00 on a Friday, and 00:00 back to 23:00 of Thursday.
#[test]
fn cairo() {
    let check = |expression, after, expected: &[&str]| check("Africa/Cairo", expression, after, expected);
    let (spring, autumn) = ("2027-04-29T21:30:00Z", "2026-10-29T19:30:00Z");
    check("0 0 0 * * *", spring, &["2027-04-30T01:00:00+03:00", "2027-05-01T00:00:00+03:00"]);
    check("0 0 0 * * 5", spring, &["2027-04-30T01:00:00+03:00", "2027-05-07T00:00:00+03:00"]);
    check("0 0 0 * * *", autumn, &["2026-10-30T00:00:00+02:00", "2026-10-31T00:00:00+02:00"]);
    check("0 30 23 * * *", autumn, &["2026-10-29T23:30:00+03:00", "2026-10-30T23:30:00+02:00"]);
    check("0 0 * * * *", autumn, &["2026-10-29T23:00:00+03:00", "2026-10-29T23:00:00+02:00"]);
}

/// Samoa left out 30 December 2011. What would have run that day does not, its last two hours excepted; what comes later
/// is not disturbed.
#[test]
fn apia_and_the_day_that_does_not_exist() {
    let check = |expression, after, expected: &[&str]| check("Pacific/Apia", expression, after, expected);
    for after in ["2011-12-29T22:00:00Z", "2011-12-30T03:00:00Z", "2011-12-30T10:00:00Z"] {
        check("0 0 12 * * *", after, &["2011-12-31T12:00:00+14:00", "2012-01-01T12:00:00+14:00"]);
    }
    check("0 0 22 * * *", "2011-12-30T09:00:00Z", &["2011-12-31T00:00:00+14:00", "2011-12-31T22:00:00+14:00"]);
    check("0 0 12 30 12 *", "2011-01-15T00:00:00Z", &["2012-12-30T12:00:00+14:00"]);
    check("0 0 */12 * * *", "2011-12-29T23:00:00Z", &["2011-12-31T00:00:00+14:00"]);
}

/// Greenland's clock goes from 23:00 on Saturday to 00:00 on Sunday. A daily job is moved to midnight; a job for
/// Saturdays only is not, because midnight is no longer Saturday. The page of the module says so.
#[test]
fn nuuk_and_the_gap_across_midnight() {
    let check = |expression, after, expected: &[&str]| check("America/Nuuk", expression, after, expected);
    check("0 30 23 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T00:00:00-01:00"]);
    check("0 30 23 * * 6", "2027-03-27T12:00:00Z", &["2027-04-03T23:30:00-01:00"]);
}

/// China had summer time until 1991: the mesh's default zone has none since.
#[test]
fn shanghai() {
    let check = |expression, after, expected: &[&str]| check("Asia/Shanghai", expression, after, expected);
    check("0 30 2 * * *", "1991-04-13T12:00:00Z", &["1991-04-14T03:00:00+09:00"]);
    check("0 30 2 * * *", "2027-03-27T12:00:00Z", &["2027-03-28T02:30:00+08:00", "2027-03-29T02:30:00+08:00"]);
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

#[test]
fn the_fraction_of_the_start_does_not_leak_into_the_instants() {
    check("Asia/Shanghai", "0-59/30 * * * * *", "2026-11-22T04:00:07.133Z", &["2026-11-22T12:00:30+08:00"]);
    let schedule = schedule_in("Asia/Shanghai", "* * * * * *");
    assert_eq!(schedule.next_after(instant("2026-11-22T04:00:07.133Z")), Some(instant("2026-11-22T04:00:08Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:59:59.5Z")), Some(instant("1970-01-01T00:00:00Z")));
    assert_eq!(schedule.next_after(instant("1969-12-31T23:59:58.5Z")), Some(instant("1969-12-31T23:59:59Z")));
}
