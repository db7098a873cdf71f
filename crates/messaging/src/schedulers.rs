//! Schedulers as they can be spoken to: each answers on a subject of its own and on one that all share, for as long as its
//! process and its connection live. No question is stored: whoever gets no answer asks again.

use std::{pin::pin, sync::Arc, time::Duration};

use async_nats::{Message, Subject, client::RequestErrorKind};
use futures_util::{Stream, StreamExt, stream::select};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    build::Build,
    id::{Epoch, MeshId},
    name::AgentName,
};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{sleep, timeout},
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

/// Wishes about agents that one scheduler has at once, those that wait included. Each takes milliseconds, and
/// whoever finds no place asks again.
const WISHES_MAX: usize = 32;

/// Longest question that is read: one with the longest name takes a fifth of it.
const QUESTION_BYTES_MAX: usize = 1_024;

/// Who a scheduler is, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerCard {
    /// Schema version.
    pub schema: u32,
    /// Id of the process.
    pub id: String,
    pub host: String,
    /// Version of tickmesh.
    pub version: String,
    /// Build of the program. Schedulers from before builds had names do not say it.
    #[serde(default, skip_serializing_if = "Build::is_unknown")]
    pub build: Build,
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
    StandingBy {
        /// Why it would decide no ticks if it led, if so. Schedulers of earlier releases do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubt: Option<String>,
    },
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
        reason: String,
        /// Stored data is missing.
        data_lost: bool,
        /// How often lost data had been accepted, as far as it has seen.
        acceptance: u64,
        /// Not only some data is missing, but the store that had it. Schedulers of earlier releases do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        store: Option<StoreLost>,
    },
}

/// The store of a mesh is lost, as a scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreLost {
    /// The mesh that the scheduler knows, if it has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshId>,
    /// Short names of the streams that are not there.
    #[serde(default)]
    pub missing: Vec<String>,
}

impl SchedulerRole {
    /// Returns what the scheduler says of the store, if it takes it for lost.
    pub fn store_lost(&self) -> Option<&StoreLost> {
        match self {
            Self::Refusing { store, .. } => store.as_ref(),
            Self::Preparing | Self::StandingBy { .. } | Self::Leading { .. } => None,
        }
    }
}

impl SchedulerCard {
    /// Whether the scheduler could lead at once, and would decide ticks.
    pub fn could_lead(&self) -> bool {
        matches!(self.role, SchedulerRole::StandingBy { doubt: None })
    }

    /// Whether the scheduler says that it stands by.
    pub fn stands_by(&self) -> bool {
        matches!(self.role, SchedulerRole::StandingBy { .. })
    }

    /// Whether the scheduler says that it leads.
    pub fn leads(&self) -> bool {
        matches!(self.role, SchedulerRole::Leading { .. })
    }
}

/// What may be asked of a scheduler. A scheduler shows its card to whoever asks what it does not understand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    /// Who are you?
    Card,
    /// Let somebody else lead.
    StepDown,
    /// Carry out a wish about an agent.
    Agent {
        agent: AgentName,
        /// What is wished of it.
        #[serde(flatten)]
        wish: AgentWish,
    },
}

/// Something that is asked of one scheduler, and that its process has to decide about.
#[derive(Debug)]
pub enum SchedulerRequest {
    /// Somebody else is to lead. Answered already.
    StepDown,
    /// A wish about an agent is to be carried out.
    Wish(WishRequest),
}

/// A wish about an agent that waits for an answer.
#[derive(Debug)]
pub struct WishRequest {
    pub agent: AgentName,
    /// What is wished of it.
    pub wish: AgentWish,
    /// Where the answer goes. Whoever asks again after a while has no use for one that comes late.
    pub reply: Reply,
}

/// Where an answer goes. While it exists, it takes one of the places for wishes under way.
#[derive(Debug)]
pub struct Reply {
    schedulers: Schedulers,
    to: Subject,
    _place: OwnedSemaphorePermit,
}

impl Reply {
    /// Answers.
    pub async fn send(self, answer: &WishAnswer) {
        self.schedulers.reply(self.to, answer).await;
    }
}

/// What a scheduler says to a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WishReply {
    Answer(WishAnswer),
    /// Its card: the scheduler is of a release that does not know the question.
    Card(Box<SchedulerCard>),
    /// Nothing that this release understands.
    Unknown,
    /// Nothing in time: nobody knows whether the wish was carried out.
    Silence,
    /// Nobody listens there.
    Absent,
}

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
        let mut cards = self.call_roll(patience, |_| false).await?;
        cards.sort_by_key(|card: &SchedulerCard| (rank(&card.role), card.since));
        Ok(cards)
    }

    /// Returns the cards of those who answer within that time, in this order, or until there are enough.
    async fn call_roll(
        &self,
        patience: Duration,
        is_enough: impl Fn(&[SchedulerCard]) -> bool,
    ) -> Result<Vec<SchedulerCard>, Error> {
        let unavailable = |source: Source| Error::unavailable("call the roll of schedulers", source);
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.client.subscribe(inbox.clone()).await.map_err(|error| unavailable(error.into()))?;
        let asked = self.link.client.publish_with_reply(self.names.schedulers(), inbox, body(&Question::Card));
        within(self.link.request_timeout, asked)
            .await
            .map_err(|late| unavailable(late.into()))?
            .map_err(|error| unavailable(error.into()))?;
        // Whoever is far from the server has waited for nothing until the server itself has answered.
        let far = Box::pin(within(self.link.request_timeout, self.link.context.query_account()));
        let mut waiting = pin!(async { drop((far.await, sleep(patience).await)) });
        let mut cards = Vec::new();
        while let Some(answer) = tokio::select! {
            biased;
            answer = answers.next() => answer,
            () = &mut waiting => None,
        } {
            // The server's own word that nobody listens has a status.
            if answer.status.is_some() || cards.len() == ROLL_MAX {
                break;
            }
            cards.extend(card(&answer));
            if is_enough(&cards) {
                break;
            }
        }
        Ok(cards)
    }

    /// Asks the scheduler of that id to let somebody else lead. `None`: it does not answer.
    pub async fn step_down(&self, id: &str, patience: Duration) -> Result<Option<SchedulerCard>, Error> {
        let request = self.link.client.request(self.names.scheduler(id), body(&Question::StepDown));
        match timeout(patience, request).await {
            Ok(Ok(answer)) => Ok(card(&answer)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(None),
            Ok(Err(error)) => Err(Error::unavailable(format!("ask scheduler `{id}` to step down"), error)),
            Err(_) => Ok(None),
        }
    }

    /// Looks for the scheduler that leads: the first one that says so. `None`: none does within that time.
    pub async fn leader(&self, patience: Duration) -> Result<Option<SchedulerCard>, Error> {
        self.call_roll(patience, |cards| cards.last().is_some_and(SchedulerCard::leads)).await.map(|mut cards| {
            let at = cards.iter().position(SchedulerCard::leads)?;
            Some(cards.swap_remove(at))
        })
    }

    /// Asks the scheduler of that id to carry out a wish about an agent.
    pub async fn wish(
        &self,
        id: &str,
        agent: &AgentName,
        wish: AgentWish,
        patience: Duration,
    ) -> Result<WishReply, Error> {
        let question = body(&Question::Agent { agent: agent.clone(), wish });
        let request = self.link.client.request(self.names.scheduler(id), question);
        Ok(match timeout(patience, request).await {
            Ok(Ok(answer)) => wish_reply(&answer),
            Ok(Err(error)) => match error.kind() {
                RequestErrorKind::NoResponders => WishReply::Absent,
                RequestErrorKind::TimedOut => WishReply::Silence,
                RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::Other => {
                    return Err(Error::unavailable(format!("ask scheduler `{id}` about agent `{agent}`"), error));
                }
            },
            Err(_) => WishReply::Silence,
        })
    }

    /// Asks the scheduler of that id for a sign of life. Waits for as long as a holder of the lease must be
    /// gone.
    pub async fn knock(&self, id: &str) -> Presence {
        let request = self.link.client.request(self.names.scheduler(id), body(&Question::Card));
        match timeout(DESERTED_FOR, request).await {
            Ok(Ok(_)) => Presence::Answers,
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Presence::Gone,
            Ok(Err(_)) | Err(_) => Presence::Unknown,
        }
    }

    /// Begins to listen for a scheduler; the returned future answers with what `card` says at the time, until the connection is
    /// closed for good. What is asked of it goes to `requests`; one that finds no room is lost, as it is if the process dies.
    pub async fn answer(
        &self,
        card: watch::Receiver<SchedulerCard>,
        requests: mpsc::Sender<SchedulerRequest>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, Error> {
        let own = self.names.scheduler(&card.borrow().id);
        let questions = select(self.listen(own.clone()).await?, self.listen(self.names.schedulers()).await?);
        Ok(self.clone().answer_all(questions, own, card, requests))
    }

    async fn answer_all(
        self,
        mut questions: impl Stream<Item = Message> + Unpin,
        own: String,
        card: watch::Receiver<SchedulerCard>,
        requests: mpsc::Sender<SchedulerRequest>,
    ) {
        let places = Arc::new(Semaphore::new(WISHES_MAX));
        while let Some(message) = questions.next().await {
            let Some(reply) = message.reply.clone() else { continue };
            // Only a question to this one alone may change something.
            let is_own = message.subject.as_str() == own && message.payload.len() <= QUESTION_BYTES_MAX;
            let question = if is_own { serde_json::from_slice(&message.payload).ok() } else { None };
            match question {
                Some(Question::Agent { agent, wish }) => {
                    let place = places.clone().try_acquire_owned();
                    let Ok(place) = place else {
                        self.reply(reply, &WishAnswer::Busy).await;
                        continue;
                    };
                    let reply = Reply { schedulers: self.clone(), to: reply, _place: place };
                    let full = requests.try_send(SchedulerRequest::Wish(WishRequest { agent, wish, reply }));
                    if let Err(TrySendError::Full(SchedulerRequest::Wish(refused))) = full {
                        refused.reply.send(&WishAnswer::Busy).await;
                    }
                    continue;
                }
                Some(Question::StepDown) => {
                    let _full = requests.try_send(SchedulerRequest::StepDown);
                }
                Some(Question::Card) | None => {}
            }
            let shown = card.borrow().clone();
            self.reply(reply, &shown).await;
        }
    }

    async fn listen(&self, subject: String) -> Result<async_nats::Subscriber, Error> {
        let subscribed = self.link.client.subscribe(subject.clone()).await;
        subscribed.map_err(|source| Error::unavailable(format!("listen on `{subject}`"), source))
    }

    async fn reply(&self, to: Subject, answer: &impl Serialize) {
        let Ok(body) = serde_json::to_vec(answer) else { return };
        if let Err(error) = self.link.client.publish(to, body.into()).await {
            debug!(%error, "could not answer");
        }
    }
}

fn body(question: &Question) -> bytes::Bytes {
    // A question of names and numbers always has a JSON form.
    serde_json::to_vec(question).unwrap_or_default().into()
}

fn card(answer: &Message) -> Option<SchedulerCard> {
    serde_json::from_slice(&answer.payload).ok()
}

/// An answer has its own field, which a card does not have.
fn wish_reply(answer: &Message) -> WishReply {
    if let Ok(answer) = serde_json::from_slice(&answer.payload) {
        return WishReply::Answer(answer);
    }
    card(answer).map_or(WishReply::Unknown, |card| WishReply::Card(Box::new(card)))
}

fn rank(role: &SchedulerRole) -> u8 {
    match role {
        SchedulerRole::Leading { .. } => 0,
        SchedulerRole::StandingBy { .. } => 1,
        SchedulerRole::Preparing => 2,
        SchedulerRole::Refusing { .. } => 3,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the release before this one reads and writes.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "role", rename_all = "snake_case")]
    enum EarlierRole {
        StandingBy,
        Refusing { reason: String, data_lost: bool, acceptance: u64 },
    }

    #[test]
    fn neighbouring_releases_read_each_others_refusals() {
        let (reason, mesh) = ("the store is lost".to_owned(), MeshId::from_random([7; 16]));
        let earlier = EarlierRole::Refusing { reason: reason.clone(), data_lost: true, acceptance: 3 };
        let lost = StoreLost { mesh: Some(mesh), missing: vec!["ledger".to_owned()] };
        let refusing =
            |store| SchedulerRole::Refusing { reason: reason.clone(), data_lost: true, acceptance: 3, store };
        let written = serde_json::to_string(&refusing(Some(lost.clone()))).unwrap();
        assert_eq!(serde_json::from_str::<EarlierRole>(&written).unwrap(), earlier);
        assert_eq!(serde_json::from_str::<SchedulerRole>(&written).unwrap().store_lost(), Some(&lost));
        let written = serde_json::to_string(&earlier).unwrap();
        assert_eq!(serde_json::from_str::<SchedulerRole>(&written).unwrap(), refusing(None));
    }

    #[test]
    fn neighbouring_releases_read_each_others_standbys() {
        let in_doubt = SchedulerRole::StandingBy { doubt: Some("this host's clock is 30s ahead".to_owned()) };
        let written = serde_json::to_string(&in_doubt).unwrap();
        assert_eq!(serde_json::from_str::<SchedulerRole>(&written).unwrap(), in_doubt);
        assert_eq!(serde_json::from_str::<EarlierRole>(&written).unwrap(), EarlierRole::StandingBy);
        let written = serde_json::to_string(&EarlierRole::StandingBy).unwrap();
        assert_eq!(serde_json::from_str::<SchedulerRole>(&written).unwrap(), SchedulerRole::StandingBy { doubt: None });
    }

    #[test]
    fn questions_keep_their_form() {
        let check = |question: Question, form: serde_json::Value| {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&body(&question)).unwrap(), form);
            assert_eq!(serde_json::from_value::<Question>(form).unwrap(), question);
        };
        check(Question::Card, json!({"ask": "card"}));
        check(Question::StepDown, json!({"ask": "step_down"}));
        let agent = AgentName::new("a1").unwrap();
        let drain = Question::Agent { agent: agent.clone(), wish: AgentWish::drain(Some(Duration::from_secs(1))) };
        check(drain, json!({"ask": "agent", "agent": "a1", "wish": "drain", "deadline_ms": 1_000}));
        let forget = Question::Agent { agent, wish: AgentWish::Forget };
        check(forget, json!({"ask": "agent", "agent": "a1", "wish": "forget"}));
    }

    #[test]
    fn the_longest_question_is_read() {
        let wish = AgentWish::Drain { deadline_ms: Some(u64::MAX) };
        let question = Question::Agent { agent: AgentName::new("a".repeat(63)).unwrap(), wish };
        assert!(body(&question).len() <= QUESTION_BYTES_MAX / 5);
    }
}
