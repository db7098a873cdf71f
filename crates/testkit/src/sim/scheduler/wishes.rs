//! Wishes of people about agents: a leader carries them out step by step, as production's own [`WishWork`] says.

use std::sync::Arc;

use tickmesh_core::{
    agent_wish::{AgentKey, StepDone, WishAnswer, WishStep, WishWork},
    id::Nonce,
};
use tickmesh_messaging::Cas;
use tickmesh_scheduler::{
    effect::{Effect, Wish, WishId},
    process::Event,
};

use super::{Scheduler, effects::Tag};
use crate::sim::{
    context::SimContext,
    event::SimEvent,
    faults::Fault,
    net::{Answer, Call, Kind, Record, Write},
};

impl Scheduler {
    /// A wish reaches the process.
    pub(in crate::sim) fn wished(&mut self, context: &mut SimContext, wish: Wish) {
        if !context.processes.hears_nothing(self.place) {
            self.tell(context, Event::AgentWished(wish));
        }
    }

    /// Begins to carry a wish out.
    pub(super) fn begin_wish(&mut self, context: &mut SimContext, effect: Effect) {
        let Effect::CarryOutWish { wish, .. } = &effect else { return };
        let nonce = Nonce::from_random(context.random_bytes());
        let work = WishWork::new(wish.agent.clone(), wish.wish, context.timing.lost, nonce);
        let tag = self.tag(context, effect);
        self.next_step(context, tag, work);
    }

    /// Takes the answer to a step.
    pub(super) fn step_done(&mut self, context: &mut SimContext, tag: Tag, mut work: WishWork, answer: Answer) {
        let done = match work.step() {
            WishStep::ReadResultsEnd => answer.sequence().map(StepDone::ResultsEnd),
            WishStep::ReadClock => answer.clock().map(StepDone::Clock),
            WishStep::ReadKey => answer.last().map(|last| {
                let is_trusted = self.is_trusted(context, &tag);
                if !is_trusted {
                    context.count(Fault::WishTooLate);
                }
                StepDone::Key { key: last.map_or(AgentKey::Absent, key), is_trusted }
            }),
            WishStep::Write { .. } => answer.written().map(|written| match written {
                Cas::Stored { sequence } => StepDone::Stored(sequence),
                Cas::Refused { .. } => {
                    context.count(Fault::WishOvertaken);
                    StepDone::Overtaken
                }
            }),
            WishStep::Done(_) => None,
        };
        work.done(done.unwrap_or_else(|| StepDone::Failed("no answer".to_owned())));
        self.next_step(context, tag, work);
    }

    fn is_trusted(&self, context: &SimContext, tag: &Tag) -> bool {
        let Effect::CarryOutWish { trusted_until, .. } = &*tag.effect else { return false };
        self.moment(context).uptime < *trusted_until
    }

    fn next_step(&mut self, context: &mut SimContext, tag: Tag, work: WishWork) {
        let Effect::CarryOutWish { wish, .. } = &*tag.effect else { return };
        let subject: Arc<str> = wish.agent.as_str().into();
        let call = match work.step() {
            WishStep::ReadResultsEnd => Call::End(Kind::Results),
            WishStep::ReadClock => Call::Clock,
            WishStep::ReadKey => Call::Last { kind: Kind::Agents, subject },
            WishStep::Write { record, expected } => {
                let record = Record::Agent(Arc::new((**record).clone()));
                Call::Write(Write { kind: Kind::Agents, subject, record, expected: *expected })
            }
            WishStep::Done(answer) => {
                let event = Event::WishCarriedOut { id: wish.id, answer: answer.clone() };
                return self.ended(context, Some(tag.effect.priority()), Some(event));
            }
        };
        let patience = context.timing.lease;
        context.call_for(patience, self.address, Tag { wish: Some(Box::new(work)), ..tag }.into(), call);
    }

    /// Answers people.
    pub(super) fn answer_wish(&self, context: &mut SimContext, id: WishId, answer: WishAnswer) {
        if context.processes.hears_nothing(self.place) || context.mishap(Fault::WishAnswerLost) {
            return;
        }
        let latency = context.latency();
        context.later(latency, SimEvent::WishAnswered(id, answer));
    }
}

fn key(stored: crate::sim::net::Stored) -> AgentKey {
    let (sequence, at) = (stored.sequence, stored.at);
    match stored.record.agent() {
        Some(record) => AgentKey::Record { record: Box::new((**record).clone()), sequence, at },
        None => AgentKey::Unreadable { sequence, at, is_newer: false },
    }
}
