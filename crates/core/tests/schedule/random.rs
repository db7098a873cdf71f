//! Random expressions: ours and the oracle must accept the same ones, and yield the same instants.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::Offset};
use proptest::{prelude::*, sample::select};
use tickmesh_core::schedule::Schedule;

use crate::{ZONES, oracle::Entry};

/// Values of a field, now and then one too small or too large.
fn value(low: u32, high: u32) -> impl Strategy<Value = u32> {
    prop_oneof![
        60 => low..=high,
        1 => Just(high + 1),
        1 => Just(low.saturating_sub(1)),
    ]
}

fn item(low: u32, high: u32) -> impl Strategy<Value = String> {
    let range = move || {
        (value(low, high), value(low, high)).prop_map(|(a, b)| {
            // Backwards about once in twenty.
            if a > b && (a + b) % 20 != 0 { (b, a) } else { (a, b) }
        })
    };
    prop_oneof![
        20 => Just("*".to_owned()),
        10 => (1..=high + 3).prop_map(|step| format!("*/{step}")),
        30 => value(low, high).prop_map(|value| value.to_string()),
        5 => value(low, high).prop_map(|value| format!("{value:02}")),
        15 => range().prop_map(|(a, b)| format!("{a}-{b}")),
        15 => (range(), 0..=high).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
    ]
}

/// What crontab refuses, in any field or in most.
const JUNK: [&str; 17] =
    ["", "?", "5/15", "L", "1-", "-1", "*5", "*-3", "1--2", "0x1", "+1", "1MON", "monday", "H", "~", "*/", "1/"];

/// Boxed: proptest hands its trees on by value, and six of these in a row would fill the stack of a test's thread.
fn field(low: u32, high: u32, names: &'static [&'static str]) -> BoxedStrategy<String> {
    let names = [names, &["MON"]].concat();
    prop_oneof![
        150 => prop::collection::vec(item(low, high), 1..4).prop_map(|items| items.join(",")),
        60 => Just("*".to_owned()),
        10 => select(names.clone()).prop_map(str::to_owned),
        5 => (select(names.clone()), select(names)).prop_map(|(a, b)| format!("{a}-{}", b.to_lowercase())),
        2 => select(&JUNK[..]).prop_map(str::to_owned),
        1 => (select(&JUNK[..]), item(low, high)).prop_map(|(junk, item)| format!("{item},{junk}")),
    ]
    .boxed()
}

const MONTHS: [&str; 12] = ["JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT"];

/// Six fields, most of them valid.
pub(crate) fn expression() -> impl Strategy<Value = String> {
    let fields = (
        field(0, 59, &[]),
        field(0, 59, &[]),
        field(0, 23, &[]),
        field(1, 31, &[]),
        field(1, 12, &MONTHS),
        field(0, 7, &WEEKDAYS),
        select(&[" ", " ", "  ", "\t"][..]),
    );
    fields.prop_map(|(second, minute, hour, day, month, weekday, gap)| {
        [second, minute, hour, day, month, weekday].join(gap)
    })
}

/// A valid one, often at one time of day, and often in the hours in which clocks jump.
pub(crate) fn plain_expression() -> impl Strategy<Value = String> {
    let second = prop_oneof![4 => Just("0".to_owned()), 1 => (0..60_u32).prop_map(|it| it.to_string())];
    let minute = prop_oneof![
        3 => (0..60_u32).prop_map(|it| it.to_string()),
        1 => Just("*/15".to_owned()),
        1 => Just("0,30".to_owned()),
        1 => Just("*".to_owned()),
    ];
    let hour = prop_oneof![
        3 => (0..4_u32).prop_map(|it| it.to_string()),
        2 => (22..24_u32).prop_map(|it| it.to_string()),
        1 => (0..24_u32).prop_map(|it| it.to_string()),
        1 => Just("*".to_owned()),
        1 => Just("0-3".to_owned()),
    ];
    let day = prop_oneof![4 => Just("*".to_owned()), 1 => (1..=31_u32).prop_map(|it| it.to_string())];
    let month = prop_oneof![4 => Just("*".to_owned()), 1 => Just("3,4,9-11".to_owned())];
    let weekday = prop_oneof![3 => Just("*".to_owned()), 1 => Just("SUN".to_owned()), 1 => Just("1-5".to_owned())];
    (second, minute, hour, day, month, weekday).prop_map(|(second, minute, hour, day, month, weekday)| {
        // A month without such a day is an error.
        let month = if day == "31" || day == "30" { "*".to_owned() } else { month };
        [second, minute, hour, day, month, weekday].join(" ")
    })
}

/// An instant between 2026 and 2030, with a fraction of a second.
fn after() -> impl Strategy<Value = Timestamp> {
    (1_767_225_600_000_i64..1_893_456_000_000).prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Beijing's clock has not jumped since 1991, so this judges the expressions alone.
    #[test]
    fn ten_thousand_random_expressions_mean_what_crontab_says(expression in expression(), after in after()) {
        let beijing = Offset::constant(8);
        let wall_clock = |instant: Timestamp| beijing.to_datetime(instant);
        let to_instant = |time: DateTime| beijing.to_timestamp(time).unwrap();

        let expected = Entry::load(&expression).and_then(|entry| Some((entry, entry.next(wall_clock(after))?)));
        let actual = Schedule::parse(&expression, "Asia/Shanghai", &ZONES);
        prop_assert_eq!(actual.is_ok(), expected.is_some(), "{:?}", actual);
        if let (Ok(schedule), Some((entry, first))) = (actual, expected) {
            prop_assert_eq!(schedule.next_after(after), Some(to_instant(first)));
            let second = entry.next(first).unwrap();
            prop_assert_eq!(schedule.next_after(to_instant(first)), Some(to_instant(second)));
            // Just before an instant, that instant is next: strictly greater, and not more.
            let just_before = to_instant(first) - SignedDuration::from_nanos(1);
            prop_assert_eq!(schedule.next_after(just_before), Some(to_instant(first)));
        }
    }
}
