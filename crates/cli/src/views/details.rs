//! Everything about an app.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tickmesh_core::{
    ledger::Waiting,
    spec::{AppSpec, ServiceSpec},
};

use super::{
    Style, View,
    app::{AppView, CountersView},
    run::{RunView, RunsView},
};
use crate::when;

/// Everything about an app.
#[derive(Debug, Serialize)]
pub(crate) struct DetailsView {
    /// What lists show.
    pub app: AppView,
    /// The next instants.
    pub next: Vec<Timestamp>,
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

/// One service.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceView {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Replicas of a run.
    pub scale: u32,
    /// Retries of a replica.
    pub retry_count: u32,
    /// Which containers are removed after their end.
    pub remove_containers: &'static str,
}

/// A run that waits.
#[derive(Debug, Serialize)]
pub(crate) struct WaitingView {
    /// `schedule`, `catch_up` or `manual`.
    pub cause: &'static str,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// Since when it waits.
    pub enqueued_at: Timestamp,
}

impl ServiceView {
    /// The services of an app.
    pub(crate) fn of(spec: &AppSpec) -> Vec<Self> {
        spec.run.services.iter().map(Self::new).collect()
    }

    fn new(service: &ServiceSpec) -> Self {
        Self {
            name: service.name.to_string(),
            image: service.container.image.clone(),
            scale: service.scale,
            retry_count: service.retry.count,
            remove_containers: service.remove_containers.as_str(),
        }
    }
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        Self { cause: waiting.cause.label(), scheduled_at: waiting.scheduled_at, enqueued_at: waiting.enqueued_at }
    }
}

impl DetailsView {
    fn facts(&self, style: &Style) -> Vec<(&'static str, String)> {
        let Self { app, .. } = self;
        let state = app.state_tone().paint(app.state.label());
        let mut facts = vec![("state", app.reason.as_ref().map_or(state.clone(), |why| format!("{state}: {why}")))];
        let schedule = app.schedule.as_ref().map(|schedule| format!("{schedule} ({})", app.timezone));
        facts.push(("schedule", schedule.unwrap_or_else(|| "none: run by hand".to_owned())));
        for instant in &self.next {
            let at = when::in_zone(*instant, &self.zone);
            facts.push(("next", format!("{at} ({})", when::relative(*instant, style.now))));
        }
        let applied = format!("revision {}, {}", app.revision, when::relative(app.applied_at, style.now));
        let seen = if app.known_to_leader { "" } else { ", not yet taken in by a leader" };
        facts.push(("applied", format!("{applied} by {}{seen}", app.applied_by)));
        facts.push(("last", app.last_text(style.now)));
        facts.push(("queue", format!("{} of at most {} wait", app.queue.waiting, app.queue.limit)));
        facts.extend(self.app.counters.facts(app.queue.waiting));
        for service in &self.services {
            let ServiceView { name, image, scale, retry_count, remove_containers } = service;
            facts.push(("service", format!("{name}: {scale} x {image}, {retry_count} retries, {remove_containers}")));
        }
        facts
    }
}

impl CountersView {
    fn facts(&self, waiting: usize) -> [(&'static str, String); 2] {
        let Self { decided, started, enqueued, dropped, coalesced, started_later, flushed } = self;
        [
            (
                "instants",
                format!(
                    "{decided} = {started} started + {enqueued} enqueued + {dropped} dropped + {coalesced} coalesced"
                ),
            ),
            ("enqueued", format!("{enqueued}: {started_later} started later, {flushed} flushed; {waiting} wait now")),
        ]
    }
}

impl View for DetailsView {
    fn text(&self, style: &Style) -> String {
        let mut text = format!("app {}\n", self.app.name);
        for (name, value) in self.facts(style) {
            text.push_str(&format!("  {name:<9}  {value}\n"));
        }
        for run in &self.active_runs {
            text.push_str(&format!("\n{}", run.text(style)));
        }
        for (place, waiting) in (1..).zip(&self.waiting) {
            let since = when::relative(waiting.enqueued_at, style.now);
            let instant = waiting.scheduled_at.map(|at| format!(" for {}", when::in_zone(at, &self.zone)));
            text.push_str(&format!(
                "\nwaiting {place}: {}{}, since {since}",
                waiting.cause,
                instant.unwrap_or_default()
            ));
        }
        if !self.waiting.is_empty() {
            text.push('\n');
        }
        if !self.runs.is_empty() {
            text.push_str(&format!("\n{}", RunsView(self.runs.clone()).text(style)));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.app.name.clone()]
    }
}
