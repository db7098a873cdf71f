//! Pages, made on the server: readable without any script. What the script adds is that they renew themselves.

mod agents;
mod app;
mod apps;
mod mesh;
mod run;
mod timeline;
mod words;

use askama::Template;
use axum::{
    extract::Query,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{app::App, guard::own_address};

pub(crate) use self::{
    agents::agents,
    app::app,
    apps::apps,
    mesh::mesh,
    run::{Whose, logs, run},
    timeline::timeline,
};

/// What every page begins with.
struct Head {
    /// Which part of the navigation is current.
    nav: &'static str,
    /// Why what is shown may be older than the mesh.
    stale: Option<String>,
    /// Why no tick is decided.
    undecided: Option<String>,
}

impl Head {
    fn of(app: &App, nav: &'static str, now: Timestamp) -> Self {
        Self { nav, stale: app.stale(now), undecided: app.look(|model| model.leadership.problem()) }
    }

    /// That of a page that says nothing of the mesh.
    fn bare() -> Self {
        Self { nav: "", stale: None, undecided: None }
    }
}

/// A page, or the one that says why there is none.
fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => ([(header::CACHE_CONTROL, "no-store")], axum::response::Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be made");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made\n").into_response()
        }
    }
}

/// Why there is no page.
#[derive(Template)]
#[template(path = "failure.html")]
struct Failure {
    head: Head,
    title: &'static str,
    detail: String,
}

/// An error, as a page.
pub(crate) struct Failed(StatusCode, String);

impl Failed {
    fn missing(what: impl std::fmt::Display) -> Self {
        Self(StatusCode::NOT_FOUND, format!("There is no {what}, or nothing of it is kept any more."))
    }
}

impl From<tickmesh_messaging::Error> for Failed {
    fn from(error: tickmesh_messaging::Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let title = self.0.canonical_reason().unwrap_or("Error");
        let mut response = page(&Failure { head: Head::bare(), title, detail: self.1 });
        *response.status_mut() = self.0;
        response
    }
}

/// Where the token is given.
#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    head: Head,
    wrong: bool,
    /// What was wanted, and is gone to with the right token.
    next: String,
}

/// What the address of the form says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct WayIn {
    #[serde(default)]
    next: String,
    /// The token that was given is not the right one.
    #[serde(default)]
    wrong: Option<String>,
}

/// `GET /login`.
pub(crate) async fn login(Query(WayIn { next, wrong }): Query<WayIn>) -> Response {
    page(&LoginPage { head: Head::bare(), wrong: wrong.is_some(), next: own_address(&next).to_owned() })
}
