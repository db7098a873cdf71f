//! Signs that NATS stores nothing of what schedulers write, although it answers, and stores other things. After a full disk a server
//! does so, stream by stream, until it is restarted; a trial write may meet a stream that has room left in its last block.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tickmesh_client::views::scheduler::{SchedulerState, SchedulerView};
use tickmesh_messaging::{LEASE_KEY, Mesh};

use super::STORAGE_HINT;
use crate::views::doctor::Check;

/// A lease that is free, and wanted, is taken within three terms also by schedulers that doubt their clocks.
const TAKEN_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// Looks at the lease, if schedulers answer that would take it. An error is left to the looks at what cannot be read.
pub(super) async fn check(mesh: &Mesh, schedulers: &[SchedulerView]) -> Option<Check> {
    let lease = mesh.lease().read(LEASE_KEY).await.ok()??;
    let now = mesh.lease().clock().await.ok()?;
    judged(schedulers, lease.at, now)
}

fn judged(schedulers: &[SchedulerView], written_at: Timestamp, now: Timestamp) -> Option<Check> {
    let in_state = |state| schedulers.iter().filter(move |scheduler| scheduler.state == state);
    // One that has just started may not have had the time.
    let waits = |scheduler: &&SchedulerView| now.duration_since(scheduler.since) > TAKEN_WITHIN;
    let waiting = in_state(SchedulerState::StandingBy).filter(waits).count();
    let leads = in_state(SchedulerState::Leading).chain(in_state(SchedulerState::Doubting)).count();
    let unwritten = now.duration_since(written_at);
    if waiting == 0 || leads > 0 || unwritten <= TAKEN_WITHIN {
        return None;
    }
    let unwritten = Duration::from_secs(unwritten.as_secs().unsigned_abs());
    let who = if waiting == 1 { "a scheduler stands by".to_owned() } else { format!("{waiting} schedulers stand by") };
    let text = format!("{who}, and nobody could write the lease for {unwritten:?}: NATS stores nothing there");
    Some(Check::wrong("storage", text, STORAGE_HINT))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds before the look at which each scheduler began with what it does, and at which the lease was written last.
    #[track_caller]
    fn check(schedulers: &[(SchedulerState, i64)], written: i64, is_found: bool) {
        let at = |ago: i64| Timestamp::from_second(1_000_000 - ago).unwrap();
        let scheduler = |(state, ago): &(SchedulerState, i64)| SchedulerView {
            id: "p1".to_owned(),
            host: "h1".to_owned(),
            state: *state,
            since: at(*ago),
            epoch: None,
            version: None,
            build: None,
            reason: None,
        };
        let schedulers: Vec<_> = schedulers.iter().map(scheduler).collect();
        assert_eq!(judged(&schedulers, at(written), at(0)).is_some(), is_found);
    }

    #[test]
    fn lease_that_nobody_can_take_is_not_stored() {
        use SchedulerState::{Leading, Preparing, StandingBy};
        check(&[(StandingBy, 60), (StandingBy, 20)], 47, true);
        check(&[(StandingBy, 60)], 10, false);
        check(&[(StandingBy, 10)], 47, false);
        check(&[(Leading, 60), (StandingBy, 60)], 47, false);
        check(&[(Preparing, 60)], 47, false);
        check(&[], 47, false);
    }
}
