//! Which containers the guard has killed (protocol rule P16). The agent asks when one of them has ended.

use std::collections::{BTreeSet, VecDeque};

use tickmesh_core::id::AttemptId;

use super::io::{Answer, Fate, Verdict};
use crate::engine::ContainerId;

/// Kills that are remembered. The agent asks as soon as a container has ended; these are many times what one host runs.
const KILLS_MAX: usize = 4_096;

/// Kills, done and under way.
#[derive(Debug, Default)]
pub(super) struct Kills {
    done: BTreeSet<ContainerId>,
    order: VecDeque<ContainerId>,
    under_way: BTreeSet<ContainerId>,
    /// Who wants to know what a kill that is under way has come to.
    waiting: Vec<(ContainerId, AttemptId)>,
}

/// What becomes of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is sent, the first of this container.
    First,
    /// It is sent again.
    Again,
    /// The one before is not answered yet.
    UnderWay,
}

impl Kills {
    /// What the guard before has left. Of a kill that was under way nobody knows the fate.
    pub(super) fn of(killed: Vec<ContainerId>) -> Self {
        let mut kills = Self::default();
        for container in killed {
            kills.remember(&container);
        }
        kills
    }

    /// Everything that was killed, or is about to be; oldest first.
    pub(super) fn all(&self) -> Vec<ContainerId> {
        let under_way = self.under_way.iter().filter(|container| !self.done.contains(*container));
        self.order.iter().chain(under_way).cloned().collect()
    }

    /// A container is to be killed. One kill at a time: the answer to a second one would say that there was no process any more.
    pub(super) fn begin(&mut self, container: &ContainerId) -> Begun {
        if !self.under_way.insert(container.clone()) {
            return Begun::UnderWay;
        }
        if self.done.contains(container) { Begun::Again } else { Begun::First }
    }

    /// The engine has answered. A kill that nobody knows the fate of counts: the agent asks about a container that was killed.
    pub(super) fn end(&mut self, container: &ContainerId, fate: Fate) -> Vec<Answer> {
        self.under_way.remove(container);
        match fate {
            Fate::Killed | Fate::Unknown => self.remember(container),
            Fate::HadEnded => {}
        }
        let verdict = self.verdict_on(container);
        let waiting = self.waiting.extract_if(.., |(asked, _)| asked == container);
        waiting.map(|(_, attempt)| Answer { attempt, verdict }).collect()
    }

    /// Whether the guard killed it; `None`: that will be answered later.
    pub(super) fn ask(&mut self, container: ContainerId, attempt: AttemptId) -> Option<Answer> {
        let verdict = self.verdict_on(&container);
        if verdict == Verdict::Clear && self.under_way.contains(&container) {
            self.waiting.push((container, attempt));
            return None;
        }
        Some(Answer { attempt, verdict })
    }

    fn verdict_on(&self, container: &ContainerId) -> Verdict {
        if self.done.contains(container) { Verdict::Fenced } else { Verdict::Clear }
    }

    fn remember(&mut self, container: &ContainerId) {
        if self.done.insert(container.clone()) {
            self.order.push_back(container.clone());
        }
        while self.order.len() > KILLS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.done.remove(&oldest);
            }
        }
    }
}
