//! What becomes of ticks that cannot start at once: `overlap`, `misfire` and the like.

use serde::{Deserialize, Serialize};

/// What becomes of a tick that finds a run of its app active (label `overlap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// It waits, at most [`super::AppSpec::queue_limit`] of them.
    #[default]
    Queue,
    /// No run comes of it.
    Skip,
    /// The active run is stopped, and the tick waits for its end. One tick waits; a newer one takes its place.
    Replace,
    /// It starts beside the active runs, unless there are this many.
    Allow {
        /// Most runs that may be active at once.
        max_active: u32,
    },
}

impl Overlap {
    /// `allow`, with the default of `max_active`.
    pub const ALLOW: Self = Self::Allow { max_active: super::ACTIVE_RUNS_DEFAULT };
}

/// What becomes of instants that nobody was there to decide in time (label `misfire`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Misfire {
    /// The latest of them is admitted, the others are folded into it.
    #[default]
    Latest,
    /// None is admitted.
    Skip,
}

/// What becomes of the containers of a host that is cut off from the mesh (label `on_disconnect`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// The guard stops them, and their replicas are run elsewhere.
    #[default]
    Stop,
    /// They go on, and their replicas wait until the agent is back or somebody has the mesh forget it.
    Continue,
}

/// What becomes of a replica whose attempt was lost (label `on_lost`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLost {
    /// It is tried again: it runs at least once.
    #[default]
    Retry,
    /// It ends as lost: it runs at most once.
    Fail,
}

/// What becomes of a container that exits with 0 although the kernel killed a process of it for want of memory (label `oom`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOom {
    /// It has succeeded, with a note.
    #[default]
    Note,
    /// It has failed, and is retried like any other.
    Fail,
}

impl OnOom {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How often, and how long after a failure, a replica is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub count: u32,
    /// Pause before the first retry, in milliseconds.
    pub delay_ms: u64,
    /// Each further pause is this many times the one before.
    pub factor: u32,
    /// Longest pause, in milliseconds.
    pub delay_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { count: 3, delay_ms: 1_000, factor: 2, delay_ms_max: 60_000 }
    }
}

/// Which containers are removed after their end (label `remove_containers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RemoveContainers {
    /// Those that exited with 0.
    #[default]
    RemoveFinished,
    /// Everything else.
    RemoveFailed,
    /// All.
    RemoveAll,
    RemoveNone,
}

impl RemoveContainers {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::RemoveFinished, Self::RemoveFailed, Self::RemoveAll, Self::RemoveNone];

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RemoveFinished => "remove-finished",
            Self::RemoveFailed => "remove-failed",
            Self::RemoveAll => "remove-all",
            Self::RemoveNone => "remove-none",
        }
    }

    /// The value that a label spells.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }

    /// Whether a container whose attempt ended so is removed.
    pub fn removes(self, succeeded: bool) -> bool {
        match self {
            Self::RemoveFinished => succeeded,
            Self::RemoveFailed => !succeeded,
            Self::RemoveAll => true,
            Self::RemoveNone => false,
        }
    }
}
