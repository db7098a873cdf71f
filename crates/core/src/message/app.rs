use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{compose::ComposeFile, name::AppName};

/// An app in the bucket `apps`: the file as typed, or the note that the app was removed. The scheduler reads the source
/// again and trusts no parsed form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    /// Schema version.
    pub schema: u32,
    /// Who wrote it, for people: `user@host`.
    pub by: String,
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
}

impl AppSource {
    /// The file of an app of this name as its readers take it: with these alone it reads the same as when it was applied.
    pub fn file<'a>(&'a self, app: &'a AppName) -> ComposeFile<'a> {
        ComposeFile {
            app,
            file_name: &self.file_name,
            text: &self.compose,
            variables: &self.variables,
            env_files: &self.env_files,
            timezone_default: &self.timezone,
        }
    }

    /// Whether both mean the same app. How the file was called when it was applied is for messages, and changes nothing of it.
    pub fn same_content(&self, other: &Self) -> bool {
        // Taken apart, so that a field to come is not forgotten.
        let Self { compose, file_name: _, variables, env_files, timezone } = self;
        *compose == other.compose
            && *variables == other.variables
            && *env_files == other.env_files
            && *timezone == other.timezone
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

    #[test]
    fn only_the_name_of_the_file_is_no_content() {
        let source = AppSource {
            compose: "services: {}".to_owned(),
            file_name: "app.yml".to_owned(),
            variables: BTreeMap::new(),
            env_files: BTreeMap::new(),
            timezone: "UTC".to_owned(),
        };
        assert!(source.same_content(&AppSource { file_name: "./app.yml".to_owned(), ..source.clone() }));
        let some = || BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for other in [
            AppSource { compose: "services: {s1: {}}".to_owned(), ..source.clone() },
            AppSource { variables: some(), ..source.clone() },
            AppSource { env_files: some(), ..source.clone() },
            AppSource { timezone: "Asia/Shanghai".to_owned(), ..source.clone() },
        ] {
            assert!(!source.same_content(&other), "{other:?}");
        }
    }
}
