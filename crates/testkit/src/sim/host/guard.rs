//! The guard of a host: production's guard on a simulated engine, and the line between it and its agent.

use std::time::Duration;

use tickmesh_agent::{
    conduct,
    engine::Error,
    guard::{ANSWER_PATIENCE, Effect, Event, Fate, Guard as Conduct, Memory, Settings},
    ownership::Ownership,
};

use super::{
    Host,
    requests::{EngineSays, EngineTag, Op, Reply},
};
use crate::sim::{
    census::{Address, Place},
    faults::Fault,
    ground::Ground,
    happening::Happening,
};

/// What passes between two processes of one host takes this long, so that nothing overtakes.
const LINE: Duration = Duration::from_millis(1);
/// An agent finds out that its guard is dead, and has another one, after this long.
const START: Duration = Duration::from_millis(300);

/// The guard process of a host, and what it leaves.
#[derive(Debug)]
pub(super) struct Guard {
    address: Address,
    process: Option<Conduct>,
    /// The file.
    memory: Option<Memory>,
    armed: Option<Duration>,
    alarm: u64,
}

/// What a guard is told by its agent.
#[derive(Debug)]
pub(in crate::sim) enum Word {
    /// Are you there?
    Hello,
    Event(Event),
}

impl Guard {
    pub(super) fn new(address: Address) -> Self {
        Self { address, process: None, memory: None, armed: None, alarm: 0 }
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

impl Host {
    /// The agent wants a guard that listens: the one that is there, or a new one.
    pub(super) fn find_guard(&mut self, ground: &mut Ground) {
        if self.guard.process.is_none() {
            self.start_guard(ground);
        }
        ground.later(START, Happening::ToGuard(self.guard.address, Word::Hello));
        ground.census.mind_guard(Place::Agent(self.index));
        ground.look_at_host(self.index);
        self.expect_answer_of_guard(ground);
    }

    /// The agent will not wait for its guard for ever.
    pub(in crate::sim) fn expect_answer_of_guard(&self, ground: &mut Ground) {
        ground.later(ANSWER_PATIENCE, Happening::GuardDoubted(self.guard.address));
    }

    /// The agent ends, and has left nothing to guard: that must be so.
    pub(super) fn dismiss_guard(&mut self, ground: &mut Ground) {
        if self.engine.is_busy() {
            ground.judge(Err(anyhow::anyhow!("G8: a guard is sent away while a container runs")));
        }
        self.end_guard(ground);
    }

    /// The agent kills a guard that stands still.
    pub(in crate::sim) fn guard_is_doubted(&mut self, ground: &mut Ground, address: Address) {
        let stands_still = ground.census.is_current(address) && ground.census.is_paused(address.place);
        if stands_still && ground.census.minds_guard(Place::Agent(self.index)) {
            self.kill_guard(ground);
        }
    }

    fn start_guard(&mut self, ground: &mut Ground) {
        let now = self.clock.uptime(ground);
        self.guard.address = ground.census.begin(Place::Guard(self.index));
        ground.look_at_host(self.index);
        let (ownership, boot) = (Ownership::of(self.owner.clone()), self.boot_id());
        let settings = Settings { ownership, fence: ground.timing.fence, boot };
        let (process, effects) = Conduct::begin(settings, self.guard.memory.clone(), now);
        self.guard.process = Some(process);
        self.begin_for_guard(ground, effects);
    }

    pub(super) fn tell_guard(&self, ground: &mut Ground, event: Event) {
        ground.later(LINE, Happening::ToGuard(self.guard.address, Word::Event(event)));
    }

    pub(in crate::sim) fn guard_is_told(&mut self, ground: &mut Ground, word: Word) {
        match word {
            Word::Hello => self.tell_agent(ground, conduct::Event::GuardReady),
            Word::Event(event) => self.fold_for_guard(ground, event),
        }
    }

    pub(in crate::sim) fn guard_wakes(&mut self, ground: &mut Ground, alarm: u64) {
        if alarm == self.guard.alarm {
            self.guard.armed = None;
            self.fold_for_guard(ground, Event::Woken);
        }
    }

    pub(in crate::sim) fn engine_answers_guard(&mut self, ground: &mut Ground, says: EngineSays) {
        let event = match (says.op, says.reply) {
            (Op::List(_), Ok(Reply::List(containers))) => Event::Listed { containers },
            (Op::List(_), _) => Event::Unlisted,
            (Op::Kill(container), reply) => Event::KillAnswered { container, fate: fate(&reply) },
            (_, _) => return,
        };
        self.fold_for_guard(ground, event);
    }

    fn fold_for_guard(&mut self, ground: &mut Ground, event: Event) {
        let now = self.clock.uptime(ground);
        let Some(process) = &mut self.guard.process else { return };
        let effects = process.fold(event, now);
        self.begin_for_guard(ground, effects);
    }

    fn begin_for_guard(&mut self, ground: &mut Ground, effects: Vec<Effect>) {
        for (index, effect) in effects.into_iter().enumerate() {
            if index > 0 && ground.mishap(Fault::CrashBetweenEffects) {
                return self.kill_guard(ground);
            }
            match effect {
                Effect::Remember(memory) => self.remember(ground, memory),
                Effect::List => self.ask_for_guard(ground, Op::List(self.owner.filter())),
                Effect::Kill { container } => self.ask_for_guard(ground, Op::Kill(container)),
                Effect::Remove { container } => self.ask_for_guard(ground, Op::Remove(container)),
                Effect::Answer(answer) => self.tell_agent(ground, conduct::Event::GuardAnswered(answer)),
            }
        }
        self.arm_guard(ground);
    }

    fn remember(&mut self, ground: &mut Ground, memory: Memory) {
        if memory.standing == tickmesh_agent::guard::Standing::Fenced {
            ground.count(Fault::GuardFenced);
        }
        self.guard.memory = Some(memory);
    }

    fn ask_for_guard(&self, ground: &mut Ground, op: Op) {
        ground.ask_engine(self.index, Duration::ZERO, self.guard.address, EngineTag::Guard, op);
    }

    fn tell_agent(&self, ground: &mut Ground, event: conduct::Event) {
        if let Some(agent) = &self.agent {
            ground.later(LINE, Happening::ToAgent(agent.address, Box::new(event)));
        }
    }

    fn arm_guard(&mut self, ground: &mut Ground) {
        let Some(process) = &self.guard.process else { return };
        let at = process.wake_at().map(|uptime| self.clock.true_time(uptime).max(ground.now));
        if at != self.guard.armed
            && let Some(at) = at
        {
            self.guard.alarm += 1;
            ground.agenda.put(at, Happening::Wake(self.guard.address, self.guard.alarm));
        }
        self.guard.armed = at;
    }

    pub(in crate::sim) fn kill_guard(&mut self, ground: &mut Ground) {
        self.end_guard(ground);
        self.tell_agent(ground, conduct::Event::GuardLost);
    }

    fn end_guard(&mut self, ground: &mut Ground) {
        ground.census.end(Place::Guard(self.index));
        self.guard.kill();
        self.guard.armed = None;
        ground.look_at_host(self.index);
    }
}

fn fate(reply: &Result<Reply, Error>) -> Fate {
    match reply {
        Ok(_) => Fate::Killed,
        Err(Error::NotFound { .. } | Error::CouldNotStart { .. }) => Fate::HadEnded,
        Err(Error::Unavailable { .. } | Error::NoSuchImage { .. } | Error::NameTaken { .. }) => Fate::Unknown,
    }
}
