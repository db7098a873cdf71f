//! An app as it is stored in the bucket `apps`: the sources, and what they were read with.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

use crate::{
    compose::{self, ComposeFile, DIALECT_FIRST, Dialect, DialectNumber, Project, Reading},
    name::AppName,
};

/// An app in the bucket `apps`: the file as typed, or the note that the app was removed. The scheduler reads the source
/// again and trusts no parsed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Schema version.
    pub schema: u32,
    /// Who wrote it, for people: `user@host`.
    pub by: String,
    /// Number of this revision of the app, from 1. Whoever stores the record fills it in; records of earlier releases do not
    /// have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The app, or `None`: a tombstone.
    pub source: Option<AppSource>,
}

/// A compose file and what it was read with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppSource {
    /// The compose file, byte for byte.
    pub compose: String,
    /// Name of the file, for messages.
    pub file_name: String,
    /// The variables that the file uses, with their values when it was applied.
    pub variables: BTreeMap<String, String>,
    /// What was in the env files that the file names, by the paths that it has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env_files: BTreeMap<String, String>,
    /// IANA name of the time zone, resolved when the app was applied.
    pub timezone: String,
    /// Number of the rules by which the file is read until it is applied again. It may be one of a
    /// later release.
    #[serde(default = "dialect_first", skip_serializing_if = "is_dialect_first")]
    pub dialect: DialectNumber,
    /// The files that it is merged with, the folder in which its paths begin, and the service of a
    /// stack that it is.
    #[serde(default, skip_serializing_if = "Project::is_alone")]
    pub project: Project,
}

fn dialect_first() -> DialectNumber {
    DIALECT_FIRST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_dialect_first(number: &DialectNumber) -> bool {
    *number == DIALECT_FIRST
}

impl AppSource {
    /// Reads the file of an app of this name, by the rules by which it was applied: with what is
    /// stored alone it reads the same as then.
    pub fn read(&self, app: &AppName, zones: &TimeZoneDatabase) -> Reading {
        match Dialect::of_number(self.dialect) {
            Ok(dialect) => compose::read_in(&self.file(app, dialect), &self.project, zones),
            Err(unknown) => Reading::refused(&self.file_name, &self.timezone, &unknown),
        }
    }

    fn file<'a>(&'a self, app: &'a AppName, dialect: Dialect) -> ComposeFile<'a> {
        ComposeFile {
            app,
            dialect,
            file_name: &self.file_name,
            text: &self.compose,
            variables: &self.variables,
            env_files: &self.env_files,
            timezone_default: &self.timezone,
        }
    }

    /// Says whether both mean the same app. How the file was called when it was applied is for
    /// messages, and changes nothing of it. Another dialect does: who applies a file again wants it
    /// read by the present rules.
    pub fn same_content(&self, other: &Self) -> bool {
        // Taken apart, so that a field to come is not forgotten.
        let Self { compose, file_name: _, variables, env_files, timezone, dialect, project } = self;
        *compose == other.compose
            && *variables == other.variables
            && *env_files == other.env_files
            && *timezone == other.timezone
            && *dialect == other.dialect
            && *project == other.project
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_there_were_env_files_is_read() {
        let stored = r#"{"schema": 1, "by": "ann@desk", "source": {
            "compose": "services: {}", "file_name": "app.yml", "variables": {"TAG": "1"}, "timezone": "Asia/Shanghai"
        }}"#;
        let record: AppRecord = serde_json::from_str(stored).unwrap();
        assert_eq!(record.source.unwrap().env_files, BTreeMap::new());
    }

    /// Reads a stored app that differs from one of the first releases in its dialect alone.
    fn stored_in_dialect(dialect: &str) -> AppSource {
        let stored = format!(
            r#"{{"compose": "labels: {{aliyun.project_type: batch}}\nservices: {{s1: {{image: a}}}}", "file_name": "app.yml",
            "variables": {{}}, "timezone": "UTC"{dialect}}}"#
        );
        serde_json::from_str(&stored).unwrap()
    }

    fn read(source: &AppSource) -> Reading {
        source.read(&AppName::new("app").unwrap(), &TimeZoneDatabase::bundled())
    }

    #[test]
    fn app_without_a_dialect_has_the_first() {
        let source = stored_in_dialect("");
        assert_eq!(source, stored_in_dialect(r#", "dialect": 1"#));
        assert!(read(&source).spec.is_some());
        // Releases from before there were dialects read it as well.
        assert!(!serde_json::to_string(&source).unwrap().contains("dialect"));
    }

    #[test]
    fn app_of_a_later_dialect_is_invalid_and_says_why() {
        for number in ["0", "3", "4294967295"] {
            let source = stored_in_dialect(&format!(r#", "dialect": {number}"#));
            let reading = read(&source);
            let message = format!(
                "app.yml:1:1: error: the app was applied in dialect {number}, and this release knows dialects up to 2\n  \
                 hint: run the release that applied it, or apply the file again with this one"
            );
            assert!(reading.spec.is_none());
            assert_eq!(reading.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
            let again: AppSource = serde_json::from_str(&serde_json::to_string(&source).unwrap()).unwrap();
            assert_eq!(again, source, "whoever writes it again keeps its dialect");
        }
    }

    #[test]
    fn only_the_name_of_the_file_is_no_content() {
        let source = AppSource {
            compose: "services: {}".to_owned(),
            file_name: "app.yml".to_owned(),
            variables: BTreeMap::new(),
            env_files: BTreeMap::new(),
            timezone: "UTC".to_owned(),
            dialect: DIALECT_FIRST,
            project: Project::default(),
        };
        assert!(source.same_content(&AppSource { file_name: "./app.yml".to_owned(), ..source.clone() }));
        let some = || BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for other in [
            AppSource { compose: "services: {s1: {}}".to_owned(), ..source.clone() },
            AppSource { variables: some(), ..source.clone() },
            AppSource { env_files: some(), ..source.clone() },
            AppSource { timezone: "Asia/Shanghai".to_owned(), ..source.clone() },
            AppSource { dialect: 7, ..source.clone() },
            AppSource { project: Project { folder: Some("/x".to_owned()), ..Project::default() }, ..source.clone() },
        ] {
            assert!(!source.same_content(&other), "{other:?}");
        }
    }
}
