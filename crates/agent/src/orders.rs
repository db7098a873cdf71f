//! Orders as they come in: nothing before somebody asked for them, and none before somebody takes them.

use futures_util::StreamExt;
use tickmesh_core::{id::Nonce, name::AgentName};
use tickmesh_messaging::{Following, ForAgent, Mesh};
use tokio_util::task::AbortOnDropHandle;

use crate::{agent_core::Event, error::Error, executor::follow_orders};

/// The orders of one agent.
pub(crate) struct Orders {
    agent: AgentName,
    source: Source,
}

enum Source {
    Unasked,
    Opening(AbortOnDropHandle<Result<Following<ForAgent>, Error>>),
    Open(Following<ForAgent>),
    Closed,
}

impl Orders {
    /// Orders that nobody follows yet.
    pub(crate) fn of(agent: AgentName) -> Self {
        Self { agent, source: Source::Unasked }
    }

    /// Begins to follow them.
    pub(crate) fn open(&mut self, mesh: Mesh) {
        let opening = tokio::spawn(follow_orders(mesh, self.agent.clone()));
        self.source = Source::Opening(AbortOnDropHandle::new(opening));
    }

    /// That they are followed, and again whenever they are followed anew; after that, each order in turn. Nothing is lost when this is given up.
    pub(crate) async fn next(&mut self) -> Event {
        match &mut self.source {
            Source::Unasked | Source::Closed => std::future::pending().await,
            Source::Opening(opening) => {
                let opened = match opening.await {
                    Ok(opened) => opened,
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    // Nobody aborts it while its agent lives.
                    Err(_) => std::future::pending().await,
                };
                self.opened(opened)
            }
            Source::Open(orders) => match orders.next().await {
                Some(Ok(ForAgent::Order(order))) => Event::Order { order, nonce: Nonce::from_random(rand::random()) },
                Some(Ok(ForAgent::Reopened)) => Event::OrdersFollowed,
                Some(Err(source)) => {
                    self.source = Source::Closed;
                    Event::Failed(Error::Messaging { agent: self.agent.clone(), source })
                }
                // A stream of orders ends only with an error, which came before.
                None => std::future::pending().await,
            },
        }
    }

    fn opened(&mut self, opened: Result<Following<ForAgent>, Error>) -> Event {
        match opened {
            Ok(orders) => {
                self.source = Source::Open(orders);
                Event::OrdersFollowed
            }
            Err(error) => {
                self.source = Source::Closed;
                Event::Failed(error)
            }
        }
    }

    /// Whether what comes next is an order, and not the first news that they are followed.
    pub(crate) fn are_open(&self) -> bool {
        matches!(self.source, Source::Open(_))
    }
}
