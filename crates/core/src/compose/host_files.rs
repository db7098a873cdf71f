//! The secrets and configs that the top of a file names, for the readers of services.

use std::collections::BTreeMap;

/// Whether a file is a secret or a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostFileKind {
    Secret,
    Config,
}

impl HostFileKind {
    /// The word for messages.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    /// Where relative targets begin.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Secret => "/run/secrets/",
            Self::Config => "/",
        }
    }
}

/// The files that the top of a compose file names.
#[derive(Debug, Default)]
pub(super) struct HostFiles {
    pub(super) secrets: BTreeMap<String, Option<String>>,
    pub(super) configs: BTreeMap<String, Option<String>>,
}

impl HostFiles {
    /// Returns the paths of all files of a kind, by name. `None`: the error has been reported.
    pub(super) fn of(&self, kind: HostFileKind) -> &BTreeMap<String, Option<String>> {
        match kind {
            HostFileKind::Secret => &self.secrets,
            HostFileKind::Config => &self.configs,
        }
    }
}
