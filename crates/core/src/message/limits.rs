//! How much a person may ask for in one command. Whoever sends a command checks it first, to say so at once; the leader
//! checks it again, because everything that it takes goes into the ledger of the app, and that has a limit.

use super::{Command, CommandKind, RunRequest};
use crate::json_size::{encoded_bytes, text_bytes};

/// Longest name of a person, as JSON.
pub const BY_BYTES_MAX: usize = 128;
/// Most that a request may add to the environment, as JSON.
pub const ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;
/// Most that the arguments of a request may take, as JSON.
pub const ARGUMENTS_BYTES_MAX: usize = 4 * 1024;

/// A part of a command that is too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} takes {bytes} bytes to store, at most {limit} are allowed")]
pub struct TooMuch {
    part: &'static str,
    bytes: usize,
    limit: usize,
}

impl Command {
    /// Refuses what is too large for a ledger.
    pub fn check(&self) -> Result<(), TooMuch> {
        check("the name of the sender", text_bytes(&self.by), BY_BYTES_MAX)?;
        match &self.kind {
            CommandKind::Run(run) => run.check(),
            CommandKind::Cancel { .. }
            | CommandKind::Retry { .. }
            | CommandKind::Pause
            | CommandKind::Resume
            | CommandKind::Flush => Ok(()),
        }
    }
}

impl RunRequest {
    /// Refuses what is too large for a ledger.
    pub fn check(&self) -> Result<(), TooMuch> {
        check("the environment", encoded_bytes(&self.environment), ENVIRONMENT_BYTES_MAX)?;
        check("the list of arguments", encoded_bytes(&self.arguments), ARGUMENTS_BYTES_MAX)
    }

    /// Whether nothing is to be different.
    pub fn is_empty(&self) -> bool {
        self.environment.is_empty() && self.arguments.is_empty()
    }
}

fn check(part: &'static str, bytes: usize, limit: usize) -> Result<(), TooMuch> {
    if bytes > limit { Err(TooMuch { part, bytes, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_argument(bytes: usize) -> RunRequest {
        // Brackets and quotes are stored too.
        RunRequest { arguments: vec!["a".repeat(bytes - r#"[""]"#.len())], ..RunRequest::default() }
    }

    fn with_variable(bytes: usize) -> RunRequest {
        let value = "a".repeat(bytes - r#"{"A":""}"#.len());
        RunRequest { environment: [("A".to_owned(), value)].into(), ..RunRequest::default() }
    }

    #[track_caller]
    fn check_limit(make: fn(usize) -> RunRequest, limit: usize, message: &str) {
        assert_eq!(make(limit).check(), Ok(()));
        assert_eq!(make(limit + 1).check().unwrap_err().to_string(), message);
    }

    #[test]
    fn requests_have_a_limit() {
        let message = "the list of arguments takes 4097 bytes to store, at most 4096 are allowed";
        check_limit(with_argument, ARGUMENTS_BYTES_MAX, message);
        let message = "the environment takes 4097 bytes to store, at most 4096 are allowed";
        check_limit(with_variable, ENVIRONMENT_BYTES_MAX, message);
    }

    #[test]
    fn many_small_values_count_as_they_are_stored() {
        assert!(RunRequest { arguments: vec![String::new(); 2_000], ..RunRequest::default() }.check().is_err());
    }
}
