//! A compiled cron expression: croner finds the next instant, our sets of values count many.
//!
//! croner has the hard part, the wall clock that jumps. All it is given are lists of numbers and whether both day fields
//! must match, so none of its own dialect can show through.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Timestamp,
    civil::Date,
    tz::{TimeZone, TimeZoneTransition},
};

use super::{
    count::TimesOfDay,
    error::{Problem, ScheduleError},
    field::Field,
    syntax::Fields,
    whole_second,
};

/// Most days of each month: what February has in a leap year.
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// croner searches this far for the end of a gap.
const CRONER_GAP_MAX: SignedDuration = SignedDuration::from_hours(2);

/// Most transitions that are looked at for a long gap: 50 years of summer times. The date line was last crossed in 2011.
const TRANSITIONS_MAX: usize = 100;

/// The two forms of one expression.
#[derive(Debug)]
pub(super) struct CronRule {
    fields: Fields,
    cron: Cron,
}

impl CronRule {
    pub(super) fn compile(fields: Fields) -> Result<Self, ScheduleError> {
        if never_fires(&fields) {
            return Err(Problem::NeverFires.at(fields.day_of_month.column));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .dom_and_dow(both_days_must_match(&fields))
            .build();
        let Fields { second, minute, hour, day_of_month, month, day_of_week } = &fields;
        let fields_in_order = [second, minute, hour, day_of_month, month, day_of_week];
        let cron = parser.parse(&fields_in_order.map(list).join(" ")).map_err(ScheduleError::not_compiled)?;
        Ok(Self { fields, cron })
    }

    /// The fields it was made from.
    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The first instant after `after`.
    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = Timestamp::from_second(whole_second(after)).ok()?.to_zoned(zone.clone());
        let next = match self.cron.find_next_occurrence(&start, false) {
            Ok(next) => next,
            // croner gives up at a gap of more than two hours. It has seen everything before the gap, so the search goes
            // on behind it; once, because a second failure is the end of croner's calendar.
            Err(_) => {
                let behind = end_of_long_gap(start.timestamp(), zone)?.to_zoned(zone.clone());
                self.cron.find_next_occurrence(&behind, true).ok()?
            }
        };
        Some(next.timestamp())
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

/// The end of the first gap after `start` that is longer than croner looks ahead.
fn end_of_long_gap(start: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let is_long_gap = |transition: &TimeZoneTransition<'_>| {
        let before = transition.timestamp().checked_sub(SignedDuration::from_nanos(1));
        before.is_ok_and(|before| transition.offset().duration_since(zone.to_offset(before)) > CRONER_GAP_MAX)
    };
    zone.following(start).take(TRANSITIONS_MAX).find(is_long_gap).map(|transition| transition.timestamp())
}

/// The values of a field as croner reads them. It takes lists with one value each in second, minute and hour for a job
/// at one exact time of day.
fn list(field: &Field) -> String {
    field.iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
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
