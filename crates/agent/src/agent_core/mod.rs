//! What an agent process does, and in which order. Pure: events in, effects out. The shipped agent and the simulator drive
//! this same code, so dropping a rule of the protocol means changing it here.
//!
//! ```text
//!  Locking -> ClaimingName -> Arming -> Listing -> Adopting -> Subscribing -> Appearing -> Serving -> Finishing -> Leaving -> Ended
//!   (P10)        (P10)        (P15)      (P2)        (P2)             (first heartbeat)    |       (shutdown)  (farewell)      ^
//!                                                                           |            |           |            |          |
//!                                                                           +------------+-----------+------------+-> Deposed -+
//!                                                                                    (another process has the name: P10)
//! ```
//!
//! Heartbeats go on from `Appearing` to `Leaving`. What becomes of each attempt is in the table of attempts; an attempt is in
//! it before its claim is among the effects, and a heartbeat looks at it after the end of the results is known (P1).

mod deposition;
mod drain;
mod early;
mod guard_client;
mod health;
mod heartbeat;
mod io;
mod name_claim;
mod shutdown;
mod startup;
mod tenure;

use std::time::Duration;

use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::{AgentRecord, MeshEvent, Order},
    timing::Timing,
};

use self::{
    deposition::Deposition,
    early::EarlyOrders,
    guard_client::{GuardClient, News, Release},
    health::Health,
    heartbeat::{Answer, Heartbeat},
    name_claim::{NameClaim, name_in_use},
    tenure::Tenures,
};
pub use self::{
    guard_client::Guarding,
    io::{Effect, Event, KeyState, LeaseSeen, Moment, Shutdown},
};
pub use crate::attempt::LastReport;
use crate::{
    adopt::Inventory,
    attempt::{self, State},
    attempt_table::{self, AttemptTable, Intake, Task},
    engine::ContainerId,
    guard,
    labels::Owner,
    ownership::Ownership,
};

/// What an agent process begins with.
#[derive(Debug)]
pub struct Settings {
    /// Whose containers it looks after.
    pub owner: Owner,
    /// Its first heartbeat, but for what each of them says anew. The process's nonce is in it (protocol rule P7).
    pub record: AgentRecord,
    /// Periods and deadlines.
    pub timing: Timing,
    /// How often it looks for containers that can go.
    pub clean_interval: Duration,
    /// Whether it has a guard.
    pub guarding: Guarding,
    /// What its table of attempts needs to know.
    pub attempts: attempt_table::Settings,
}

/// One agent process.
#[derive(Debug)]
pub struct AgentCore {
    ownership: Ownership,
    timing: Timing,
    clean_interval: Duration,
    attempts: AttemptTable,
    tenures: Tenures,
    early: EarlyOrders,
    heartbeat: Heartbeat,
    health: Health,
    guard_client: GuardClient,
    /// When the last acknowledged heartbeat was sent: what a new guard has to know.
    acknowledged: Option<Duration>,
    /// When what still runs on a draining host is stopped.
    evict_at: Option<Duration>,
    /// Whether it was told that nothing runs any more on this host, which is draining.
    told_drained: bool,
    stage: Stage,
}

/// How far the process has come.
#[derive(Debug)]
enum Stage {
    /// It takes the lock of its name.
    Locking,
    /// It looks whether its name is free.
    ClaimingName(NameClaim),
    /// It has a guard listen.
    Arming,
    /// It asks the engine what an earlier process left.
    Listing,
    /// It looks into that.
    Adopting(Inventory),
    /// It begins to follow orders. Last of all: whoever has shown a sign of life says farewell as well.
    Subscribing,
    /// Its first heartbeat is under way.
    Appearing,
    /// It takes orders.
    Serving { clean_at: Duration },
    /// It is to stop, and gives what is under way a moment.
    Finishing { of: Shutdown, until: Duration },
    /// It says farewell.
    Leaving { until: Duration },
    /// It lost its name.
    Deposed(Deposition),
    /// It is over.
    Ended,
}

impl AgentCore {
    /// A process that begins now, and what it does first.
    pub fn begin(settings: Settings) -> (Self, Vec<Effect>) {
        let Settings { owner, record, timing, clean_interval, guarding, attempts } = settings;
        let core = Self {
            ownership: Ownership::of(owner),
            timing,
            clean_interval,
            attempts: AttemptTable::new(attempts, Intake::Open),
            tenures: Tenures::default(),
            early: EarlyOrders::default(),
            heartbeat: Heartbeat::new(record),
            health: Health::default(),
            guard_client: GuardClient::new(guarding),
            acknowledged: None,
            evict_at: None,
            told_drained: false,
            stage: Stage::Locking,
        };
        (core, vec![Effect::LockName])
    }

    /// What this process knows of its attempts.
    pub fn attempts(&self) -> &AttemptTable {
        &self.attempts
    }

    /// Whether orders are taken now. Those that come at other times had better wait where they are.
    pub fn takes_orders(&self) -> bool {
        self.is_serving() && !self.tenures.is_confirming()
    }

    fn is_serving(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// When [`Event::Woken`] is due. It may come early, late and often.
    pub fn wake_at(&self) -> Option<Duration> {
        let own = match &self.stage {
            Stage::ClaimingName(name_claim) => name_claim.wake_at(),
            Stage::Serving { clean_at } => {
                // What waits for its instant waits on while no orders are taken.
                let early = self.early.wake_at().filter(|_| self.takes_orders());
                self.evict_at.into_iter().chain(self.tenures.wake_at()).chain(early).chain([*clean_at]).min()
            }
            Stage::Finishing { until: at, .. } | Stage::Leaving { until: at } => Some(*at),
            Stage::Deposed(deposition) => return Some(deposition.wake_at()),
            Stage::Locking
            | Stage::Arming
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing => None,
            Stage::Ended => return None,
        };
        own.into_iter().chain(self.heartbeat.wake_at()).min()
    }

    /// Folds in what happened, and says what is to be done. The table of attempts has changed before the effects begin (rule P1).
    pub fn fold(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        if let Stage::Ended = self.stage {
            return Vec::new();
        }
        match event {
            Event::NameLocked { remembered } => self.name_locked(remembered),
            Event::KeyRead { current } => self.key_read(current, now),
            Event::KeyUnread => self.key_unread(now.uptime),
            Event::GuardReady => self.guard_ready(),
            Event::GuardLost => self.guard_lost(),
            Event::GuardAnswered(answer) => self.guard_answered(answer, now.uptime),
            Event::Listed { containers } => self.listed(containers, now.uptime),
            Event::Unlisted(error) => self.unlisted(error, now.uptime),
            Event::ReportRead { last } => self.report_read(last.as_ref()),
            Event::OrdersFollowed => self.orders_followed(now.uptime),
            Event::Order { order, nonce } => self.order_came(*order, nonce, now),
            Event::LeaseRead(lease) => self.lease_read(lease, now.uptime),
            Event::ResultsEnd { sequence } => self.results_end(sequence, now),
            Event::KeyWritten { revision } => {
                let answer = self.heartbeat.written(revision, &self.timing);
                self.heartbeat_answered(answer, now)
            }
            Event::KeyRefused { current } => self.key_refused(current, now),
            Event::HeartbeatUnanswered => {
                self.heartbeat.unanswered(&self.timing, now.uptime);
                Vec::new()
            }
            Event::EngineAnswered { stock } => self.engine_answered(*stock, now.uptime),
            Event::EngineSilent(error) => self.engine_silent(&error, now.uptime),
            Event::Attempt { attempt, event } => self.attempt(&attempt, event, now.uptime),
            Event::PullMoved { image, progress } => {
                self.attempts.pull_moved(&image, progress);
                Vec::new()
            }
            Event::Leftover { attempt, container } => self.leftover(attempt, container),
            Event::OwnRemoved => self.deposition(|deposition| deposition.removed(now.uptime)),
            Event::OwnNotRemoved(error) => self.own_not_removed(&error, now.uptime),
            Event::EndTold => self.deposition(Deposition::told),
            Event::Shutdown(shutdown) => self.shutdown(shutdown, now.uptime),
            Event::Failed(error) => self.end(Err(error)),
            Event::Woken => self.woken(now.uptime),
        }
    }

    /// A guard that may know nothing learns first when the last heartbeat was acknowledged (rule P15).
    fn guard_ready(&mut self) -> Vec<Effect> {
        if !self.guard_client.is_guarded() {
            return Vec::new();
        }
        let last = self.acknowledged.map(|sent_at| Effect::FeedGuard { sent_at });
        let mut effects: Vec<_> = last.into_iter().collect();
        effects.extend(self.guard_client.ready());
        if let Stage::Arming = self.stage {
            self.stage = Stage::Listing;
            effects.push(Effect::List);
        }
        effects
    }

    fn guard_lost(&mut self) -> Vec<Effect> {
        if !self.guard_client.is_guarded() {
            return Vec::new();
        }
        tracing::error!("the guard is gone: nothing is claimed until another one listens");
        self.guard_client.lost();
        vec![Effect::StartGuard]
    }

    fn guard_answered(&mut self, answer: guard::Answer, now: Duration) -> Vec<Effect> {
        match self.guard_client.answered(answer) {
            Some(Release::Do(task)) => vec![Effect::Attempt(task)],
            Some(Release::Tell(attempt, event)) => self.tell(&attempt, event, now),
            None => Vec::new(),
        }
    }

    /// Obeys an order that came at that uptime.
    fn believe(&mut self, order: Order, nonce: Nonce, at: Duration) -> Vec<Effect> {
        let tasks = self.attempts.order(order, nonce, self.heartbeat.record().results_seen, at);
        self.for_attempts(tasks)
    }

    fn results_end(&mut self, sequence: u64, now: Moment) -> Vec<Effect> {
        let write = self.heartbeat.results_end(sequence, &self.attempts, self.health.trouble(now), now);
        write.into_iter().collect()
    }

    fn heartbeat_answered(&mut self, answer: Answer, now: Moment) -> Vec<Effect> {
        match answer {
            Answer::Acknowledged { sent_at } => {
                let mut effects = self.feed(sent_at);
                effects.extend(self.heartbeat_acknowledged(now.uptime));
                effects.extend(self.tell_drained());
                effects
            }
            Answer::Again(wish) => {
                let mut effects = wish.map(|intake| self.obey(intake, now)).unwrap_or_default();
                effects.push(self.heartbeat.try_again());
                effects
            }
            Answer::Deposed => self.depose(now.uptime),
            Answer::Unexpected => Vec::new(),
        }
    }

    /// Another record is in the way of a heartbeat. A process that was never heard of gives up without a trace.
    fn key_refused(&mut self, current: Option<KeyState>, now: Moment) -> Vec<Effect> {
        let holder = current.as_ref().and_then(|current| current.record.clone());
        let answer = self.heartbeat.refused(current);
        if let (Stage::Appearing, Answer::Deposed, Some(holder)) = (&self.stage, answer, holder) {
            return self.end(Err(name_in_use(*holder, self.heartbeat.record())));
        }
        self.heartbeat_answered(answer, now)
    }

    fn feed(&mut self, sent_at: Duration) -> Vec<Effect> {
        self.acknowledged = Some(sent_at);
        if self.guard_client.is_up() { vec![Effect::FeedGuard { sent_at }] } else { Vec::new() }
    }

    fn heartbeat_acknowledged(&mut self, now: Duration) -> Vec<Effect> {
        match self.stage {
            Stage::Appearing => {
                self.stage = Stage::Serving { clean_at: now };
                let joined = MeshEvent::AgentJoined { agent: self.ownership.owner().agent.clone() };
                vec![Effect::Remember { process: self.heartbeat.record().process }, Effect::Announce(joined)]
            }
            Stage::Leaving { .. } if self.heartbeat.said_farewell() => self.leave(),
            Stage::Leaving { .. } => vec![self.heartbeat.begin(now)],
            Stage::Locking
            | Stage::ClaimingName(_)
            | Stage::Arming
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Serving { .. }
            | Stage::Finishing { .. }
            | Stage::Deposed(_)
            | Stage::Ended => Vec::new(),
        }
    }

    fn attempt(&mut self, attempt: &AttemptId, event: attempt::Event, now: Duration) -> Vec<Effect> {
        // What the tasks of a deposed process still report is said once, by its surrender.
        if let Stage::Deposed(_) | Stage::Ended = self.stage {
            return Vec::new();
        }
        match self.guard_client.news(attempt, event, self.attempts.started(attempt)) {
            News::Tell(event) => self.tell(attempt, event, now),
            News::Ask(question) => question.into_iter().collect(),
        }
    }

    fn tell(&mut self, attempt: &AttemptId, event: attempt::Event, now: Duration) -> Vec<Effect> {
        let tasks = self.attempts.event(attempt, event).unwrap_or_else(|illegal| {
            tracing::error!(attempt_id = %attempt, error = %illegal, "event ignored");
            Vec::new()
        });
        let mut effects = self.for_attempts(tasks);
        effects.extend(self.leave_once_finished(now));
        effects
    }

    /// What is to be done for attempts, as far as it needs nobody's leave.
    fn for_attempts(&mut self, tasks: Vec<Task>) -> Vec<Effect> {
        let pass = |task: Task| {
            let ordered = self.attempts.ordered(&task.attempt);
            self.guard_client.pass(task, ordered)
        };
        tasks.into_iter().filter_map(pass).collect()
    }

    fn leftover(&mut self, attempt: AttemptId, container: ContainerId) -> Vec<Effect> {
        if !self.is_serving() || self.attempts.knows(&attempt) {
            return Vec::new();
        }
        tracing::info!(attempt_id = %attempt, container = %container, "nobody needs this container");
        let tasks = self.attempts.adopt(attempt, State::adopt_leftover(container));
        self.for_attempts(tasks)
    }

    fn woken(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = match &mut self.stage {
            Stage::ClaimingName(name_claim) => name_claim.woken(now).into_iter().collect(),
            Stage::Serving { clean_at } => {
                let mut effects = Vec::new();
                if *clean_at <= now {
                    *clean_at = now + self.clean_interval;
                    effects.push(Effect::Clean { held: self.attempts.held() });
                }
                effects.extend(self.evict(now));
                effects.extend(self.tenures.woken(now));
                effects.extend(self.take_early(now));
                effects
            }
            Stage::Finishing { until, .. } if *until <= now => self.say_farewell(now),
            Stage::Leaving { until } if *until <= now => {
                tracing::warn!("stopping without a farewell");
                return self.leave();
            }
            Stage::Deposed(_) => return self.deposition(|deposition| deposition.woken(now)),
            Stage::Ended => return Vec::new(),
            Stage::Locking
            | Stage::Arming
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Finishing { .. }
            | Stage::Leaving { .. } => Vec::new(),
        };
        if let Some(heartbeat) = self.heartbeat.woken(now) {
            effects.extend(self.look_after_engine(now));
            effects.extend([heartbeat].into_iter().chain(self.health.probe(now)));
        }
        effects
    }
}

#[cfg(test)]
mod tests;
