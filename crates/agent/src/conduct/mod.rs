//! What an agent process does, and in which order. Pure: events in, effects out. The shipped agent and the simulator drive
//! this same code, so dropping a rule of the protocol means changing it here.
//!
//! ```text
//!  Locking -> Naming -> Listing -> Adopting -> Subscribing -> Appearing -> Serving -> Calming -> Leaving -> Ended
//!   (P10)      (P10)      (P2)       (P2)                     (first heartbeat)  (shutdown)   (farewell)      ^
//!                                                                 |          |        |           |           |
//!                                                                 +----------+--------+-----------+-> Surrendering
//!                                                                        (another process has the name: P10)
//! ```
//!
//! Heartbeats ([`heart`]) go on from `Appearing` to `Leaving`. What becomes of each attempt is the roster's; an attempt is on
//! it before its claim is among the effects, and a heartbeat looks at it after the end of the results is known (P1).

mod boundary;
mod heart;
mod naming;
mod surrender;

use std::time::Duration;

use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::{AgentRecord, MeshEvent, Order},
    timing::Timing,
};

pub use self::boundary::{Effect, Event, KeyState, LastReport, Moment};
use self::{
    heart::{Answer, Heart},
    naming::{Finding, Naming},
    surrender::{Next, Surrender},
};
use crate::{
    adopt::Inventory,
    attempt::{self, State},
    engine::{self, ContainerId, ContainerView},
    error::{Error, chain},
    labels::Owner,
    ownership::Ownership,
    roster::{self, Intake, Roster, Task},
};

/// How long a stopping agent waits for what is under way: a claim without its container costs the replica an attempt.
const CALM_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the farewell of an agent that stops may take. Without it the agent is lost by silence, which only takes longer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(3);

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
    /// What its roster needs to know.
    pub roster: roster::Settings,
}

/// One agent process.
#[derive(Debug)]
pub struct Conduct {
    ownership: Ownership,
    timing: Timing,
    clean_interval: Duration,
    roster: Roster,
    heart: Heart,
    stage: Stage,
}

/// How far the process has come.
#[derive(Debug)]
enum Stage {
    /// It takes the lock of its name.
    Locking,
    /// It looks whether its name is free.
    Naming(Naming),
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
    Calming { until: Duration },
    /// It says farewell.
    Leaving { until: Duration },
    /// It lost its name.
    Surrendering(Surrender),
    /// It is over.
    Ended,
}

impl Conduct {
    /// A process that begins now, and what it does first.
    pub fn begin(settings: Settings) -> (Self, Vec<Effect>) {
        let Settings { owner, record, timing, clean_interval, roster } = settings;
        let conduct = Self {
            ownership: Ownership::of(owner),
            timing,
            clean_interval,
            roster: Roster::new(roster, Intake::Open),
            heart: Heart::new(record),
            stage: Stage::Locking,
        };
        (conduct, vec![Effect::LockName])
    }

    /// What this process knows of its attempts.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether orders are taken now. Those that come at other times had better wait where they are.
    pub fn takes_orders(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    /// When [`Event::Woken`] is due. It may come early, late and often.
    pub fn wake_at(&self) -> Option<Duration> {
        let own = match &self.stage {
            Stage::Naming(naming) => naming.wake_at(),
            Stage::Serving { clean_at: at } | Stage::Calming { until: at } | Stage::Leaving { until: at } => Some(*at),
            Stage::Surrendering(surrender) => return Some(surrender.wake_at()),
            Stage::Locking | Stage::Listing | Stage::Adopting(_) | Stage::Subscribing | Stage::Appearing => None,
            Stage::Ended => return None,
        };
        own.into_iter().chain(self.heart.wake_at()).min()
    }

    /// Folds in what happened, and says what is to be done. The roster has changed before the effects begin (rule P1).
    pub fn fold(&mut self, event: Event, now: Moment) -> Vec<Effect> {
        if let Stage::Ended = self.stage {
            return Vec::new();
        }
        match event {
            Event::NameLocked => self.name_locked(),
            Event::KeyRead { current } => self.key_read(current, now.uptime),
            Event::KeyUnread => self.key_unread(now.uptime),
            Event::Listed { containers } => self.listed(containers, now.uptime),
            Event::Unlisted(error) => self.unlisted(error, now.uptime),
            Event::ReportRead { last } => self.report_read(last.as_ref()),
            Event::OrdersFollowed => self.orders_followed(now.uptime),
            Event::Order { order, nonce } => self.order(*order, nonce, now.uptime),
            Event::ResultsEnd { sequence } => self.results_end(sequence, now),
            Event::KeyWritten { revision } => {
                let answer = self.heart.written(revision, &self.timing);
                self.heartbeat_answered(answer, now.uptime)
            }
            Event::KeyRefused { current } => {
                let answer = self.heart.refused(current);
                self.heartbeat_answered(answer, now.uptime)
            }
            Event::HeartbeatUnanswered => {
                self.heart.unanswered(&self.timing, now.uptime);
                Vec::new()
            }
            Event::Attempt { attempt, event } => self.attempt(&attempt, event, now.uptime),
            Event::Leftover { attempt, container } => self.leftover(attempt, container),
            Event::OwnRemoved => self.surrender(|surrender| surrender.removed(now.uptime)),
            Event::OwnNotRemoved(error) => self.own_not_removed(&error, now.uptime),
            Event::EndTold => self.surrender(Surrender::told),
            Event::Shutdown => self.shutdown(now.uptime),
            Event::Failed(error) => self.end(Err(error)),
            Event::Woken => self.woken(now.uptime),
        }
    }

    fn name_locked(&mut self) -> Vec<Effect> {
        let Stage::Locking = self.stage else { return Vec::new() };
        self.stage = Stage::Naming(Naming::begin());
        vec![Effect::ReadKey]
    }

    fn key_read(&mut self, current: Option<KeyState>, now: Duration) -> Vec<Effect> {
        let Stage::Naming(naming) = &mut self.stage else { return Vec::new() };
        match naming.read(current, self.heart.record(), &self.timing, now) {
            Finding::Open => Vec::new(),
            Finding::InUse(error) => self.end(Err(error)),
            Finding::Free(predecessor) => {
                self.heart.succeed(predecessor);
                self.roster.set_intake(predecessor.intake);
                self.stage = Stage::Listing;
                vec![Effect::List]
            }
        }
    }

    fn key_unread(&mut self, now: Duration) -> Vec<Effect> {
        if let Stage::Naming(naming) = &mut self.stage {
            naming.unread(&self.timing, now);
        }
        Vec::new()
    }

    fn listed(&mut self, containers: Vec<ContainerView>, now: Duration) -> Vec<Effect> {
        match &mut self.stage {
            Stage::Listing => {
                self.stage = Stage::Adopting(Inventory::of(containers, &self.ownership));
                self.look_into_next()
            }
            Stage::Surrendering(surrender) => {
                let next = surrender.listed(containers, &self.ownership, now);
                self.follow(next)
            }
            Stage::Locking
            | Stage::Naming(_)
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Serving { .. }
            | Stage::Calming { .. }
            | Stage::Leaving { .. }
            | Stage::Ended => Vec::new(),
        }
    }

    /// An engine that does not answer at the start ends the process, for somebody has to start it; a process that gives up what
    /// it has asks again.
    fn unlisted(&mut self, error: engine::Error, now: Duration) -> Vec<Effect> {
        if let Stage::Listing = self.stage {
            return self.end(Err(Error::Engine(error)));
        }
        self.own_not_removed(&error, now)
    }

    fn report_read(&mut self, last: Option<&LastReport>) -> Vec<Effect> {
        let Stage::Adopting(inventory) = &mut self.stage else { return Vec::new() };
        let adopted = inventory.look_into(last);
        let tasks = adopted.map(|(attempt, step)| self.roster.adopt(attempt, step)).unwrap_or_default();
        let mut effects = for_attempts(tasks);
        effects.extend(self.look_into_next());
        effects
    }

    fn look_into_next(&mut self) -> Vec<Effect> {
        let Stage::Adopting(inventory) = &self.stage else { return Vec::new() };
        if let Some(attempt) = inventory.next() {
            return vec![Effect::ReadReport { attempt: attempt.clone() }];
        }
        self.stage = Stage::Subscribing;
        vec![Effect::FollowOrders]
    }

    /// Everything that an earlier process left is on the roster: only now is a sign of life shown (rule P2).
    fn orders_followed(&mut self, now: Duration) -> Vec<Effect> {
        let Stage::Subscribing = self.stage else { return Vec::new() };
        self.stage = Stage::Appearing;
        vec![self.heart.begin(now)]
    }

    fn order(&mut self, order: Order, nonce: Nonce, now: Duration) -> Vec<Effect> {
        if !self.takes_orders() {
            return Vec::new();
        }
        for_attempts(self.roster.order(order, nonce, now))
    }

    fn results_end(&mut self, sequence: u64, now: Moment) -> Vec<Effect> {
        let write = self.heart.results_end(sequence, self.roster.held(), self.roster.intake(), now);
        write.into_iter().collect()
    }

    fn heartbeat_answered(&mut self, answer: Answer, now: Duration) -> Vec<Effect> {
        match answer {
            Answer::Acknowledged { .. } => self.heartbeat_acknowledged(now),
            Answer::Again(wish) => {
                self.obey(wish);
                vec![self.heart.try_again()]
            }
            Answer::Deposed => self.depose(now),
            Answer::Unexpected => Vec::new(),
        }
    }

    fn heartbeat_acknowledged(&mut self, now: Duration) -> Vec<Effect> {
        match self.stage {
            Stage::Appearing => {
                self.stage = Stage::Serving { clean_at: now };
                vec![Effect::Announce(MeshEvent::AgentJoined { agent: self.ownership.owner().agent.clone() })]
            }
            Stage::Leaving { .. } if self.heart.said_farewell() => self.leave(),
            Stage::Leaving { .. } => vec![self.heart.begin(now)],
            Stage::Locking
            | Stage::Naming(_)
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Serving { .. }
            | Stage::Calming { .. }
            | Stage::Surrendering(_)
            | Stage::Ended => Vec::new(),
        }
    }

    fn obey(&mut self, wish: Option<Intake>) {
        if let Some(intake) = wish.filter(|wish| *wish != self.roster.intake()) {
            tracing::info!(?intake, "intake changed");
            self.roster.set_intake(intake);
        }
    }

    fn attempt(&mut self, attempt: &AttemptId, event: attempt::Event, now: Duration) -> Vec<Effect> {
        // What the tasks of a deposed process still report is said once, by its surrender.
        if let Stage::Surrendering(_) | Stage::Ended = self.stage {
            return Vec::new();
        }
        let tasks = self.roster.event(attempt, event).unwrap_or_else(|illegal| {
            tracing::error!(attempt_id = %attempt, error = %illegal, "event ignored");
            Vec::new()
        });
        let mut effects = for_attempts(tasks);
        effects.extend(self.leave_once_calm(now));
        effects
    }

    fn leftover(&mut self, attempt: AttemptId, container: ContainerId) -> Vec<Effect> {
        if !self.takes_orders() || self.roster.knows(&attempt) {
            return Vec::new();
        }
        tracing::info!(attempt_id = %attempt, container = %container, "nobody needs this container");
        for_attempts(self.roster.adopt(attempt, State::adopt_leftover(container)))
    }

    /// Another process has the name.
    fn depose(&mut self, now: Duration) -> Vec<Effect> {
        tracing::error!(agent = %self.ownership.owner().agent, "another process has this agent's name");
        let (surrender, next) = Surrender::begin(self.roster.own_claims(), now);
        self.stage = Stage::Surrendering(surrender);
        let mut effects = vec![Effect::Abandon];
        effects.extend(self.follow(next));
        effects
    }

    fn own_not_removed(&mut self, error: &engine::Error, now: Duration) -> Vec<Effect> {
        tracing::error!(error = %chain(error), "containers not removed yet");
        self.surrender(|surrender| surrender.failed(now))
    }

    fn surrender(&mut self, go_on: impl FnOnce(&mut Surrender) -> Next) -> Vec<Effect> {
        let Stage::Surrendering(surrender) = &mut self.stage else { return Vec::new() };
        let next = go_on(surrender);
        self.follow(next)
    }

    fn follow(&mut self, next: Next) -> Vec<Effect> {
        match next {
            Next::Do(effect) => vec![effect],
            Next::Wait => Vec::new(),
            Next::Done => {
                let agent = self.ownership.owner().agent.clone();
                self.end(Err(Error::Deposed { agent }))
            }
        }
    }

    /// Stops in order: containers go on.
    fn shutdown(&mut self, now: Duration) -> Vec<Effect> {
        match self.stage {
            // Nobody has seen a sign of life.
            Stage::Locking | Stage::Naming(_) | Stage::Listing | Stage::Adopting(_) | Stage::Subscribing => {
                self.end(Ok(()))
            }
            Stage::Appearing | Stage::Serving { .. } => {
                self.stage = Stage::Calming { until: now + CALM_TIMEOUT };
                self.leave_once_calm(now)
            }
            Stage::Calming { .. } | Stage::Leaving { .. } | Stage::Surrendering(_) | Stage::Ended => Vec::new(),
        }
    }

    fn leave_once_calm(&mut self, now: Duration) -> Vec<Effect> {
        match self.stage {
            Stage::Calming { .. } if self.roster.is_calm() => self.say_farewell(now),
            Stage::Locking
            | Stage::Naming(_)
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Serving { .. }
            | Stage::Calming { .. }
            | Stage::Leaving { .. }
            | Stage::Surrendering(_)
            | Stage::Ended => Vec::new(),
        }
    }

    fn say_farewell(&mut self, now: Duration) -> Vec<Effect> {
        self.stage = Stage::Leaving { until: now + FAREWELL_TIMEOUT };
        self.heart.begin_farewell(now).into_iter().collect()
    }

    fn leave(&mut self) -> Vec<Effect> {
        let agent = self.ownership.owner().agent.clone();
        let mut effects = vec![Effect::Announce(MeshEvent::AgentStopped { agent })];
        effects.extend(self.end(Ok(())));
        effects
    }

    fn end(&mut self, ended: Result<(), Error>) -> Vec<Effect> {
        self.stage = Stage::Ended;
        vec![Effect::End(ended)]
    }

    fn woken(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = match &mut self.stage {
            Stage::Naming(naming) => naming.woken(now).into_iter().collect(),
            Stage::Serving { clean_at } if *clean_at <= now => {
                *clean_at = now + self.clean_interval;
                vec![Effect::Clean { held: self.roster.held() }]
            }
            Stage::Calming { until } if *until <= now => self.say_farewell(now),
            Stage::Leaving { until } if *until <= now => {
                tracing::warn!("stopping without a farewell");
                return self.leave();
            }
            Stage::Surrendering(_) => return self.surrender(|surrender| surrender.woken(now)),
            Stage::Ended => return Vec::new(),
            Stage::Locking
            | Stage::Listing
            | Stage::Adopting(_)
            | Stage::Subscribing
            | Stage::Appearing
            | Stage::Serving { .. }
            | Stage::Calming { .. }
            | Stage::Leaving { .. } => Vec::new(),
        };
        effects.extend(self.heart.woken(now));
        effects
    }
}

fn for_attempts(tasks: Vec<Task>) -> Vec<Effect> {
    tasks.into_iter().map(Effect::Attempt).collect()
}

#[cfg(test)]
mod tests;
