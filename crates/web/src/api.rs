//! `/api/v1`: the same JSON as that of the command line (`-o json`).

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_client::{
    on_record::OnRecord,
    read,
    views::filter::AppFilter,
    views::{
        agent::AgentsView,
        app::AppView,
        details::DetailsView,
        run::{RunView, RunsView},
        scheduler::SchedulersView,
    },
};
use tickmesh_core::{
    id::{RequestId, RunNumber},
    message::{CommandKind, RunRequest},
    name::{AppName, ServiceName},
};
use tickmesh_messaging::{LogFilter, RunSelector};
use uuid::Uuid;

use crate::{
    actions::{self, AgentAction, Answer},
    app::App,
    deadline::{REQUEST_TIME_MAX, in_time},
    edits,
    model::{Begin, Listed, Search},
    output,
    problem::Problem,
    stacks, stream,
};

/// Apps of one answer, unless fewer are wanted.
const LIMIT_MAX: usize = 200;
const LIMIT_DEFAULT: usize = 50;
/// Longest text of a refusal that is told.
const REFUSAL_BYTES_MAX: usize = 4_096;

pub(crate) fn router() -> Router<App> {
    let bounded = Router::new()
        .route("/openapi.json", get(description))
        .route("/apps", get(apps))
        .route("/apps/{app}", get(details).put(edits::apply).delete(edits::remove))
        .route("/apps/{app}/runs", get(runs))
        .route("/apps/{app}/runs/{run}", get(run))
        .route("/apps/{app}/runs/{run}/logs", get(logs))
        .route("/apps/{app}/revisions", get(revisions))
        .route("/apps/{app}/run", post(start))
        .route("/apps/{app}/pause", post(pause))
        .route("/apps/{app}/resume", post(resume))
        .route("/apps/{app}/flush", post(flush))
        .route("/apps/{app}/cancel", post(cancel))
        .route("/apps/{app}/runs/{run}/retry", post(retry))
        .route("/stacks/{project}", put(stacks::apply))
        .route("/agents", get(agents))
        .route("/agents/{agent}/drain", post(drain))
        .route("/agents/{agent}/undrain", post(undrain))
        .route("/schedulers", get(schedulers))
        .layer(from_fn_with_state(REQUEST_TIME_MAX, in_time));
    bounded
        .route("/events", get(stream::events))
        .fallback(|| async { Problem::not_found("such resource") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this resource does not know that method")
        })
        .layer(from_fn(as_problem))
}

/// What axum refuses on its own, such as a body that is no JSON, is told as every other error is.
async fn as_problem(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !(status.is_client_error() || status.is_server_error()) || kind.is_some_and(|kind| kind == Problem::KIND) {
        return response;
    }
    let text = to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await.unwrap_or_default();
    Problem::new(status, String::from_utf8_lossy(&text).trim()).into_response()
}

type Answered<T> = Result<Json<T>, Problem>;

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../assets/openapi.json")).into_response()
}

/// Which apps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    tag: String,
    /// The last name of the part before.
    #[serde(default)]
    after: String,
    #[serde(default = "limit")]
    limit: usize,
}

fn limit() -> usize {
    LIMIT_DEFAULT
}

#[derive(Serialize)]
struct AppsPart {
    /// How many fit.
    total: usize,
    apps: Vec<AppView>,
    /// What to ask for with `after`, if more follow.
    next: Option<String>,
}

async fn apps(State(app): State<App>, Query(wanted): Query<Wanted>) -> Answered<AppsPart> {
    if wanted.limit > LIMIT_MAX {
        return Err(Problem::bad(format!("limit may be at most {LIMIT_MAX}")));
    }
    let filter = match wanted.status.as_deref() {
        None => AppFilter::All,
        Some(status) => AppFilter::named(status)
            .ok_or_else(|| Problem::bad(format!("status `{status}` is none of {}", AppFilter::names())))?,
    };
    let begin = Begin::After(&wanted.after);
    let search = Search { text: &wanted.q, tag: &wanted.tag, filter };
    let Listed { apps, total, more, .. } = app.look(|model| model.list(search, begin, wanted.limit, Timestamp::now()));
    let next = apps.last().filter(|_| more).map(|app| app.name.clone());
    Ok(Json(AppsPart { total, apps, next }))
}

fn named(name: &str) -> Result<AppName, Problem> {
    AppName::new(name).map_err(|_| Problem::not_found(format!("app `{name}`")))
}

async fn details(State(app): State<App>, Path(name): Path<String>) -> Answered<DetailsView> {
    let (id, now) = (named(&name)?, Timestamp::now());
    let missing = || Problem::not_found(format!("app `{name}`"));
    let on_record = OnRecord::look(&app.mesh, &id).await?;
    let mut details = read::details(&app.mesh, &id, &on_record, &app.zones, now).await?.ok_or_else(missing)?;
    app.look(|model| model.leadership.correct_details(&mut details));
    Ok(Json(details))
}

async fn runs(State(app): State<App>, Path(name): Path<String>) -> Answered<RunsView> {
    let id = named(&name)?;
    let on_record = OnRecord::look(&app.mesh, &id).await?;
    if on_record.record.is_none() {
        return Err(Problem::not_found(format!("app `{name}`")));
    }
    Ok(Json(read::runs_on_record(&id, &on_record)))
}

async fn run(State(app): State<App>, Path((name, number)): Path<(String, RunNumber)>) -> Answered<RunView> {
    let run = read::run(&app.mesh, &named(&name)?, number, &app.zones, Timestamp::now()).await?;
    Ok(Json(run.ok_or_else(|| Problem::not_found(format!("run {name}/{number}")))?))
}

/// Whose output.
#[derive(Debug, Default, Deserialize)]
struct Whose {
    service: Option<String>,
    replica: Option<u32>,
}

async fn logs(
    State(app): State<App>,
    Path((name, number)): Path<(String, RunNumber)>,
    Query(whose): Query<Whose>,
) -> Result<Response, Problem> {
    let service = whose.service.map(ServiceName::new).transpose();
    let service = service.map_err(|error| Problem::bad(error.to_string()))?;
    let filter =
        LogFilter { app: named(&name)?, run: Some(RunSelector::Number(number)), service, replica: whose.replica };
    let (lines, _) = output::last_lines(&app.mesh, &filter).await?;
    let text: String = lines.iter().map(|line| format!("{} {} | {}\n", line.at, line.writer, line.text)).collect();
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

#[derive(Serialize)]
struct RevisionView {
    revision: u64,
    applied_at: Timestamp,
    applied_by: String,
    file: Option<String>,
    compose: Option<String>,
}

async fn revisions(State(app): State<App>, Path(name): Path<String>) -> Answered<Vec<RevisionView>> {
    let history = app.mesh.revisions(&named(&name)?).await?;
    let views = history.into_iter().rev().map(|entry| {
        let (file, compose) = entry.value.source.map(|source| (source.file_name, source.compose)).unzip();
        let revision = entry.value.number.unwrap_or(entry.sequence);
        RevisionView { revision, applied_at: entry.at, applied_by: entry.value.by, file, compose }
    });
    Ok(Json(views.collect()))
}

async fn agents(State(app): State<App>) -> Json<AgentsView> {
    let now = Timestamp::now();
    Json(app.look(|model| AgentsView::of(&model.agents(), model.ledgers().map(|(_, it)| it), now)))
}

async fn drain(State(app): State<App>, Path(name): Path<String>) -> Answered<Answer> {
    Ok(Json(actions::agent(&app, &name, AgentAction::Drain).await?))
}

async fn undrain(State(app): State<App>, Path(name): Path<String>) -> Answered<Answer> {
    Ok(Json(actions::agent(&app, &name, AgentAction::Undrain).await?))
}

async fn schedulers(State(app): State<App>) -> Answered<SchedulersView> {
    Ok(Json(read::schedulers(&app.mesh).await?))
}

/// What a run by hand is to have.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Start {
    env: std::collections::BTreeMap<String, String>,
    args: Vec<String>,
    /// Sent again with the same one, it is carried out once.
    request: Option<Uuid>,
}

async fn start(State(app): State<App>, Path(name): Path<String>, body: Option<Json<Start>>) -> Answered<Answer> {
    let Start { env, args, request } = body.map(|Json(body)| body).unwrap_or_default();
    let run = RunRequest { environment: env, arguments: args };
    run.check().map_err(|error| Problem::bad(error.to_string()))?;
    Ok(Json(actions::ask(&app, &name, CommandKind::Run(run), request.map(RequestId)).await?))
}

async fn pause(State(app): State<App>, Path(name): Path<String>) -> Answered<Answer> {
    Ok(Json(actions::ask(&app, &name, CommandKind::Pause, None).await?))
}

async fn resume(State(app): State<App>, Path(name): Path<String>) -> Answered<Answer> {
    Ok(Json(actions::ask(&app, &name, CommandKind::Resume, None).await?))
}

async fn flush(State(app): State<App>, Path(name): Path<String>) -> Answered<Answer> {
    Ok(Json(actions::ask(&app, &name, CommandKind::Flush, None).await?))
}

/// Which run is to be stopped, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stopping {
    run: Option<RunNumber>,
    #[serde(default)]
    force: bool,
}

async fn cancel(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(stopping): Query<Stopping>,
) -> Answered<Answer> {
    let Stopping { run, force } = stopping;
    Ok(Json(actions::ask(&app, &name, CommandKind::Cancel { run, force }, None).await?))
}

async fn retry(State(app): State<App>, Path((name, run)): Path<(String, RunNumber)>) -> Answered<Answer> {
    Ok(Json(actions::ask(&app, &name, CommandKind::Retry { run }, None).await?))
}
