//! Wake-ups for agents. The stream forgets them after a minute, and each may come twice, late or never: only the claim
//! decides, and the leader sends again what reality lacks.

use tickmesh_core::{message::Order, name::AgentName};

use crate::{
    error::Error,
    follow::{Begin, Follower, Following, Item},
    journal::readable,
    store::{Message, Store},
    wire::encode,
};

/// What comes to an agent.
#[derive(Debug)]
pub enum ForAgent {
    /// An order.
    Order(Box<Order>),
    /// The connection was lost, and orders are followed anew. Those that come after this are of a store that may have been
    /// put back to an older copy meanwhile, with orders of attempts that have ended since.
    Reopened,
}

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
    pub async fn follow(&self, agent: &AgentName) -> Result<Following<ForAgent>, Error> {
        let (store, filter) = (self.store.clone(), self.store.names.order(agent));
        let follower = Follower::begin(&self.store, filter, Begin::After(0)).await?;
        Ok(follower.into_stream(move |item| match item {
            Item::Reopened => Some(ForAgent::Reopened),
            Item::Message(_) | Item::CaughtUp { .. } => {
                readable(&store, item).map(|entry| ForAgent::Order(Box::new(entry.value)))
            }
        }))
    }
}
