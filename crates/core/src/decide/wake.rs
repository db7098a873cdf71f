//! When the clock must be looked at again, so that nobody has to poll.

use jiff::Timestamp;

use super::{Tenure, notices::tell_at, orders::overdue_at, progress::deadline};
use crate::{
    ledger::{ActiveRun, Ledger, Standing},
    spec::AppSpec,
    time,
    timing::Timing,
};

/// The next moment at which [`super::Input::Clock`] changes something, if nothing else happens before; `None`: never.
/// Replicas that no agent takes are not counted, since the fleet's next change decides about them; but for those of global
/// services, which do not wait for their agents for ever.
pub fn wake_at(
    ledger: &Ledger,
    spec: Option<&AppSpec>,
    timing: &Timing,
    tenure: Tenure,
    now: Timestamp,
) -> Option<Timestamp> {
    let run = |run: &ActiveRun| {
        let given_up = give_up_at(run, timing, tenure, now);
        [run.next_pending_after(now), overdue_at(run, timing, now), deadline(run), given_up]
    };
    let told = tell_at(ledger, spec, timing);
    ledger.active.iter().flat_map(run).flatten().chain(next_instant(ledger, spec)).chain(told).min()
}

/// When a replica of a global service has waited for its agent as long as it does.
fn give_up_at(run: &ActiveRun, timing: &Timing, tenure: Tenure, now: Timestamp) -> Option<Timestamp> {
    let gone_since = time::before(now, timing.lost);
    let waits_since =
        if gone_since < tenure.since { run.pinned_since()?.max(tenure.since) } else { run.pinned_after(gone_since)? };
    Some(time::after(waits_since, timing.lost))
}

/// When the next instant falls due. A paused app decides none.
fn next_instant(ledger: &Ledger, spec: Option<&AppSpec>) -> Option<Timestamp> {
    let spec = spec.filter(|_| ledger.standing == Standing::Applied && ledger.pause.is_none())?;
    let instant = spec.schedule.as_ref()?.next_after(ledger.decided_through)?;
    Some(time::after(instant, spec.offset()))
}
