//! The agent's side of its guard (protocol rules P4, P15, P16): what needs the guard's leave waits here for its answer.
//!
//! The guard is asked before a claim is sent, before a container is created and before it is started; and whether it was the guard,
//! when a container was killed and nobody here did it. While the guard is being restarted nothing of this goes on. Without a
//! guard, everything goes through at once.

use std::{collections::BTreeMap, time::Duration};

use tickmesh_core::{id::AttemptId, spec::OnDisconnect};

use super::io::Effect;
use crate::{
    attempt::{self, EXIT_KILLED},
    attempt_table::{Ordered, Task},
    engine::{ContainerId, ExitState},
    guard::{Answer, Matter, Question, Verdict},
};

/// Whether the agent has a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarding {
    /// Nobody ends its containers when it is cut off.
    Absent,
    /// A guard does, and is asked.
    Present,
}

/// What waits for the guard.
#[derive(Debug)]
pub(super) struct GuardClient {
    link: Link,
    pending: BTreeMap<AttemptId, Pending>,
}

/// Whether the guard can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Absent,
    Down,
    Up,
}

/// A question that is not answered, and what follows from the answer.
#[derive(Debug)]
struct Pending {
    matter: Matter,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Do(attempt::Effect),
    TellExit(ExitState),
}

/// What an answer lets happen.
#[derive(Debug)]
pub(super) enum Release {
    /// This is done.
    Do(Task),
    /// This has happened to the attempt.
    Tell(AttemptId, attempt::Event),
}

/// What becomes of news about an attempt.
#[derive(Debug)]
pub(super) enum News {
    /// They are told at once.
    Tell(attempt::Event),
    /// The guard has to be asked first, if it is there.
    Ask(Option<Effect>),
}

impl GuardClient {
    pub(super) fn new(guarding: Guarding) -> Self {
        let link = match guarding {
            Guarding::Absent => Link::Absent,
            Guarding::Present => Link::Down,
        };
        Self { link, pending: BTreeMap::new() }
    }

    /// Whether there is a guard, dead or alive.
    pub(super) fn is_guarded(&self) -> bool {
        self.link != Link::Absent
    }

    /// Whether the guard listens.
    pub(super) fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// The guard is gone. No answer of it comes any more.
    pub(super) fn lost(&mut self) {
        self.link = Link::Down;
    }

    /// A guard listens: what is open is asked, for the first time or again.
    pub(super) fn ready(&mut self) -> Vec<Effect> {
        self.link = Link::Up;
        let question = |(attempt, pending): (&AttemptId, &Pending)| {
            Effect::AskGuard(Question { attempt: attempt.clone(), matter: pending.matter.clone() })
        };
        self.pending.iter().map(question).collect()
    }

    /// Lets a task through, or asks first.
    pub(super) fn pass(&mut self, task: Task, ordered: Option<Ordered>) -> Option<Effect> {
        match ordered.and_then(|ordered| needs_leave(&task.effect, ordered)) {
            Some(ordered_at) if self.is_guarded() => {
                self.ask(task.attempt, Matter::GoingOn { ordered_at }, Then::Do(task.effect))
            }
            Some(_) | None => Some(Effect::Attempt(task)),
        }
    }

    /// Lets news through, or asks first: who killed a container decides what its end is.
    pub(super) fn news(&mut self, attempt: &AttemptId, event: attempt::Event, container: Option<&ContainerId>) -> News {
        match (event, container) {
            (attempt::Event::Exited(exit), Some(container)) if exit.code == EXIT_KILLED && self.is_guarded() => {
                News::Ask(self.ask(attempt.clone(), Matter::Death(container.clone()), Then::TellExit(exit)))
            }
            (event, _) => News::Tell(event),
        }
    }

    fn ask(&mut self, attempt: AttemptId, matter: Matter, then: Then) -> Option<Effect> {
        let question = Question { attempt: attempt.clone(), matter: matter.clone() };
        self.pending.insert(attempt, Pending { matter, then });
        self.is_up().then_some(Effect::AskGuard(question))
    }

    /// Forgets what an attempt asked for: it is not to be done any more, whatever the guard answers.
    pub(super) fn forget(&mut self, attempt: &AttemptId) {
        self.pending.remove(attempt);
    }

    /// The guard has answered.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<Release> {
        let Answer { attempt, verdict } = answer;
        let Pending { then, .. } = self.pending.remove(&attempt)?;
        Some(match (then, verdict) {
            (Then::Do(effect), Verdict::Clear) => Release::Do(Task { attempt, effect }),
            (Then::Do(_), Verdict::Fenced) => Release::Tell(attempt, attempt::Event::Fenced),
            (Then::TellExit(exit), Verdict::Clear) => Release::Tell(attempt, attempt::Event::Exited(exit)),
            (Then::TellExit(exit), Verdict::Fenced) => Release::Tell(attempt, attempt::Event::KilledByGuard(exit)),
        })
    }
}

/// When the order came for which the guard's leave is needed; `None`: it is not needed. A container that goes on without the mesh
/// is claimed like any other, and nobody fences it after that.
fn needs_leave(effect: &attempt::Effect, ordered: Ordered) -> Option<Duration> {
    let needed = match effect {
        attempt::Effect::Claim { .. } => true,
        attempt::Effect::Create { .. } | attempt::Effect::Start { .. } => ordered.on_disconnect == OnDisconnect::Stop,
        attempt::Effect::Decline { .. }
        | attempt::Effect::Pull { .. }
        | attempt::Effect::AbandonPull
        | attempt::Effect::AbandonCreate
        | attempt::Effect::Watch { .. }
        | attempt::Effect::Time { .. }
        | attempt::Effect::Stop { .. }
        | attempt::Effect::Report { .. }
        | attempt::Effect::Collect { .. }
        | attempt::Effect::Remove { .. } => false,
    };
    needed.then_some(ordered.at)
}
