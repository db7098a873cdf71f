//! The guard: ends the containers of an agent that is cut off, before the leader runs their replicas elsewhere. Pure: events in,
//! effects out.
//!
//! It stands beside the agent, so that it acts also while the agent is killed or frozen. Every *acknowledged* heartbeat moves its
//! deadline to that heartbeat's send time and the fence on; nothing else does.
//!
//! ```text
//!            fed                                  the engine lists nothing to end, and there is a
//!          +-----+                                          deadline that has not passed
//!          v     |                             +----------------------------------------------+
//!        clear --+-- the deadline passes --> fenced: sweep, again and again --> swept: waits to be fed
//!          ^                                                                                  |
//!          +----------------------------------------------------------------------------------+
//! ```
//!
//! A deadline that passed stays passed (protocol rule P4): what was ordered before the guard is clear again is never claimed,
//! created or started; [`Verdict::Fenced`] is the answer. What the guard does not know, because it and its file are gone, it
//! learns from the agent, which tells every new guard of its last acknowledged heartbeat (rule P15).

mod io;
mod kills;
mod memory;
mod sweep;

use std::time::Duration;

pub use self::{
    io::{Answer, Effect, Event, Fate, Matter, Question, Verdict},
    memory::{Memory, Standing},
};
use self::{
    kills::{Begun, Kills},
    sweep::{Finding, Sweep, look_through},
};
use crate::{
    engine::{ContainerId, ContainerView},
    ownership::Ownership,
};

/// How long a guard waits for one answer of its engine. An engine that has come back owes no answer to what it was asked before,
/// so this is short beside the kill margin (10 s): the guard that asks again at once ends everything in time.
pub const ENGINE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an agent waits for a guard that does not answer. One that stands still guards nobody, so it is killed, and another one
/// takes its place: long before a deadline (45 s) of which it might know.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What a guard begins with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose containers it may end.
    pub ownership: Ownership,
    /// How long after the last acknowledged heartbeat was sent.
    pub fence: Duration,
    /// This boot of the host, or empty.
    pub boot: String,
}

/// One guard process.
#[derive(Debug)]
pub struct Guard {
    settings: Settings,
    deadline: Deadline,
    standing: Standing,
    sweep: Option<Sweep>,
    kills: Kills,
}

/// When the containers are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    /// The last heartbeat is known.
    Known(Duration),
    /// It is not: the fence counts from the guard's start, until somebody tells.
    Assumed(Duration),
}

impl Deadline {
    fn at(self) -> Duration {
        match self {
            Self::Known(at) | Self::Assumed(at) => at,
        }
    }
}

impl Guard {
    /// A guard that begins now, with what the one before left in its file.
    pub fn begin(settings: Settings, memory: Option<Memory>, now: Duration) -> (Self, Vec<Effect>) {
        let is_of_this_boot = |memory: &Memory| !settings.boot.is_empty() && memory.boot == settings.boot;
        let (deadline, standing, killed) = match memory.filter(is_of_this_boot) {
            Some(Memory { deadline, standing, killed, .. }) => (Deadline::Known(deadline), standing, killed),
            None => (Deadline::Assumed(now + settings.fence), Standing::Clear { since: Duration::ZERO }, Vec::new()),
        };
        let mut guard = Self { settings, deadline, standing, sweep: None, kills: Kills::of(killed) };
        let mut effects = guard.pass(now);
        if guard.standing == Standing::Fenced && guard.sweep.is_none() {
            effects.push(guard.begin_sweep());
        }
        (guard, effects)
    }

    /// Folds in what happened at `now`, an uptime of the host, and says what is to be done.
    pub fn fold(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        // First of all: a deadline that passed is not moved by what comes after it.
        let mut effects = self.pass(now);
        effects.extend(match event {
            Event::Fed { sent_at } => self.fed(sent_at, now),
            Event::Asked(question) => self.asked(question),
            Event::Listed { containers } => self.listed(&containers, now),
            Event::Unlisted => self.unlisted(now),
            Event::KillAnswered { container, fate } => self.kill_answered(&container, fate),
            Event::Woken => self.woken(now),
        });
        effects
    }

    /// Whether a deadline passed and nothing is left to end. The process may then go, unless its agent is connected: whoever needs
    /// a guard again starts one.
    pub fn has_swept(&self) -> bool {
        self.standing == Standing::Fenced && self.sweep.is_none()
    }

    /// When [`Event::Woken`] is due. It may come early, late and often.
    pub fn wake_at(&self) -> Option<Duration> {
        match self.standing {
            Standing::Clear { .. } => Some(self.deadline.at()),
            Standing::Fenced => self.sweep.and_then(Sweep::wake_at),
        }
    }

    /// Raises the fence if the deadline has passed.
    fn pass(&mut self, now: Duration) -> Vec<Effect> {
        if self.standing == Standing::Fenced || now < self.deadline.at() {
            return Vec::new();
        }
        tracing::error!(deadline = ?self.deadline.at(), "no heartbeat was acknowledged in time: containers are ended");
        self.standing = Standing::Fenced;
        vec![self.remember(), self.begin_sweep()]
    }

    fn begin_sweep(&mut self) -> Effect {
        let (sweep, look) = Sweep::begin();
        self.sweep = Some(sweep);
        look
    }

    fn remember(&self) -> Effect {
        let (boot, deadline, standing) = (self.settings.boot.clone(), self.deadline.at(), self.standing);
        Effect::Remember(Memory { boot, deadline, standing, killed: self.kills.all() })
    }

    fn fed(&mut self, sent_at: Duration, now: Duration) -> Vec<Effect> {
        let deadline = sent_at + self.settings.fence;
        let moves = match self.deadline {
            // Whatever the agent knows is better than a guess, also if it is worse news.
            Deadline::Assumed(_) => true,
            // An acknowledgement that is so late that its own deadline is over revives nobody.
            Deadline::Known(known) => known < deadline && now < deadline,
        };
        if !moves {
            return Vec::new();
        }
        self.deadline = Deadline::Known(deadline);
        let mut effects = vec![self.remember()];
        effects.extend(self.pass(now));
        effects.extend(self.clear_if_swept(now));
        effects
    }

    fn asked(&mut self, question: Question) -> Vec<Effect> {
        let Question { attempt, matter } = question;
        let answer = match matter {
            Matter::GoingOn { ordered_at } => Some(Answer { attempt, verdict: self.verdict_on(ordered_at) }),
            Matter::Death(container) => self.kills.ask(container, attempt),
        };
        answer.map(Effect::Answer).into_iter().collect()
    }

    fn verdict_on(&self, ordered_at: Duration) -> Verdict {
        match self.standing {
            Standing::Clear { since } if since < ordered_at => Verdict::Clear,
            Standing::Clear { .. } | Standing::Fenced => Verdict::Fenced,
        }
    }

    fn listed(&mut self, containers: &[ContainerView], now: Duration) -> Vec<Effect> {
        let Some(sweep) = &mut self.sweep else { return Vec::new() };
        match look_through(containers, &self.settings.ownership) {
            Finding::Swept => {
                self.sweep = None;
                self.clear_if_swept(now)
            }
            Finding::Dirty(mut effects) => {
                sweep.pause(now);
                let mut remember = false;
                effects.retain(|effect| match effect {
                    Effect::Kill { container } => match self.kills.begin(container) {
                        Begun::First => {
                            remember = true;
                            true
                        }
                        Begun::Again => true,
                        Begun::UnderWay => false,
                    },
                    Effect::Remember(_) | Effect::List | Effect::Remove { .. } | Effect::Answer(_) => true,
                });
                let remember = remember.then(|| self.remember());
                remember.into_iter().chain(effects).collect()
            }
        }
    }

    fn kill_answered(&mut self, container: &ContainerId, fate: Fate) -> Vec<Effect> {
        let answers = self.kills.end(container, fate);
        // Whoever reads the file must not take the blame for an end that came before the kill.
        let forget = (fate == Fate::HadEnded).then(|| self.remember());
        forget.into_iter().chain(answers.into_iter().map(Effect::Answer)).collect()
    }

    fn unlisted(&mut self, now: Duration) -> Vec<Effect> {
        if let Some(sweep) = &mut self.sweep {
            sweep.retry(now);
        }
        Vec::new()
    }

    fn woken(&mut self, now: Duration) -> Vec<Effect> {
        self.sweep.as_mut().and_then(|sweep| sweep.woken(now)).into_iter().collect()
    }

    /// Opens the way for what is ordered from now on, once nothing is left to end and the agent is connected again.
    fn clear_if_swept(&mut self, now: Duration) -> Vec<Effect> {
        if self.standing != Standing::Fenced || self.sweep.is_some() || self.deadline.at() <= now {
            return Vec::new();
        }
        tracing::info!("the agent is connected again, and nothing is left to end");
        self.standing = Standing::Clear { since: now };
        vec![self.remember()]
    }
}

#[cfg(test)]
mod tests;
