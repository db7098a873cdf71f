//! A cron expression as sets of values: which dates and which times of day match.

use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::{
    error::{Problem, ScheduleError},
    field::Field,
    syntax::Fields,
    times::TimesOfDay,
};

/// Most days of each month: what February has in a leap year.
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A valid expression.
#[derive(Debug)]
pub(super) struct CronRule {
    fields: Fields,
}

impl CronRule {
    pub(super) fn compile(fields: Fields) -> Result<Self, ScheduleError> {
        if never_fires(&fields) {
            return Err(Problem::NeverFires.at(fields.day_of_month.column));
        }
        Ok(Self { fields })
    }

    /// The fields it was made from.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Says whether every hour of every day matches.
    pub(super) fn follows_no_hours(&self) -> bool {
        let Fields { hour, day_of_month, month, day_of_week, second: _, minute: _ } = &self.fields;
        let is_whole = |field: &Field, range: RangeInclusive<u32>| range.into_iter().all(|value| field.contains(value));
        is_whole(hour, 0..=23)
            && is_whole(day_of_month, 1..=31)
            && is_whole(month, 1..=12)
            && is_whole(day_of_week, 0..=6)
    }

    /// The first date from `date` on that matches; `None` at the end of the calendar.
    pub(super) fn first_date_from(&self, mut date: Date) -> Option<Date> {
        while !self.matches_date(date) {
            date = match self.fields.month.contains(u32::from(date.month().unsigned_abs())) {
                true => date.tomorrow().ok()?,
                false => date.last_of_month().tomorrow().ok()?,
            };
        }
        Some(date)
    }

    /// Whether the schedule has instants on this date.
    pub(super) fn matches_date(&self, date: Date) -> bool {
        let Fields { day_of_month, month, day_of_week, .. } = &self.fields;
        let day_matches = day_of_month.contains(u32::from(date.day().unsigned_abs()));
        let weekday_matches = day_of_week.contains(u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs()));
        let either_or_both = match both_days_must_match(&self.fields) {
            true => day_matches && weekday_matches,
            false => day_matches || weekday_matches,
        };
        month.contains(u32::from(date.month().unsigned_abs())) && either_or_both
    }

    /// The times of day at which it fires on a date that matches.
    pub(super) fn times_of_day(&self) -> TimesOfDay {
        let Fields { second, minute, hour, .. } = &self.fields;
        TimesOfDay { hours: hour.values, minutes: minute.values, seconds: second.values }
    }
}

/// Vixie's rule: the day fields are alternatives unless one of them begins with a star.
pub(super) fn both_days_must_match(fields: &Fields) -> bool {
    fields.day_of_month.starred || fields.day_of_week.starred
}

/// Whether no date can match. Every pair of a month and a day that exists falls on each weekday in some year, so only a
/// day beyond the end of all its months is impossible, unless a weekday may stand in for it.
fn never_fires(fields: &Fields) -> bool {
    let month_fits = |(month, days): (u32, u32)| {
        fields.month.contains(month) && (1..=days).any(|day| fields.day_of_month.contains(day))
    };
    both_days_must_match(fields) && !(1..).zip(MONTH_DAYS_MAX).any(month_fits)
}
