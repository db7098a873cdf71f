//! What `validate` found.

use std::{ffi::OsStr, path::Path};

use serde::Serialize;
use tickmesh_client::views::validation::ValidationView;

use super::{Style, View};

/// All files.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct ValidationsView(pub Vec<ValidationView>);

impl View for ValidationsView {
    fn text(&self, _style: &Style) -> String {
        let valid = self.0.iter().filter(|file| file.valid);
        let line = |file: &ValidationView| {
            // A file that is called like its app need not say so.
            let own = Path::new(&file.file).file_stem().and_then(OsStr::to_str);
            let app = file.app.as_deref().filter(|app| Some(*app) != own);
            let app = app.map(|app| format!("app {app}: ")).unwrap_or_default();
            format!("{}: ok: {app}{}\n", file.file, file.when())
        };
        valid.map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().filter(|file| file.valid).map(|file| file.file.clone()).collect()
    }
}
