//! One run: what each replica did where, what went wrong, and what it wrote.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;
use tickmesh_client::{
    read,
    views::{attempt::AttemptView, replica::ReplicaView, run::RunView},
    when,
};
use tickmesh_core::{
    id::RunNumber,
    name::{AppName, ServiceName},
};
use tickmesh_messaging::{LogFilter, RunSelector};

use super::{
    Failed, Head, page,
    words::{Moment, class},
};
use crate::{
    app::App,
    output::{LINES_MAX, Shown, last_lines},
};

/// No bar of an attempt is narrower, in thousandths of its run.
const SPAN_MIN: f64 = 4.0;
/// Replicas whose output can be chosen: a run may have thousands.
const CHOICES_MAX: usize = 50;

struct Replica {
    service: String,
    index: u32,
    attempt: u32,
    agent: String,
    state: &'static str,
    class: &'static str,
    reason: String,
    attempts: Vec<Attempt>,
}

/// One attempt that somebody should look at.
struct Attempt {
    number: u32,
    agent: String,
    end: String,
    class: &'static str,
    took: String,
    again: String,
    span: Option<Span>,
    lines: Vec<String>,
}

/// When in its run an attempt was, in thousandths.
struct Span {
    x: String,
    width: String,
}

/// From when to when a run was, or has been so far.
#[derive(Clone, Copy)]
struct Time {
    begin: Timestamp,
    end: Timestamp,
}

impl Time {
    fn span(self, from: Timestamp, to: Timestamp) -> Span {
        let whole = self.end.duration_since(self.begin).as_secs_f64().max(f64::EPSILON);
        // Agents have clocks of their own.
        let place = |at: Timestamp| (at.duration_since(self.begin).as_secs_f64() / whole).clamp(0.0, 1.0) * 1_000.0;
        let from = place(from).min(1_000.0 - SPAN_MIN);
        Span { x: format!("{from:.1}"), width: format!("{:.1}", (place(to) - from).max(SPAN_MIN)) }
    }
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    head: Head,
    app: String,
    number: u64,
    state: String,
    class: &'static str,
    cause: String,
    scheduled: Option<Moment>,
    started: Moment,
    finished: Option<Moment>,
    took: String,
    succeeded: usize,
    total: usize,
    next: Option<Moment>,
    waits: Vec<String>,
    troubled: Vec<Replica>,
    replicas: Vec<Replica>,
    active: bool,
    retry: bool,
}

/// `GET /apps/{app}/runs/{run}`.
pub(crate) async fn run(State(app): State<App>, Path((name, number)): Path<(String, u64)>) -> Result<Response, Failed> {
    let now = Timestamp::now();
    let missing = || Failed::missing(format!("run {name}/{number}"));
    let id = AppName::new(&name).map_err(|_| missing())?;
    let mut view = read::run(&app.mesh, &id, number, &app.zones, now).await?.ok_or_else(missing)?;
    app.look(|model| model.leadership.correct_run(&mut view));
    Ok(page(&RunPage::new(Head::of(&app, "apps", now), &view, now)))
}

impl RunPage {
    fn new(head: Head, view: &RunView, now: Timestamp) -> Self {
        let time = Time { begin: view.started_at, end: view.finished_at.unwrap_or(now) };
        let replica = |view| Replica::new(view, time);
        let troubled = view.replicas.iter().filter(|replica| !replica.attempts.is_empty());
        Self {
            head,
            app: view.app.clone(),
            number: view.run,
            state: view.state_text(),
            class: class(view.tone()),
            cause: view.cause_text(),
            scheduled: view.scheduled_at.map(|at| Moment::new(at, now)),
            started: Moment::new(view.started_at, now),
            finished: view.finished_at.map(|at| Moment::new(at, now)),
            took: view.took(now),
            succeeded: view.succeeded,
            total: view.replicas.len(),
            next: view.next.map(|at| Moment::new(at, now)),
            waits: view.waiting.clone(),
            troubled: troubled.map(replica).collect(),
            replicas: view.replicas.iter().map(replica).collect(),
            active: view.finished_at.is_none(),
            retry: view.finished_at.is_some() && !view.has_succeeded(),
        }
    }
}

impl Replica {
    fn new(view: &ReplicaView, time: Time) -> Self {
        let mut before: Option<&AttemptView> = None;
        let mut attempts = Vec::new();
        for attempt in &view.attempts {
            attempts.push(Attempt::new(attempt, before, time));
            before = Some(attempt);
        }
        Self {
            service: view.service.clone(),
            index: view.replica,
            attempt: view.attempt,
            agent: view.agent.clone().unwrap_or_default(),
            state: view.state_text(),
            class: class(view.tone()),
            reason: view.reason.clone().unwrap_or_default(),
            attempts,
        }
    }
}

impl Attempt {
    fn new(view: &AttemptView, before: Option<&AttemptView>, time: Time) -> Self {
        let between = |from: Option<Timestamp>, to: Option<Timestamp>| {
            from.zip(to).map(|(from, to)| when::took(when::between(from, to))).unwrap_or_default()
        };
        Self {
            number: view.attempt,
            agent: view.agent.clone(),
            end: view.end_text(),
            class: class(view.tone()),
            took: between(view.claimed_at, view.ended_at),
            again: before.map(|before| between(before.ended_at, view.claimed_at)).unwrap_or_default(),
            span: view.claimed_at.map(|from| time.span(from, view.ended_at.unwrap_or(time.end))),
            lines: view.last_lines.clone(),
        }
    }
}

/// Whose output is wanted.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Whose {
    service: Option<String>,
    replica: Option<u32>,
}

impl Whose {
    /// As the store understands it; `None`: there can be no such run or service.
    pub(crate) fn filter(&self, app: &str, run: RunNumber) -> Option<LogFilter> {
        let service = self.service.clone().map(ServiceName::new).transpose().ok()?;
        let run = Some(RunSelector::Number(run));
        Some(LogFilter { app: AppName::new(app).ok()?, run, service, replica: self.replica })
    }

    /// As a part of an address.
    fn query(&self) -> String {
        let service = self.service.iter().map(|it| format!("service={it}"));
        let parts: Vec<String> = service.chain(self.replica.map(|it| format!("replica={it}"))).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    fn text(&self) -> String {
        let parts = [self.service.clone(), self.replica.map(|it| it.to_string())];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}

/// Somebody whose output can be looked at alone.
struct Choice {
    text: String,
    query: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    head: Head,
    app: String,
    number: u64,
    whose: String,
    command: String,
    lines: Vec<Shown>,
    earlier: bool,
    limit: usize,
    choices: Vec<Choice>,
    /// Where more of it is told, if it may write more.
    follow: Option<String>,
}

/// `GET /apps/{app}/runs/{run}/logs`.
pub(crate) async fn logs(
    State(app): State<App>,
    Path((name, number)): Path<(String, u64)>,
    Query(whose): Query<Whose>,
) -> Result<Response, Failed> {
    let missing = || Failed::missing(format!("run {name}/{number}"));
    let filter = whose.filter(&name, number).ok_or_else(missing)?;
    let active = app.look(|model| model.is_active(&filter.app, number));
    let (lines, earlier) = last_lines(&app.mesh, &filter).await?;
    let replicas = read::replicas(&app.mesh, &filter.app, number).await?.unwrap_or_default();
    let everybody = Whose::default();
    let each = replicas.into_iter().take(CHOICES_MAX);
    let each = each.map(|(service, replica)| Whose { service: Some(service), replica: Some(replica) });
    let choices = std::iter::once(everybody).chain(each).map(|it| Choice {
        text: if it.service.is_none() { "all".to_owned() } else { it.text() },
        query: it.query(),
        chosen: it == whose,
    });
    let text = whose.text();
    let target = if text.is_empty() { format!("{name}/{number}") } else { format!("{name}/{number}/{text}") };
    Ok(page(&LogsPage {
        head: Head::of(&app, "apps", Timestamp::now()),
        choices: choices.collect(),
        follow: active.then(|| format!("/apps/{name}/runs/{number}/logs/live{}", whose.query())),
        app: name,
        number,
        whose: text,
        command: format!("tickmesh logs {target}"),
        lines,
        earlier,
        limit: LINES_MAX,
    }))
}
