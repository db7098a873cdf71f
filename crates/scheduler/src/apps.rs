//! Stored apps: the source is read again, and no parsed form is trusted.

use std::sync::Arc;

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    compose::{self, Severity},
    decide::AppContent,
    message::{AppRecord, AppSource},
    name::AppName,
};

/// What a stored revision of an app says.
pub(crate) fn content(app: &AppName, record: &AppRecord, zones: &TimeZoneDatabase) -> AppContent {
    match &record.source {
        None => AppContent::Removed,
        Some(source) => read(app, source, zones),
    }
}

fn read(app: &AppName, source: &AppSource, zones: &TimeZoneDatabase) -> AppContent {
    let reading = compose::read(&source.file(app), zones);
    match reading.spec {
        Some(spec) => AppContent::Applied(Arc::new(spec)),
        None => {
            let first = reading.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
            let reason = first.map_or_else(|| "the file is not valid".to_owned(), ToString::to_string);
            AppContent::Invalid { reason }
        }
    }
}
