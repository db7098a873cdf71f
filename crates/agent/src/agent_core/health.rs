//! Whether the container engine of the host answers, and what follows where it does not.
//!
//! The engine is asked with every heartbeat. A probe that fails is told with the next one, and once the engine has not answered for
//! [`Timing::no_engine`] the agent takes nothing any more and gives back what it has not asked the engine to start: the
//! leader places that elsewhere. What was started stays: its end is for the engine to tell.

use std::time::Duration;

use tickmesh_core::{
    message::{ENGINE_REASON_CHARS_MAX, EngineStock, EngineTrouble, MeshEvent},
    time,
    timing::Timing,
};

use super::{
    AgentCore, Stage,
    io::{Effect, Moment},
};
use crate::{attempt, attempt_table::EngineState, engine, error::chain};

/// What the probes of an engine have told.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When the engine answered last, as uptime of the host; `None`: nobody has asked.
    answered_at: Option<Duration>,
    /// Whether a probe is under way. There is one at a time, and each is answered.
    is_asked: bool,
    /// What came instead of the last answer. A probe that is under way says nothing: this process may have stood still.
    failure: Option<String>,
    /// The trouble has lasted for so long that it counts.
    lasting: bool,
}

impl Health {
    /// Begins a probe, unless one is under way.
    pub(super) fn probe(&mut self, now: Duration) -> Option<Effect> {
        // The engine has just listed the containers of this agent.
        self.answered_at.get_or_insert(now);
        (!std::mem::replace(&mut self.is_asked, true)).then_some(Effect::ProbeEngine)
    }

    /// Takes an answer in. Returns whether it ends a trouble that had lasted.
    fn answered(&mut self, now: Duration) -> bool {
        (self.is_asked, self.failure, self.answered_at) = (false, None, Some(now));
        std::mem::replace(&mut self.lasting, false)
    }

    fn failed(&mut self, reason: &str) {
        self.is_asked = false;
        self.failure = Some(reason.chars().take(ENGINE_REASON_CHARS_MAX).collect());
    }

    /// Returns what came instead of an answer, if the trouble has lasted for so long by now, and had not before.
    fn begins_to_last(&mut self, now: Duration, timing: &Timing) -> Option<String> {
        let reason = self.failure.as_ref().filter(|_| !self.lasting && self.silent_for(now) >= timing.no_engine)?;
        self.lasting = true;
        Some(reason.clone())
    }

    fn silent_for(&self, now: Duration) -> Duration {
        self.answered_at.map_or(Duration::ZERO, |at| now.saturating_sub(at))
    }

    /// What a heartbeat says of the engine.
    pub(super) fn trouble(&self, now: Moment) -> Option<EngineTrouble> {
        let since = time::before(now.wall, self.silent_for(now.uptime));
        self.failure.as_ref().map(|reason| EngineTrouble { since, reason: reason.clone(), lasting: self.lasting })
    }
}

impl AgentCore {
    pub(super) fn engine_answered(&mut self, stock: EngineStock, now: Duration) -> Vec<Effect> {
        self.heartbeat.take_stock(stock);
        if !self.health.answered(now) {
            return Vec::new();
        }
        tracing::info!("the engine answers again");
        self.attempts.set_engine(EngineState::Answers);
        vec![Effect::Announce(MeshEvent::EngineBack { agent: self.ownership.owner().agent.clone() })]
    }

    pub(super) fn engine_silent(&mut self, error: &engine::Error, now: Duration) -> Vec<Effect> {
        let reason = chain(error);
        tracing::warn!(error = %reason, "the engine does not answer");
        self.health.failed(&reason);
        self.look_after_engine(now)
    }

    /// Gives back what has not been started, once the engine has not answered for long.
    pub(super) fn look_after_engine(&mut self, now: Duration) -> Vec<Effect> {
        // Whoever gives up its name has given its attempts up with it.
        if let Stage::Deposed(_) | Stage::Ended = self.stage {
            return Vec::new();
        }
        let Some(reason) = self.health.begins_to_last(now, &self.timing) else { return Vec::new() };
        tracing::error!(%reason, "the engine has not answered for long: nothing is taken, what is not started is given back");
        let agent = self.ownership.owner().agent.clone();
        let mut effects = vec![Effect::Announce(MeshEvent::EngineLost { agent, reason })];
        self.attempts.set_engine(EngineState::Lost);
        let tasks = self.attempts.give_back();
        // What waits for the guard's leave to be created is not created any more.
        let abandoned = tasks.iter().filter(|task| task.effect == attempt::Effect::AbandonCreate);
        abandoned.for_each(|task| self.guard_client.forget(&task.attempt));
        effects.extend(self.for_attempts(tasks));
        effects.extend(self.leave_once_finished(now));
        effects
    }
}
