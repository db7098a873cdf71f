//! What went wrong, as programs read it: `application/problem+json` (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tickmesh_client::views::validation::DiagnosticView;
use tickmesh_messaging::Error;

/// An answer that is an error.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// What is wrong in a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<DiagnosticView>,
}

impl Problem {
    /// Its content type.
    pub(crate) const KIND: &'static str = "application/problem+json";

    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("error");
        Self { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), diagnostics: Vec::new() }
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what}"))
    }

    /// A file that cannot be taken.
    pub(crate) fn invalid(detail: impl Into<String>, diagnostics: Vec<DiagnosticView>) -> Self {
        Self { diagnostics, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// Adds what had happened before.
    pub(crate) fn after(mut self, before: &str) -> Self {
        self.detail = format!("{}; {before}", self.detail);
        self
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

/// Whatever NATS did not answer: nobody's fault who asked.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::TooManyEdits { .. } => StatusCode::CONFLICT,
            // Somebody reads on from where the stream had not been yet.
            Error::StateLost(_) => StatusCode::GONE,
            Error::Login { .. }
            | Error::LoginRefused { .. }
            | Error::Unreachable { .. }
            | Error::ServerTooOld { .. }
            | Error::NoJetStream { .. }
            | Error::NoJetStreamLeader { .. }
            | Error::NotProvisioned { .. }
            | Error::StoreLost { .. }
            | Error::NoRoom { .. }
            | Error::Provision { .. }
            | Error::ForeignStream { .. }
            | Error::ForeignSetting { .. }
            | Error::StreamGone { .. }
            | Error::Superseded { .. }
            | Error::Closed { .. }
            | Error::Unavailable { .. }
            | Error::Denied { .. }
            | Error::Unreadable { .. }
            | Error::Encode { .. }
            | Error::TooLarge { .. } => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a request was not answered");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static(Self::KIND);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
