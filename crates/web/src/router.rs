//! Which handler answers which path, and what every request passes first.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
};

use crate::{
    actions, api,
    app::App,
    assets,
    deadline::{REQUEST_TIME_MAX, in_time},
    guard::{self, Guard},
    live, metrics, pages, stream,
};

/// Longest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Returns the routes of pages, API and metrics.
pub(crate) fn router(app: App, guard: Guard) -> Router {
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(metrics::ready))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/app.js", get(assets::script))
        .route("/login", get(pages::login).post(guard::login).with_state(guard.clone()))
        .layer(middleware::from_fn_with_state(REQUEST_TIME_MAX, in_time));
    let closed = Router::new()
        .route("/", get(pages::apps))
        .route("/apps/{app}", get(pages::app))
        .route("/apps/{app}/runs/{run}", get(pages::run))
        .route("/apps/{app}/runs/{run}/logs", get(pages::logs))
        .route("/apps/{app}/{action}", post(actions::form))
        .route("/timeline", get(pages::timeline))
        .route("/agents", get(pages::agents))
        .route("/agents/{agent}/{action}", post(actions::agent_form))
        .route("/mesh", get(pages::mesh))
        .route("/metrics", get(metrics::metrics))
        .layer(middleware::from_fn_with_state(REQUEST_TIME_MAX, in_time))
        // These go on for as long as somebody looks.
        .route("/live", get(live::changes))
        .route("/apps/{app}/runs/{run}/logs/live", get(stream::output))
        .nest("/api/v1", api::router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .layer(middleware::from_fn_with_state(guard.clone(), guard::admit));
    open.merge(closed)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}
