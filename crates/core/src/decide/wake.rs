//! When the clock must be looked at again, so that nobody has to poll.

use jiff::Timestamp;

use super::{orders::overdue_at, progress::deadline};
use crate::{
    ledger::{ActiveRun, Ledger, Standing},
    spec::AppSpec,
    time,
    timing::Timing,
};

/// The next moment at which [`super::Input::Clock`] changes something, if nothing else happens before; `None`: never.
/// Replicas that no agent takes are not counted: the fleet's next change decides about them. The same holds for those of
/// global services whose agents are gone: that is asked of a leader that has looked for long enough, at each change.
pub fn wake_at(ledger: &Ledger, spec: Option<&AppSpec>, timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let run = |run: &ActiveRun| [run.next_pending_after(now), overdue_at(run, timing, now), deadline(run)];
    ledger.active.iter().flat_map(run).flatten().chain(next_instant(ledger, spec)).min()
}

/// When the next instant falls due. A paused app decides none.
fn next_instant(ledger: &Ledger, spec: Option<&AppSpec>) -> Option<Timestamp> {
    let spec = spec.filter(|_| ledger.standing == Standing::Applied && ledger.pause.is_none())?;
    let instant = spec.schedule.as_ref()?.next_after(ledger.decided_through)?;
    Some(time::after(instant, spec.offset()))
}
