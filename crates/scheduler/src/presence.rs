//! This scheduler as others see it: it answers as long as its process lives.

use jiff::Timestamp;
use tickmesh_core::message::SCHEMA;
use tickmesh_messaging::{Mesh, SchedulerCard, SchedulerRole, StepDown};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::warn;

use crate::{Config, Error, clock::Clock};

/// Wishes that may wait: they all wish the same.
const WISHES_MAX: usize = 1;

/// The card that it shows, and what is asked of it.
pub(crate) struct Presence {
    card: watch::Sender<SchedulerCard>,
    wishes: mpsc::Receiver<StepDown>,
    leading: Option<watch::Sender<bool>>,
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
            role: SchedulerRole::Preparing,
            since: now(config.clock),
        });
        let (wish, wishes) = mpsc::channel(WISHES_MAX);
        let answer = mesh.schedulers().answer(shown, wish).await.map_err(|error| Error::Answer(error.into()))?;
        let answering = tokio::spawn(async move {
            answer.await;
            warn!("this scheduler does not answer any more: its connection is closed");
        });
        Ok(Self { card, wishes, leading: config.leading.clone(), clock: config.clock, answering })
    }

    /// Says what it does from now on.
    pub(crate) fn become_role(&self, role: SchedulerRole) {
        if let Some(leading) = &self.leading {
            leading.send_replace(matches!(role, SchedulerRole::Leading { .. }));
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

    /// Whether somebody wishes that another one leads.
    pub(crate) fn was_asked_to_step_down(&mut self) -> bool {
        self.wishes.try_recv().is_ok()
    }

    /// The next wish that somebody else may lead; `None` once nobody can ask any more.
    pub(crate) async fn asked_to_step_down(&mut self) -> Option<StepDown> {
        self.wishes.recv().await
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
