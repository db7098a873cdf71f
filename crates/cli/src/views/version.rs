//! The build of this program.

use serde::Serialize;
use tickmesh_core::build::Build;

use super::{Style, View};

/// The build of this program.
#[derive(Debug, Serialize)]
pub(crate) struct VersionView {
    /// Version and commit in one word, as members of a mesh tell it.
    pub build: String,
    /// Its version.
    pub version: String,
    /// Its commit, if the program was built from its repository or by a packager who named it.
    pub commit: Option<String>,
}

impl VersionView {
    /// The view of a build.
    pub(crate) fn of(build: &Build) -> Self {
        Self {
            build: build.to_string(),
            version: build.version().to_owned(),
            commit: build.commit().map(str::to_owned),
        }
    }
}

impl View for VersionView {
    fn text(&self, _style: &Style) -> String {
        format!("tickmesh {}\n", self.build)
    }

    fn names(&self) -> Vec<String> {
        vec![self.build.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_without_a_commit_is_the_version_alone() {
        let shown = |name: &str| serde_json::to_value(VersionView::of(&Build::new(name))).unwrap();
        assert_eq!(shown("0.1.0")["commit"], serde_json::Value::Null);
        assert_eq!(shown("0.1.0+a7154bc98ea3")["commit"], "a7154bc98ea3");
        assert_eq!(shown("0.1.0+a7154bc98ea3")["version"], "0.1.0");
    }
}
