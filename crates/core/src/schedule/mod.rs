//! Schedules: rules that yield the instants at which an app is due.
//!
//! A [`Schedule`] is made from text once, at the door, and is valid from then on. It is pure data: the zone database and
//! the instant to start from come in as arguments, so what it yields depends neither on the host nor on its clock.
//!
//! ```text
//! "0 30 2 * * mon-fri"  --syntax-->  six fields  --field-->  sets  --cron-->  dates and times of day --next, count-->
//! "@daily"              --syntax-->  six fields  ...
//! "@every 90s"          --syntax-->  period      --every-->  multiples of the period since 1970
//! ```
//!
//! **Dialect.** Crontab's, with a leading seconds field (which [`Form::Any`] may leave out); what
//! crontab does not know is refused with a hint. If both day fields are restricted, either may
//! match; if one of them *begins* with `*` (also `*/2`), both must. That is Vixie's rule, and the
//! tests compare 10,000 random schedules with an independent oracle of it, and with croner.
//!
//! **Daylight saving.** A job at one exact time of day (second, minute and hour are one value each) runs once in an
//! overlap, the first time, and right after a gap that contains its time. All others follow the wall clock: they run
//! whenever it shows a matching time. Two things a gap does swallow: a time more than two hours before its end, where a
//! country crossed the date line; and a time before a midnight that the gap contains (Nuuk), if the date after it does
//! not match.

mod count;
mod cron;
mod description;
mod error;
mod every;
mod field;
mod field_kind;
mod form;
mod limits;
mod missed;
mod next;
mod period;
mod several;
mod syntax;
mod times;
mod token;
mod zone;

use std::{cmp::Ordering, fmt, sync::Arc, time::Duration};

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

pub use error::ScheduleError;
pub use form::{Form, ZoneInFront, zone_in_front};
pub use missed::Missed;
pub use zone::zone;

use cron::CronRule;
use error::Problem;
use every::Period;
use syntax::Syntax;

use crate::pool::Pool;

/// Rule that yields instants: an expression and the time zone it is read in.
///
/// Clones are cheap and share the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Arc<Timetable>);

/// A schedule as it was written, and what follows from that. Equal is what was written alike.
#[derive(Debug)]
pub(crate) struct Timetable {
    expression: Box<str>,
    timezone: Box<str>,
    zone: TimeZone,
    rule: Rule,
}

/// What computes the instants.
#[derive(Debug)]
enum Rule {
    Cron(CronRule),
    Every(Period),
    /// At least two, none of which is several itself.
    Several(Box<[Schedule]>),
}

impl Schedule {
    /// Reads `expression` in the zone called `zone_name`.
    ///
    /// An expression that can never fire (`0 0 0 30 2 *`) is an error. That is decided from the calendar alone, so the
    /// answer is the same at every time and in every zone.
    pub fn parse(expression: &str, zone_name: &str, zones: &TimeZoneDatabase) -> Result<Self, ScheduleError> {
        Self::parse_as(Form::SixFields, expression, zone_name, zones)
    }

    /// Reads `expression` as [`Schedule::parse`] does, in another form. A zone in front is refused:
    /// see [`zone_in_front`].
    pub fn parse_as(
        form: Form,
        expression: &str,
        zone_name: &str,
        zones: &TimeZoneDatabase,
    ) -> Result<Self, ScheduleError> {
        if let Some(ZoneInFront { written, zone, zone_at, .. }) = zone_in_front(expression) {
            let column = zone_at + 1 + zone.len() - written.len();
            let hint = format!("write the label `tickmesh.timezone: {zone}` instead");
            return Err(Problem::ZoneInFront(written.to_owned()).at(column).hint_is(hint));
        }
        let rule = match syntax::parse(expression, form)? {
            Syntax::Cron(fields) => Rule::Cron(CronRule::compile(*fields)?),
            Syntax::Every(period) => Rule::Every(period),
        };
        let zone = zone::zone(zones, zone_name)?;
        let timezone = zone.iana_name().unwrap_or(zone_name).into();
        // One space between fields, so that schedules that differ in white space only are equal and print on one line.
        let expression = expression.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into();
        Ok(Self(Arc::new(Timetable { expression, timezone, zone, rule })))
    }

    /// Returns the schedule that is due whenever one of these is; `None` if there is none.
    ///
    /// The first one's zone is that of the whole, for showing instants.
    pub fn all_of(schedules: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut all: Vec<Self> = Vec::new();
        for schedule in schedules {
            let parts = match &schedule.0.rule {
                Rule::Several(parts) => parts.to_vec(),
                Rule::Cron(_) | Rule::Every(_) => vec![schedule],
            };
            for part in parts {
                if !all.contains(&part) {
                    all.push(part);
                }
            }
        }
        let first = all.first()?.clone();
        if all.len() == 1 {
            return Some(first);
        }
        let written = |schedule: &Self| match schedule.timezone() == first.timezone() {
            true => schedule.expression().to_owned(),
            false => format!("TZ={} {}", schedule.timezone(), schedule.expression()),
        };
        let expression = all.iter().map(written).collect::<Vec<_>>().join("; ").into();
        let timezone = first.timezone().into();
        let (zone, rule) = (first.zone().clone(), Rule::Several(all.into()));
        Some(Self(Arc::new(Timetable { expression, timezone, zone, rule })))
    }

    /// The first instant after `after`: strictly later, and a whole second. `None` at the end of time.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0.rule {
            Rule::Cron(rule) => next::after(rule, &self.0.zone, after),
            Rule::Every(period) => period.next_after(after),
            Rule::Several(schedules) => several::next_after(schedules, after),
        }
    }

    /// Counts the instants in `(after, through]`. Costs per day, not per instant, so that a long absence of all
    /// schedulers is folded at once even for a schedule that is due every second.
    pub fn count_between(&self, after: Timestamp, through: Timestamp) -> Missed {
        match &self.0.rule {
            Rule::Cron(rule) => count::between(rule, &self.0.zone, after, through),
            Rule::Every(period) => period.count_between(after, through),
            Rule::Several(schedules) => several::count_between(schedules, after, through),
        }
    }

    /// A lower bound of the time between two consecutive instants, by the jumps that the zone's clock has made since 2024 and
    /// is going to make. Never less than a second. Costs up to some milliseconds.
    pub fn shortest_period(&self) -> Duration {
        let seconds = match &self.0.rule {
            Rule::Cron(rule) => period::shortest_seconds(rule, &self.0.zone),
            Rule::Every(period) => period.seconds(),
            // Two schedules may be a second apart at some time, whatever each of them is.
            Rule::Several(_) => 1,
        };
        Duration::from_secs(seconds.unsigned_abs())
    }

    /// Returns an equal schedule that shares its rule with the equal schedules of other apps.
    #[must_use]
    pub(crate) fn shared(self, schedules: &mut Pool<Timetable>) -> Self {
        Self(schedules.share(self.0))
    }

    /// The expression as it was written, with one space between fields.
    pub fn expression(&self) -> &str {
        &self.0.expression
    }

    /// The rule in words, in English: `every day at 02:30`. The zone is not named.
    pub fn in_words(&self) -> String {
        match &self.0.rule {
            Rule::Cron(rule) => description::words(rule.fields()),
            Rule::Every(period) => format!("every {period}, counted from 1970-01-01T00:00:00Z"),
            Rule::Several(schedules) => schedules.iter().map(Self::in_words).collect::<Vec<_>>().join("; "),
        }
    }

    /// Says whether the instants are the same in every zone whose clock does not jump: those of a
    /// period, or of minutes and seconds alone.
    pub fn is_zoneless(&self) -> bool {
        match &self.0.rule {
            Rule::Cron(rule) => rule.follows_no_hours(),
            Rule::Every(_) => true,
            Rule::Several(schedules) => schedules.iter().all(Self::is_zoneless),
        }
    }

    /// The zone's IANA name.
    pub fn timezone(&self) -> &str {
        &self.0.timezone
    }

    /// The zone itself, for showing instants in it.
    pub fn zone(&self) -> &TimeZone {
        &self.0.zone
    }
}

impl Timetable {
    fn written(&self) -> (&str, &str) {
        (&self.expression, &self.timezone)
    }
}

impl PartialEq for Timetable {
    fn eq(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

impl Eq for Timetable {}

impl PartialOrd for Timetable {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timetable {
    fn cmp(&self, other: &Self) -> Ordering {
        self.written().cmp(&other.written())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.expression(), self.timezone())
    }
}
