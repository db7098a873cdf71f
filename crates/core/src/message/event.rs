use serde::{Deserialize, Serialize};

use crate::{id::Epoch, name::AgentName};

/// What happens to the mesh itself, on `mesh.<kind>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MeshEvent {
    /// A scheduler began a tenure.
    LeaderChanged {
        /// Id of the scheduler process.
        leader: String,
        /// Its host.
        host: String,
        /// The tenure.
        epoch: Epoch,
    },
    /// Somebody looked at the mesh with `tickmesh doctor`, and saw that it can store something.
    Examined {
        /// Who.
        by: String,
    },
    /// An agent registered.
    AgentJoined {
        /// The agent.
        agent: AgentName,
    },
    /// An agent fell silent. What becomes of its attempts, if it has any, is the apps' to say (`on_lost`, `on_disconnect`).
    AgentLost {
        /// The agent.
        agent: AgentName,
    },
    /// An agent was stopped in order.
    AgentStopped {
        /// The agent.
        agent: AgentName,
    },
    /// An agent takes no new work.
    AgentDraining {
        /// The agent.
        agent: AgentName,
    },
    /// Nothing runs on a draining agent any more.
    AgentDrained {
        /// The agent.
        agent: AgentName,
    },
    /// An agent that was draining takes new work again.
    AgentUndrained {
        /// The agent.
        agent: AgentName,
    },
    /// Somebody said that an agent's host will not come back.
    AgentForgotten {
        /// The agent.
        agent: AgentName,
    },
}

impl MeshEvent {
    /// The last token of the event's subject.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LeaderChanged { .. } => "leader-changed",
            Self::Examined { .. } => "examined",
            Self::AgentJoined { .. } => "agent-joined",
            Self::AgentLost { .. } => "agent-lost",
            Self::AgentStopped { .. } => "agent-stopped",
            Self::AgentDraining { .. } => "agent-draining",
            Self::AgentDrained { .. } => "agent-drained",
            Self::AgentUndrained { .. } => "agent-undrained",
            Self::AgentForgotten { .. } => "agent-forgotten",
        }
    }
}
