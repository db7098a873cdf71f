//! The env files that a compose file names: what is in them comes from whoever reads it, since reading a file is I/O.

use std::collections::{BTreeMap, BTreeSet};

/// Env files while a compose file is read.
#[derive(Debug)]
pub(super) struct EnvFiles<'f> {
    given: &'f BTreeMap<String, String>,
    kept: BTreeMap<String, EnvFile>,
}

#[derive(Debug)]
pub(super) enum EnvFile {
    /// Nobody brought it.
    Absent,
    /// Its variables.
    Read(BTreeMap<String, String>),
}

impl<'f> EnvFiles<'f> {
    /// Those that there are, by their paths as the compose file has them.
    pub(super) fn new(given: &'f BTreeMap<String, String>) -> Self {
        Self { given, kept: BTreeMap::new() }
    }

    /// What is in a file.
    pub(super) fn text(&self, path: &str) -> Option<&'f str> {
        self.given.get(path).map(String::as_str)
    }

    /// What became of a file, if it was named before.
    pub(super) fn kept(&self, path: &str) -> Option<&EnvFile> {
        self.kept.get(path)
    }

    /// Notes what became of a file.
    pub(super) fn keep(&mut self, path: &str, file: EnvFile) {
        self.kept.insert(path.to_owned(), file);
    }

    /// Every file that was named.
    pub(super) fn into_named(self) -> BTreeSet<String> {
        self.kept.into_keys().collect()
    }
}
