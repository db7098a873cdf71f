//! Why a scheduler or a tenure of it cannot go on.

use std::{collections::BTreeSet, sync::Arc};

use tickmesh_core::{id::MeshId, name::AppName, timing::UnsafeTiming};
use tickmesh_messaging::{self as messaging, StreamKind};

/// What NATS answered instead of what was asked for. Shared: what a process was told is recorded, too.
pub type Failure = Arc<messaging::Error>;

/// Why a scheduler or a tenure of it cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The lease cannot be had or kept.
    #[error("failed to acquire the lease")]
    Lease(#[source] Failure),
    /// The lease cannot be read, and this process has never read it: it does not know what the last leader had seen.
    #[error("the lease at revision {revision} cannot be read, and nobody who leads writes over it")]
    LeaseUnknown {
        /// Its revision.
        revision: u64,
    },
    /// What is stored cannot be read.
    #[error("failed to load the mesh's state")]
    Load(#[source] Failure),
    /// A stream is not what this leader has seen of it.
    #[error("failed to lead on what is left of the mesh's state")]
    StateLost(#[source] Failure),
    /// The store of the mesh is lost: it may be restored, and nobody fills it meanwhile.
    #[error("{}", store_lost(missing))]
    StoreLost {
        /// The streams that are not there.
        missing: BTreeSet<StreamKind>,
    },
    /// Ledgers go by files that are gone: not even a record says that the apps were removed.
    #[error("stored data was lost: {}", apps_lost(apps))]
    AppsLost { apps: Vec<AppName> },
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
            Self::Behind
            | Self::Timing(_)
            | Self::OtherMesh { .. }
            | Self::LeaseUnknown { .. }
            | Self::StoreLost { .. }
            | Self::AppsLost { .. } => None,
        }
    }

    /// Whether stored data is missing.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::LeaseUnknown { .. } | Self::StoreLost { .. } | Self::AppsLost { .. })
            || matches!(self.of_mesh(), Some(messaging::Error::StateLost(_)))
    }

    /// Whether a stream does not exist.
    pub(crate) fn is_missing_stream(&self) -> bool {
        matches!(self.of_mesh(), Some(messaging::Error::StreamGone { .. }))
    }

    /// Returns the streams that are not there, if the whole store is lost.
    pub(crate) fn store_lost(&self) -> Option<&BTreeSet<StreamKind>> {
        if let Self::StoreLost { missing } = self { Some(missing) } else { None }
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

/// Apps that an error names.
const NAMED_MAX: usize = 8;

fn apps_lost(apps: &[AppName]) -> String {
    let named: Vec<_> = apps.iter().take(NAMED_MAX).map(AppName::as_str).collect();
    let more = if apps.len() > NAMED_MAX { format!(" and {} more", apps.len() - NAMED_MAX) } else { String::new() };
    format!("there is no record in bucket `apps` of what the ledgers go by: {}{more}", named.join(", "))
}

/// What is left of a store that is lost.
fn store_lost(missing: &BTreeSet<StreamKind>) -> String {
    let names: Vec<_> = missing.iter().map(|kind| kind.as_str()).collect();
    match names.len() {
        0 => "the store is lost: its streams are there again, but not what names the mesh and who led it".to_owned(),
        count if count == StreamKind::ALL.len() => "the store is lost: none of the mesh's streams is there".to_owned(),
        count => format!("the store is lost: {count} of the mesh's streams are not there: {}", names.join(", ")),
    }
}
