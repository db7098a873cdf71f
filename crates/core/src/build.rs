//! The build of a program: which of them the members of a mesh run, while it is upgraded and
//! afterwards.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest build that is kept of what somebody else wrote: a version and the 40 digits of a commit
/// have room.
pub const BUILD_CHARS_MAX: usize = 64;

/// The version of a program with its commit, as in `0.1.0+a7154bc98ea3`. A program that was built
/// without its repository has the version alone, and one from before builds had names is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Build(String);

impl Build {
    /// Returns the build of that name. Longer names are cut, and blanks and control characters left
    /// out: the name is shown in tables and logs, whoever wrote it.
    pub fn new(name: &str) -> Self {
        Self(name.chars().filter(char::is_ascii_graphic).take(BUILD_CHARS_MAX).collect())
    }

    /// Says whether the program is from before builds had names.
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the version, as far as the name tells.
    pub fn version(&self) -> &str {
        self.0.split_once('+').map_or(self.0.as_str(), |(version, _)| version)
    }

    /// Returns the commit, if the program was built from its repository.
    pub fn commit(&self) -> Option<&str> {
        self.0.split_once('+').map(|(_, commit)| commit)
    }

    /// Returns the text that stands for a member which says this of its build, and that of its
    /// version: members from before builds had names say the version alone.
    pub fn shown_with(&self, version: &str) -> String {
        if self.is_unknown() { format!("{} (build unknown)", Self::new(version).0) } else { self.0.clone() }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.is_unknown() { "unknown" } else { &self.0 })
    }
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, version: &str, commit: Option<&str>, shown: &str) {
        let build = Build::new(name);
        assert_eq!((build.version(), build.commit(), build.to_string()), (version, commit, shown.to_owned()));
    }

    #[test]
    fn build_is_a_version_and_perhaps_a_commit() {
        check("0.1.0+a7154bc98ea3", "0.1.0", Some("a7154bc98ea3"), "0.1.0+a7154bc98ea3");
        check("0.1.0", "0.1.0", None, "0.1.0");
        check("", "", None, "unknown");
        assert_eq!(Build::default().shown_with("0.1.0"), "0.1.0 (build unknown)");
        assert_eq!(Build::new("0.1.0+a7154bc").shown_with("0.1.0"), "0.1.0+a7154bc");
    }

    #[test]
    fn build_that_somebody_else_wrote_is_short_and_plain() {
        let read = |name: &str| serde_json::from_value::<Build>(name.into()).unwrap().to_string();
        assert_eq!(read(&"x".repeat(100_000)), "x".repeat(BUILD_CHARS_MAX));
        assert_eq!(read("0.1.0\n\u{1b}[31m+a7 é"), "0.1.0[31m+a7");
    }
}
