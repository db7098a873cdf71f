//! Values of variables that people gave to runs which did not succeed: a retry asks for the same.
//! They may be secrets, so the history has their names alone, and they are here, where only
//! schedulers look.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{Ledger, RUN_BYTES_MAX};
use crate::{id::RunNumber, json_size::encoded_bytes};

/// Most that the values of finished runs take together, as JSON: four runs with as much as a
/// command may have. Those of the oldest runs go first.
pub const RETAINED_BYTES_MAX: usize = 16 * 1024;

/// The values that one run was started with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetainedValues {
    /// The run.
    pub run: RunNumber,
    /// Its variables, with their values.
    pub environment: BTreeMap<String, String>,
}

/// Without values: this is for logs.
impl fmt::Debug for RetainedValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, environment } = self;
        let names: Vec<&String> = environment.keys().collect();
        formatter.debug_struct("RetainedValues").field("run", run).field("names", &names).finish()
    }
}

impl Ledger {
    /// Keeps the values that a finished run was started with, for its retry.
    pub(crate) fn retain_values(&mut self, run: RunNumber, environment: BTreeMap<String, String>) {
        if !environment.is_empty() {
            self.retained.push_back(RetainedValues { run, environment });
        }
    }

    /// Returns the values that a finished run was started with, as long as they are kept.
    pub fn retained_values(&self, run: RunNumber) -> Option<&BTreeMap<String, String>> {
        self.retained.iter().find(|retained| retained.run == run).map(|retained| &retained.environment)
    }

    /// Drops the values of runs that are no longer in the history, and of the oldest runs until the
    /// rest fits: beside whatever is active, so that no run ever waits for them.
    pub(crate) fn trim_retained(&mut self) {
        if self.retained.is_empty() {
            return;
        }
        let recent = &self.recent;
        self.retained.retain(|retained| recent.iter().any(|run| run.run == retained.run));
        let room = RUN_BYTES_MAX.saturating_sub(self.taken_bytes()).min(RETAINED_BYTES_MAX);
        while retained_bytes(&self.retained) > room {
            self.retained.pop_front();
        }
        if self.retained.is_empty() {
            // A ledger at rest keeps no room for them.
            self.retained = VecDeque::new();
        }
    }
}

/// What the values take in a ledger, with the name of their field.
fn retained_bytes(retained: &VecDeque<RetainedValues>) -> usize {
    if retained.is_empty() { 0 } else { r#","retained":"#.len() + encoded_bytes(retained) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{ledger::RecentRun, message::ENVIRONMENT_BYTES_MAX};

    fn values(bytes: usize) -> BTreeMap<String, String> {
        [("A".to_owned(), "x".repeat(bytes))].into()
    }

    /// A ledger after runs 1 to `last`, each of which was started with so many bytes.
    fn ledger(last: RunNumber, bytes: usize) -> Ledger {
        let mut ledger = Ledger::new(1, Timestamp::UNIX_EPOCH);
        for run in 1..=last {
            let outcome = "failed".to_owned();
            ledger.recent.push_back(RecentRun { run, outcome, finished_at: Timestamp::UNIX_EPOCH });
            ledger.retain_values(run, values(bytes));
        }
        ledger
    }

    fn runs(ledger: &Ledger) -> Vec<RunNumber> {
        ledger.retained.iter().map(|retained| retained.run).collect()
    }

    #[test]
    fn values_go_with_their_run_from_the_history() {
        let mut ledger = ledger(5, 8);
        ledger.recent.drain(..2);
        ledger.trim_retained();
        assert_eq!(runs(&ledger), [3, 4, 5]);
        assert_eq!((ledger.retained_values(2), ledger.retained_values(3)), (None, Some(&values(8))));
        ledger.recent.clear();
        ledger.trim_retained();
        assert_eq!(ledger.retained.capacity(), 0);
    }

    #[test]
    fn values_of_the_oldest_runs_go_until_the_rest_fits() {
        let mut ledger = ledger(10, ENVIRONMENT_BYTES_MAX - 8);
        ledger.trim_retained();
        assert_eq!(runs(&ledger), [8, 9, 10]);
        assert!(retained_bytes(&ledger.retained) <= RETAINED_BYTES_MAX);
    }

    #[test]
    fn values_are_never_in_a_log_line() {
        let text = format!("{:?}", ledger(1, 8));
        assert!(text.contains(r#"names: ["A"]"#) && !text.contains("xxxx"), "{text}");
    }

    #[test]
    fn ledger_without_values_is_stored_as_before() {
        let stored = serde_json::to_string(&Ledger::new(1, Timestamp::UNIX_EPOCH)).unwrap();
        assert!(!stored.contains("retained"), "{stored}");
        let stored = serde_json::to_string(&ledger(2, 8)).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&stored).unwrap(), ledger(2, 8));
    }
}
