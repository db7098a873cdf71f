//! All apps: searched, filtered, and a page at a time.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;
use tickmesh_client::views::{app::AppView, tone::sign};

use super::{
    page,
    words::{Moment, class},
};
use crate::{App, model::Filter};

/// Apps of one page.
const PAGE: usize = 50;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    page: Option<usize>,
}

/// One line.
struct Row {
    name: String,
    schedule: String,
    words: String,
    timezone: String,
    state: &'static str,
    class: &'static str,
    reason: String,
    next: Option<Moment>,
    last: Option<Moment>,
    last_outcome: String,
    last_class: &'static str,
    bars: Vec<Bar>,
    waiting: usize,
    limit: u32,
    dropped: u64,
}

/// One of the last runs.
pub(super) struct Bar {
    pub run: u64,
    pub class: &'static str,
    pub sign: &'static str,
    pub text: String,
}

/// A filter that can be chosen.
struct Choice {
    name: &'static str,
    count: usize,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    nav: &'static str,
    stale: Option<String>,
    q: String,
    status: &'static str,
    choices: Vec<Choice>,
    rows: Vec<Row>,
    total: usize,
    page: usize,
    pages: usize,
    loaded: bool,
}

/// `GET /`.
pub(crate) async fn apps(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    let (now, filter) = (Timestamp::now(), Filter::named(&wanted.status));
    let page_number = wanted.page.unwrap_or(1).max(1);
    let skip = page_number.saturating_sub(1).saturating_mul(PAGE);
    let (listed, loaded) = app.look(|model| (model.list(&wanted.q, filter, skip, PAGE, now), model.is_loaded()));
    let choices = listed.counts.iter();
    let choices = choices.map(|(it, name, count)| Choice { name, count: *count, chosen: *it == filter }).collect();
    let status = Filter::ALL.iter().find(|(it, _)| *it == filter).map_or("all", |(_, name)| *name);
    page(&AppsPage {
        nav: "apps",
        stale: app.stale(now),
        q: wanted.q,
        status,
        choices,
        rows: listed.apps.iter().map(|view| row(view, now)).collect(),
        total: listed.total,
        page: page_number,
        pages: listed.total.div_ceil(PAGE).max(1),
        loaded,
    })
}

fn row(view: &AppView, now: Timestamp) -> Row {
    let last = view.recent.last();
    Row {
        name: view.name.clone(),
        schedule: view.schedule.clone().unwrap_or_default(),
        words: view.schedule_words.clone().unwrap_or_else(|| "run by hand".to_owned()),
        timezone: view.timezone.clone(),
        state: view.state.label(),
        class: class(view.state_tone()),
        reason: view.reason.clone().unwrap_or_default(),
        next: view.next.map(|at| Moment::new(at, now)),
        last: last.map(|run| Moment::new(run.finished_at, now)),
        last_outcome: last.map(|run| run.outcome.clone()).unwrap_or_default(),
        last_class: last.map_or("plain", |run| class(sign(&run.outcome).1)),
        bars: bars(view, now),
        waiting: view.queue.waiting,
        limit: view.queue.limit,
        dropped: view.counters.dropped,
    }
}

/// The last runs of an app, the oldest first.
pub(super) fn bars(view: &AppView, now: Timestamp) -> Vec<Bar> {
    let bar = |run: &tickmesh_client::views::app::RecentView| {
        let (sign, tone) = sign(&run.outcome);
        let ended = Moment::new(run.finished_at, now);
        let text = format!("run {}: {}, {}", run.run, run.outcome, ended.relative);
        Bar { run: run.run, class: class(tone), sign, text }
    };
    view.recent.iter().map(bar).collect()
}
