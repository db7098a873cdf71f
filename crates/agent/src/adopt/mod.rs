//! What an agent process does, before its first heartbeat, with the containers that an earlier one left (protocol rule P2). Pure.
//!
//! The engine knows what each container is doing, the attempt's subject knows what has been said about it. The subject is
//! the truth: a container whose attempt has ended there is nobody's any more. So for each container of a complete list the
//! last message on its attempt's subject is read, and [`decide_adoption`] says what becomes of it.

mod decision;

use std::collections::{BTreeMap, VecDeque};

use tickmesh_core::id::AttemptId;

pub use self::decision::{Adoption, decide_adoption};
use crate::{
    attempt::{Claimed, LastReport, State, Step},
    engine::{ContainerId, ContainerStatus, ContainerView},
    labels::Tag,
    ownership::Ownership,
};

/// The containers that were found and are not looked into yet, first come first.
#[derive(Debug)]
pub(crate) struct Inventory {
    found: VecDeque<(Tag, ContainerView)>,
}

impl Inventory {
    /// All of this agent that are in a complete list.
    pub(crate) fn of(containers: Vec<ContainerView>, ownership: &Ownership) -> Self {
        let tagged = |container: ContainerView| Some((ownership.tag_of(&container)?, container));
        let mut found: VecDeque<(Tag, ContainerView)> = containers.into_iter().filter_map(tagged).collect();
        let mut ours: BTreeMap<AttemptId, (bool, bool, ContainerId)> = BTreeMap::new();
        for (tag, container) in &found {
            let is_named = ownership.container_name(&tag.attempt) == container.name;
            let rank = (!is_named, container.status != ContainerStatus::Running, container.id.clone());
            let best = ours.entry(tag.attempt.clone()).or_insert_with(|| rank.clone());
            *best = rank.min(best.clone());
        }
        // Somebody may have copied a container with its labels: ours is the one with the name of the attempt, else one that runs.
        found.retain(|(tag, container)| {
            let is_ours = ours.get(&tag.attempt).is_some_and(|(.., id)| *id == container.id);
            if !is_ours {
                tracing::warn!(attempt_id = %tag.attempt, container = %container.id, "a copy of a container is left alone");
            }
            is_ours
        });
        Self { found }
    }

    /// The attempt whose last report is needed next; `None`: all are looked into.
    pub(crate) fn next(&self) -> Option<&AttemptId> {
        self.found.front().map(|(tag, _)| &tag.attempt)
    }

    /// What that attempt is for this process, now that its last report is known. `None`: its container is left as it is.
    pub(crate) fn look_into(&mut self, last: Option<&LastReport>) -> Option<(AttemptId, Step)> {
        let (tag, container) = self.found.pop_front()?;
        let step = step(&tag, container, last)?;
        Some((tag.attempt, step))
    }
}

/// How an attempt begins whose container was found, by the last message on its subject. `None`: the container is left as it is.
pub fn step(tag: &Tag, container: ContainerView, last: Option<&LastReport>) -> Option<Step> {
    let decision = decide_adoption(tag, &container.status, last.map(|last| &last.event));
    tracing::info!(attempt_id = %tag.attempt, container = %container.id, ?decision, "container found");
    let sequence = last.map_or(tag.claim_sequence, |last| last.sequence);
    let claimed = Claimed { sequence, terms: tag.terms };
    match decision {
        Adoption::Watch => Some(State::adopt_started(claimed, container.id)),
        Adoption::Clear => Some(State::adopt_created(claimed, container.id)),
        Adoption::Collect(disposal) => Some(State::adopt_ended(container.id, disposal)),
        Adoption::Remove => Some(State::adopt_leftover(container.id)),
        Adoption::Keep => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tickmesh_core::message::AttemptEvent;

    use super::*;
    use crate::{attempt::Effect, engine::ContainerStatus, fixture};

    /// What is begun for a container that exited, whose attempt was claimed, and has ended if that is said.
    #[track_caller]
    fn check(ended: bool, expected: impl FnOnce(&Effect) -> bool) {
        let (attempt, nonce) = (fixture::attempt(), fixture::nonce(1));
        let tag = Tag { attempt, nonce, claim_sequence: 7, terms: fixture::terms() };
        let exit = fixture::exit(0);
        let end = AttemptEvent::Exited {
            exit_code: 0,
            oom_killed: false,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
        let event = if ended { end } else { AttemptEvent::Claimed { nonce, machine: fixture::machine() } };
        let container = ContainerView {
            id: fixture::container_id(),
            name: String::new(),
            labels: BTreeMap::new(),
            labels_are_own: true,
            status: ContainerStatus::Exited(exit),
        };
        let (_, effects) =
            step(&tag, container, Some(&LastReport { sequence: 8, event })).expect("it is not left alone");
        assert!(effects.first().is_some_and(expected), "{effects:?}");
    }

    #[test]
    fn the_output_of_an_ended_attempt_is_collected_before_its_container_goes() {
        check(true, |effect| matches!(effect, Effect::Collect { .. }));
    }

    #[test]
    fn what_exited_and_is_not_reported_is_watched_to_its_report() {
        check(false, |effect| matches!(effect, Effect::Watch { .. }));
    }
}
