//! The agents that fit one service of a run, best first.
//!
//! Most agents have nothing of the run: they come in the fleet's own order, and each is looked at when it is needed and not before. Those
//! that have replicas of the run, or that this decision has bound something to, have another rank, and are in a heap beside.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, btree_set},
};

use super::{Placement, Wanted};
use crate::{
    fleet::{Load, Vacancy},
    name::AgentName,
};

/// How many replicas of the run each agent has.
pub type Spread = BTreeMap<AgentName, u32>;

/// The agents that fit one service of a run. Good for as long as nothing but its own replicas is placed.
#[derive(Debug)]
pub struct Candidates<'c> {
    wanted: Wanted<'c>,
    spread: Spread,
    /// Those that were not looked at yet.
    vacancies: btree_set::Iter<'c, Vacancy>,
    /// The best of them, once it was looked for.
    next: Option<Rank<'c>>,
    /// Those whose rank is not the fleet's.
    ranked: BinaryHeap<Reverse<Rank<'c>>>,
}

/// How good a candidate is: the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'c> {
    /// Of this run.
    replicas: u32,
    free_slots: Reverse<u32>,
    agent: &'c AgentName,
}

impl<'c> Candidates<'c> {
    pub(super) fn new<'a: 'c>(placement: &Placement<'a>, wanted: Wanted<'c>, spread: Spread) -> Self {
        let vacancies = placement.fleet.vacancies();
        let mut candidates = Self { wanted, spread, vacancies, next: None, ranked: BinaryHeap::new() };
        let bound = placement.changed.keys().filter(|agent| !candidates.spread.contains_key(*agent));
        let ranks =
            candidates.spread.iter().map(|(agent, replicas)| (agent, *replicas)).chain(bound.map(|agent| (agent, 0)));
        candidates.ranked = ranks.filter_map(|(agent, replicas)| candidates.rank(placement, agent, replicas)).collect();
        candidates
    }

    /// What each replica takes.
    pub fn load(&self) -> Load {
        self.wanted.load
    }

    /// Takes the best of them out, but `avoid` only if it is the last one.
    pub(super) fn take<'a: 'c>(
        &mut self,
        placement: &Placement<'a>,
        avoid: Option<&AgentName>,
    ) -> Option<&'c AgentName> {
        let best = self.pop(placement)?;
        if avoid != Some(best.agent) {
            return Some(best.agent);
        }
        let Some(second) = self.pop(placement) else { return Some(best.agent) };
        self.ranked.push(Reverse(best));
        Some(second.agent)
    }

    /// Notes that one of them got a replica: it comes again, if there is room for another.
    pub(super) fn bound<'a: 'c>(&mut self, placement: &Placement<'a>, agent: &AgentName) {
        let replicas = self.spread.entry(agent.clone()).or_default();
        *replicas += 1;
        let replicas = *replicas;
        self.ranked.extend(self.rank(placement, agent, replicas));
    }

    fn pop<'a: 'c>(&mut self, placement: &Placement<'a>) -> Option<Rank<'c>> {
        if self.next.is_none() {
            self.next = self.next_vacancy(placement);
        }
        let is_next = match (&self.next, self.ranked.peek()) {
            (Some(next), Some(Reverse(ranked))) => next < ranked,
            (next, _) => next.is_some(),
        };
        if is_next { self.next.take() } else { self.ranked.pop().map(|Reverse(rank)| rank) }
    }

    /// The best agent that has nothing of the run and nothing of this decision.
    fn next_vacancy<'a: 'c>(&mut self, placement: &Placement<'a>) -> Option<Rank<'c>> {
        let Self { wanted, spread, vacancies, .. } = self;
        let fits = |agent: &AgentName| {
            let is_ranked = spread.contains_key(agent) || placement.changed.contains_key(agent);
            !is_ranked
                && placement.fleet.agent(agent).is_some_and(|view| placement.obstacle(agent, view, wanted).is_none())
        };
        let Vacancy { free_slots, agent } = vacancies.find(|vacancy| fits(&vacancy.agent))?;
        Some(Rank { replicas: 0, free_slots: *free_slots, agent })
    }

    /// The rank of an agent with so many replicas of the run; `None`: it does not fit.
    fn rank<'a: 'c>(&self, placement: &Placement<'a>, agent: &AgentName, replicas: u32) -> Option<Reverse<Rank<'c>>> {
        let (agent, view) = placement.fleet.agents().get_key_value(agent)?;
        let fits = placement.obstacle(agent, view, &self.wanted).is_none();
        let free_slots = Reverse(view.free_slots(placement.load(agent)));
        fits.then_some(Reverse(Rank { replicas, free_slots, agent }))
    }
}
