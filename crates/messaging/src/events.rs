//! What happens to the mesh itself: for monitors and people. Nothing depends on it, so a failure to publish is only logged.

use tickmesh_core::message::MeshEvent;
use tracing::warn;

use crate::{
    error::{Error, chain},
    follow::{Follower, Following},
    journal::{Start, listed, readable},
    listing::Listing,
    store::{Message, Store},
    wire::{Entry, encode},
};

/// The stream `mesh`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events {
    store: Store,
}

impl Events {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Publishes an event, if that can be done.
    pub async fn publish(&self, event: &MeshEvent) {
        if let Err(error) = self.try_publish(event).await {
            warn!(event = event.kind(), error = %chain(&error), "could not publish an event");
        }
    }

    /// The events, as long as they are kept, then those to come.
    pub async fn follow(&self, start: Start) -> Result<Following<Entry<MeshEvent>>, Error> {
        let (store, filter) = (self.store.clone(), self.store.names.subjects(self.store.kind));
        Ok(Follower::begin(&self.store, filter, start.begin()).await?.into_stream(move |item| readable(&store, item)))
    }

    /// Sequence of the last event that was ever stored.
    pub async fn last_sequence(&self) -> Result<u64, Error> {
        self.store.last_sequence().await
    }

    /// The events that are kept, the oldest first.
    pub async fn list(&self) -> Result<Listing<MeshEvent>, Error> {
        listed(&self.store, self.store.names.subjects(self.store.kind)).await
    }

    /// Publishes an event, or says why that cannot be done.
    pub async fn try_publish(&self, event: &MeshEvent) -> Result<(), Error> {
        let subject = self.store.names.event(event.kind());
        let body = encode(self.store.kind, &subject, event)?;
        self.store.publish(&subject, Message::plain(body)).await.map(drop)
    }
}
