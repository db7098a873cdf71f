//! A compiled cron expression: croner finds the next instant, our sets of values count whole days.
//!
//! croner has the hard part, the wall clock that jumps. What it is given has passed our grammar and is in a narrow form.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Missed,
    error::{Problem, ScheduleError},
    field::Field,
    syntax::Fields,
    whole_second,
};

/// Most days of each month: what February has in a leap year.
const MONTH_DAYS_MAX: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

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
        let texts = [second, minute, hour, day_of_month, month, day_of_week].map(|field: &Field| field.text.as_str());
        let cron = parser.parse(&texts.join(" ")).map_err(ScheduleError::not_compiled)?;
        Ok(Self { fields, cron })
    }

    pub(super) fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = Timestamp::from_second(whole_second(after)).ok()?.to_zoned(zone.clone());
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        Some(next.timestamp())
    }
}

impl CronRule {
    pub(super) fn count_between(&self, after: Timestamp, through: Timestamp, zone: &TimeZone) -> Missed {
        let next = |instant: &Timestamp| self.next_after(*instant, zone);
        let mut missed = Missed::default();
        for instant in std::iter::successors(next(&after), next).take_while(|instant| *instant <= through) {
            missed = Missed { count: missed.count + 1, last: Some(instant) };
        }
        missed
    }
}

/// Vixie's rule: the day fields are alternatives unless one of them begins with a star.
fn both_days_must_match(fields: &Fields) -> bool {
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
