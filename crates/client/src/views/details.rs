//! Everything about an app.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tickmesh_core::ledger::{Origin, Pause, Waiting};

use super::{
    app::AppView,
    run::RunView,
    settings::{ServiceView, SettingsView},
};
use crate::when;

/// Everything about an app.
#[derive(Debug, Serialize)]
pub struct DetailsView {
    /// What lists show.
    pub app: AppView,
    /// When it falls due next.
    pub next: Vec<Timestamp>,
    /// Since when it is paused, and by whom.
    pub paused: Option<Pause>,
    /// What its labels say; `null`: the stored file is not valid.
    pub settings: Option<SettingsView>,
    /// What a run consists of.
    pub services: Vec<ServiceView>,
    /// Runs that go on.
    pub active_runs: Vec<RunView>,
    /// Runs that wait, the oldest first.
    pub waiting: Vec<WaitingView>,
    /// Runs that ended, the newest first.
    pub runs: Vec<RunView>,
    /// Zone of the schedule.
    #[serde(skip)]
    pub zone: TimeZone,
}

/// A run that waits.
#[derive(Debug, Serialize)]
pub struct WaitingView {
    /// `schedule`, `catch_up`, `manual` or `retry`.
    pub cause: &'static str,
    /// Whose counters count it.
    #[serde(skip)]
    pub origin: Origin,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// Since when it waits.
    pub enqueued_at: Timestamp,
}

/// What waits, the oldest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct QueueListView {
    pub waiting: Vec<WaitingView>,
    /// Zone of the schedule.
    #[serde(skip)]
    pub zone: TimeZone,
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        let Waiting { cause, scheduled_at, enqueued_at, .. } = waiting;
        Self { cause: cause.label(), origin: cause.origin(), scheduled_at: *scheduled_at, enqueued_at: *enqueued_at }
    }
}

impl WaitingView {
    /// Why it is to run, and since when it waits.
    pub fn text(&self, zone: &TimeZone, now: Timestamp) -> String {
        let since = when::relative(self.enqueued_at, now);
        let instant = self.scheduled_at.map(|at| format!(" for {}", when::in_zone(at, zone)));
        format!("{}{}, since {since}", self.cause, instant.unwrap_or_default())
    }
}
