//! What the end of an attempt is, and what becomes of its container.

use jiff::SignedDuration;
use tickmesh_core::{end_notes::EndNotes, message::AttemptEvent, outcome::LostReason, spec::RemoveContainers};

use super::event::{Disposal, Stop, Terms, Watched, Wish};
use crate::engine::ExitState;

/// Exit code of a process that SIGKILL ended.
pub(crate) const EXIT_KILLED: i64 = 137;
/// Exit code of a process that SIGTERM ended.
const EXIT_TERMINATED: i64 = 143;

/// Why an agent takes nothing, and gives back what it has not started.
pub(crate) const NO_ENGINE: &str = "the engine of the agent's host does not answer";

/// Why an agent gives back what it has just claimed.
pub(super) const STORE_PUT_BACK: &str = "the store was put back to an older copy since the order was sent";

/// What an exit that nobody here ordered means. A process killed while nobody watched was most likely killed by the engine
/// going down, or by the host: that says nothing about the job, so its end counts as unknown.
pub(super) fn end_of(exit: &ExitState, watched: Watched) -> AttemptEvent {
    let by_signal = matches!(exit.code, EXIT_KILLED | EXIT_TERMINATED) && !exit.oom_killed;
    match watched {
        Watched::WithGaps if by_signal => AttemptEvent::Lost { reason: LostReason::EngineRestarted },
        Watched::WithGaps | Watched::Throughout => AttemptEvent::Exited {
            exit_code: exit.code,
            oom_killed: exit.oom_killed,
            unhealthy: exit.unhealthy,
            started_at: exit.started_at,
            finished_at: exit.finished_at,
        },
    }
}

/// What the exit of a container means that was being stopped; `own` is what it would mean otherwise.
///
/// Whatever came first to the attempt counts: an exit, an order to stop, or that its time was up. But the news of an exit may be slower
/// than the end of its time, so of a container whose time was up the engine's clock has the last word: one that ended within its time
/// ended by itself. And a container that was to make room has done its work if it says so: nobody asked for that work to be undone.
pub(super) fn end_of_stopped(stop: Stop, terms: Terms, exit: &ExitState, own: AttemptEvent) -> AttemptEvent {
    match stop {
        Stop::TimedOut if ended_in_time(terms, exit) => own,
        Stop::Drained if exit.code == 0 => own,
        Stop::TimedOut | Stop::Drained | Stop::Ordered => stopped(stop, Some(exit.code), exit.notes()),
    }
}

fn ended_in_time(terms: Terms, exit: &ExitState) -> bool {
    let ran =
        exit.started_at.zip(exit.finished_at).map(|(started_at, finished_at)| finished_at.duration_since(started_at));
    let limit = terms.attempt_timeout.map(|limit| SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX));
    ran.zip(limit).is_some_and(|(ran, limit)| ran < limit)
}

/// The end of an attempt that was stopped for that reason.
pub(super) fn stopped(stop: Stop, exit_code: Option<i64>, notes: EndNotes) -> AttemptEvent {
    match stop {
        Stop::Ordered => AttemptEvent::Cancelled { exit_code },
        Stop::TimedOut => AttemptEvent::TimedOut { exit_code, notes },
        Stop::Drained => AttemptEvent::Lost { reason: LostReason::Drained },
    }
}

/// What becomes of the container of an attempt that ended so. The policy is for containers that ran to an end; one that never had a
/// process shows nothing, and one of a lost attempt may be a duplicate of its replacement.
pub fn disposal_after(end: &AttemptEvent, policy: RemoveContainers) -> Disposal {
    let is_removed = match end {
        // One of which a process was killed is worth a look, whatever it exited with.
        AttemptEvent::Exited { exit_code, oom_killed, .. } => policy.removes(*exit_code == 0 && !oom_killed),
        AttemptEvent::Cancelled { .. } | AttemptEvent::TimedOut { .. } => policy.removes(false),
        AttemptEvent::Lost { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Returned { .. }
        | AttemptEvent::Claimed { .. } => true,
    };
    if is_removed { Disposal::Remove } else { Disposal::Keep }
}

/// What is said when the engine has failed an attempt that was to stop. To whoever ordered the stop it is as good as cancelled; one
/// that only had to make room goes on elsewhere, and whether it may is for its policy to say.
pub(super) fn unless_stopped(wish: Wish, event: AttemptEvent) -> AttemptEvent {
    match wish {
        Wish::Run | Wish::GiveBack | Wish::Stop(Stop::Drained) => event,
        Wish::Stop(Stop::Ordered | Stop::TimedOut) => cancelled(None),
    }
}

pub(super) fn cancelled(exit_code: Option<i64>) -> AttemptEvent {
    AttemptEvent::Cancelled { exit_code }
}

pub(super) fn could_not_start(reason: String) -> AttemptEvent {
    AttemptEvent::CouldNotStart { reason, permanent: false }
}

/// The host's policy is against it: another try would end the same way.
pub(super) fn not_allowed(reason: String) -> AttemptEvent {
    AttemptEvent::CouldNotStart { reason, permanent: true }
}

/// The engine was never asked to start it, and will not be: it runs elsewhere.
pub(super) fn returned(reason: &str) -> AttemptEvent {
    AttemptEvent::Returned { reason: reason.to_owned() }
}

pub(super) fn fenced() -> AttemptEvent {
    AttemptEvent::Lost { reason: LostReason::Fenced }
}

pub(super) fn removed() -> AttemptEvent {
    AttemptEvent::Lost { reason: LostReason::ContainerRemoved }
}

pub(super) fn not_started() -> AttemptEvent {
    AttemptEvent::Lost { reason: LostReason::NotStarted }
}
