//! What is refused: where, why, and what to write instead. And hostile text, which must cost nothing.

use std::time::Duration;

use proptest::prelude::*;
use tickmesh_core::schedule::{Schedule, ScheduleError};

use crate::{ZONES, instant, time_of};

fn refused(expression: &str, zone: &str) -> ScheduleError {
    match Schedule::parse(expression, zone, &ZONES) {
        Ok(schedule) => panic!("`{schedule}` is accepted"),
        Err(error) => error,
    }
}

/// One line per refusal: the column, the message, the hint.
#[track_caller]
fn check(expression: &str, column: Option<usize>, message: &str, hint: Option<&str>) {
    let error = refused(expression, "Asia/Shanghai");
    let actual = (error.column(), error.to_string(), error.hint());
    assert_eq!(actual, (column, message.to_owned(), hint.map(str::to_owned)), "`{expression}`");
}

/// The refusals of the second field, which begins in column 3.
#[track_caller]
fn check_minute(field: &str, column: usize, message: &str, hint: Option<&str>) {
    check(&format!("0 {field} * * * *"), Some(column), &format!("minute: {message}"), hint);
}

#[track_caller]
fn check_weekday(field: &str, column: usize, message: &str, hint: Option<&str>) {
    check(&format!("0 0 0 * * {field}"), Some(column), &format!("day-of-week: {message}"), hint);
}

#[track_caller]
fn check_day(field: &str, column: usize, message: &str, hint: Option<&str>) {
    check(&format!("0 0 0 {field} * *"), Some(column), &format!("day-of-month: {message}"), hint);
}

#[test]
fn a_wrong_number_of_fields_says_which_is_missing_or_too_many() {
    let fields =
        |found| format!("the schedule has {found} of 6 fields (second minute hour day-of-month month day-of-week)");
    check(" 0 3 * * *", Some(2), &fields(5), Some("the first field is the second: write `0 ` in front of these five"));
    check("0 0 0 1 1 * 2027", Some(13), &fields(7), Some("remove it: a year is not supported"));
    check("0 0 0", Some(6), &fields(3), None);
    check("", None, "the schedule is empty", None);
    check(" \t\n", None, "the schedule is empty", None);
}

#[test]
fn values_must_be_numbers_within_the_bounds_of_the_field() {
    check_minute("60", 3, "`60` is out of range: it must be from 0 to 59", None);
    check_minute("1,2,5-60", 9, "`60` is out of range: it must be from 0 to 59", None);
    check_minute("100000000000000000000", 3, "`100000000000000000000` is out of range: it must be from 0 to 59", None);
    check_day("0", 7, "`0` is out of range: it must be from 1 to 31", None);
    check_weekday("8", 11, "`8` is out of range: it must be from 0 to 7", None);
    check("0 0 24 * * *", Some(5), "hour: `24` is out of range: it must be from 0 to 23", None);
    check("0 0 0 1 13 *", Some(9), "month: `13` is out of range: it must be from 1 to 12", None);
    check_minute("x", 3, "`x` is not a number", None);
    check_minute("1.5", 3, "`1.5` is not a number", None);
    check_minute("1,2x", 5, "`2x` is not a number", None);
}

#[test]
fn an_item_must_not_be_empty() {
    check_minute("1,,2", 5, "a value is missing", None);
    check_minute("1,", 5, "a value is missing", None);
    check_minute(",,,", 3, "a value is missing", None);
    check_minute("-5", 3, "a value is missing", None);
    check_minute("5-", 5, "a value is missing", None);
    check_minute("1--2", 5, "`-2` is not a number", None);
}

#[test]
fn names_are_for_months_and_weekdays_and_stand_alone() {
    check_minute("MON", 3, "names such as `MON` are for month and day-of-week only", None);
    check_day("MAR", 7, "names such as `MAR` are for month and day-of-week only", None);
    check_day("1MON", 7, "`1MON` is not a number", None);
    check_weekday("JAN", 11, "`JAN` is not a number or a name", None);
    check_weekday("1,monday", 13, "`monday` is not a number or a name", Some("write `MON`"));
    check_weekday("MOM", 11, "`MOM` is not a number or a name", Some("write `MON`"));
    check("0 0 0 1 sept *", Some(9), "month: `sept` is not a number or a name", Some("write `SEP`"));
}

#[test]
fn ranges_run_upwards_and_the_hint_says_how_to_split_them() {
    check("0 0 22-2 * * *", Some(5), "hour: the range `22-2` runs backwards", Some("write `22-23,0-2`"));
    check_weekday("FRI-MON", 11, "the range `FRI-MON` runs backwards", Some("write `5-7,1`"));
    check_weekday("sat-sun", 11, "the range `sat-sun` runs backwards", Some("write `6-7`"));
    check("0 0 0 1 11-2 *", Some(9), "month: the range `11-2` runs backwards", Some("write `11-12,1-2`"));
}

#[test]
fn steps_need_a_range_and_a_number() {
    check_minute("5/15", 3, "`5/15` is a step without a range, which is not crontab", Some("write `5-59/15`"));
    check_minute("*/0", 5, "the step `/0` is not a whole number from 1", None);
    check_minute("*/", 5, "the step `/` is not a whole number from 1", None);
    check_minute("*/-1", 5, "the step `/-1` is not a whole number from 1", None);
    check_minute("1-9/+2", 7, "the step `/+2` is not a whole number from 1", None);
    check_minute("*/2/3", 5, "the step `/2/3` is not a whole number from 1", None);
    check_minute("*5", 4, "`5` after `*` is not understood", None);
    check_minute("*-5", 4, "`-5` after `*` is not understood", None);
}

#[test]
fn signs_of_other_dialects_are_named() {
    let spread = "write one minute; the label `jitter` spreads apps over time";
    let last = "run on every day it could be, and let the job test the date (`28-31` for the last of a month)";
    let nth = "run on every such weekday, and let the job test the date (1 to 7 is the first)";
    let near = "run on `1-5`, and let the job test the date";
    check_day("?", 7, "`?` is not crontab", Some("write `*`"));
    check_minute("H", 3, "`H` is not crontab", Some(spread));
    check_minute("H/15", 3, "`H` is not crontab", Some(spread));
    check_minute("H(0-29)/10", 3, "`H` is not crontab", Some(spread));
    check_minute("0~30", 4, "`~` is not crontab", Some(spread));
    check_day("L", 7, "`L` is not crontab", Some(last));
    check_day("L-3", 7, "`L` is not crontab", Some(last));
    check_day("LW", 7, "`L` is not crontab", Some(last));
    check_weekday("5L", 12, "`L` is not crontab", Some(last));
    check_weekday("friL", 14, "`L` is not crontab", Some(last));
    check_day("15W", 9, "`W` is not crontab", Some(near));
    check_weekday("5#2", 12, "`#` is not crontab", Some(nth));
    check_weekday("+MON", 11, "`+` is not crontab", Some("remove it"));
}

#[test]
fn shortcuts_are_those_of_crontab() {
    let known =
        "write six fields, or one of @hourly @daily @midnight @weekly @monthly @yearly @annually, or `@every 90s`";
    check("@dayly", Some(1), "`@dayly` is not a schedule this program knows", Some("write `@daily`"));
    check("@Daily", Some(1), "`@Daily` is not a schedule this program knows", Some("write `@daily`"));
    check("@fortnightly", Some(1), "`@fortnightly` is not a schedule this program knows", Some(known));
    check("@reboot", Some(1), "`@reboot` is not supported: a fleet has no moment at which it boots", None);
    check("@daily 5", Some(8), "`@daily` takes no arguments", None);
}

#[test]
fn periods_are_whole_seconds_up_to_a_year() {
    let example = "write whole days, hours, minutes and seconds, such as `@every 1h30m` or `@every 90s`";
    for text in ["90", "1.5s", "s", "1s1s", "30m1h", "500ms", "-1s", "1H"] {
        check(&format!("@every {text}"), Some(8), &format!("`{text}` is not a duration"), Some(example));
    }
    check("@every", Some(1), "`@every` needs a duration", Some(example));
    check("@every 1h 30m", Some(11), "`1h 30m` is not a duration", Some(example));
    for text in ["0s", "0h0m", "367d", "366d1s", "99999999999999999999d"] {
        let message = format!("a period of {text} is out of range: it must be from 1s to 366d");
        check(&format!("@every {text}"), Some(8), &message, None);
    }
}

#[test]
fn a_date_that_never_comes_is_refused() {
    let message = "day-of-month: the schedule never fires, since no month it names has such a day";
    check("0 0 0 30 2 *", Some(7), message, None);
    check("0 0 0 31 2,4,6,9,11 *", Some(7), message, None);
    check("0 0 0 30,31 2 */2", Some(7), message, None);
}

#[test]
fn characters_that_do_not_print_are_named() {
    check("0 0 0 * * \u{ff11}", Some(11), "the schedule contains the character `\\u{ff11}`", None);
    check("0 0\0 0 * * *", Some(4), "the schedule contains the character `\\u{0}`", None);
    check("0 0 0 * * *\n0 0 1 * * *", Some(12), "the schedule contains the character `\\n`", None);
    check("0 0\u{a0}0 * * *", Some(4), "the schedule contains the character `\\u{a0}`", None);
}

#[test]
fn an_unknown_zone_gets_the_nearest_name() {
    let check = |zone: &str, hint: &str| {
        let error = refused("@daily", zone);
        assert_eq!(error.to_string(), format!("`{zone}` is not a time zone this program knows"));
        assert_eq!((error.column(), error.hint().as_deref()), (None, Some(hint)));
    };
    check("Asia/Shangai", "write `Asia/Shanghai`");
    check("shanghai", "write `Asia/Shanghai`");
    check("Beijing", "zones have names like `Asia/Shanghai` or `UTC`");
    for zone in ["", "localtime", "Etc/Unknown", "../../etc/passwd", "+08:00"] {
        check(zone, &refused("@daily", zone).hint().unwrap());
    }
    let steering = refused("@daily", "UTC\0\u{1b}[2J");
    assert_eq!(steering.to_string(), "`UTC\\u{0}\\u{1b}[2J` is not a time zone this program knows");
    let long = refused("@daily", &"x".repeat(100_000));
    assert!(long.to_string().len() < 200);
}

/// Longest time that one refusal or one next instant may take.
const PATIENCE: Duration = Duration::from_millis(100);

/// Text that took other programs seconds, or their lives.
#[test]
fn hostile_text_ends_quickly() {
    let long = "1,".repeat(100_000);
    let texts = [
        ",,, ,,, * * * *",
        "* * * 31 2,4,6,9,11 *",
        "59 59 23 29 2 */7",
        "59 59 23 29 2 6-6",
        "0 0 0 */31 */12 */7",
        "* * * * * ,",
        &long,
        &"*".repeat(256),
        &"* ".repeat(128),
        &"-".repeat(256),
        &"/".repeat(256),
        &"@".repeat(256),
        &format!("{} * * * * *", "9".repeat(200)),
        &format!("*/{} * * * * *", "9".repeat(200)),
        &format!("@every {}d", "9".repeat(200)),
        "\u{0}\u{0}\u{0}",
        "🦀 * * * * *",
        "%s%n %x * * * *",
    ];
    for text in texts {
        let took = time_of(|| {
            let schedule = Schedule::parse(text, "Europe/Berlin", &ZONES);
            schedule.map(|schedule| schedule.next_after(instant("2026-01-01T00:00:00Z")))
        });
        assert!(took < PATIENCE, "{text:.40} took {took:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    /// Any text at all: no panic, and a column that lies within it.
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof!["\\PC{0,40}", "[-0-9*/,@?LWH#+~A-Za-z \t]{0,40}", "([-0-9*/,]{1,4} ){5}[-0-7*/,A-Z]{1,5}"]) {
        if let Err(error) = Schedule::parse(&text, "Asia/Shanghai", &ZONES) {
            let within = 1..=text.chars().count() + 1;
            prop_assert!(error.column().is_none_or(|column| within.contains(&column)), "{error}");
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
