//! What `validate` found.

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
        valid.map(|file| format!("{}: ok: {}\n", file.file, file.when())).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().filter(|file| file.valid).map(|file| file.file.clone()).collect()
    }
}
