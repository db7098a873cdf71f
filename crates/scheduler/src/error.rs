//! Why a scheduler or a tenure of it cannot go on.

use std::sync::Arc;

use tickmesh_core::{id::MeshId, timing::UnsafeTiming};
use tickmesh_messaging as messaging;

/// What NATS answered instead of what was asked for. Shared: what a process was told is recorded, too.
pub type Failure = Arc<messaging::Error>;

/// Why a scheduler or a tenure of it cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The lease cannot be had or kept.
    #[error("failed to acquire the lease")]
    Lease(#[source] Failure),
    /// What is stored cannot be read.
    #[error("failed to load the mesh's state")]
    Load(#[source] Failure),
    /// A stream is not what this leader has seen of it.
    #[error("failed to lead on what is left of the mesh's state")]
    StateLost(#[source] Failure),
    /// A missing stream cannot be made anew.
    #[error("failed to make the mesh's missing streams")]
    Provision(#[source] Failure),
    /// The server has another mesh now.
    #[error("the mesh on this NATS is {found} now, and was {known}: restart this scheduler if that is meant")]
    OtherMesh {
        /// The mesh that this process knows.
        known: MeshId,
        /// The mesh that is there.
        found: MeshId,
    },
    /// This scheduler cannot be spoken to.
    #[error("failed to answer for this scheduler")]
    Answer(#[source] Failure),
    /// What the streams held when the lease was taken did not come in time.
    #[error("the streams were not read to their ends in time")]
    Behind,
    /// A stream that a scheduler must follow cannot be followed any more.
    #[error("failed to follow the mesh's streams")]
    Follow(#[source] Failure),
    /// The periods and deadlines contradict each other.
    #[error("the timing is not safe")]
    Timing(#[source] UnsafeTiming),
}

impl Error {
    /// Returns what NATS said, if the error is about that.
    fn of_mesh(&self) -> Option<&messaging::Error> {
        match self {
            Self::Lease(error)
            | Self::Load(error)
            | Self::Follow(error)
            | Self::Answer(error)
            | Self::Provision(error)
            | Self::StateLost(error) => Some(error),
            Self::Behind | Self::Timing(_) | Self::OtherMesh { .. } => None,
        }
    }

    /// Whether stored data is missing.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::StateLost(_)))
    }

    /// Whether a stream does not exist.
    pub(crate) fn is_missing_stream(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::StreamGone { .. }))
    }

    /// Whether another leader receives the commands now, which is like a refused write.
    pub(crate) fn is_rival(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::Superseded { .. }))
    }

    /// Whether NATS, or a part of it, is only away.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Behind) || self.of_mesh().is_some_and(messaging::Error::is_unavailable)
    }
}
