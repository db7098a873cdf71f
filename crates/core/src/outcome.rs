//! How attempts, replicas and runs end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{end_notes::EndNotes, name::ServiceName};

/// Exit code of a process that SIGKILL ended.
const EXIT_KILLED: i64 = 137;
/// No system has exit codes beyond 32 bits, signed or not; so many digits have room in a ledger.
const EXIT_CODE_MIN: i64 = i32::MIN as i64;
pub(crate) const EXIT_CODE_MAX: i64 = u32::MAX as i64;

/// How an attempt, a replica or a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every container exited with 0.
    Succeeded,
    /// A container exited with another code.
    Failed {
        /// The container's exit code.
        exit_code: i64,
        /// That is because the kernel killed a process of it for want of memory.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out_of_memory: bool,
    },
    /// It ran longer than it may.
    TimedOut,
    /// Nobody knows how it ended.
    Lost {
        /// What became of it.
        reason: LostReason,
    },
    /// Somebody stopped it.
    Cancelled,
    /// There was never a process.
    CouldNotStart {
        /// What the engine, the registry or the host's policy said.
        reason: String,
    },
    /// It was not tried, because a service that it depends on did not succeed.
    Skipped {
        /// That service.
        dependency: ServiceName,
    },
}

/// Why the end of an attempt is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostReason {
    /// The agent fell silent.
    AgentSilent,
    /// The agent is there, does not hold the attempt, and no end of it is recorded: its host was restarted before a container
    /// existed, or the record of its end was lost with stored data.
    NotHeld,
    /// A container was created, and its agent restarted before it was known to run (protocol rule P6).
    NotStarted,
    /// The container is gone: removed by hand.
    ContainerRemoved,
    /// The engine stopped the container when it went down.
    EngineRestarted,
    /// The guard stopped the container, because the agent was cut off.
    Fenced,
    /// The agent is drained, and stopped at its deadline what still ran.
    Drained,
    /// Somebody said that the agent's host will not come back.
    AgentForgotten,
}

impl LostReason {
    /// Whether it counts among the losses that a replica may have. A drained host says nothing of the job, and whoever drains one
    /// host after the other must not fail a job that takes long.
    pub fn counts(self) -> bool {
        match self {
            Self::Drained => false,
            Self::AgentSilent
            | Self::NotHeld
            | Self::NotStarted
            | Self::ContainerRemoved
            | Self::EngineRestarted
            | Self::Fenced
            | Self::AgentForgotten => true,
        }
    }
}

impl fmt::Display for LostReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AgentSilent => "the agent fell silent",
            Self::NotHeld => "the agent no longer has it, and no end of it is recorded",
            Self::NotStarted => "the agent restarted before the container was known to run",
            Self::ContainerRemoved => "the container was removed",
            Self::EngineRestarted => "the engine restarted",
            Self::Fenced => "the agent was cut off and its guard stopped the container",
            Self::Drained => "the host was drained or shut down, and its agent stopped the container",
            Self::AgentForgotten => "the agent was forgotten",
        })
    }
}

/// An exit code in words, with what it means by the convention of shells and engines, where there is one.
pub fn exit_words(exit_code: i64, out_of_memory: bool) -> String {
    let meaning = match exit_code {
        _ if out_of_memory => "out of memory",
        126 => "command not executable",
        127 => "command not found",
        130 => "SIGINT",
        134 => "SIGABRT",
        137 => "SIGKILL",
        139 => "SIGSEGV",
        143 => "SIGTERM",
        _ => return format!("exit code {exit_code}"),
    };
    format!("exit code {exit_code}: {meaning}")
}

impl Outcome {
    /// A container exited with this code, and not for want of memory.
    pub const fn failed(exit_code: i64) -> Self {
        Self::Failed { exit_code, out_of_memory: false }
    }

    /// A container exited with this code, about which the engine says that. Its want of memory explains the code only if a
    /// process was killed; with any other code it is a note.
    pub fn exited(exit_code: i64, notes: EndNotes) -> Self {
        let exit_code = exit_code.clamp(EXIT_CODE_MIN, EXIT_CODE_MAX);
        Self::Failed { exit_code, out_of_memory: notes.oom_killed && exit_code == EXIT_KILLED }
    }

    /// What is to be said of such an end besides the outcome.
    pub fn notes_beside(&self, notes: EndNotes) -> EndNotes {
        notes.beside(matches!(self, Self::Failed { out_of_memory: true, .. }))
    }

    /// Whether this is success.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// One word for tables, subjects and metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::TimedOut => "timed_out",
            Self::Lost { .. } => "lost",
            Self::Cancelled => "cancelled",
            Self::CouldNotStart { .. } => "could_not_start",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Where this stands when a run sums up its replicas: the lowest wins.
    fn rank(&self) -> u8 {
        match self {
            Self::Cancelled => 0,
            Self::TimedOut => 1,
            Self::CouldNotStart { .. } => 2,
            Self::Failed { .. } => 3,
            Self::Lost { .. } => 4,
            // What it depends on did not succeed either, and says why.
            Self::Skipped { .. } => 5,
            Self::Succeeded => 6,
        }
    }

    /// The outcome of a whole made of parts: the first that occurs of cancelled, timed_out, could_not_start, failed, lost,
    /// else succeeded.
    pub fn of_all<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        parts.into_iter().min_by_key(|part| part.rank()).cloned().unwrap_or(Self::Succeeded)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { exit_code, out_of_memory } => {
                write!(formatter, "failed ({})", exit_words(*exit_code, *out_of_memory))
            }
            Self::Lost { reason } => write!(formatter, "lost ({reason})"),
            Self::CouldNotStart { reason } => write!(formatter, "could not start ({reason})"),
            Self::TimedOut => formatter.write_str("timed out"),
            Self::Skipped { dependency } => write!(formatter, "skipped (service `{dependency}` did not succeed)"),
            Self::Succeeded | Self::Cancelled => formatter.write_str(self.label()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_with_a_meaning_say_it() {
        assert_eq!(Outcome::failed(3).to_string(), "failed (exit code 3)");
        assert_eq!(Outcome::failed(127).to_string(), "failed (exit code 127: command not found)");
        let oom = Outcome::Failed { exit_code: 137, out_of_memory: true };
        assert_eq!(oom.to_string(), "failed (exit code 137: out of memory)");
        assert_eq!(serde_json::to_string(&Outcome::failed(3)).unwrap(), r#"{"failed":{"exit_code":3}}"#);
        let stored = serde_json::to_string(&oom).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&stored).unwrap(), oom);
    }

    #[test]
    fn a_run_has_the_gravest_outcome_of_its_replicas() {
        let failed = Outcome::failed(2);
        let lost = Outcome::Lost { reason: LostReason::AgentSilent };
        assert_eq!(Outcome::of_all([&Outcome::Succeeded, &lost, &failed]), failed);
        assert_eq!(Outcome::of_all([&failed, &Outcome::Cancelled]), Outcome::Cancelled);
        assert_eq!(Outcome::of_all([&Outcome::Succeeded]), Outcome::Succeeded);
    }
}
