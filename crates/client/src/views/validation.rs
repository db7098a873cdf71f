//! What a reading of a compose file found.

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::Serialize;
use tickmesh_core::compose::{Diagnostic, Reading, Severity};

use crate::{
    stored::{PREVIEW, preview},
    when,
};

/// One file.
#[derive(Debug, Serialize)]
pub struct ValidationView {
    /// The file as it was given; `<stdin>` for stdin.
    pub file: String,
    /// The app that `apply` makes of it, where the file has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Whether it can be applied.
    pub valid: bool,
    /// The schedule, if it has one and is valid.
    pub schedule: Option<String>,
    /// Time zone of the schedule.
    pub timezone: String,
    /// The next instants.
    pub next: Vec<Timestamp>,
    /// Everything that is wrong or doubtful, in the order of the file.
    pub diagnostics: Vec<DiagnosticView>,
    #[serde(skip)]
    zone: TimeZone,
}

/// One finding.
#[derive(Debug, Serialize)]
pub struct DiagnosticView {
    /// `error`, `warning` or `note`.
    pub severity: Severity,
    /// The file that it is in, of those that are read as one.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Where in the tree, such as `services.s1.labels`; empty for the file itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ValidationView {
    /// What became of one file.
    pub fn new(file: &str, reading: &Reading, zones: &TimeZoneDatabase, now: Timestamp) -> Self {
        let spec = reading.spec.as_ref();
        let schedule = spec.and_then(|spec| spec.schedule.as_ref());
        Self {
            file: file.to_owned(),
            app: None,
            valid: reading.spec.is_some(),
            schedule: schedule.map(|schedule| schedule.expression().to_owned()),
            timezone: reading.timezone.clone(),
            next: spec.map(|spec| preview(spec, now, PREVIEW)).unwrap_or_default(),
            diagnostics: reading.diagnostics.iter().map(DiagnosticView::from).collect(),
            zone: zones.get(&reading.timezone).unwrap_or(TimeZone::UTC),
        }
    }

    /// When it would run, on one line.
    pub fn when(&self) -> String {
        let Some(schedule) = &self.schedule else { return "no schedule: run by hand".to_owned() };
        let next: Vec<String> = self.next.iter().map(|instant| when::in_zone(*instant, &self.zone)).collect();
        format!("{schedule} ({}), next {}", self.timezone, next.join(", "))
    }
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity,
            file: diagnostic.file.to_string(),
            line: diagnostic.position.line,
            column: diagnostic.position.column,
            path: diagnostic.path.clone(),
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        }
    }
}
