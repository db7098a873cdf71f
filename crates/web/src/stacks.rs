//! Stacks put under control of the mesh at once: every service with a schedule is an app, as with
//! `tickmesh apply`.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::HeaderMap,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_client::{
    edit::{self, Edited, File},
    stack::{self, Job, NoJob},
    views::validation::{DiagnosticView, ValidationView},
};
use tickmesh_core::{
    compose::{Project, Reading, Severity, project_name},
    message::AppSource,
    name::{AppName, ServiceName},
};
use tokio::task::spawn_blocking;

use crate::{
    app::App,
    edits::{AppliedView, check_owner, contended, file, outline, store},
    problem::Problem,
};

/// Most apps of one stack. Each of them is read from the whole file: of the largest file this takes some seconds.
const JOBS_MAX: usize = 256;

/// What else is to be done.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// Whether apps of the stack whose services are gone are removed.
    prune: bool,
}

/// What became of a stack.
#[derive(Debug, Serialize)]
pub(crate) struct StackView {
    project: String,
    apps: Vec<JobView>,
    /// Services that are left to docker compose.
    left: Vec<String>,
    /// Apps of the stack whose services are gone, and which go on.
    vanished: Vec<AppName>,
    /// Those that were removed.
    removed: Vec<AppName>,
}

/// A service that is an app.
#[derive(Debug, Serialize)]
struct JobView {
    service: ServiceName,
    #[serde(flatten)]
    applied: AppliedView,
}

/// A service with its part of the file, understood.
struct Understood {
    job: Job,
    file: File,
    reading: Reading,
}

/// `PUT /stacks/{project}`: nothing is stored unless every app of the stack is valid.
pub(crate) async fn apply(
    State(app): State<App>,
    Path(project): Path<String>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<StackView>, Problem> {
    if project.is_empty() || project_name(&project) != project {
        let what = "is no name of a project: small letters, digits, `_` and `-`, beginning with a letter or digit";
        return Err(Problem::bad(format!("`{project}` {what}")));
    }
    let mut file = file(&project, &headers, &body)?;
    file.call_project(&project);
    if file.project.service.is_some() || file.project.name.as_ref().is_some_and(|name| *name != project) {
        return Err(Problem::bad(
            "`project` has a `service`, or another `name`: PUT the app of one service at /apps/APP",
        ));
    }
    // Reading takes long for a large file with many jobs: others are answered meanwhile.
    let (reader, named) = (app.clone(), project.clone());
    let read = spawn_blocking(move || understand(&reader, &named, file)).await;
    let (jobs, left) = read.map_err(|error| anyhow::anyhow!("reading the file has failed: {error}"))??;
    let mut applied = Vec::new();
    for Understood { job, file, reading } in jobs {
        let validation = ValidationView::new(&file.name, &reading, &app.zones, Timestamp::now());
        let source = file.into_source(reading);
        check_owner(&app, &job.app, &source).await?;
        applied.push((job, source, validation));
    }
    let kept: BTreeSet<&str> = applied.iter().map(|(job, ..)| job.app.as_str()).collect();
    let mut vanished = stack::vanished(&app.mesh, &BTreeSet::from([project.as_str()]), &kept).await?;
    let apps = store_all(&app, applied).await?;
    let mut removed = Vec::new();
    if options.prune {
        for name in std::mem::take(&mut vanished) {
            match edit::remove(&app.asker(), &name).await? {
                Some(Edited::Contended { .. }) => return Err(contended(&name)),
                Some(Edited::Stored { .. } | Edited::Unchanged { .. }) | None => removed.push(name),
            }
        }
    }
    Ok(Json(StackView { project, apps, left, vanished, removed }))
}

/// Stores the apps one after the other. What fails names those that are stored already.
async fn store_all(app: &App, all: Vec<(Job, AppSource, ValidationView)>) -> Result<Vec<JobView>, Problem> {
    let mut stored: Vec<JobView> = Vec::new();
    for (Job { service, app: name }, source, validation) in all {
        match store(app, name, source, validation).await {
            Ok(applied) => stored.push(JobView { service, applied }),
            Err(problem) if stored.is_empty() => return Err(problem),
            Err(problem) => {
                let names: Vec<&str> = stored.iter().map(|view| view.applied.name()).collect();
                return Err(problem.after(&format!("stored before that: {}", names.join(", "))));
            }
        }
    }
    Ok(stored)
}

/// Reads every app of a stack, and refuses all of them if one is not valid.
fn understand(app: &App, project: &str, file: File) -> Result<(Vec<Understood>, Vec<String>), Problem> {
    let outline = outline(app, &file)?;
    if outline.scheduled.is_empty() {
        return Err(no_stack(app, project, &file));
    }
    if outline.scheduled.len() > JOBS_MAX {
        let count = outline.scheduled.len();
        return Err(Problem::bad(format!(
            "the stack has {count} services with a schedule, at most {JOBS_MAX} are taken"
        )));
    }
    let jobs = stack::jobs(project, &outline.scheduled).map_err(|no_job| refused(&file.name, no_job))?;
    let read = jobs.into_iter().map(|job| {
        let (name, service) = (Some(project.to_owned()), Some(job.service.clone()));
        let file = File { project: Project { name, service, ..file.project.clone() }, ..file.clone() };
        let reading = file.read(&job.app, &app.zones);
        Understood { job, file, reading }
    });
    let read: Vec<Understood> = read.collect();
    if read.iter().all(|it| it.reading.spec.is_some()) {
        return Ok((read, outline.left));
    }
    // The apps are read from one file, so that they find the same in it.
    let mut told = BTreeSet::new();
    let found = read.iter().flat_map(|it| &it.reading.diagnostics).filter(|it| told.insert(it.to_string()));
    let found = found.map(DiagnosticView::from).collect();
    Err(Problem::invalid(format!("{} is not valid, and nothing has changed", file.name), found))
}

/// Why a file is no stack: it is not valid, or an app by itself.
fn no_stack(app: &App, project: &str, file: &File) -> Problem {
    let named = AppName::like(project);
    let reading = named.map(|name| file.read(&name, &app.zones));
    match reading.filter(|reading| reading.spec.is_none()) {
        Some(reading) => {
            let found = reading.diagnostics.iter().map(DiagnosticView::from).collect();
            Problem::invalid(format!("{} is not valid, and nothing has changed", file.name), found)
        }
        None => Problem::bad("no service of the file has a schedule of its own: it is one app, for PUT at /apps/APP"),
    }
}

/// A service that cannot be an app, as a finding in the file.
fn refused(file: &str, NoJob { position, problem, hint }: NoJob) -> Problem {
    let found = DiagnosticView {
        severity: Severity::Error,
        file: file.to_owned(),
        line: position.line,
        column: position.column,
        path: "services".to_owned(),
        message: problem,
        hint: hint.map(str::to_owned),
    };
    Problem::invalid(format!("{file} is not valid, and nothing has changed"), vec![found])
}
