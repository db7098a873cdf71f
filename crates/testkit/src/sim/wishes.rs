//! Wishes of people about agents. Each is asked of a scheduler that seems to lead, again and again for a while. Nobody wishes
//! something else of an agent before the wish before was answered or given up.

use std::{collections::BTreeMap, time::Duration};

use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    name::AgentName,
};
use tickmesh_scheduler::effect::{Wish, WishId};

use super::{context::SimContext, event::SimEvent, faults::Fault, process_table::Address};

/// How long somebody asks, as production's command line does.
const ASK_WITHIN: Duration = Duration::from_secs(8);
/// How long one scheduler has for its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// The wishes that are open.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    open: BTreeMap<AgentName, Open>,
    /// Each try has a number of its own.
    last: WishId,
}

/// A wish that was not answered yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    wish: AgentWish,
    /// Its last try.
    id: WishId,
    /// When it is given up.
    until: Duration,
}

impl Wishes {
    /// Somebody wishes something of an agent, unless a wish about it is open.
    pub(super) fn begin(&mut self, context: &mut SimContext, agent: &AgentName, wish: AgentWish) {
        if self.open.contains_key(agent) {
            return;
        }
        context.witness.wish_begun(agent);
        self.open.insert(agent.clone(), Open { wish, id: 0, until: context.now + ASK_WITHIN });
        context.later(Duration::ZERO, SimEvent::Ask(agent.clone()));
    }

    /// Asks a scheduler; `None`: nobody seems to lead.
    pub(super) fn ask(&mut self, context: &mut SimContext, agent: &AgentName, scheduler: Option<Address>) {
        let Some(open) = self.open.get_mut(agent) else { return };
        if open.until <= context.now {
            self.open.remove(agent);
            context.count(Fault::WishGivenUp);
            return;
        }
        let Some(scheduler) = scheduler else {
            return context.later(PAUSE, SimEvent::Ask(agent.clone()));
        };
        self.last += 1;
        open.id = self.last;
        let wish = Wish { id: open.id, agent: agent.clone(), wish: open.wish };
        context.later(ANSWER_WITHIN, SimEvent::WishUnanswered(agent.clone(), open.id));
        if !context.mishap(Fault::WishLost) {
            let latency = context.latency();
            context.later(latency, SimEvent::Wished(scheduler, wish));
        }
    }

    /// A try has had its time.
    pub(super) fn unanswered(&mut self, context: &mut SimContext, agent: &AgentName, id: WishId) {
        if self.open.get(agent).is_some_and(|open| open.id == id) {
            context.later(Duration::ZERO, SimEvent::Ask(agent.clone()));
        }
    }

    /// Somebody hears what came of a wish. An answer to a try that was given up goes nowhere.
    pub(super) fn answered(&mut self, context: &mut SimContext, id: WishId, answer: &WishAnswer) {
        let found = self.open.iter_mut().find(|(_, open)| open.id == id);
        let Some((agent, open)) = found else { return };
        let (agent, wish) = (agent.clone(), open.wish);
        match answer {
            WishAnswer::NotLeading | WishAnswer::Busy | WishAnswer::Failed { .. } => {
                // It is not asked again for want of an answer as well.
                open.id = 0;
                return context.later(PAUSE, SimEvent::Ask(agent));
            }
            WishAnswer::Granted { sequence, .. } => granted(context, &agent, wish, *sequence),
            WishAnswer::Refused { .. } if wish == AgentWish::Forget => context.count(Fault::ForgetRefused),
            WishAnswer::Refused { .. } | WishAnswer::UnknownAgent { .. } => {}
        }
        self.open.remove(&agent);
    }
}

fn granted(context: &mut SimContext, agent: &AgentName, wish: AgentWish, sequence: u64) {
    let (fault, draining) = match wish {
        AgentWish::Drain { deadline_ms: None } => (Fault::AgentDrained, true),
        AgentWish::Drain { deadline_ms: Some(_) } => (Fault::DrainedBy, true),
        AgentWish::Undrain => (Fault::AgentUndrained, false),
        AgentWish::Forget => return context.count(Fault::AgentForgotten),
    };
    context.count(fault);
    let seen = context.witness.wish_granted(agent, draining, sequence);
    context.judge(seen);
}
