//! What a container may use at most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;

/// What a container may use at most, beyond processors and memory, which placement has to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Limits of each process, by their names (`nofile` ...).
    #[serde(default, skip_serializing_if = "is_default")]
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pids: Option<u64>,
    /// Size of `/dev/shm`, in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shm_bytes: Option<u64>,
    /// Memory and swap space together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memory_and_swap: Option<Amount>,
    /// How willingly the kernel swaps, from 0 to 100.
    #[serde(default, skip_serializing_if = "is_default")]
    pub swappiness: Option<u64>,
    /// How much earlier than others the kernel ends it for want of memory, from 0 to 1000.
    #[serde(default, skip_serializing_if = "is_default")]
    pub oom_score_adj: Option<u64>,
    /// The cores on which it may run, such as `0-2,5`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cpuset: Option<String>,
}

/// A limit of each process of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What holds.
    pub soft: Amount,
    /// How far a process may raise it.
    pub hard: Amount,
}

/// How much of something there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So much. (Before the other: what has a limit is less.)
    AtMost(u64),
    /// As much as there is.
    Unlimited,
}
