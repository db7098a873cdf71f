//! What the steps of an attempt's life are made of.

use std::{sync::Arc, time::Duration};

use tickmesh_core::message::{AttemptEvent, PullProgress, Revoker};

use super::{
    Phase, State, Step,
    end::{NO_ENGINE, STORE_PUT_BACK, cancelled, disposal_after, end_of, not_allowed, not_started, returned},
    event::{Claimed, Disposal, Effect, Job, OutputFrom, Remains, Stop, Terms, Watched, Wish},
};
use crate::engine::{ContainerId, ExitState, Image};

/// A claim that is stored this long after its order arrived creates nothing. It is tried until NATS answers, however long
/// that takes; but the leader may have revoked the attempt meanwhile, the run may be over, and an hour later the revocation
/// that would refuse the claim is purged (protocol rule P14). A fraction of that hour, and far more than the half minute after
/// which a leader revokes what nobody claims: whoever is this late has missed an outage, and the leader has long decided.
pub(super) const CLAIM_DELAY_MAX: Duration = Duration::from_secs(10 * 60);

pub(super) fn still(state: State) -> Step {
    (state, Vec::new())
}

pub(super) fn gone() -> Step {
    still(State::Gone)
}

/// What is said about an attempt whose claim was never sent.
pub(super) fn not_claimed(wish: Wish) -> AttemptEvent {
    match wish {
        Wish::Run => revoked("the agent was cut off meanwhile"),
        Wish::GiveBack => revoked(NO_ENGINE),
        Wish::Stop(_) => cancelled(None),
    }
}

pub(super) fn revoked(reason: &str) -> AttemptEvent {
    AttemptEvent::Revoked { by: Revoker::Agent, reason: reason.to_owned() }
}

pub(super) fn claim_stored(job: Arc<Job>, wish: Wish, sequence: u64, at: Duration) -> Step {
    let claimed = Claimed { sequence, terms: Terms::of(&job.order) };
    let is_late = at.saturating_sub(job.ordered_at) >= CLAIM_DELAY_MAX;
    match (wish, &job.verdict) {
        (Wish::Stop(_), _) => end_without(claimed, cancelled(None)),
        // The attempt may have ended in what the store has lost, and another run may be active.
        (Wish::Run | Wish::GiveBack, _) if sequence <= job.results_seen => {
            end_without(claimed, returned(STORE_PUT_BACK))
        }
        (Wish::GiveBack, _) => end_without(claimed, returned(NO_ENGINE)),
        (Wish::Run, Err(refusal)) => end_without(claimed, not_allowed(refusal.to_string())),
        (Wish::Run, Ok(())) if is_late => end_without(claimed, not_started()),
        (Wish::Run, Ok(())) => {
            let container = &job.order.container;
            let pull = Effect::Pull { image: Image::of(container), policy: container.pull_policy };
            let phase = Phase::Pulling { job, progress: PullProgress::default() };
            (State::Claimed { claimed, phase }, vec![pull])
        }
    }
}

pub(super) fn started(claimed: Claimed, container: ContainerId, wish: Wish) -> Step {
    match wish {
        Wish::Run | Wish::GiveBack => run(claimed, container, OutputFrom::Beginning),
        Wish::Stop(why) => {
            let watch = Effect::Watch { container: container.clone(), output: OutputFrom::Beginning };
            let (state, mut effects) = stop(claimed, container, Watched::Throughout, why);
            effects.insert(0, watch);
            (state, effects)
        }
    }
}

/// Watches a container that has been started, by whomever, and has its time kept.
pub(super) fn run(claimed: Claimed, container: ContainerId, output: OutputFrom) -> Step {
    let watched = match output {
        OutputFrom::Beginning => Watched::Throughout,
        OutputFrom::LastStored => Watched::WithGaps,
    };
    let mut effects = vec![Effect::Watch { container: container.clone(), output }];
    let time = |limit| Effect::Time { container: container.clone(), limit };
    effects.extend(claimed.terms.attempt_timeout.map(time));
    (State::Claimed { claimed, phase: Phase::Running { container, watched } }, effects)
}

pub(super) fn stop(claimed: Claimed, container: ContainerId, watched: Watched, stop: Stop) -> Step {
    let effect = Effect::Stop { container: container.clone() };
    (State::Claimed { claimed, phase: Phase::Stopping { container, watched, stop } }, vec![effect])
}

pub(super) fn exited(claimed: Claimed, container: ContainerId, exit: &ExitState, watched: Watched) -> Step {
    end_by_policy(claimed, container, end_of(exit, watched))
}

/// Removes a container before the end of its attempt is told: the replacement may begin as soon as that is stored.
pub(super) fn clear(claimed: Claimed, container: ContainerId, end: AttemptEvent) -> Step {
    (State::Claimed { claimed, phase: Phase::Clearing { end } }, vec![Effect::Remove { container }])
}

/// Sends the end of an attempt.
pub(super) fn end(claimed: Claimed, event: AttemptEvent, remains: Remains) -> Step {
    let report = Effect::Report { claim_sequence: claimed.sequence, event: event.clone() };
    (State::Claimed { claimed, phase: Phase::Ending { event, remains } }, vec![report])
}

pub(super) fn end_without(claimed: Claimed, event: AttemptEvent) -> Step {
    end(claimed, event, Remains::Nothing)
}

/// Gives up what is under way before anything else is done.
pub(super) fn abandon(what: Effect, (state, mut effects): Step) -> Step {
    effects.insert(0, what);
    (state, effects)
}

pub(super) fn end_and_remove(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    end(claimed, event, Remains::Unused(container))
}

pub(super) fn end_by_policy(claimed: Claimed, container: ContainerId, event: AttemptEvent) -> Step {
    let disposal = disposal_after(&event, claimed.terms.remove_containers);
    end(claimed, event, Remains::Ended { container, disposal })
}

/// The end is known to everybody: what it left goes its way. `judge` has the last word on a container that ran.
pub(super) fn dispose(remains: Remains, judge: impl FnOnce(Disposal) -> Disposal) -> Step {
    match remains {
        Remains::Nothing => gone(),
        Remains::Unused(container) => State::adopt_leftover(container),
        Remains::Ended { container, disposal } => State::adopt_ended(container, judge(disposal)),
    }
}
