//! What a person asked to be different in a run, as its history tells it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::message::RunRequest;

/// What a person asked to be different in a finished run. Everybody reads the history, and notices
/// and events repeat it: of variables it has the names alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredRequest")]
pub struct RequestSummary {
    /// Names of the environment variables that were added or replaced.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<String>,
    /// Replaced the command of every service, when not empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Values in the records of releases that stored them here. A retry may use them. Whoever
    /// passes such a record on leaves them out.
    #[serde(skip_serializing)]
    values: BTreeMap<String, String>,
}

/// The stored form of a [`RequestSummary`]. Earlier releases stored the values as well.
#[derive(Deserialize)]
struct StoredRequest {
    #[serde(default)]
    names: BTreeSet<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

impl From<StoredRequest> for RequestSummary {
    fn from(stored: StoredRequest) -> Self {
        let StoredRequest { mut names, arguments, environment: values } = stored;
        names.extend(values.keys().cloned());
        Self { names, arguments, values }
    }
}

impl RequestSummary {
    /// Returns what may be told of a request.
    pub fn of(request: &RunRequest) -> Self {
        let RunRequest { environment, arguments } = request;
        Self { names: environment.keys().cloned().collect(), arguments: arguments.clone(), values: BTreeMap::new() }
    }

    /// Returns the request again, if this record is of a release that stored values in it, or if
    /// there were none.
    pub(crate) fn with_own_values(&self) -> Option<RunRequest> {
        self.with_values(&self.values)
    }

    /// Returns the request again, given the values of its variables. `None`: some are missing.
    pub(crate) fn with_values(&self, values: &BTreeMap<String, String>) -> Option<RunRequest> {
        let value = |name: &String| Some((name.clone(), values.get(name)?.clone()));
        let environment = self.names.iter().map(value).collect::<Option<_>>()?;
        Some(RunRequest { environment, arguments: self.arguments.clone() })
    }

    /// Says whether nothing was different.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.arguments.is_empty()
    }
}

/// Without values: this is for logs.
impl fmt::Debug for RequestSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, arguments, values: _ } = self;
        formatter.debug_struct("RequestSummary").field("names", names).field("arguments", arguments).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "hunter2";

    fn request() -> RunRequest {
        RunRequest {
            environment: [("PASSWORD".to_owned(), MARKER.to_owned())].into(),
            arguments: vec!["-v".to_owned()],
        }
    }

    #[track_caller]
    fn check_names_only(summary: &RequestSummary) {
        let stored = serde_json::to_string(summary).unwrap();
        assert_eq!(stored, r#"{"names":["PASSWORD"],"arguments":["-v"]}"#);
        assert!(!format!("{summary:?}").contains(MARKER), "{summary:?}");
        assert_eq!(serde_json::from_str::<RequestSummary>(&stored).unwrap().names, summary.names);
    }

    #[test]
    fn summary_of_a_request_has_names_only() {
        let summary = RequestSummary::of(&request());
        check_names_only(&summary);
        assert_eq!(summary.with_own_values(), None);
        assert_eq!(summary.with_values(&request().environment), Some(request()));
        assert_eq!(summary.with_values(&[("OTHER".to_owned(), String::new())].into()), None);
        assert!(!format!("{:?}", request()).contains(MARKER));
    }

    #[test]
    fn record_of_a_release_that_stored_values_is_read() {
        let stored = serde_json::to_string(&request()).unwrap();
        let summary: RequestSummary = serde_json::from_str(&stored).unwrap();
        assert_eq!(summary.with_own_values(), Some(request()), "a retry has them");
        // Passed on, it has lost them.
        check_names_only(&summary);
    }

    /// A scheduler of the release before reads what this one writes.
    #[test]
    fn release_before_reads_the_arguments() {
        let stored = serde_json::to_string(&RequestSummary::of(&request())).unwrap();
        let read: RunRequest = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, RunRequest { environment: BTreeMap::new(), ..request() });
    }
}
