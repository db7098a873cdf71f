//! This scheduler as others see it: it answers as long as its process lives.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tickmesh_core::message::SCHEMA;
use tickmesh_messaging::{Mesh, Reply, SchedulerCard, SchedulerRequest, SchedulerRole, WishRequest};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

use crate::{
    Config, Error,
    clock::Clock,
    effect::{Wish, WishId},
    process::Event,
};

/// Requests that may wait to be folded: more than there can be wishes at once, so that one to step
/// down finds room among them.
const REQUESTS_MAX: usize = 64;

/// The card that it shows, and what is asked of it.
pub(crate) struct Presence {
    card: watch::Sender<SchedulerCard>,
    requests: mpsc::Receiver<SchedulerRequest>,
    /// Whoever waits for the answer to a wish.
    replies: BTreeMap<WishId, Reply>,
    last_wish: WishId,
    role: Option<watch::Sender<SchedulerRole>>,
    clock: Clock,
    answering: JoinHandle<()>,
}

impl Presence {
    /// Begins to answer.
    pub(crate) async fn begin(config: &Config, mesh: &Mesh) -> Result<Self, Error> {
        let (card, shown) = watch::channel(SchedulerCard {
            schema: SCHEMA,
            id: config.id.clone(),
            host: config.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: config.build.clone(),
            role: SchedulerRole::Preparing,
            since: now(config.clock),
        });
        let (request, requests) = mpsc::channel(REQUESTS_MAX);
        let answer = mesh.schedulers().answer(shown, request).await.map_err(|error| Error::Answer(error.into()))?;
        let answering = tokio::spawn(async move {
            answer.await;
            warn!("this scheduler does not answer any more: its connection is closed");
        });
        let (role, clock) = (config.role.clone(), config.clock);
        Ok(Self { card, requests, replies: BTreeMap::new(), last_wish: 0, role, clock, answering })
    }

    /// Says what it does from now on.
    pub(crate) fn become_role(&self, role: SchedulerRole) {
        if let Some(shown) = &self.role {
            shown.send_replace(role.clone());
        }
        self.card.send_if_modified(|card| {
            let changed = card.role != role;
            // A doubt is no new beginning.
            if std::mem::discriminant(&card.role) != std::mem::discriminant(&role) {
                card.since = now(self.clock);
            }
            card.role = role;
            changed
        });
    }

    /// Returns what somebody has asked of the process already.
    pub(crate) fn was_asked(&mut self) -> Option<Event> {
        let request = self.requests.try_recv().ok()?;
        Some(self.event(request))
    }

    /// Waits for somebody to ask something of the process; `None` once nobody can ask any more.
    pub(crate) async fn asked(&mut self) -> Option<Event> {
        let request = self.requests.recv().await?;
        Some(self.event(request))
    }

    fn event(&mut self, request: SchedulerRequest) -> Event {
        match request {
            SchedulerRequest::StepDown => Event::StepDown,
            SchedulerRequest::Wish(WishRequest { agent, wish, reply }) => {
                self.last_wish += 1;
                self.replies.insert(self.last_wish, reply);
                Event::AgentWished(Wish { id: self.last_wish, agent, wish })
            }
        }
    }

    /// Returns where the answer to a wish goes.
    pub(crate) fn take_reply(&mut self, id: WishId) -> Option<Reply> {
        self.replies.remove(&id)
    }

    /// Gives up the wishes of a tenure that has ended. Nobody knows what comes of those that are under way, so
    /// nobody is told anything: whoever waits asks again.
    pub(crate) fn abandon_wishes(&mut self) {
        self.replies.clear();
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

fn now(clock: Clock) -> Timestamp {
    clock.now().wall
}
