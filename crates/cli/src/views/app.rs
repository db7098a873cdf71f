//! Lists of apps.

use tickmesh_client::{
    views::app::{AppView, AppsView},
    when,
};
use tickmesh_core::ledger::Counters;

use super::{Detail, Style, Table, Tone, View, cell, painted, strip};

/// How many wait, how many may, and what was dropped because as many waited.
fn queue_text(app: &AppView) -> String {
    let queue = format!("{}/{}", app.queue.waiting, app.queue.limit);
    match app.counters.dropped {
        0 => queue,
        dropped => format!("{queue}, {dropped} dropped"),
    }
}

/// The last outcomes as signs.
fn strip(app: &AppView) -> String {
    strip::strip(app.recent.iter().map(|run| run.outcome.as_str()))
}

impl View for AppsView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["NAME", "SCHEDULE", "TIMEZONE", "STATE", "QUEUE", "LAST", "NEXT"];
        if style.detail == Detail::Wide {
            headings.extend(["DECIDED", "STARTED", "ENQUEUED", "DROPPED", "SKIPPED", "COALESCED", "REVISION"]);
            headings.extend(["OWNER", "TAGS"]);
        }
        headings.push("RUNS");
        let mut table = Table::new(headings);
        for app in &self.0 {
            let mut cells = vec![
                cell(&app.name, Tone::Plain),
                cell(app.schedule.as_deref().unwrap_or("-"), Tone::Plain),
                cell(&app.timezone, Tone::Plain),
                cell(app.state.label(), app.state_tone()),
                cell(queue_text(app), Tone::Plain),
                cell(app.last_text(style.now), Tone::Plain),
                cell(app.next.map_or("-".to_owned(), |next| when::relative(next, style.now)), Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                let Counters { decided, started, enqueued, dropped, skipped, coalesced, .. } = app.counters;
                let numbers = [decided, started, enqueued, dropped, skipped, coalesced, app.revision];
                cells.extend(numbers.map(|number| cell(number, Tone::Plain)));
                cells.push(cell(app.owner.as_deref().unwrap_or("-"), Tone::Plain));
                cells.push(cell(if app.tags.is_empty() { "-".to_owned() } else { app.tags.join(",") }, Tone::Plain));
            }
            cells.push(painted(strip(app)));
            table.row(cells);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|app| app.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;
    use tickmesh_client::views::app::Stored;
    use tickmesh_core::{
        ledger::{Ledger, RecentRun},
        message::AppRecord,
        outcome::Outcome,
    };
    use tickmesh_messaging::Entry;
    use tickmesh_testkit::records as fixture;

    use super::*;

    fn view(record: &Entry<AppRecord>, ledger: &Ledger) -> AppView {
        let app = fixture::app();
        let stored = Stored { app: &app, record, ledger: Some(ledger).into() };
        AppView::new(stored, &TimeZoneDatabase::bundled(), fixture::now()).unwrap()
    }

    #[test]
    fn a_list_shows_the_queue_and_the_last_outcomes() {
        let mut ledger = fixture::ledger(vec![]);
        for (run, outcome) in [(1, Outcome::Succeeded), (2, Outcome::failed(1))] {
            let outcome = outcome.label().to_owned();
            ledger.recent.push_back(RecentRun { run, outcome, finished_at: fixture::now() });
        }
        let apps = AppsView(vec![view(&fixture::record(Some(fixture::COMPOSE), 1), &ledger)]);
        let text = apps.text(&Style { detail: Detail::Normal, now: fixture::now() });
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            text,
            "NAME     SCHEDULE      TIMEZONE       STATE    QUEUE  LAST        NEXT    RUNS\n\
             nightly  0 30 2 * * *  Asia/Shanghai  waiting  0/3    failed now  in 10h  ✓✗\n"
        );
    }
}
