use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cause, stored::StoredReplica};
use crate::{
    id::{AttemptId, RunNumber, RunToken, RunUid},
    message::{MachineDigest, RunRequest},
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
    spec::RunSpec,
};

/// A run that has not ended: some attempt of it may still have a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRun {
    /// Its number.
    pub number: RunNumber,
    /// Its random identity.
    pub uid: RunUid,
    /// Why it exists.
    pub cause: Cause,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// What a person asked to be different.
    #[serde(default, skip_serializing_if = "RunRequest::is_empty")]
    pub request: RunRequest,
    /// The spec it began with, and keeps.
    pub spec: Arc<RunSpec>,
    /// Every message about this run up to this sequence of the results stream is folded in.
    pub results_through: u64,
    /// Whether it goes on.
    pub phase: Phase,
    /// Its services, in the order of the spec.
    pub services: Vec<ServiceRun>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Running,
    /// No attempt is started any more, and those that are open are being stopped.
    Stopping {
        /// Who asked, for people.
        by: String,
    },
}

/// One service of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRun {
    /// The service.
    pub name: ServiceName,
    /// Its replicas, by index.
    pub replicas: Vec<Replica>,
}

/// One replica of a service in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredReplica", try_from = "StoredReplica")]
pub struct Replica {
    /// Number of the last attempt that was ordered; 0: none.
    pub last_attempt: u32,
    /// Attempts that ran to an end and did not succeed. Forgotten when the replica has ended.
    pub failures: u32,
    /// Attempts that were lost. Forgotten when the replica has ended.
    pub losses: u32,
    /// What it is doing.
    pub state: ReplicaState,
}

/// What a replica is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaState {
    /// It wants an agent.
    Pending {
        /// Not before this moment: the pause before a retry.
        not_before: Timestamp,
        /// An agent that did not take it, to be chosen last (protocol rule P12).
        avoid: Option<AgentName>,
    },
    /// Its last attempt is bound to an agent.
    Open(OpenAttempt),
    /// It ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// On which agent, if any.
        agent: Option<AgentName>,
    },
}

/// The last attempt of a replica: it is bound to an agent and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAttempt {
    /// The agent, for ever.
    pub agent: AgentName,
    /// How far it has come.
    pub progress: Progress,
    /// When its last order was sent; `None`: one is to be sent now. Not stored: whoever takes over sends its own.
    pub sent_at: Option<Timestamp>,
}

/// How far an open attempt has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The agent was told, or is about to be.
    Ordered {
        /// Since when it is bound to the agent.
        at: Timestamp,
    },
    /// The agent made it its own.
    Claimed(Claim),
}

/// The claim of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its sequence in the results stream: the terminal message is a compare-and-set on it.
    pub sequence: u64,
    /// The agent's host.
    pub machine: MachineDigest,
}

impl OpenAttempt {
    /// The agent's claim, once known.
    pub fn claim(&self) -> Option<&Claim> {
        match &self.progress {
            Progress::Ordered { .. } => None,
            Progress::Claimed(claim) => Some(claim),
        }
    }
}

impl Replica {
    /// Whether no attempt of it is open or will be.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, ReplicaState::Ended { .. })
    }
}

impl ActiveRun {
    /// The run's token.
    pub fn token(&self) -> RunToken {
        RunToken::new(self.number, self.uid)
    }

    /// Every replica, with its service and index.
    pub fn replicas(&self) -> impl Iterator<Item = (&ServiceName, u32, &Replica)> {
        self.services
            .iter()
            .flat_map(|service| (0..).zip(&service.replicas).map(|(index, replica)| (&service.name, index, replica)))
    }

    /// Every attempt that may have a container, by id.
    pub fn open_attempts<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = (AttemptId, &'a OpenAttempt)> {
        self.replicas().filter_map(|(service, index, replica)| match &replica.state {
            ReplicaState::Open(open) => Some((self.attempt_id(app, service, index, replica.last_attempt), open)),
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        })
    }

    /// The id of an attempt of this run.
    pub fn attempt_id(&self, app: &AppName, service: &ServiceName, replica: u32, attempt: u32) -> AttemptId {
        AttemptId { app: app.clone(), run: self.number, uid: self.uid, service: service.clone(), replica, attempt }
    }

    /// The agents that attempts are bound to, with the service of each attempt.
    pub fn bound_agents(&self) -> impl Iterator<Item = (&ServiceName, &AgentName)> {
        self.replicas().filter_map(|(service, _, replica)| match &replica.state {
            ReplicaState::Open(open) => Some((service, &open.agent)),
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        })
    }

    /// The claims of attempts that have not ended.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.replicas().filter_map(|(_, _, replica)| match &replica.state {
            ReplicaState::Open(open) => open.claim(),
            ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => None,
        })
    }

    /// Whether every replica has ended, and so every attempt.
    pub fn has_ended(&self) -> bool {
        self.replicas().all(|(_, _, replica)| replica.has_ended())
    }

    /// A replica, to be changed.
    pub fn replica_mut(&mut self, service: &ServiceName, index: u32) -> Option<&mut Replica> {
        let service = self.services.iter_mut().find(|run| run.name == *service)?;
        service.replicas.get_mut(index as usize)
    }

    /// Every replica, to be changed.
    pub fn replicas_mut(&mut self) -> impl Iterator<Item = &mut Replica> {
        self.services.iter_mut().flat_map(|service| &mut service.replicas)
    }
}
