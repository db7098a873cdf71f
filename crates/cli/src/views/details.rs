//! Everything about an app.

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tickmesh_core::ledger::{Counters, Origin, Pause, RequestCounters, Waiting};

use super::{
    Style, View,
    app::AppView,
    run::{RunView, RunsView},
    settings::{ServiceView, SettingsView},
};
use crate::when;

/// Everything about an app.
#[derive(Debug, Serialize)]
pub(crate) struct DetailsView {
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
pub(crate) struct WaitingView {
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
pub(crate) struct QueueListView {
    /// All of it.
    pub waiting: Vec<WaitingView>,
    /// Zone of the schedule.
    #[serde(skip)]
    pub zone: TimeZone,
}

impl View for QueueListView {
    fn text(&self, style: &Style) -> String {
        let lines = (1..).zip(&self.waiting);
        lines.map(|(place, waiting)| format!("{place}: {}\n", waiting.text(&self.zone, style.now))).collect()
    }

    /// Nothing that waits has a name yet.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        let Waiting { cause, scheduled_at, enqueued_at, .. } = waiting;
        Self { cause: cause.label(), origin: cause.origin(), scheduled_at: *scheduled_at, enqueued_at: *enqueued_at }
    }
}

impl WaitingView {
    /// Why it is to run, and since when it waits.
    pub(crate) fn text(&self, zone: &TimeZone, now: Timestamp) -> String {
        let since = when::relative(self.enqueued_at, now);
        let instant = self.scheduled_at.map(|at| format!(" for {}", when::in_zone(at, zone)));
        format!("{}{}, since {since}", self.cause, instant.unwrap_or_default())
    }
}

impl DetailsView {
    fn facts(&self, style: &Style) -> Vec<(&'static str, String)> {
        let Self { app, .. } = self;
        let state = app.state_tone().paint(app.state.label());
        let mut facts = vec![("state", app.reason.as_ref().map_or(state.clone(), |why| format!("{state}: {why}")))];
        if let Some(Pause { by, since }) = &self.paused {
            facts.push(("paused", format!("{} by {by}", when::relative(*since, style.now))));
        }
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
        facts.extend(counts(&app.counters, &self.waiting));
        facts.extend(self.settings.iter().flat_map(SettingsView::facts));
        for service in &self.services {
            facts.push(("service", service.text()));
        }
        facts
    }
}

/// Every counter, in the two sums that must hold (guarantee G2), and beside them what people asked for.
fn counts(counters: &Counters, waiting: &[WaitingView]) -> Vec<(&'static str, String)> {
    let Counters { decided, started, enqueued, dropped, skipped, coalesced, .. } = counters;
    let Counters { started_later, expired, flushed, replaced, manual, retry, .. } = counters;
    let waits = |origin| waiting.iter().filter(|waiting| waiting.origin == origin).count();
    let ticks = waits(Origin::Tick);
    let instants = format!(
        "{decided} = {started} started + {enqueued} enqueued + {dropped} dropped + {skipped} skipped + {coalesced} coalesced"
    );
    let later = format!(
        "{enqueued} = {started_later} started later + {expired} expired + {flushed} flushed + {replaced} replaced \
         + {ticks} waiting"
    );
    let mut counts = vec![("instants", instants), ("enqueued", later)];
    for (name, requests, origin) in [("by hand", manual, Origin::Manual), ("retries", retry, Origin::Retry)] {
        if *requests != RequestCounters::default() {
            counts.push((name, requests_text(requests, waits(origin))));
        }
    }
    counts
}

fn requests_text(counters: &RequestCounters, waiting: usize) -> String {
    let RequestCounters { started, enqueued, dropped, skipped, started_later, flushed, replaced } = counters;
    format!(
        "{started} started, {dropped} dropped, {skipped} skipped, {enqueued} enqueued = {started_later} started later + \
         {flushed} flushed + {replaced} replaced + {waiting} waiting"
    )
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
            text.push_str(&format!("\nwaiting {place}: {}", waiting.text(&self.zone, style.now)));
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

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        ledger::{Carried, Cause},
        message::RunRequest,
    };

    use super::*;
    use crate::fixture;

    fn waiting(cause: Cause) -> WaitingView {
        let (request, carried) = (RunRequest::default(), Carried::default());
        WaitingView::from(&Waiting { cause, scheduled_at: None, enqueued_at: fixture::now(), request, carried })
    }

    #[test]
    fn every_counter_is_shown_and_the_sums_hold() {
        let counters = Counters {
            decided: 28,
            started: 1,
            enqueued: 11,
            dropped: 3,
            skipped: 4,
            coalesced: 9,
            started_later: 2,
            expired: 3,
            flushed: 1,
            replaced: 4,
            manual: RequestCounters { started: 5, enqueued: 1, ..RequestCounters::default() },
            retry: RequestCounters::default(),
        };
        let waiting = [waiting(Cause::Schedule), waiting(fixture::manual())];
        let shown: Vec<String> =
            counts(&counters, &waiting).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            shown,
            [
                "instants: 28 = 1 started + 11 enqueued + 3 dropped + 4 skipped + 9 coalesced",
                "enqueued: 11 = 2 started later + 3 expired + 1 flushed + 4 replaced + 1 waiting",
                "by hand: 5 started, 0 dropped, 0 skipped, 1 enqueued = 0 started later + 0 flushed + 0 replaced + 1 waiting",
            ]
        );
    }
}
