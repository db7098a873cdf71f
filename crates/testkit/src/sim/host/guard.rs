//! The guard of a host: production's guard on a simulated engine, and the line between it and its agent.

use std::time::Duration;

use tickmesh_agent::{
    agent_core,
    engine::Error,
    guard::{ANSWER_PATIENCE, Effect, Event, Fate, Guard as GuardCore, Memory, Settings},
    ownership::Ownership,
};

use super::{
    Host,
    requests::{EngineSays, EngineTag, Op, Reply},
};
use crate::sim::{
    context::SimContext,
    event::SimEvent,
    faults::Fault,
    process_table::{Address, Place},
};

/// What passes between two processes of one host takes this long, so that nothing overtakes.
const LINE: Duration = Duration::from_millis(1);
/// An agent finds out that its guard is dead, and has another one, after this long.
const START: Duration = Duration::from_millis(300);

/// The guard process of a host, and what it leaves.
#[derive(Debug)]
pub(super) struct Guard {
    address: Address,
    process: Option<GuardCore>,
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
    pub(super) fn find_guard(&mut self, context: &mut SimContext) {
        if self.guard.process.is_none() {
            self.start_guard(context);
        }
        context.later(START, SimEvent::ToGuard(self.guard.address, Word::Hello));
        context.processes.mind_guard(Place::Agent(self.index));
        context.look_at_host(self.index);
        self.expect_answer_of_guard(context);
    }

    /// The agent will not wait for its guard for ever.
    pub(in crate::sim) fn expect_answer_of_guard(&self, context: &mut SimContext) {
        context.later(ANSWER_PATIENCE, SimEvent::GuardDoubted(self.guard.address));
    }

    /// The agent ends, and has left nothing to guard: that must be so.
    pub(super) fn dismiss_guard(&mut self, context: &mut SimContext) {
        if self.engine.is_busy() {
            context.judge(Err(anyhow::anyhow!("G8: a guard is sent away while a container runs")));
        }
        self.end_guard(context);
    }

    /// The agent kills a guard that stands still.
    pub(in crate::sim) fn guard_is_doubted(&mut self, context: &mut SimContext, address: Address) {
        let stands_still = context.processes.is_current(address) && context.processes.is_paused(address.place);
        if stands_still && context.processes.minds_guard(Place::Agent(self.index)) {
            self.kill_guard(context);
        }
    }

    fn start_guard(&mut self, context: &mut SimContext) {
        let now = self.clock.uptime(context);
        self.guard.address = context.processes.begin(Place::Guard(self.index));
        context.look_at_host(self.index);
        let (ownership, boot) = (Ownership::of(self.owner.clone()), self.boot_id());
        let settings = Settings { ownership, fence: context.timing.fence, boot };
        let (process, effects) = GuardCore::begin(settings, self.guard.memory.clone(), now);
        self.guard.process = Some(process);
        self.begin_for_guard(context, effects);
    }

    pub(super) fn tell_guard(&self, context: &mut SimContext, event: Event) {
        context.later(LINE, SimEvent::ToGuard(self.guard.address, Word::Event(event)));
    }

    pub(in crate::sim) fn guard_is_told(&mut self, context: &mut SimContext, word: Word) {
        match word {
            Word::Hello => self.tell_agent(context, agent_core::Event::GuardReady),
            Word::Event(event) => self.fold_for_guard(context, event),
        }
    }

    pub(in crate::sim) fn guard_wakes(&mut self, context: &mut SimContext, alarm: u64) {
        if alarm == self.guard.alarm {
            self.guard.armed = None;
            self.fold_for_guard(context, Event::Woken);
        }
    }

    pub(in crate::sim) fn engine_answers_guard(&mut self, context: &mut SimContext, says: EngineSays) {
        let event = match (says.op, says.reply) {
            (Op::List(_), Ok(Reply::List(containers))) => Event::Listed { containers },
            (Op::List(_), _) => Event::Unlisted,
            (Op::Kill(container), reply) => Event::KillAnswered { container, fate: fate(&reply) },
            (_, _) => return,
        };
        self.fold_for_guard(context, event);
    }

    fn fold_for_guard(&mut self, context: &mut SimContext, event: Event) {
        let now = self.clock.uptime(context);
        let Some(process) = &mut self.guard.process else { return };
        let effects = process.fold(event, now);
        self.begin_for_guard(context, effects);
    }

    fn begin_for_guard(&mut self, context: &mut SimContext, effects: Vec<Effect>) {
        for (index, effect) in effects.into_iter().enumerate() {
            if index > 0 && context.mishap(Fault::CrashBetweenEffects) {
                return self.kill_guard(context);
            }
            match effect {
                Effect::Remember(memory) => self.remember(context, memory),
                Effect::List => self.ask_for_guard(context, Op::List(self.owner.filter())),
                Effect::Kill { container } => self.ask_for_guard(context, Op::Kill(container)),
                Effect::Remove { container } => self.ask_for_guard(context, Op::Remove(container)),
                Effect::Answer(answer) => self.tell_agent(context, agent_core::Event::GuardAnswered(answer)),
            }
        }
        self.arm_guard(context);
    }

    fn remember(&mut self, context: &mut SimContext, memory: Memory) {
        if memory.standing == tickmesh_agent::guard::Standing::Fenced {
            context.count(Fault::GuardFenced);
        }
        self.guard.memory = Some(memory);
    }

    fn ask_for_guard(&self, context: &mut SimContext, op: Op) {
        context.ask_engine(self.index, Duration::ZERO, self.guard.address, EngineTag::Guard, op);
    }

    fn tell_agent(&self, context: &mut SimContext, event: agent_core::Event) {
        if let Some(agent) = &self.agent {
            context.later(LINE, SimEvent::ToAgent(agent.address, Box::new(event)));
        }
    }

    fn arm_guard(&mut self, context: &mut SimContext) {
        let Some(process) = &self.guard.process else { return };
        let at = process.wake_at().map(|uptime| self.clock.true_time(uptime).max(context.now));
        if at != self.guard.armed
            && let Some(at) = at
        {
            self.guard.alarm += 1;
            context.agenda.put(at, SimEvent::Wake(self.guard.address, self.guard.alarm));
        }
        self.guard.armed = at;
    }

    pub(in crate::sim) fn kill_guard(&mut self, context: &mut SimContext) {
        self.end_guard(context);
        self.tell_agent(context, agent_core::Event::GuardLost);
    }

    fn end_guard(&mut self, context: &mut SimContext) {
        context.processes.end(Place::Guard(self.index));
        self.guard.kill();
        self.guard.armed = None;
        context.look_at_host(self.index);
    }
}

fn fate(reply: &Result<Reply, Error>) -> Fate {
    match reply {
        Ok(_) => Fate::Killed,
        Err(Error::NotFound { .. } | Error::CouldNotStart { .. }) => Fate::HadEnded,
        Err(Error::Unavailable { .. } | Error::NoSuchImage { .. } | Error::NameTaken { .. }) => Fate::Unknown,
    }
}
