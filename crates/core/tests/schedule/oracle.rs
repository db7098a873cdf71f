//! A second implementation of crontab, for the tests only: the rules of Vixie cron's `entry.c` (with cronie's stricter
//! ranges) and a leading seconds field, as bit masks, walked over the wall clock. It shares no code and no approach with
//! the one under test.

use jiff::civil::{Date, DateTime};

/// A crontab entry: one mask per field, and the two star flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    masks: [u64; 6],
    day_star: bool,
    weekday_star: bool,
}

const BOUNDS: [(u32, u32); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: &str = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
const WEEKDAYS: &str = "SUNMONTUEWEDTHUFRISAT";

impl Entry {
    /// `load_entry`: six fields and nothing else.
    pub(crate) fn load(line: &str) -> Option<Self> {
        let fields: [&str; 6] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let mut masks = [0; 6];
        for (index, field) in fields.iter().enumerate() {
            masks[index] = get_list(field, index)?;
        }
        // Sunday is 0 and 7.
        if masks[5] & (1 << 7 | 1) != 0 {
            masks[5] |= 1 << 7 | 1;
        }
        Some(Self { masks, day_star: fields[3].starts_with('*'), weekday_star: fields[5].starts_with('*') })
    }

    pub(crate) fn matches(&self, time: DateTime) -> bool {
        let time_of_day = [(0, time.second()), (1, time.minute()), (2, time.hour())];
        time_of_day.into_iter().all(|(field, value)| self.has(field, value)) && self.matches_date(time.date())
    }

    pub(crate) fn matches_date(&self, date: Date) -> bool {
        let (day, weekday) = (self.has(3, date.day()), self.has(5, date.weekday().to_sunday_zero_offset()));
        let days = if self.day_star || self.weekday_star { day && weekday } else { day || weekday };
        days && self.has(4, date.month())
    }

    /// Whether second, minute and hour are one value each.
    pub(crate) fn is_at_one_time_of_day(&self) -> bool {
        self.masks[..3].iter().all(|mask| mask.is_power_of_two())
    }

    /// The first match after `after` on a wall clock that never jumps. `None`: not in 60 years, which is never, since the
    /// rarest date (29 February on one weekday, across 2100) comes back within 40.
    pub(crate) fn next(&self, after: DateTime) -> Option<DateTime> {
        let mut date = after.date();
        for _ in 0..60 * 366 {
            if self.matches_date(date)
                && let Some(found) = self.times_on(date).find(|time| *time > after)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn times_on(self, date: Date) -> impl Iterator<Item = DateTime> {
        let values = move |field: usize| (0..60_i8).filter(move |value| self.has(field, *value));
        values(2).flat_map(move |hour| {
            values(1).flat_map(move |minute| values(0).map(move |second| date.at(hour, minute, second, 0)))
        })
    }

    fn has(&self, field: usize, value: i8) -> bool {
        self.masks[field] & (1 << value) != 0
    }
}

/// `get_list`: ranges with commas between them.
fn get_list(text: &str, field: usize) -> Option<u64> {
    let mut mask = 0;
    let mut rest = text;
    loop {
        let (range, tail) = get_range(rest, field)?;
        mask |= range;
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return tail.is_empty().then_some(mask),
        }
    }
}

/// `get_range`: `*`, a number, or two with a hyphen; the star and the two may have a step.
fn get_range(text: &str, field: usize) -> Option<(u64, &str)> {
    let (low, high) = BOUNDS[field];
    let (first, last, rest) = if let Some(rest) = text.strip_prefix('*') {
        (low, high, rest)
    } else {
        let (first, rest) = get_number(text, field)?;
        let Some(rest) = rest.strip_prefix('-') else {
            return (low <= first && first <= high).then_some((1 << first, rest));
        };
        let (last, rest) = get_number(rest, field)?;
        (first, last, rest)
    };
    if first < low || last > high || first > last {
        return None;
    }
    let (step, rest) = match rest.strip_prefix('/') {
        Some(rest) => get_number(rest, usize::MAX)?,
        None => (1, rest),
    };
    if step == 0 {
        return None;
    }
    let mask = (first..=last).filter(|value| (value - first) % step == 0).map(|value| 1 << value).sum();
    Some((mask, rest))
}

/// `get_number`: all letters and digits that follow are one number or one name.
fn get_number(text: &str, field: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (word, rest) = text.split_at(length);
    if let Ok(number) = word.parse() {
        return Some((number, rest));
    }
    let (names, base) = match field {
        4 => (MONTHS, 1),
        5 => (WEEKDAYS, 0),
        _ => return None,
    };
    let upper = word.to_ascii_uppercase();
    let index = (0..names.len() / 3).find(|index| names[index * 3..index * 3 + 3] == upper)?;
    Some((index as u32 + base, rest))
}
