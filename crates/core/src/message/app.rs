use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// IANA name of the time zone, resolved when the app was applied.
    pub timezone: String,
}
