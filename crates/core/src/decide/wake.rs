//! When the clock must be looked at again, so that nobody has to poll.

use jiff::Timestamp;

use super::orders::overdue_at;
use crate::{
    ledger::{Ledger, Phase, ReplicaState, Standing},
    spec::AppSpec,
    timing::Timing,
};

/// The next moment at which [`super::Input::Clock`] changes something, if nothing else happens before; `None`: never.
/// Replicas that no agent takes are not counted: the fleet's next change decides about them.
pub fn wake_at(ledger: &Ledger, spec: Option<&AppSpec>, timing: &Timing, now: Timestamp) -> Option<Timestamp> {
    let instant = spec
        .filter(|_| ledger.standing == Standing::Applied)
        .and_then(|spec| spec.schedule.as_ref())
        .and_then(|schedule| schedule.next_after(ledger.decided_through));
    let runs = ledger.active.iter().flat_map(|run| {
        run.replicas().filter_map(move |(_, _, replica)| match &replica.state {
            ReplicaState::Pending { not_before, .. } => {
                (run.phase == Phase::Running && *not_before > now).then_some(*not_before)
            }
            ReplicaState::Open(open) => overdue_at(open, &run.phase, timing, now),
            ReplicaState::Ended { .. } => None,
        })
    });
    runs.chain(instant).min()
}
