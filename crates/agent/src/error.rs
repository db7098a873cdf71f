//! Why an agent cannot begin, or has to end.

use std::fmt::Write;

use tickmesh_core::{message::MachineId, name::AgentName, timing::UnsafeTiming};

use crate::{engine, host};

/// Why an agent ended other than by its shutdown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The deadlines contradict each other.
    #[error("the agent's deadlines are not safe")]
    Timing(#[source] UnsafeTiming),
    /// The host is unknown, or another process on it has the name.
    #[error("failed to take the name `{agent}` on this host")]
    Host {
        /// Name of the agent.
        agent: AgentName,
        #[source]
        source: host::Error,
    },
    /// The container engine does not work.
    #[error("failed to begin with the container engine")]
    Engine(#[source] engine::Error),
    /// An agent on another machine has the name, and lives.
    #[error("agent `{agent}` runs on machine {machine} (host `{host}`): stop it there, or choose another name")]
    NameInUse {
        /// Name of the agent.
        agent: AgentName,
        /// The other machine.
        machine: MachineId,
        /// Its name.
        host: String,
    },
    /// An agent on another machine with the id of this one has the name, and lives.
    #[error(
        "agent `{agent}` runs on host `{host}`, which has the machine id of this host ({machine}): one is a copy of the other. \
         Give this host an id of its own (remove /etc/machine-id, run systemd-machine-id-setup), and the agent another name"
    )]
    Cloned {
        /// Name of the agent.
        agent: AgentName,
        /// The id of both.
        machine: MachineId,
        /// The other host's name.
        host: String,
    },
    /// Another process took the name over while this one lived.
    #[error("another process has taken over agent `{agent}`: its own containers are removed")]
    Deposed {
        /// Name of the agent.
        agent: AgentName,
    },
    /// Something on NATS is not as it must be.
    #[error("agent `{agent}` failed on NATS")]
    Messaging {
        agent: AgentName,
        /// What failed.
        #[source]
        source: tickmesh_messaging::Error,
    },
}

impl Error {
    /// Returns whether another agent has the name. To start again helps only once it is gone.
    pub fn is_name_taken(&self) -> bool {
        match self {
            Self::NameInUse { .. } | Self::Cloned { .. } => true,
            Self::Host { source, .. } => source.is_taken(),
            Self::Timing(_) | Self::Engine(_) | Self::Deposed { .. } | Self::Messaging { .. } => false,
        }
    }
}

/// An error with all its sources, for a log line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}
