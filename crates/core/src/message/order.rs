//! What the leader asks of an agent: to start an attempt, or to stop it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    cause::Cause,
    id::{AttemptId, Epoch},
    name::AgentName,
    spec::{ContainerSpec, OnDisconnect, RemoveContainers},
};

/// A wake-up for one agent. It may come twice, late or never: only the claim decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Schema version.
    pub schema: u32,
    /// Tenure of the leader that sent it; an agent refuses one older than the newest it has seen.
    pub epoch: Epoch,
    pub agent: AgentName,
    /// The attempt it is about.
    pub attempt: AttemptId,
    /// What is asked.
    pub kind: OrderKind,
}

/// What is asked of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum OrderKind {
    /// Claim the attempt and run its container.
    Start(Box<StartOrder>),
    /// Stop it; one that is not claimed yet is claimed as cancelled.
    Stop,
}

/// All that an agent needs to run one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOrder {
    pub container: ContainerSpec,
    /// Whether it is removed after its end.
    pub remove_containers: RemoveContainers,
    /// A container that runs longer is stopped, and its attempt has timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// Whether it goes on while the host is cut off from the mesh.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// Replicas of the service in this run.
    pub replicas: u32,
    /// The instant that the run is for, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// Why the run exists.
    pub cause: Cause,
}
