//! Wake-ups for agents. The stream forgets them after a minute, and each may come twice, late or never: only the claim
//! decides, and the leader sends again what reality lacks.

use tickmesh_core::{message::Order, name::AgentName};

use crate::{
    error::Error,
    follow::{Begin, Follower, Following},
    journal::readable,
    store::{Message, Store},
    wire::encode,
};

/// The stream `orders`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Orders {
    store: Store,
}

impl Orders {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Sends an order to its agent.
    pub async fn send(&self, order: &Order) -> Result<(), Error> {
        let subject = self.store.names.order(&order.agent);
        let body = encode(self.store.kind, &subject, order)?;
        self.store.publish(&subject, Message::plain(body)).await.map(drop)
    }

    /// The orders of the last minute for an agent, then those to come. One that cannot be read, or that is addressed to
    /// another agent, is logged and left out.
    pub async fn follow(&self, agent: &AgentName) -> Result<Following<Order>, Error> {
        let (store, filter) = (self.store.clone(), self.store.names.order(agent));
        let follower = Follower::begin(&self.store, filter, Begin::After(0)).await?;
        Ok(follower.into_stream(move |item| readable(&store, item).map(|entry| entry.value)))
    }
}
