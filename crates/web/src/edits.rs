//! Apps put under control of the mesh, changed and removed over HTTP: with the checks of the command line.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_client::{
    edit::{self, Edited, File},
    read, stack,
    views::validation::ValidationView,
};
use tickmesh_core::{
    compose::{Outline, Project},
    id::RunNumber,
    message::AppSource,
    name::AppName,
};

use crate::{app::App, problem::Problem};

/// A compose file, with what belongs to it. One that needs nothing else may be sent as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    compose: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    env_files: BTreeMap<String, String>,
    /// The files that are merged with it, and the service of a stack that the app is.
    #[serde(default)]
    project: Project,
}

/// What became of a file.
#[derive(Debug, Serialize)]
pub(crate) struct AppliedView {
    app: AppName,
    revision: u64,
    /// Whether it was another one before.
    changed: bool,
    /// What was found in it, and when it will run.
    #[serde(flatten)]
    validation: ValidationView,
}

impl AppliedView {
    /// The app.
    pub(crate) fn name(&self) -> &str {
        self.app.as_str()
    }
}

/// What became of an app that is removed.
#[derive(Debug, Serialize)]
pub(crate) struct RemovedView {
    app: AppName,
    revision: u64,
    /// Runs that are being stopped.
    stopping: Vec<RunNumber>,
}

/// `PUT /apps/{app}`.
pub(crate) async fn apply(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<AppliedView>, Problem> {
    let name = AppName::new(&name).map_err(|error| Problem::bad(error.to_string()))?;
    let mut file = file(name.as_str(), &headers, &body)?;
    if file.project.service.is_none() && !outline(&app, &file)?.scheduled.is_empty() {
        let problem = "the file is a stack, whose services have schedules of their own: PUT it at /stacks/PROJECT, or \
                       name the `service` that the app is, and the `name` of the stack, in `project`";
        return Err(Problem::bad(problem));
    }
    if let Some(project) = file.project.name.clone() {
        file.call_project(&project);
    }
    let reading = file.read(&name, &app.zones);
    let validation = ValidationView::new(&file.name, &reading, &app.zones, Timestamp::now());
    if !validation.valid {
        return Err(Problem::invalid(
            format!("{} is not valid, and nothing has changed", file.name),
            validation.diagnostics,
        ));
    }
    let source = file.into_source(reading);
    check_owner(&app, &name, &source).await?;
    Ok(Json(store(&app, name, source, validation).await?))
}

/// Refuses an app of a stack whose name is that of another stack's.
pub(crate) async fn check_owner(app: &App, name: &AppName, source: &AppSource) -> Result<(), Problem> {
    match stack::clash(&app.mesh, name, source).await? {
        Some(problem) => Err(Problem::new(StatusCode::CONFLICT, format!("{problem}: rename the service or the stack"))),
        None => Ok(()),
    }
}

/// Stores an app whose file is valid.
pub(crate) async fn store(
    app: &App,
    name: AppName,
    source: AppSource,
    validation: ValidationView,
) -> Result<AppliedView, Problem> {
    let (revision, changed) = match edit::apply(&app.asker(), &name, source).await? {
        Edited::Stored { number, .. } => (number, true),
        Edited::Unchanged { number, .. } => (number, false),
        Edited::Contended { .. } => return Err(contended(&name)),
    };
    Ok(AppliedView { app: name, revision, changed, validation })
}

/// Whether a file is an app or a stack of some.
pub(crate) fn outline(app: &App, file: &File) -> Result<Outline, Problem> {
    file.outline(&app.zones).map_err(|error| Problem::bad(error.to_string()))
}

/// `DELETE /apps/{app}`.
pub(crate) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<Json<RemovedView>, Problem> {
    let unknown = || Problem::not_found(format!("app `{name}`"));
    let id = AppName::new(&name).map_err(|_| unknown())?;
    let revision = match edit::remove(&app.asker(), &id).await?.ok_or_else(unknown)? {
        Edited::Stored { number, .. } => number,
        Edited::Unchanged { .. } => return Err(unknown()),
        Edited::Contended { .. } => return Err(contended(&id)),
    };
    let ledger = read::ledger(&app.mesh, &id).await?;
    let stopping = ledger.iter().flat_map(|ledger| &ledger.active).map(|run| run.number).collect();
    Ok(Json(RemovedView { app: id, revision, stopping }))
}

/// The file of a request, with what belongs to it.
pub(crate) fn file(called: &str, headers: &HeaderMap, body: &[u8]) -> Result<File, Problem> {
    let name = format!("{called}.yml");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json") {
        let refused = |error| Problem::bad(format!("the body is not what it should be: {error}"));
        let Body { compose: text, variables, env_files, project } = serde_json::from_slice(body).map_err(refused)?;
        if project.folder.as_ref().is_some_and(|folder| !folder.starts_with('/')) {
            return Err(Problem::bad("`project.folder` is no absolute path of the hosts"));
        }
        return Ok(File { name, text, variables, env_files, project });
    }
    let text = str::from_utf8(body)
        .map_err(|error| Problem::bad(format!("byte {} of the file is not UTF-8", error.valid_up_to() + 1)))?;
    Ok(File { name, text: text.to_owned(), ..File::default() })
}

pub(crate) fn contended(app: &AppName) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        format!("app `{app}` is being changed by others at the same time: look at it first"),
    )
}
