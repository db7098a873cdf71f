//! Stored apps: the source is read again, and no parsed form is trusted.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::{
    compose::Severity,
    decide::AppContent,
    interning::Interned,
    message::{AppRecord, AppSource},
    name::AppName,
};
use tickmesh_messaging::Change;

/// A stored revision of an app.
pub(crate) struct StoredApp {
    pub(crate) app: AppName,
    pub(crate) revision: u64,
    /// When it was stored, by the server's clock.
    pub(crate) at: Timestamp,
    record: Result<AppRecord, String>,
}

impl StoredApp {
    /// The revision that a reader was told of, if it was one of an app.
    pub(crate) fn of(change: Change<AppRecord>) -> Option<Self> {
        match change {
            Change::Entry(entry) => {
                let app = AppName::new(entry.key).ok()?;
                Some(Self { app, revision: entry.sequence, at: entry.at, record: Ok(entry.value) })
            }
            // A revision of a later release: whatever it says, nothing new may be started under the old one.
            Change::Unreadable { key, sequence, at, error } => {
                let app = AppName::new(key).ok()?;
                Some(Self { app, revision: sequence, at, record: Err(error.to_string()) })
            }
            Change::SnapshotEnd { .. } => None,
        }
    }
}

/// Reads what they say.
pub(crate) struct Reader {
    zones: TimeZoneDatabase,
    shared: Interned,
}

impl Reader {
    pub(crate) fn new(zones: TimeZoneDatabase) -> Self {
        Self { zones, shared: Interned::default() }
    }

    /// What a revision says.
    pub(crate) fn content(&mut self, stored: &StoredApp) -> AppContent {
        match &stored.record {
            Ok(AppRecord { source: None, .. }) => AppContent::Removed,
            Ok(AppRecord { source: Some(source), .. }) => self.read(&stored.app, source),
            Err(reason) => AppContent::Invalid { reason: reason.clone() },
        }
    }

    fn read(&mut self, app: &AppName, source: &AppSource) -> AppContent {
        let reading = source.read(app, &self.zones);
        match reading.spec {
            Some(spec) => AppContent::Applied(Arc::new(spec.packed(&mut self.shared))),
            None => {
                let first = reading.diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
                let reason = first.map_or_else(|| "the file is not valid".to_owned(), ToString::to_string);
                AppContent::Invalid { reason }
            }
        }
    }
}
