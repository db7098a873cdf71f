//! A schedule in words.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tickmesh_client::when;
use tickmesh_core::schedule::Schedule;

use super::{Style, View};

/// A schedule in words.
#[derive(Debug, Serialize)]
pub(crate) struct ExplanationView {
    /// The expression, with one space between fields.
    pub schedule: String,
    /// Time zone of the schedule.
    pub timezone: String,
    /// What it means.
    pub words: String,
    /// The next instants.
    pub next: Vec<Timestamp>,
    #[serde(skip)]
    zone: TimeZone,
}

impl ExplanationView {
    /// What a schedule means, and when it is due.
    pub(crate) fn new(schedule: &Schedule, next: Vec<Timestamp>) -> Self {
        Self {
            schedule: schedule.expression().to_owned(),
            timezone: schedule.timezone().to_owned(),
            words: schedule.in_words(),
            next,
            zone: schedule.zone().clone(),
        }
    }
}

impl View for ExplanationView {
    fn text(&self, style: &Style) -> String {
        let mut text = format!("{} ({})\n", self.words, self.timezone);
        for instant in &self.next {
            let (at, soon) = (when::in_zone(*instant, &self.zone), when::relative(*instant, style.now));
            text.push_str(&format!("  next  {at} ({soon})\n"));
        }
        text
    }

    /// A schedule has no name but itself.
    fn names(&self) -> Vec<String> {
        vec![self.schedule.clone()]
    }
}
