//! What the guard is told, and what it asks for; and what passes between it and its agent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tickmesh_core::id::AttemptId;

use super::memory::Memory;
use crate::engine::{ContainerId, ContainerView};

/// Something that the guard is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A heartbeat of the agent was acknowledged.
    Fed {
        /// When it was sent, as uptime of the host: the leader began to wait for the next one later than that.
        sent_at: Duration,
    },
    /// The agent asks.
    Asked(Question),
    /// Answer to [`Effect::List`].
    Listed {
        /// Every container of the agent, whatever its state.
        containers: Vec<ContainerView>,
    },
    /// The other answer to [`Effect::List`]: the engine did not tell.
    Unlisted,
    /// Answer to [`Effect::Kill`].
    KillAnswered {
        container: ContainerId,
        /// What came of it.
        fate: Fate,
    },
    /// Time passed.
    Woken,
}

/// What came of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The engine killed a process that ran.
    Killed,
    /// There was no process any more.
    HadEnded,
    /// The engine did not tell.
    Unknown,
}

/// Something that the guard asks for. Each is done once, in order where it matters: what is to be remembered comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep this for the next guard process, in place of what was kept before. No answer.
    Remember(Memory),
    /// List all containers of the agent. Answer: `Listed`, `Unlisted`.
    List,
    /// Send SIGKILL. Answer: `KillAnswered`.
    Kill { container: ContainerId },
    /// Remove a container that has not been started. No answer: the next list tells.
    Remove { container: ContainerId },
    /// Answer the agent.
    Answer(Answer),
}

/// What an agent asks its guard about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub attempt: AttemptId,
    /// What about it.
    pub matter: Matter,
}

/// What a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// May the attempt be claimed, its container be created, or be started?
    GoingOn {
        /// When its order came, as uptime of the host.
        ordered_at: Duration,
    },
    /// Its container was killed, and the agent did not do it. Was it the guard?
    Death(ContainerId),
}

/// What the guard says about an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub attempt: AttemptId,
    /// The answer.
    pub verdict: Verdict,
}

/// Whether an attempt is on the right side of the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No deadline passed since it was ordered; it was not the guard that killed it.
    Clear,
    /// A deadline passed; it was the guard.
    Fenced,
}
