//! A schedule in words, for people who do not read cron: `every day at 02:30`, `every 5 minutes from 09:00 to 17:59, Monday to Friday`.
//!
//! Made from the sets of values and not from the text, so that two expressions that mean the same read the same.

use super::{cron::both_days_must_match, field::Field, field_kind::FieldKind, syntax::Fields};

/// Times of day, or values of a field, that are listed one by one.
const LISTED_MAX: usize = 6;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What the values of a field look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    All,
    One(u32),
    /// Every so many, from the first on, round the whole field without a remainder.
    Step(u32),
    /// One after the other, at least three.
    Range(u32, u32),
    Other,
}

/// A field's values as words need them.
struct Values {
    list: Vec<u32>,
    shape: Shape,
}

impl Values {
    fn of(kind: FieldKind, field: &Field) -> Self {
        let list: Vec<u32> = field.iter().collect();
        let shape = shape(kind, &list);
        Self { list, shape }
    }

    /// `5`, `5 and 10`, `5 to 10`, or `1 to 3, 5 and 7`.
    fn words(&self, name: impl Fn(u32) -> String) -> String {
        let mut parts = Vec::new();
        for run in self.list.chunk_by(|one, next| one + 1 == *next) {
            match run {
                [first, .., last] if run.len() > 2 => parts.push(format!("{} to {}", name(*first), name(*last))),
                few => parts.extend(few.iter().map(|value| name(*value))),
            }
        }
        listed(&parts)
    }
}

fn shape(kind: FieldKind, list: &[u32]) -> Shape {
    // Sunday is 0 only, once read.
    let max = if kind == FieldKind::DayOfWeek { 6 } else { kind.max() };
    let whole = max - kind.min() + 1;
    match list {
        [one] => return Shape::One(*one),
        list if list.len() == whole as usize => return Shape::All,
        [first, .., last] if list.len() > 2 && last - first + 1 == list.len() as u32 => {
            return Shape::Range(*first, *last);
        }
        _ => {}
    }
    let step = list[1] - list[0];
    let even = list[0] == kind.min() && step > 1 && whole.is_multiple_of(step) && list.len() as u32 == whole / step;
    if even && list.windows(2).all(|pair| pair[1] - pair[0] == step) { Shape::Step(step) } else { Shape::Other }
}

pub(super) fn words(fields: &Fields) -> String {
    let (time, exact) = time(fields);
    let days = days(fields);
    match (days.is_empty(), exact) {
        (true, true) => format!("every day {time}"),
        (true, false) => time,
        (false, _) => format!("{time}, {days}"),
    }
}

/// The time of day, and whether that alone does not say on which days.
fn time(fields: &Fields) -> (String, bool) {
    let second = Values::of(FieldKind::Second, &fields.second);
    let minute = Values::of(FieldKind::Minute, &fields.minute);
    let hour = Values::of(FieldKind::Hour, &fields.hour);
    let (Shape::One(s), Shape::One(m)) = (second.shape, minute.shape) else {
        return (format!("{}{}", within_hours(&second, &minute), hours(&hour)), false);
    };
    let past = if s == 0 { format!(":{m:02}") } else { format!(":{m:02}:{s:02}") };
    match hour.shape {
        Shape::All => (format!("every hour at {past}"), false),
        Shape::Step(step) => (format!("every {step} hours at {past}, from 00{past} on"), false),
        Shape::Range(first, last) if hour.list.len() > LISTED_MAX => {
            (format!("every hour at {past} from {first:02}{past} to {last:02}{past}"), false)
        }
        Shape::One(_) | Shape::Range(..) | Shape::Other => {
            let times: Vec<String> = hour.list.iter().map(|hour| format!("{hour:02}{past}")).collect();
            (format!("at {}", listed(&times)), true)
        }
    }
}

/// What happens in every hour that matches.
fn within_hours(second: &Values, minute: &Values) -> String {
    let minutes = || minute.words(|value| value.to_string());
    if let Shape::One(s) = second.shape {
        let at = if s == 0 { String::new() } else { format!(", at second {s}") };
        return match minute.shape {
            Shape::All => format!("every minute{at}"),
            Shape::Step(step) => format!("every {step} minutes{at}"),
            Shape::One(_) | Shape::Range(..) | Shape::Other => format!("at minutes {} of every hour{at}", minutes()),
        };
    }
    let seconds = match second.shape {
        Shape::All => "every second".to_owned(),
        Shape::Step(step) => format!("every {step} seconds"),
        Shape::One(_) | Shape::Range(..) | Shape::Other => {
            format!("at seconds {} of every minute", second.words(|value| value.to_string()))
        }
    };
    match minute.shape {
        Shape::All => seconds,
        Shape::One(m) => format!("{seconds} in minute {m} of every hour"),
        Shape::Step(step) => format!("{seconds} in one of every {step} minutes"),
        Shape::Range(..) | Shape::Other => format!("{seconds} in minutes {} of every hour", minutes()),
    }
}

/// The hours in which it happens, unless in all.
fn hours(hour: &Values) -> String {
    match hour.shape {
        Shape::All => String::new(),
        Shape::One(one) => format!(" from {one:02}:00 to {one:02}:59"),
        Shape::Range(first, last) => format!(" from {first:02}:00 to {last:02}:59"),
        Shape::Step(_) | Shape::Other => format!(" in hours {}", hour.words(|value| format!("{value:02}"))),
    }
}

/// The days on which it happens, unless on all.
fn days(fields: &Fields) -> String {
    let month_days = Values::of(FieldKind::DayOfMonth, &fields.day_of_month);
    let weekdays = Values::of(FieldKind::DayOfWeek, &fields.day_of_week);
    let months = Values::of(FieldKind::Month, &fields.month);
    let on_days = match month_days.shape {
        Shape::One(day) => format!("on day {day} of the month"),
        Shape::All | Shape::Step(_) | Shape::Range(..) | Shape::Other => {
            format!("on days {} of the month", month_days.words(|value| value.to_string()))
        }
    };
    let names = weekdays.words(|value| WEEKDAYS[value as usize].to_owned());
    let on_weekdays = if matches!(weekdays.shape, Shape::Range(..)) { names.clone() } else { format!("on {names}") };
    let both = both_days_must_match(fields);
    let days = match (month_days.shape == Shape::All, weekdays.shape == Shape::All) {
        (true, true) => String::new(),
        // Either may match, and one of them always does.
        (true, false) | (false, true) if !both => String::new(),
        (true, false) => on_weekdays,
        (false, true) => on_days,
        (false, false) if both => {
            format!("{on_days} that are a {}", weekdays.words(|it| WEEKDAYS[it as usize].to_owned()))
        }
        (false, false) => format!("{on_days} or on {names}"),
    };
    let in_months = match months.shape {
        Shape::All => String::new(),
        Shape::One(_) | Shape::Step(_) | Shape::Range(..) | Shape::Other => {
            format!("in {}", months.words(|value| MONTHS[value as usize - 1].to_owned()))
        }
    };
    match (days.is_empty(), in_months.is_empty()) {
        (false, false) => format!("{days}, {in_months}"),
        (true, false) => format!("every day {in_months}"),
        (_, true) => days,
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::Schedule;

    #[track_caller]
    fn check(expression: &str, words: &str) {
        let schedule = Schedule::parse(expression, "UTC", &jiff::tz::TimeZoneDatabase::bundled()).unwrap();
        assert_eq!(schedule.in_words(), words, "{expression}");
    }

    #[test]
    fn times_of_day_are_told_as_a_clock_shows_them() {
        check("0 30 2 * * *", "every day at 02:30");
        check("15 30 2 * * *", "every day at 02:30:15");
        check("0 0 2,14 * * *", "every day at 02:00 and 14:00");
        check("0 30 * * * *", "every hour at :30");
        check("0 30 */6 * * *", "every 6 hours at :30, from 00:30 on");
        check("0 0 9-17 * * *", "every hour at :00 from 09:00 to 17:00");
        check("0 0 9-11 * * *", "every day at 09:00, 10:00 and 11:00");
        check("@daily", "every day at 00:00");
    }

    #[test]
    fn what_is_due_often_is_told_by_its_period() {
        check("* * * * * *", "every second");
        check("*/10 * * * * *", "every 10 seconds");
        check("0 * * * * *", "every minute");
        check("30 * * * * *", "every minute, at second 30");
        check("0 */5 * * * *", "every 5 minutes");
        check("0 0,5,10,15,20,25,30,35,40,45,50,55 * * * *", "every 5 minutes");
        check("0 */7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour");
        check("0 */5 9-17 * * *", "every 5 minutes from 09:00 to 17:59");
        check("* * 3 * * *", "every second from 03:00 to 03:59");
        check("*/15 0-4 * * * *", "every 15 seconds in minutes 0 to 4 of every hour");
        check("*/15 */2 * * * *", "every 15 seconds in one of every 2 minutes");
        check("5,35 * 1,3,5 * * *", "at seconds 5 and 35 of every minute in hours 01, 03 and 05");
        check("@every 90s", "every 1m30s, counted from 1970-01-01T00:00:00Z");
    }

    #[test]
    fn days_follow_vixies_rule() {
        check("0 0 9 * * mon-fri", "at 09:00, Monday to Friday");
        check("0 0 9 * * 1,5", "at 09:00, on Monday and Friday");
        check("0 0 9 * * 0-7", "every day at 09:00");
        check("0 0 0 1 * *", "at 00:00, on day 1 of the month");
        check("0 0 0 1,15 * *", "at 00:00, on days 1 and 15 of the month");
        check("0 0 12 13 * fri", "at 12:00, on day 13 of the month or on Friday");
        check(
            "0 0 12 */2 * mon",
            "at 12:00, on days 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 and 31 of the month that are a Monday",
        );
        check("0 0 12 1-31 * fri", "every day at 12:00");
        check("0 0 0 1 1 *", "at 00:00, on day 1 of the month, in January");
        check("0 0 0 * 6-8 *", "at 00:00, every day in June to August");
        check("0 0 8 * 3,9 sat,sun", "at 08:00, on Sunday and Saturday, in March and September");
        check("0 */10 * * * mon-fri", "every 10 minutes, Monday to Friday");
    }
}
