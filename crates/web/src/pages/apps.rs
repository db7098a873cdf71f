//! All apps: searched, filtered, and a page at a time.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tickmesh_client::{
    views::{
        app::{AppView, RecentView},
        filter::AppFilter,
        tone::sign,
    },
    when,
};

use super::{
    Head, page,
    words::{Moment, class},
};
use crate::{
    app::App,
    model::{Begin, Model, Search},
};

/// Apps of one page.
const PAGE: usize = 50;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    page: Option<usize>,
}

/// One line.
struct Row {
    name: String,
    description: String,
    tags: Vec<String>,
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
struct Bar {
    run: u64,
    class: &'static str,
    height: u8,
    sign: &'static str,
    text: String,
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
    head: Head,
    q: String,
    tag: String,
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
    let (now, filter) = (Timestamp::now(), AppFilter::named(&wanted.status).unwrap_or(AppFilter::All));
    let page_number = wanted.page.unwrap_or(1).max(1);
    let skip = page_number.saturating_sub(1).saturating_mul(PAGE);
    let (listed, rows, loaded) = app.look(|model| {
        let search = Search { text: &wanted.q, tag: &wanted.tag, filter };
        let listed = model.list(search, Begin::At(skip), PAGE, now);
        let rows = listed.apps.iter().map(|view| row(view, model, now)).collect();
        (listed, rows, model.is_loaded())
    });
    let choices = listed.counts.iter();
    let choices = choices.map(|(it, name, count)| Choice { name, count: *count, chosen: *it == filter }).collect();
    let status = AppFilter::ALL.iter().find(|(it, _)| *it == filter).map_or("all", |(_, name)| *name);
    page(&AppsPage {
        head: Head::of(&app, "apps", now),
        q: wanted.q,
        tag: wanted.tag,
        status,
        choices,
        rows,
        total: listed.total,
        page: page_number,
        pages: listed.total.div_ceil(PAGE).max(1),
        loaded,
    })
}

fn row(view: &AppView, model: &Model, now: Timestamp) -> Row {
    let last = view.recent.last();
    Row {
        name: view.name.clone(),
        description: view.description.clone().unwrap_or_default(),
        tags: view.tags.clone(),
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
        bars: bars(view, model, now),
        waiting: view.queue.waiting,
        limit: view.queue.limit,
        dropped: view.counters.dropped,
    }
}

/// The last runs of an app, the oldest first.
fn bars(view: &AppView, model: &Model, now: Timestamp) -> Vec<Bar> {
    let times: Vec<_> = view.recent.iter().map(|run| model.took(&view.name, run.run)).collect();
    let longest = times.iter().flatten().max().copied().unwrap_or_default();
    let bar = |(run, took): (&RecentView, &Option<SignedDuration>)| {
        let (sign, tone) = sign(&run.outcome);
        let ended = Moment::new(run.finished_at, now);
        let took_text =
            took.map(|took| format!(" after {}", when::took(took.try_into().unwrap_or_default()))).unwrap_or_default();
        let text = format!("run {}: {}{took_text}, {}", run.run, run.outcome, ended.relative);
        Bar { run: run.run, class: class(tone), height: height(*took, longest), sign, text }
    };
    view.recent.iter().zip(&times).map(bar).collect()
}

/// How high a bar is, from 1 to 5, beside the longest. Of what is not known how long it took, nothing is said: as high as that.
fn height(took: Option<SignedDuration>, longest: SignedDuration) -> u8 {
    let part = took.map_or(1.0, |took| took.as_secs_f64() / longest.as_secs_f64().max(f64::EPSILON));
    [0.2, 0.4, 0.6, 0.8].iter().fold(1, |height, bound| height + u8::from(part > *bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_high_as_its_run_was_long() {
        let seconds = SignedDuration::from_secs;
        for (took, expect) in [(10, 5), (9, 5), (5, 3), (2, 1), (0, 1)] {
            assert_eq!(height(Some(seconds(took)), seconds(10)), expect, "{took} s");
        }
        assert_eq!((height(None, seconds(10)), height(Some(seconds(0)), seconds(0))), (5, 1));
    }
}
