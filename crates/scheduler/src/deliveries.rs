//! What confirms the commands that a leader has received.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tickmesh_core::id::RequestId;
use tickmesh_messaging::Delivery;

/// What confirms commands that are not confirmed yet.
#[derive(Clone, Default)]
pub(crate) struct Deliveries(Arc<Mutex<HashMap<RequestId, Delivery>>>);

impl Deliveries {
    /// Keeps a delivery in the place of an earlier one of the same command.
    pub(crate) fn keep(&self, delivery: Delivery) {
        self.lock().insert(delivery.command.request, delivery);
    }

    /// Gives a delivery away.
    pub(crate) fn take(&self, request: RequestId) -> Option<Delivery> {
        self.lock().remove(&request)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Delivery>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
