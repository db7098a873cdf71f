//! A day over all apps: what ran when, what was late, and what did not run at all.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tickmesh_client::{views::tone::outcome_tone, when};
use tickmesh_core::{
    ledger::ActiveRun,
    message::{Admission, TickRecord},
    name::AppName,
};

use super::{Head, page, words::class};
use crate::{
    app::App,
    model::{Ended, Model},
};

/// Apps of one page.
const PAGE: usize = 60;
/// A run that begins so long after its instant is late.
const LATE: SignedDuration = SignedDuration::from_secs(5);
/// Width of a day in the drawing.
const WIDTH: f64 = 1_440.0;
/// No bar is narrower: it could not be seen.
const BAR_MIN: f64 = 2.5;
/// Bars of one row: more than these, the newest, would cover each other, and make a page of megabytes of an app that runs each second.
const BARS_MAX: usize = 500;
/// Parts of a day for which it is said how many runs there were at once: five minutes each.
const PARTS: usize = 288;
/// What a run takes at least, in minutes: one that took no time was there, too.
const MOMENT: f64 = 1e-6;
/// Height of the drawing of these.
const HEIGHT: f64 = 36.0;

/// What the address says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    date: Option<String>,
    page: Option<usize>,
}

/// What there was of one app.
#[derive(Default)]
struct Found<'a> {
    ended: Vec<&'a Ended>,
    active: Vec<&'a ActiveRun>,
    ticks: Vec<&'a TickRecord>,
}

/// The day, and the moment at which it is looked at.
#[derive(Clone, Copy)]
struct Day {
    begin: Timestamp,
    end: Timestamp,
    now: Timestamp,
}

/// One app's day.
struct Row {
    app: String,
    runs: usize,
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

/// How many runs there were at once, in a part of the day.
struct Peak {
    x: String,
    y: String,
    height: String,
    text: String,
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct TimelinePage {
    head: Head,
    date: String,
    before: String,
    after: String,
    rows: Vec<Row>,
    peaks: Vec<Peak>,
    most: u32,
    hours: Vec<(u32, String)>,
    now: Option<String>,
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
    let day = Day { begin, end, now };
    let page_number = wanted.page.unwrap_or(1).max(1);
    let skip = page_number.saturating_sub(1).saturating_mul(PAGE);
    let (rows, total, levels) = app.look(|model| {
        let found = day.find(model);
        let rows = found.iter().skip(skip).take(PAGE).map(|(app, found)| day.row(app, found)).collect();
        let spans = found.values().flat_map(|found| day.spans(found)).collect();
        (rows, found.len(), at_once(spans))
    });
    let most = levels.iter().max().copied().unwrap_or(0);
    let neighbour = |days: i64| date.checked_add(SignedDuration::from_hours(24 * days)).map(|it| it.to_string());
    page(&TimelinePage {
        head: Head::of(&app, "timeline", now),
        date: date.to_string(),
        before: neighbour(-1).unwrap_or_default(),
        after: neighbour(1).unwrap_or_default(),
        rows,
        peaks: peaks(&levels, most),
        most,
        hours: (0..24).step_by(3).map(|hour| (hour * 60, format!("{hour:02}"))).collect(),
        now: (begin..end).contains(&now).then(|| format!("{:.1}", day.place(now))),
        page: page_number,
        pages: total.div_ceil(PAGE).max(1),
    })
}

impl Day {
    /// What is known of this day, by app.
    fn find(self, model: &Model) -> BTreeMap<&AppName, Found<'_>> {
        let mut apps: BTreeMap<&AppName, Found<'_>> = BTreeMap::new();
        for run in model.runs.iter().filter(|run| run.started_at < self.end && run.finished_at >= self.begin) {
            apps.entry(&run.app).or_default().ended.push(run);
        }
        if self.now >= self.begin {
            for (app, ledger) in model.ledgers() {
                for run in ledger.active.iter().filter(|run| run.started_at < self.end) {
                    // Its end may be here before the ledger without it.
                    if model.took(app.as_str(), run.number).is_some() {
                        continue;
                    }
                    apps.entry(app).or_default().active.push(run);
                }
            }
        }
        for tick in model.ticks.iter().filter(|tick| (self.begin..self.end).contains(&tick.scheduled_at)) {
            apps.entry(&tick.app).or_default().ticks.push(tick);
        }
        apps
    }

    fn row(self, app: &AppName, found: &Found<'_>) -> Row {
        let ended = found.ended.iter().skip(found.ended.len().saturating_sub(BARS_MAX));
        let bars = ended.map(|run| self.ended(run)).chain(found.active.iter().map(|run| self.active(app, run)));
        let ticks = found.ticks.iter().skip(found.ticks.len().saturating_sub(BARS_MAX));
        let begins = found.ended.iter().map(|run| (run.scheduled_at, run.started_at));
        let begins = begins.chain(found.active.iter().map(|run| (run.scheduled_at, run.started_at)));
        Row {
            app: app.to_string(),
            runs: found.ended.len() + found.active.len(),
            bars: bars.collect(),
            marks: ticks.filter_map(|tick| self.mark(tick)).collect(),
            late: begins.filter(|(due, began)| late(*due, *began).is_some()).count(),
            missed: found.ticks.len(),
        }
    }

    fn ended(self, run: &Ended) -> Bar {
        let took = when::took(when::between(run.started_at, run.finished_at));
        let what = format!("{} after {took}, from {:.0}", run.outcome, run.started_at);
        Bar {
            run: run.run,
            class: class(outcome_tone(run.outcome)),
            text: format!("{}/{}: {what}{}", run.app, run.run, late_text(run.scheduled_at, run.started_at)),
            ..self.bar(run.started_at, run.finished_at)
        }
    }

    fn active(self, app: &AppName, run: &ActiveRun) -> Bar {
        let what = format!("goes on, from {:.0}", run.started_at);
        Bar {
            run: run.number,
            class: "busy",
            text: format!("{app}/{}: {what}{}", run.number, late_text(run.scheduled_at, run.started_at)),
            ..self.bar(run.started_at, self.now)
        }
    }

    fn bar(self, from: Timestamp, to: Timestamp) -> Bar {
        let (from, to) = (self.place(from), self.place(to));
        // At the very end of the day, too, there is something to see.
        let (from, width) = (from.min(WIDTH - BAR_MIN), (to - from).max(BAR_MIN));
        Bar { run: 0, x: format!("{from:.1}"), width: format!("{width:.1}"), class: "plain", text: String::new() }
    }

    fn mark(self, tick: &TickRecord) -> Option<Mark> {
        let text = match &tick.admission {
            Admission::Drop { reason } => format!("dropped: {reason}"),
            Admission::Skip { reason, .. } => format!("skipped: {reason}"),
            Admission::Discard { reason, .. } => format!("discarded: {reason}"),
            Admission::Start { .. } | Admission::Enqueue { .. } => return None,
        };
        let x = format!("{:.1}", self.place(tick.scheduled_at));
        Some(Mark { x, text: format!("{:.0} {text}", tick.scheduled_at) })
    }

    fn spans(self, found: &Found<'_>) -> impl Iterator<Item = (f64, f64)> {
        let ended = found.ended.iter().map(|run| (run.started_at, run.finished_at));
        let active = found.active.iter().map(move |run| (run.started_at, self.now));
        ended.chain(active).map(move |(from, to)| (self.place(from), self.place(to)))
    }

    /// Where in the day's drawing a moment is.
    fn place(self, at: Timestamp) -> f64 {
        (at.duration_since(self.begin).as_secs_f64() / 60.0).clamp(0.0, WIDTH)
    }
}

/// How late a run began, if it did.
fn late(due: Option<Timestamp>, began: Timestamp) -> Option<SignedDuration> {
    due.map(|due| began.duration_since(due)).filter(|late| *late > LATE)
}

fn late_text(due: Option<Timestamp>, began: Timestamp) -> String {
    late(due, began).map(|late| format!(", {} s late", late.as_secs())).unwrap_or_default()
}

/// How many of the spans there were at once, at most, in each part of the day.
fn at_once(spans: Vec<(f64, f64)>) -> [u32; PARTS] {
    let ends = |(from, to): (f64, f64)| [(from, true), (to.max(from + MOMENT), false)];
    let mut changes: Vec<(f64, bool)> = spans.into_iter().flat_map(ends).collect();
    // Of those at the same moment ends come first: what begins when another one has ended is not there at once with it.
    changes.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let (mut levels, mut level, mut reached) = ([0_u32; PARTS], 0_u32, 0);
    for (at, begins) in changes {
        let part = part(at);
        // What began before goes on through all parts up to this one.
        levels[reached..=part].iter_mut().for_each(|most| *most = level.max(*most));
        reached = part;
        level = if begins { level + 1 } else { level.saturating_sub(1) };
        levels[part] = levels[part].max(level);
    }
    levels
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the drawing, which is small")]
fn part(at: f64) -> usize {
    ((at / WIDTH * PARTS as f64) as usize).min(PARTS - 1)
}

fn peaks(levels: &[u32; PARTS], most: u32) -> Vec<Peak> {
    let peak = |(part, level): (usize, &u32)| {
        let (minute, height) = (part * 5, HEIGHT * f64::from(*level) / f64::from(most.max(1)));
        Peak {
            x: minute.to_string(),
            y: format!("{:.1}", HEIGHT - height),
            height: format!("{height:.1}"),
            text: format!("{:02}:{:02}: {level} at once", minute / 60, minute % 60),
        }
    };
    levels.iter().enumerate().filter(|(_, level)| **level > 0).map(peak).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spans: &[(f64, f64)], expect: &[(usize, u32)]) {
        let levels = at_once(spans.to_vec());
        let found: Vec<_> = levels.into_iter().enumerate().filter(|(_, level)| *level > 0).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn what_overlaps_is_counted_in_each_part_of_the_day() {
        check(&[], &[]);
        check(&[(0.0, 1.0)], &[(0, 1)]);
        check(&[(0.0, 12.0), (6.0, 7.0)], &[(0, 1), (1, 2), (2, 1)]);
        check(&[(1.0, 2.0), (3.0, 4.0)], &[(0, 1)]);
        check(&[(3.0, 3.0), (3.0, 3.0)], &[(0, 2)]);
        check(&[(1.0, 2.0), (2.0, 3.0), (3.0, 3.0), (3.0, 4.0)], &[(0, 2)]);
        check(&[(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)], &[(0, 1)]);
        check(&[(1_440.0, 1_440.0)], &[(PARTS - 1, 1)]);
    }
}
