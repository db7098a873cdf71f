//! The agents that have a slot free, best first: placement takes from the front, and never looks at all of a large fleet.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, btree_set},
};

use super::{
    agent::{AgentView, Readiness},
    load::Load,
};
use crate::name::AgentName;

/// An agent that is ready and has slots free. The least is the best: most free slots, then the first by name.
///
/// Free slots, not taken ones: a large host carries more before it counts as the busier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vacancy {
    /// How many; at least one.
    pub free_slots: Reverse<u32>,
    /// Whose.
    pub agent: AgentName,
}

impl Vacancy {
    /// That of an agent as it is; `None`: it has none.
    pub(super) fn of(agent: &AgentName, view: &AgentView, load: Load) -> Option<Self> {
        let free_slots = view.free_slots(load);
        let has = view.readiness == Readiness::Ready && free_slots > 0;
        has.then(|| Self { free_slots: Reverse(free_slots), agent: agent.clone() })
    }
}

/// All of a fleet, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vacancies(BTreeSet<Vacancy>);

impl Vacancies {
    /// An agent had that and has this now.
    pub(super) fn change(&mut self, before: Option<Vacancy>, after: Option<Vacancy>) {
        if before != after {
            if let Some(before) = before {
                self.0.remove(&before);
            }
            self.0.extend(after);
        }
    }

    pub(super) fn iter(&self) -> btree_set::Iter<'_, Vacancy> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
