//! What somebody wants of an app: asked of the leader, and what that made of it.

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use tickmesh_client::{
    agents::{self, Wished},
    requests::{self, Watch, unanswered, why_not},
};
use tickmesh_core::{
    agent_wish::AgentWish,
    id::{RequestId, RunNumber},
    ledger::Verdict,
    message::{CommandKind, RunRequest},
    name::{AgentName, AppName},
};

use crate::{app::App, problem::Problem};

/// What the leader made of a request.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// Whether it was answered in time. If not, it is stored, and will be carried out.
    pub answered: bool,
    pub text: String,
    /// The run that it began, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunNumber>,
}

/// What a form may carry.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    run: Option<RunNumber>,
}

/// `POST /apps/{app}/{action}`: for browsers. Leads back to where it came from.
pub(crate) async fn form(
    State(app): State<App>,
    Path((name, action)): Path<(String, String)>,
    Form(fields): Form<Fields>,
) -> Response {
    let kind = match (action.as_str(), fields.run) {
        ("run", _) => CommandKind::Run(RunRequest::default()),
        ("pause", _) => CommandKind::Pause,
        ("resume", _) => CommandKind::Resume,
        ("flush", _) => CommandKind::Flush,
        ("cancel", run) => CommandKind::Cancel { run, force: false },
        ("retry", Some(run)) => CommandKind::Retry { run },
        _ => return Problem::not_found(format!("action `{action}`")).into_response(),
    };
    match ask(&app, &name, kind, None).await {
        Ok(_) => Redirect::to(&format!("/apps/{name}")).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// What can be wanted of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentAction {
    Drain,
    Undrain,
}

/// `POST /agents/{agent}/{action}`: for browsers.
pub(crate) async fn agent_form(State(app): State<App>, Path((name, action)): Path<(String, String)>) -> Response {
    let action = match action.as_str() {
        "drain" => AgentAction::Drain,
        "undrain" => AgentAction::Undrain,
        _ => return Problem::not_found(format!("action `{action}`")).into_response(),
    };
    match agent(&app, &name, action).await {
        Ok(_) => Redirect::to("/agents").into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Asks the leader to tell an agent what is wanted of it. The agent answers with its next heartbeat.
pub(crate) async fn agent(app: &App, name: &str, action: AgentAction) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found(format!("agent `{name}`"));
    let agent = AgentName::new(name).map_err(|_| unknown())?;
    let wish = match action {
        AgentAction::Drain => AgentWish::drain(None),
        AgentAction::Undrain => AgentWish::Undrain,
    };
    match agents::ask(&app.mesh, &agent, wish).await? {
        Wished::Granted { .. } => {}
        Wished::UnknownAgent => return Err(unknown()),
        Wished::Refused { reason, hint } => {
            return Err(Problem::new(StatusCode::CONFLICT, format!("{reason}: {hint}")));
        }
    }
    let text = match action {
        AgentAction::Drain => format!("agent {name} is draining"),
        AgentAction::Undrain => format!("agent {name} takes new work"),
    };
    Ok(Answer { answered: true, text, run: None })
}

/// Asks the leader, and waits for a while.
pub(crate) async fn ask(
    app: &App,
    name: &str,
    kind: CommandKind,
    request: Option<RequestId>,
) -> Result<Answer, Problem> {
    let unknown = || Problem::not_found(format!("app `{name}`"));
    let name = AppName::new(name).map_err(|_| unknown())?;
    let record = app.mesh.apps().read(name.as_str()).await?.ok_or_else(unknown)?;
    let asker = app.asker();
    let request = match request {
        Some(request) => {
            asker.send_as(request, &name, record.sequence, kind).await?;
            request
        }
        None => asker.send(&name, record.sequence, kind).await?,
    };
    let mut watch = Watch::begin(&app.mesh, &name).await?;
    let Some(verdict) = requests::answer(&mut watch, request).await? else {
        return Ok(Answer { answered: false, text: unanswered(), run: None });
    };
    let (text, run) = match &verdict {
        Verdict::Started { run } => (format!("run {name}/{run} started"), Some(*run)),
        Verdict::Enqueued { waiting } => (format!("the run waits, at place {waiting}"), None),
        Verdict::Paused => (format!("app {name} is paused"), None),
        Verdict::Resumed { skipped } => (format!("app {name} goes on; instants skipped meanwhile: {skipped}"), None),
        Verdict::Flushed { waiting } => (format!("runs thrown out of the queue: {waiting}"), None),
        Verdict::Stopping { runs } => {
            let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
            (format!("being stopped: {}", runs.join(", ")), None)
        }
        Verdict::Refused { .. } | Verdict::Dropped { .. } | Verdict::Skipped { .. } => {
            return Err(Problem::new(StatusCode::CONFLICT, why_not(&verdict)));
        }
    };
    Ok(Answer { answered: true, text, run })
}
