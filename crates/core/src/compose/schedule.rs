//! When an app runs: its schedule, and the zone in which that is read.

use super::{
    labels::{ALIYUN, AppLabels, Labels, SCHEDULES_SEPARATOR, X_TICKMESH},
    reader::{Reader, Text},
    report::quote,
    source::TIMEZONE_DEFAULT,
};
use crate::schedule::{Form, Schedule, ScheduleError, ZoneInFront, zone, zone_in_front};

/// Zone of `tickmesh.schedule` where the file names none: that of docker, Kubernetes and most
/// hosts.
const TIMEZONE_OF_TICKMESH: &str = "UTC";

/// Most schedules of an app: each is looked at for every next instant.
const SCHEDULES_MAX: usize = 32;

/// The schedule of an app, and the zone's name as the database spells it.
pub(super) struct TimedBy {
    /// `None` if there is none, or it could not be read.
    pub(super) schedule: Option<Schedule>,
    pub(super) timezone: String,
}

/// Reads the labels that say when an app runs. `stored_default` is the zone that counts in the
/// first dialect where the file names none.
pub(super) fn read_schedule(reader: &mut Reader<'_>, labels: &Labels<AppLabels>, stored_default: &str) -> TimedBy {
    if let Some(text) = &labels.project_type
        && text.value != "batch"
    {
        let message = format!("`project_type` is {}: only `batch` apps run here", quote(&text.value));
        reader.report.error(text.place(), message);
    }
    let by_label = read_timezone(reader, labels);
    let (Some(given), Some(text)) = (labels.given("schedule"), &labels.schedule) else {
        return TimedBy { schedule: None, timezone: by_label.unwrap_or_else(|| stored_default.to_owned()) };
    };
    let is_ours = !given.name.starts_with(ALIYUN);
    let form = if is_ours { Form::Any } else { Form::Original };
    let is_list = given.name.starts_with(X_TICKMESH);
    let written: Vec<&str> =
        if is_list { text.value.split(SCHEDULES_SEPARATOR).collect() } else { vec![text.value.as_str()] };
    if written.len() > SCHEDULES_MAX {
        let message = format!("the app has {} schedules, at most {SCHEDULES_MAX} are allowed", written.len());
        reader.report.error(text.place(), message);
        return TimedBy { schedule: None, timezone: stored_default.to_owned() };
    }
    let mut is_named = labels.given("timezone").is_some();
    let mut schedules = Vec::new();
    let mut first_timezone = None;
    for written in written {
        let in_front = zone_in_front(written).filter(|_| is_ours);
        is_named |= in_front.is_some();
        let by_prefix = in_front.as_ref().and_then(|found| read_zone_in_front(reader, labels, text, found));
        let timezone = match by_prefix.or_else(|| by_label.clone()) {
            Some(timezone) => timezone,
            None if !reader.dialect.has_zone_of_label() => stored_default.to_owned(),
            None => if is_ours { TIMEZONE_OF_TICKMESH } else { TIMEZONE_DEFAULT }.to_owned(),
        };
        let expression = in_front.map_or_else(|| written.to_owned(), |found| found.expression);
        match Schedule::parse_as(form, &expression, &timezone, reader.zones) {
            Ok(schedule) => schedules.push(schedule),
            Err(error) => report_schedule_error(reader, text, &error),
        }
        first_timezone.get_or_insert(timezone);
    }
    let schedule = Schedule::all_of(schedules);
    let follows_the_clock = schedule.as_ref().is_some_and(|schedule| !schedule.is_zoneless());
    if is_ours && !is_named && follows_the_clock && reader.dialect.has_zone_of_label() && !reader.report.has_errors() {
        let message = format!("the schedule is read in {TIMEZONE_OF_TICKMESH}: the file names no time zone");
        let hint = "add the label `tickmesh.timezone: Europe/Berlin`, or whichever zone is meant";
        reader.report.note_with_hint(text.place(), message, hint);
    }
    TimedBy { schedule, timezone: first_timezone.unwrap_or_else(|| stored_default.to_owned()) }
}

/// The zone that a label names. One that nobody knows is reported there.
fn read_timezone(reader: &mut Reader<'_>, labels: &Labels<AppLabels>) -> Option<String> {
    let text = labels.timezone.as_ref()?;
    match zone(reader.zones, &text.value) {
        Ok(zone) => Some(zone.iana_name().unwrap_or(&text.value).to_owned()),
        Err(error) => {
            report_schedule_error(reader, text, &error);
            None
        }
    }
}

/// The zone in front of a schedule, which must not contradict the label.
fn read_zone_in_front(
    reader: &mut Reader<'_>,
    labels: &Labels<AppLabels>,
    text: &Text,
    found: &ZoneInFront<'_>,
) -> Option<String> {
    let place = text.place_of(found.zone_at);
    let zone = match zone(reader.zones, found.zone) {
        Ok(zone) => zone.iana_name().unwrap_or(found.zone).to_owned(),
        Err(error) => {
            match error.hint() {
                Some(hint) => reader.report.error_with_hint(place, error.to_string(), hint),
                None => reader.report.error(place, error.to_string()),
            }
            return None;
        }
    };
    // In a list the label is the zone of those schedules that name none.
    let is_list = text.value.contains(SCHEDULES_SEPARATOR);
    if let Some(given) = labels.given("timezone")
        && given.value != zone
        && !is_list
    {
        let message =
            format!("{} contradicts `{}`, which is {}", quote(found.written), given.name, quote(&given.value));
        reader.report.error_with_hint(place, message, "both name the zone of the schedule: keep one");
    }
    Some(zone)
}

fn report_schedule_error(reader: &mut Reader<'_>, text: &Text, error: &ScheduleError) {
    // Its columns count from 1.
    let place = error.column().map_or(text.place(), |column| text.place_of(column.saturating_sub(1)));
    match error.hint() {
        Some(hint) => reader.report.error_with_hint(place, error.to_string(), hint),
        None => reader.report.error(place, error.to_string()),
    }
}
