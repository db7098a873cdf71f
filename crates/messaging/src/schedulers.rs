//! Schedulers as they can be spoken to: each answers on a subject of its own and on one that all share, for as long as its
//! process and its connection live. Nothing is stored, and nothing is decided by it but how soon a lease is taken.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subject, client::RequestErrorKind};
use futures_util::{Stream, StreamExt, stream::select};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_core::id::Epoch;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use tracing::debug;

use crate::{
    connect::{Link, within},
    error::{Error, Source},
    lease::{DESERTED_FOR, Presence},
    names::Names,
};

/// Answers to a roll call at most: far more schedulers than a mesh has.
const ROLL_MAX: usize = 256;

/// Who a scheduler is, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerCard {
    /// Schema version.
    pub schema: u32,
    /// Id of the process.
    pub id: String,
    /// Its host.
    pub host: String,
    /// Version of tickmesh.
    pub version: String,
    /// What it does.
    pub role: SchedulerRole,
    /// Since when, by its own clock.
    pub since: Timestamp,
}

/// What a scheduler does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum SchedulerRole {
    /// It reads what is stored, and cannot lead yet.
    Preparing,
    /// It waits for the lease.
    StandingBy,
    /// It leads.
    Leading {
        /// Its tenure.
        epoch: Epoch,
        /// Why it decides no ticks, if it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<String>,
    },
    /// It would not lead if it could.
    Refusing {
        /// Why.
        reason: String,
        /// Stored data is missing.
        data_lost: bool,
        /// How often lost data had been accepted, as far as it has seen.
        acceptance: u64,
    },
}

/// What may be asked of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    /// Who are you?
    Card,
    /// Let somebody else lead.
    StepDown,
}

/// Somebody wants the leader to step down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepDown;

/// The schedulers of a mesh. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedulers {
    link: Arc<Link>,
    names: Arc<Names>,
}

impl Schedulers {
    pub(crate) fn new(link: Arc<Link>, names: Arc<Names>) -> Self {
        Self { link, names }
    }

    /// Who answers within that time, leaders first.
    pub async fn roll(&self, patience: Duration) -> Result<Vec<SchedulerCard>, Error> {
        let deadline = Instant::now() + patience;
        let unavailable = |source: Source| Error::unavailable("call the roll of schedulers", source);
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.client.subscribe(inbox.clone()).await.map_err(|error| unavailable(error.into()))?;
        let asked = self.link.client.publish_with_reply(self.names.schedulers(), inbox, body(Question::Card));
        within(self.link.request_timeout, asked)
            .await
            .map_err(|late| unavailable(late.into()))?
            .map_err(|error| unavailable(error.into()))?;
        let mut cards = Vec::new();
        while let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await {
            // The server's own word that nobody listens has a status.
            if answer.status.is_some() || cards.len() == ROLL_MAX {
                break;
            }
            cards.extend(card(&answer));
        }
        cards.sort_by_key(|card: &SchedulerCard| (rank(&card.role), card.since));
        Ok(cards)
    }

    /// Asks the scheduler of that id to let somebody else lead. `None`: it does not answer.
    pub async fn step_down(&self, id: &str, patience: Duration) -> Result<Option<SchedulerCard>, Error> {
        let request = self.link.client.request(self.names.scheduler(id), body(Question::StepDown));
        match timeout(patience, request).await {
            Ok(Ok(answer)) => Ok(card(&answer)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(None),
            Ok(Err(error)) => Err(Error::unavailable(format!("ask scheduler `{id}` to step down"), error)),
            Err(_) => Ok(None),
        }
    }

    /// Asks the scheduler of that id for a sign of life. Waits for as long as a holder of the lease must be
    /// gone.
    pub async fn knock(&self, id: &str) -> Presence {
        let request = self.link.client.request(self.names.scheduler(id), body(Question::Card));
        match timeout(DESERTED_FOR, request).await {
            Ok(Ok(_)) => Presence::Answers,
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Presence::Gone,
            Ok(Err(_)) | Err(_) => Presence::Unknown,
        }
    }

    /// Begins to listen for a scheduler; the returned future answers with what `card` says at the time, until the connection is
    /// closed for good. What is asked of it goes to `wishes`; one that finds no room is lost, as it is if the process dies.
    pub async fn answer(
        &self,
        card: watch::Receiver<SchedulerCard>,
        wishes: mpsc::Sender<StepDown>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
        let own = self.names.scheduler(&card.borrow().id);
        let questions = select(self.listen(own.clone()).await?, self.listen(self.names.schedulers()).await?);
        Ok(self.clone().answer_all(questions, own, card, wishes))
    }

    async fn answer_all(
        self,
        mut questions: impl Stream<Item = Message> + Unpin,
        own: String,
        card: watch::Receiver<SchedulerCard>,
        wishes: mpsc::Sender<StepDown>,
    ) {
        while let Some(message) = questions.next().await {
            let Some(reply) = message.reply.clone() else { continue };
            // Only a question to this one alone may change something.
            if message.subject.as_str() == own
                && let Ok(Question::StepDown) = serde_json::from_slice(&message.payload)
            {
                let _full = wishes.try_send(StepDown);
            }
            let shown = card.borrow().clone();
            self.reply(reply, &shown).await;
        }
    }

    async fn listen(&self, subject: String) -> Result<async_nats::Subscriber, Error> {
        let subscribed = self.link.client.subscribe(subject.clone()).await;
        subscribed.map_err(|source| Error::unavailable(format!("listen on `{subject}`"), source))
    }

    async fn reply(&self, to: Subject, card: &SchedulerCard) {
        let Ok(body) = serde_json::to_vec(card) else { return };
        if let Err(error) = self.link.client.publish(to, body.into()).await {
            debug!(%error, "could not answer");
        }
    }
}

fn body(question: Question) -> bytes::Bytes {
    // A question without fields always has a JSON form.
    serde_json::to_vec(&question).unwrap_or_default().into()
}

fn card(answer: &Message) -> Option<SchedulerCard> {
    serde_json::from_slice(&answer.payload).ok()
}

fn rank(role: &SchedulerRole) -> u8 {
    match role {
        SchedulerRole::Leading { .. } => 0,
        SchedulerRole::StandingBy => 1,
        SchedulerRole::Preparing => 2,
        SchedulerRole::Refusing { .. } => 3,
    }
}
