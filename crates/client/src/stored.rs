//! Stored apps, understood again as the scheduler does, and when they fall due.

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::{
    compose::Reading, ledger::Ledger, message::AppSource, name::AppName, schedule::Schedule, spec::AppSpec, time,
};

/// Instants that are shown of a schedule that was just read.
pub const PREVIEW: usize = 3;

/// Reads a stored app again, as the scheduler does.
pub fn understand_stored(app: &AppName, source: &AppSource, zones: &TimeZoneDatabase) -> Reading {
    source.read(app, zones)
}

/// The next instants of a schedule.
pub fn instants(schedule: &Schedule, after: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(schedule.next_after(after), |instant| schedule.next_after(*instant)).take(count).collect()
}

/// When an app falls due next.
pub fn preview(spec: &AppSpec, after: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(spec.due_after(after), |due| spec.due_after(*due)).take(count).collect()
}

/// From when on an app can fall due. What the leader has decided is past, even where its clock is ahead of ours.
pub fn undecided_after(spec: &AppSpec, ledger: Option<&Ledger>, now: Timestamp) -> Timestamp {
    ledger.map_or(now, |ledger| now.max(time::after(ledger.decided_through, spec.offset())))
}
