//! A day over all apps: what ran when, what was late, and what did not run at all.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tickmesh_client::{views::tone::outcome_tone, when};
use tickmesh_core::{history::RunSummary, message::Admission};

use super::{page, words::class};
use crate::App;

/// Apps of one page.
const PAGE: usize = 60;
/// A run that begins so long after its instant is late.
const LATE: SignedDuration = SignedDuration::from_secs(5);
/// Width of a day in the drawing.
const WIDTH: f64 = 1_440.0;
/// No bar is narrower: it could not be seen.
const BAR_MIN: f64 = 2.5;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    date: Option<String>,
    page: Option<usize>,
}

/// One app's day.
struct Row {
    app: String,
    bars: Vec<Bar>,
    marks: Vec<Mark>,
    late: usize,
    missed: usize,
}

/// One run.
struct Bar {
    run: u64,
    x: String,
    width: String,
    class: &'static str,
    text: String,
}

/// A tick that had no run.
struct Mark {
    x: String,
    text: String,
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct TimelinePage {
    nav: &'static str,
    date: String,
    before: String,
    after: String,
    rows: Vec<Row>,
    hours: Vec<(u32, String)>,
    page: usize,
    pages: usize,
}

/// `GET /timeline`.
pub(crate) async fn timeline(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    let now = Timestamp::now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let date: Date = wanted.date.and_then(|text| text.parse().ok()).unwrap_or(today);
    let begin = date.to_zoned(TimeZone::UTC).map_or(now, |zoned| zoned.timestamp());
    let end = begin.checked_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    let rows = app.look(|model| {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for run in model.runs.iter().filter(|run| run.started_at < end && run.finished_at >= begin) {
            row(&mut rows, run.app.as_str()).take_run(run, begin);
        }
        for tick in model.ticks.iter().filter(|tick| (begin..end).contains(&tick.scheduled_at)) {
            let text = match &tick.admission {
                Admission::Drop { reason } => format!("dropped: {reason}"),
                Admission::Skip { reason, .. } => format!("skipped: {reason}"),
                Admission::Discard { reason, .. } => format!("discarded: {reason}"),
                Admission::Start { .. } | Admission::Enqueue { .. } => continue,
            };
            let row = row(&mut rows, tick.app.as_str());
            row.missed += 1;
            row.marks.push(Mark {
                x: format!("{:.1}", place(tick.scheduled_at, begin)),
                text: format!("{:.0} {text}", tick.scheduled_at),
            });
        }
        rows
    });
    let (page_number, pages) = (wanted.page.unwrap_or(1).max(1), rows.len().div_ceil(PAGE).max(1));
    let neighbour = |days: i64| date.checked_add(SignedDuration::from_hours(24 * days)).map(|it| it.to_string());
    page(&TimelinePage {
        nav: "timeline",
        date: date.to_string(),
        before: neighbour(-1).unwrap_or_default(),
        after: neighbour(1).unwrap_or_default(),
        rows: rows.into_values().skip(page_number.saturating_sub(1).saturating_mul(PAGE)).take(PAGE).collect(),
        hours: (0..24).step_by(3).map(|hour| (hour * 60, format!("{hour:02}"))).collect(),
        page: page_number,
        pages,
    })
}

fn row<'a>(rows: &'a mut BTreeMap<String, Row>, app: &str) -> &'a mut Row {
    let empty = || Row { app: app.to_owned(), bars: Vec::new(), marks: Vec::new(), late: 0, missed: 0 };
    rows.entry(app.to_owned()).or_insert_with(empty)
}

impl Row {
    fn take_run(&mut self, run: &Arc<RunSummary>, begin: Timestamp) {
        let (from, to) = (place(run.started_at, begin), place(run.finished_at, begin));
        let late = run.scheduled_at.map(|at| run.started_at.duration_since(at)).filter(|late| *late > LATE);
        self.late += usize::from(late.is_some());
        let outcome = run.outcome.label();
        let took = when::took(when::between(run.started_at, run.finished_at));
        let late = late.map(|late| format!(", {} s late", late.as_secs())).unwrap_or_default();
        self.bars.push(Bar {
            run: run.run,
            x: format!("{from:.1}"),
            width: format!("{:.1}", (to - from).max(BAR_MIN)),
            class: class(outcome_tone(outcome)),
            text: format!("{}/{}: {outcome} after {took}, from {:.0}{late}", run.app, run.run, run.started_at),
        });
    }
}

/// Where in the day's drawing a moment is.
fn place(at: Timestamp, begin: Timestamp) -> f64 {
    (at.duration_since(begin).as_secs_f64() / 60.0).clamp(0.0, WIDTH)
}
