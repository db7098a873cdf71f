//! Everything about an app.

use tickmesh_client::{
    views::{
        details::{DetailsView, QueueListView, WaitingView},
        run::RunsView,
        settings::SettingsView,
    },
    when,
};
use tickmesh_core::ledger::{Counters, Origin, Pause, RequestCounters};

use super::{Style, View, paint};
use crate::escape::text;

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

fn facts(details: &DetailsView, style: &Style) -> Vec<(&'static str, String)> {
    let app = &details.app;
    let state = paint(app.state_tone(), app.state.label());
    let mut facts = vec![("state", app.reason.as_ref().map_or(state.clone(), |why| format!("{state}: {}", text(why))))];
    facts.extend(app.description.as_ref().map(|it| ("for", text(it))));
    facts.extend(app.owner.as_ref().map(|it| ("owner", text(it))));
    if !app.tags.is_empty() {
        facts.push(("tags", text(&app.tags.join(", "))));
    }
    if let Some(Pause { by, since }) = &details.paused {
        facts.push(("paused", format!("{} by {}", when::relative(*since, style.now), text(by))));
    }
    let schedule = app.schedule.as_ref().map(|schedule| {
        let words = app.schedule_words.as_deref().unwrap_or_default();
        text(&format!("{schedule} ({}): {words}", app.timezone))
    });
    facts.push(("schedule", schedule.unwrap_or_else(|| "none: run by hand".to_owned())));
    for instant in &details.next {
        let at = when::in_zone(*instant, &details.zone);
        facts.push(("next", format!("{at} ({})", when::relative(*instant, style.now))));
    }
    let applied = format!("revision {}, {}", app.revision, when::relative(app.applied_at, style.now));
    let seen = if app.known_to_leader { "" } else { ", not yet taken in by a leader" };
    facts.push(("applied", format!("{applied} by {}{seen}", text(&app.applied_by))));
    facts.push(("last", text(&app.last_text(style.now))));
    facts.push(("queue", format!("{} of at most {} wait", app.queue.waiting, app.queue.limit)));
    facts.extend(counts(&app.counters, &details.waiting));
    facts.extend(details.settings.iter().flat_map(SettingsView::facts));
    for service in &details.services {
        facts.push(("service", text(&service.text())));
    }
    facts
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
        for (name, value) in facts(self, style) {
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
        ledger::{CarryOver, Cause, Waiting},
        message::RunRequest,
    };

    use tickmesh_testkit::records as fixture;

    use super::*;

    fn waiting(cause: Cause) -> WaitingView {
        let (request, carried) = (RunRequest::default(), CarryOver::default());
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
