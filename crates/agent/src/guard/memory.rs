//! What one guard process leaves to the next (protocol rule P15).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::ContainerId;

/// The file of a guard. Its times are uptimes, so it is worth nothing after the next boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The boot in which it was written. Empty where the system does not tell: then nobody can trust it.
    pub boot: String,
    /// When the agent's containers are killed.
    pub deadline: Duration,
    /// What stands of deadlines that passed.
    pub standing: Standing,
    /// What it killed, or was about to kill, oldest first: nobody may be left who heard what came of it.
    pub killed: Vec<ContainerId>,
}

/// What stands of deadlines that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// None has passed since then: what was ordered before is fenced.
    Clear {
        /// Uptime of the host.
        since: Duration,
    },
    /// One passed, and the sweep that follows has not come to its end.
    Fenced,
}
