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
        /// The name.
        agent: AgentName,
        /// Why.
        #[source]
        source: host::Error,
    },
    /// The container engine does not work.
    #[error("failed to begin with the container engine")]
    Engine(#[source] engine::Error),
    /// An agent on another machine has the name, and lives.
    #[error("agent `{agent}` runs on machine {machine} (host `{host}`): stop it there, or choose another name")]
    NameInUse {
        /// The name.
        agent: AgentName,
        /// The other machine.
        machine: MachineId,
        /// Its name.
        host: String,
    },
    /// Another process took the name over while this one lived.
    #[error("another process has taken over agent `{agent}`: its own containers are removed")]
    Deposed {
        /// The name.
        agent: AgentName,
    },
    /// Something on NATS is not as it must be.
    #[error("agent `{agent}` failed on NATS")]
    Messaging {
        /// The agent.
        agent: AgentName,
        /// What failed.
        #[source]
        source: tickmesh_messaging::Error,
    },
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
