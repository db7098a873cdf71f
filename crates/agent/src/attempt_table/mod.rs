//! Every attempt that this agent process has to do with. Pure: orders and events in, things to do out.
//!
//! The table of attempts decides what an order means (claim it, refuse it, ignore it), limits how many containers are brought up at
//! once, and says what a heartbeat lists as held. The life of each attempt is in [`crate::attempt`].

mod attempts;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::{AttemptEvent, Order, OrderKind, PREPARING_MAX, Preparation, PullProgress, Revoker, StartOrder},
    name::AgentName,
};

pub use self::attempts::Ordered;
use self::attempts::{Attempts, Entry, Origin};
use crate::{
    attempt::{Effect, Event, IllegalEvent, Job, NO_ENGINE, State, Step, Stop},
    engine::ContainerId,
    policy::HostPolicy,
};

/// Ended attempts that are remembered. An order lives for 60 s in its stream, and forgetting one is harmless: the claim of
/// an ended attempt is refused. Remembering saves the message.
const ENDED_MAX: usize = 4_096;

/// What the table of attempts needs to know of its agent.
#[derive(Debug, Clone)]
pub struct Settings {
    pub agent: AgentName,
    /// Attempts that may be held at once.
    pub slots: usize,
    /// Containers that may be created and started at once, beside those that are removed: more only queue inside the engine.
    pub start_limit: usize,
    /// What the host allows.
    pub policy: HostPolicy,
}

/// Whether new attempts are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    Open,
    /// Those that are held run to their end, and no others begin.
    Draining {
        /// When those that still run are stopped, to run elsewhere, by the clock of the host.
        by: Option<Timestamp>,
    },
}

/// Whether the engine answers, as far as it decides what is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    Answers,
    /// It has not answered for long.
    Lost,
}

/// Something to do for an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub attempt: AttemptId,
    /// What to do.
    pub effect: Effect,
}

/// An attempt that this process claimed, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnClaim {
    pub attempt: AttemptId,
    /// Nonce of the claim: its container carries it.
    pub nonce: Nonce,
    /// Sequence of the claim, and the end to report once the container is removed.
    pub last_words: Option<(u64, AttemptEvent)>,
}

/// All attempts of this process.
#[derive(Debug)]
pub struct AttemptTable {
    settings: Settings,
    intake: Intake,
    engine: EngineState,
    attempts: Attempts,
    /// Attempts that wait for their turn to be started, in order. Those stopped meanwhile are skipped.
    turns: VecDeque<AttemptId>,
    ended: Ended,
}

impl AttemptTable {
    /// An empty one.
    pub fn new(settings: Settings, intake: Intake) -> Self {
        Self {
            settings,
            intake,
            engine: EngineState::Answers,
            attempts: Attempts::default(),
            turns: VecDeque::new(),
            ended: Ended::default(),
        }
    }

    /// Whether new attempts are taken from now on.
    pub fn set_intake(&mut self, intake: Intake) {
        self.intake = intake;
    }

    /// Whether the engine answers from now on.
    pub fn set_engine(&mut self, engine: EngineState) {
        self.engine = engine;
    }

    /// Whether new attempts are taken.
    pub fn intake(&self) -> Intake {
        self.intake
    }

    /// Takes an order that is believed. `nonce` is a fresh one, for the claim that may come of it; `results_seen` is the end of
    /// the results as this agent knows it; `now` is the host's uptime.
    pub fn order(&mut self, order: Order, nonce: Nonce, results_seen: u64, now: Duration) -> Vec<Task> {
        if order.agent != self.settings.agent || self.ended.contains(&order.attempt) {
            return Vec::new();
        }
        match order.kind {
            OrderKind::Start(start) => self.start(order.attempt, start, nonce, results_seen, now),
            OrderKind::Stop => self.stop(order.attempt),
        }
    }

    fn start(
        &mut self,
        attempt: AttemptId,
        order: Box<StartOrder>,
        nonce: Nonce,
        results_seen: u64,
        now: Duration,
    ) -> Vec<Task> {
        // The leader repeats an order that nobody takes: by then it is known what becomes of the other one. After a restart
        // the orders of the last minute come again, and those that are over are found to be.
        if self.attempts.contains(&attempt) || self.attempts.claims_sibling(&attempt) {
            return Vec::new();
        }
        let origin = Origin::Started(nonce, Ordered { at: now, on_disconnect: order.on_disconnect });
        let step = match self.unwilling(&attempt) {
            Some(reason) => State::decline(AttemptEvent::Revoked { by: Revoker::Agent, reason: reason.to_owned() }),
            None => {
                let verdict = self.settings.policy.check(&order.container);
                State::claim(Job { nonce, order, ordered_at: now, results_seen, verdict })
            }
        };
        self.settle(attempt, origin, step)
    }

    /// Why a new attempt is not taken (protocol rule P12).
    fn unwilling(&self, attempt: &AttemptId) -> Option<&'static str> {
        // Orders of a history that was lost with stored data meet subjects that are empty again.
        if self.attempts.runs_sibling(attempt) {
            return Some("the agent holds another attempt of this replica");
        }
        if self.engine == EngineState::Lost {
            return Some(NO_ENGINE);
        }
        match self.intake {
            Intake::Draining { by: _ } => Some("the agent is draining"),
            Intake::Open if self.attempts.counts().held >= self.settings.slots => Some("the agent has no free slot"),
            Intake::Open => None,
        }
    }

    fn stop(&mut self, attempt: AttemptId) -> Vec<Task> {
        if self.attempts.contains(&attempt) {
            return self.stop_known(&attempt, Stop::Ordered);
        }
        // Whoever writes first wins: a start that is still on its way will find it cancelled. If it is claimed already, by
        // an earlier process that left no container, the leader sees that nobody holds it.
        let step = State::decline(AttemptEvent::Cancelled { exit_code: None });
        self.settle(attempt, Origin::Stopped, step)
    }

    /// Stops whatever is held, so that it can run elsewhere.
    pub fn evict(&mut self) -> Vec<Task> {
        self.held().iter().flat_map(|attempt| self.stop_known(attempt, Stop::Drained)).collect()
    }

    /// Gives back whatever the engine was not asked to start, so that it can run elsewhere.
    pub fn give_back(&mut self) -> Vec<Task> {
        self.held().iter().flat_map(|attempt| self.tell_known(attempt, Event::EngineLost)).collect()
    }

    fn stop_known(&mut self, attempt: &AttemptId, stop: Stop) -> Vec<Task> {
        self.tell_known(attempt, Event::StopWanted(stop))
    }

    /// Tells an attempt something that is legal in every state.
    fn tell_known(&mut self, attempt: &AttemptId, event: Event) -> Vec<Task> {
        self.event(attempt, event).unwrap_or_else(|illegal| {
            tracing::error!(attempt_id = %attempt, error = %illegal, "event ignored");
            Vec::new()
        })
    }

    /// Takes over what an earlier process left.
    pub fn adopt(&mut self, attempt: AttemptId, step: Step) -> Vec<Task> {
        self.settle(attempt, Origin::Adopted, step)
    }

    /// Folds in what happened to an attempt. News of one that is gone changes nothing.
    pub fn event(&mut self, attempt: &AttemptId, event: Event) -> Result<Vec<Task>, IllegalEvent> {
        let Some(entry) = self.attempts.get(attempt) else { return Ok(Vec::new()) };
        let origin = entry.origin;
        let before = entry.state.name();
        let event_name = event.name();
        let step = entry.state.clone().apply(event)?;
        tracing::debug!(attempt_id = %attempt, event = event_name, from = before, to = step.0.name(), "attempt moved");
        Ok(self.settle(attempt.clone(), origin, step))
    }

    /// The pull of an image has come this far: whoever waits for it can say so.
    pub fn pull_moved(&mut self, image: &str, progress: PullProgress) {
        self.attempts.pull_moved(image, progress);
    }

    /// Stores where an attempt stands now, and lets those begin whose turn it is.
    fn settle(&mut self, attempt: AttemptId, origin: Origin, (state, effects): Step) -> Vec<Task> {
        let mut tasks: Vec<_> = effects.into_iter().map(|effect| Task { attempt: attempt.clone(), effect }).collect();
        if state.is_queued() {
            self.turns.push_back(attempt.clone());
        }
        if state == State::Gone {
            self.attempts.remove(&attempt);
            self.ended.insert(attempt);
        } else {
            self.attempts.insert(attempt, Entry { origin, state });
        }
        tasks.extend(self.give_turns());
        tasks
    }

    /// What the engine clears away costs it as much as what it brings up, so both count. But half of the turns at least are for starts:
    /// a container that cannot be removed must not keep others from running.
    fn turns_free(&self) -> usize {
        let counts = self.attempts.counts();
        let clearing = counts.clearing_away.min(self.settings.start_limit / 2);
        self.settings.start_limit.saturating_sub(clearing + counts.taking_turns)
    }

    fn give_turns(&mut self) -> Vec<Task> {
        let mut tasks = Vec::new();
        while self.turns_free() > 0 {
            let Some(attempt) = self.turns.pop_front() else { break };
            let Some(entry) = self.attempts.get(&attempt) else { continue };
            // One that was stopped while it waited is not queued any more: the turn goes to the next.
            let Ok((state, effects)) = entry.state.clone().apply(Event::TurnCame) else { continue };
            self.attempts.insert(attempt.clone(), Entry { origin: entry.origin, state });
            tasks.extend(effects.into_iter().map(|effect| Task { attempt: attempt.clone(), effect }));
        }
        tasks
    }

    /// What a heartbeat lists (protocol rule P1).
    pub fn held(&self) -> BTreeSet<AttemptId> {
        self.attempts.iter().filter(|(_, entry)| entry.state.is_held()).map(|(attempt, _)| attempt.clone()).collect()
    }

    /// What a heartbeat says of attempts that have no container yet.
    pub fn preparing(&self) -> Vec<Preparation> {
        let preparing = self.attempts.iter().filter_map(|(attempt, entry)| {
            let awaited = entry.state.awaited()?;
            Some(Preparation { attempt: attempt.clone(), awaited })
        });
        preparing.take(PREPARING_MAX).collect()
    }

    /// Whether this process has anything to do with the attempt still.
    pub fn knows(&self, attempt: &AttemptId) -> bool {
        self.attempts.contains(attempt)
    }

    /// The order that an attempt of this process came with.
    pub fn ordered(&self, attempt: &AttemptId) -> Option<Ordered> {
        match self.attempts.get(attempt)?.origin {
            Origin::Started(_, ordered) => Some(ordered),
            Origin::Stopped | Origin::Adopted => None,
        }
    }

    /// The attempt's container, if it has been started.
    pub fn started(&self, attempt: &AttemptId) -> Option<&ContainerId> {
        self.attempts.get(attempt)?.state.started()
    }

    /// Whether nothing is under way that the next process would have to guess about.
    pub fn survives_restart(&self) -> bool {
        self.attempts.iter().all(|(_, entry)| entry.state.survives_restart())
    }

    /// What this process has to give up when another one took its name, and nothing else (protocol rule P10).
    pub fn own_claims(&self) -> Vec<OwnClaim> {
        let own = |(attempt, entry): (&AttemptId, &Entry)| match entry.origin {
            Origin::Started(nonce, _) if entry.state.is_held() => {
                Some(OwnClaim { attempt: attempt.clone(), nonce, last_words: entry.state.last_words() })
            }
            Origin::Started(..) | Origin::Stopped | Origin::Adopted => None,
        };
        self.attempts.iter().filter_map(own).collect()
    }
}

/// The attempts that ended last.
#[derive(Debug, Default)]
struct Ended {
    order: VecDeque<AttemptId>,
    set: BTreeSet<AttemptId>,
}

impl Ended {
    fn contains(&self, attempt: &AttemptId) -> bool {
        self.set.contains(attempt)
    }

    fn insert(&mut self, attempt: AttemptId) {
        if self.set.insert(attempt.clone()) {
            self.order.push_back(attempt);
        }
        while self.order.len() > ENDED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
