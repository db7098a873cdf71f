//! The style sheet and the script, as they were built in.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// Changes with every release: what a browser has of another one is not used.
const TAG: &str = concat!("\"", env!("CARGO_PKG_VERSION"), "-1\"");

pub(crate) async fn style(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", include_str!("../assets/style.css"))
}

pub(crate) async fn script(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", include_str!("../assets/app.js"))
}

fn asset(headers: &HeaderMap, kind: &'static str, text: &'static str) -> Response {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == TAG) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let described = [(header::CONTENT_TYPE, kind), (header::ETAG, TAG), (header::CACHE_CONTROL, "no-cache")];
    (described, text).into_response()
}
