//! The state that all handlers share.

use std::sync::{Arc, RwLock};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_client::{requests::Asker, when};
use tickmesh_messaging::Mesh;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{connections::Visitors, model::Model};

/// Most followers of the mesh or of an output: each costs the NATS server a few consumers.
pub(crate) const FOLLOWERS_MAX: usize = 100;

/// Most followers from one address.
pub(crate) const FOLLOWERS_PER_ADDRESS_MAX: usize = 20;

/// The state that all handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

impl App {
    /// Returns what handlers share, with a model that is still empty.
    pub(crate) fn new(mesh: Mesh, zones: TimeZoneDatabase, by: String, stopped: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            mesh,
            zones,
            by,
            model: RwLock::default(),
            changes: watch::Sender::default(),
            stopped,
            followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
            followers_by_address: Visitors::new(FOLLOWERS_PER_ADDRESS_MAX),
        }))
    }
}

pub(crate) struct Shared {
    pub(crate) mesh: Mesh,
    pub(crate) zones: TimeZoneDatabase,
    pub(crate) by: String,
    model: RwLock<Model>,
    /// Counts changes of the model.
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) stopped: CancellationToken,
    /// Whoever follows something has one of these.
    pub(crate) followers: Arc<Semaphore>,
    pub(crate) followers_by_address: Visitors,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// Looks at the model. Not across an await: the lock is held.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        look(&self.model.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Model)) {
        change(&mut self.model.write().unwrap_or_else(std::sync::PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Why what is shown may be older than the mesh, if it may.
    pub(crate) fn stale(&self, now: Timestamp) -> Option<String> {
        let since = self.look(Model::stale_since).map(|at| format!(", since {at:.0} ({})", when::relative(at, now)));
        match (self.mesh.is_connected(), since) {
            (true, None) => None,
            (false, since) => Some(format!("there is no connection to NATS{}", since.unwrap_or_default())),
            (true, Some(since)) => Some(format!("a stream cannot be followed{since}")),
        }
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker { mesh: self.mesh.clone(), by: self.by.clone() }
    }
}
