//! What happens to the mesh itself, on `mesh.<kind>`.

use serde::{Deserialize, Serialize};

use crate::{
    id::Epoch,
    name::{AgentName, AppName},
};

/// What happens to the mesh itself, on `mesh.<kind>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MeshEvent {
    /// A scheduler began a tenure.
    LeaderChanged {
        /// Id of the scheduler process.
        leader: String,
        host: String,
        /// The tenure.
        epoch: Epoch,
    },
    /// Somebody looked at the mesh with `tickmesh doctor`, and saw that it can store something.
    Examined { by: String },
    /// An agent registered.
    AgentJoined { agent: AgentName },
    /// An agent fell silent. What becomes of its attempts, if it has any, is the apps' to say (`on_lost`, `on_disconnect`).
    AgentLost { agent: AgentName },
    /// An agent that was lost is heard again.
    AgentBack { agent: AgentName },
    /// The leader does not trust its clock, and decides no instant.
    LeaderDoubted {
        host: String,
        /// What its clock is beside the server's.
        reason: String,
    },
    /// The leader trusts its clock again.
    LeaderTrusted { host: String },
    /// The ledger of an app cannot be read: nothing of the app is decided.
    AppUnreadable { app: AppName, reason: String },
    /// The container engine of an agent has not answered for so long that nothing is placed there.
    EngineLost {
        agent: AgentName,
        /// What came instead of an answer.
        reason: String,
    },
    /// The container engine of an agent answers again.
    EngineBack { agent: AgentName },
    /// An agent was stopped in order.
    AgentStopped { agent: AgentName },
    /// An agent takes no new work.
    AgentDraining { agent: AgentName },
    /// Nothing runs on a draining agent any more.
    AgentDrained { agent: AgentName },
    /// An agent that was draining takes new work again.
    AgentUndrained { agent: AgentName },
    /// Somebody said that an agent's host will not come back.
    AgentForgotten { agent: AgentName },
}

impl MeshEvent {
    /// The last token of the event's subject.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LeaderChanged { .. } => "leader-changed",
            Self::Examined { .. } => "examined",
            Self::AgentJoined { .. } => "agent-joined",
            Self::AgentLost { .. } => "agent-lost",
            Self::AgentBack { .. } => "agent-back",
            Self::LeaderDoubted { .. } => "leader-doubted",
            Self::LeaderTrusted { .. } => "leader-trusted",
            Self::AppUnreadable { .. } => "app-unreadable",
            Self::EngineLost { .. } => "engine-lost",
            Self::EngineBack { .. } => "engine-back",
            Self::AgentStopped { .. } => "agent-stopped",
            Self::AgentDraining { .. } => "agent-draining",
            Self::AgentDrained { .. } => "agent-drained",
            Self::AgentUndrained { .. } => "agent-undrained",
            Self::AgentForgotten { .. } => "agent-forgotten",
        }
    }
}
