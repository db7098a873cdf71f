//! The revisions of an app.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_client::when;
use tickmesh_core::message::AppRecord;
use tickmesh_messaging::Entry;

use super::{Style, Table, Tone, View, cell};
use crate::source_diff;

/// One revision.
#[derive(Debug, Serialize)]
pub(crate) struct RevisionView {
    /// Its number among those of the app, from 1.
    pub revision: u64,
    /// When it was applied, by the server's clock.
    pub applied_at: Timestamp,
    /// Who applied it.
    pub applied_by: String,
    /// The file it came from; `null`: the app was removed.
    pub file: Option<String>,
    /// Lines that were added to the file since the revision before; `null`: that is not known any more.
    pub added: Option<usize>,
    /// Lines that were taken out of it.
    pub removed: Option<usize>,
}

/// One revision, and what it changed.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    /// What lists show.
    #[serde(flatten)]
    pub revision: RevisionView,
    /// In the form of `diff -u`.
    pub diff: String,
}

impl View for ChangeView {
    fn text(&self, _style: &Style) -> String {
        self.diff.clone()
    }

    fn names(&self) -> Vec<String> {
        vec![self.revision.revision.to_string()]
    }
}

/// All that are kept, the newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RevisionsView(pub Vec<RevisionView>);

impl RevisionsView {
    /// The revisions of an app, given the oldest first.
    pub(crate) fn new(revisions: &[Entry<AppRecord>]) -> Self {
        let mut views: Vec<RevisionView> = Vec::with_capacity(revisions.len());
        let mut before: Option<&Entry<AppRecord>> = None;
        for entry in revisions {
            let text =
                |record: &AppRecord| record.source.as_ref().map_or(String::new(), |source| source.compose.clone());
            let changed = before.map(|before| source_diff::count(&text(&before.value), &text(&entry.value)));
            views.push(RevisionView {
                revision: entry.value.number.unwrap_or(entry.sequence),
                applied_at: entry.at,
                applied_by: entry.value.by.clone(),
                file: entry.value.source.as_ref().map(|source| source.file_name.clone()),
                added: changed.map(|(added, _)| added),
                removed: changed.map(|(_, removed)| removed),
            });
            before = Some(entry);
        }
        views.reverse();
        Self(views)
    }
}

impl View for RevisionsView {
    fn text(&self, style: &Style) -> String {
        let mut table = Table::new(["REVISION", "APPLIED", "BY", "FILE", "LINES"]);
        for revision in &self.0 {
            let lines = revision.added.zip(revision.removed).map(|(added, removed)| format!("+{added} -{removed}"));
            let (file, tone) = match &revision.file {
                Some(file) => (file.as_str(), Tone::Plain),
                None => ("(removed)", Tone::Dim),
            };
            table.row(vec![
                cell(revision.revision, Tone::Plain),
                cell(when::relative(revision.applied_at, style.now), Tone::Plain),
                cell(&revision.applied_by, Tone::Plain),
                cell(file, tone),
                cell(lines.as_deref().unwrap_or("-"), Tone::Plain),
            ]);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|revision| revision.revision.to_string()).collect()
    }
}
