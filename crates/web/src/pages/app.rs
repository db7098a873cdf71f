//! One app: when it runs, what became of its runs, what it is made of, and what can be done with it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::Timestamp;
use similar::TextDiff;
use tickmesh_client::{
    on_record::OnRecord,
    read,
    views::{details::DetailsView, run::RunView},
    when,
};
use tickmesh_core::{
    message::{AppRecord, AppSource},
    name::AppName,
};
use tickmesh_messaging::Entry;

use super::{
    Failed, Head, page,
    words::{Moment, class},
};
use crate::app::App;

/// Unchanged lines round a change.
const CONTEXT: usize = 3;

/// A run in a list.
pub(super) struct RunRow {
    number: u64,
    cause: String,
    started: Moment,
    took: String,
    state: String,
    class: &'static str,
    succeeded: usize,
    total: usize,
    active: bool,
    retry: bool,
}

/// A revision, with what it changed.
struct Revision {
    number: u64,
    applied: Moment,
    by: String,
    file: String,
    lines: Vec<DiffLine>,
}

/// A line of a comparison.
struct DiffLine {
    class: &'static str,
    text: String,
}

/// An instant to come, in the zone of the schedule.
struct Next {
    at: Moment,
    local: String,
}

#[derive(Template)]
#[template(path = "app.html")]
struct AppPage {
    head: Head,
    name: String,
    description: String,
    owner: String,
    tags: Vec<String>,
    state: &'static str,
    class: &'static str,
    reason: String,
    paused: Option<String>,
    schedule: String,
    words: String,
    timezone: String,
    next: Vec<Next>,
    applied: Moment,
    applied_by: String,
    revision: u64,
    waiting: Vec<String>,
    limit: u32,
    counts: String,
    settings: Vec<(&'static str, String)>,
    services: Vec<String>,
    runs: Vec<RunRow>,
    revisions: Vec<Revision>,
    source: String,
}

/// `GET /apps/{app}`.
pub(crate) async fn app(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Failed> {
    let now = Timestamp::now();
    let missing = || Failed::missing(format!("app `{name}`"));
    let id = AppName::new(&name).map_err(|_| missing())?;
    let on_record = OnRecord::look(&app.mesh, &id).await?;
    let record = on_record.record.as_ref().ok_or_else(missing)?;
    let mut details = read::details(&app.mesh, &id, &on_record, &app.zones, now).await?.ok_or_else(missing)?;
    app.look(|model| model.leadership.correct_details(&mut details));
    let history = app.mesh.revisions(&id).await?;
    Ok(page(&AppPage::new(Head::of(&app, "apps", now), &details, record, &history, now)))
}

impl AppPage {
    fn new(
        head: Head,
        details: &DetailsView,
        record: &Entry<AppRecord>,
        history: &[Entry<AppRecord>],
        now: Timestamp,
    ) -> Self {
        let view = &details.app;
        let counters = &view.counters;
        let next =
            details.next.iter().map(|at| Next { at: Moment::new(*at, now), local: when::in_zone(*at, &details.zone) });
        Self {
            head,
            name: view.name.clone(),
            description: view.description.clone().unwrap_or_default(),
            owner: view.owner.clone().unwrap_or_default(),
            tags: view.tags.clone(),
            state: view.state.label(),
            class: class(view.state_tone()),
            reason: view.reason.clone().unwrap_or_default(),
            paused: details.paused.as_ref().map(|it| format!("by {}, {}", it.by, when::relative(it.since, now))),
            schedule: view.schedule.clone().unwrap_or_default(),
            words: view.schedule_words.clone().unwrap_or_else(|| "run by hand".to_owned()),
            timezone: view.timezone.clone(),
            next: next.collect(),
            applied: Moment::new(view.applied_at, now),
            applied_by: view.applied_by.clone(),
            revision: view.revision,
            waiting: details.waiting.iter().map(|it| it.text(&details.zone, now)).collect(),
            limit: view.queue.limit,
            counts: format!(
                "{} decided = {} started + {} enqueued + {} dropped + {} skipped + {} coalesced",
                counters.decided,
                counters.started,
                counters.enqueued,
                counters.dropped,
                counters.skipped,
                counters.coalesced
            ),
            settings: details.settings.iter().flat_map(|settings| settings.facts()).collect(),
            services: details.services.iter().map(|service| service.text()).collect(),
            runs: details.active_runs.iter().rev().chain(&details.runs).map(|run| RunRow::new(run, now)).collect(),
            revisions: revisions(history, now),
            source: record.value.source.as_ref().map(|source| source.compose.clone()).unwrap_or_default(),
        }
    }
}

impl RunRow {
    fn new(run: &RunView, now: Timestamp) -> Self {
        Self {
            number: run.run,
            cause: run.cause_text(),
            started: Moment::new(run.started_at, now),
            took: run.took(now),
            state: run.state_text(),
            class: class(run.tone()),
            succeeded: run.succeeded,
            total: run.replicas.len(),
            active: run.finished_at.is_none(),
            retry: run.finished_at.is_some() && !run.has_succeeded(),
        }
    }
}

/// The revisions that are kept, the newest first.
fn revisions(history: &[Entry<AppRecord>], now: Timestamp) -> Vec<Revision> {
    let mut before: Option<&AppSource> = None;
    let mut revisions = Vec::new();
    for (place, entry) in history.iter().enumerate() {
        let source = entry.value.source.as_ref();
        let text = |source: Option<&AppSource>| source.map_or(String::new(), |source| source.compose.clone());
        revisions.push(Revision {
            number: entry.value.number.unwrap_or(entry.sequence),
            applied: Moment::new(entry.at, now),
            by: entry.value.by.clone(),
            file: source.map_or("(removed)".to_owned(), |source| source.file_name.clone()),
            // Of the oldest one nobody knows any more what it changed.
            lines: if place == 0 { Vec::new() } else { compared(&text(before), &text(source)) },
        });
        before = source;
    }
    revisions.reverse();
    revisions
}

fn compared(old: &str, new: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(old, new);
    let text = diff.unified_diff().context_radius(CONTEXT).to_string();
    let line = |line: &str| {
        let class = match line.as_bytes().first() {
            Some(b'+') => "added",
            Some(b'-') => "removed",
            Some(b'@') => "place",
            Some(_) | None => "same",
        };
        DiffLine { class, text: line.to_owned() }
    };
    text.lines().map(line).collect()
}
