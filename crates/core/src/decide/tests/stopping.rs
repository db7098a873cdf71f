//! Runs that are cancelled: they end only when every attempt is over (guarantee G1).

use super::{
    super::Record,
    world::{World, app, at, exited, revoked, service, unscheduled},
};
use crate::{
    ledger::{ReplicaState, State},
    message::{AttemptEvent, OrderKind, Revoker},
    outcome::Outcome,
};

fn cancelled_before_claim() -> AttemptEvent {
    AttemptEvent::Cancelled { exit_code: None }
}

#[test]
fn cancel_ends_pending_replicas_and_stops_open_ones() {
    let mut world = World::new(unscheduled(vec![service(32, 0)]));
    world.run();
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    let answer = world.cancel();
    assert_eq!(answer.stops(), open.iter().collect::<Vec<_>>());
    assert!(answer.starts().is_empty());
    assert_eq!(answer.record, Record::Due);
    for index in [30, 31] {
        assert_eq!(*world.replica(index), ReplicaState::Ended { outcome: Outcome::Cancelled, agent: None });
    }
    assert_eq!(world.ledger.state(), State::Stopping);
}

#[test]
fn a_run_ends_only_after_every_attempt_and_only_then_the_next_one_starts() {
    let mut world = World::new(app("@every 10s", vec![service(3, 2)]));
    world.clock(10.0);
    world.clock(20.0);
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    world.claim(&open[0]);
    world.claim(&open[1]);
    world.cancel();
    world.report(&open[0], AttemptEvent::Cancelled { exit_code: Some(143) });
    assert_eq!((world.ledger.active[0].number, world.ledger.queue.len()), (1, 1));
    world.report(&open[1], exited(0));
    assert_eq!((world.ledger.active[0].number, world.ledger.queue.len()), (1, 1));
    let answer = world.report(&open[2], cancelled_before_claim());
    assert_eq!((world.ledger.active[0].number, world.ledger.queue.len()), (2, 0));
    assert_eq!(answer.starts().len(), 3);

    let summary = &world.ledger.history.pending[0];
    assert_eq!((summary.run, &summary.outcome), (1, &Outcome::Cancelled));
    let outcomes: Vec<_> = summary.replicas.iter().map(|replica| replica.outcome.label()).collect();
    assert_eq!(outcomes, ["cancelled", "succeeded", "cancelled"]);
}

#[test]
fn nothing_of_a_stopping_run_is_tried_again() {
    let mut world = World::new(unscheduled(vec![service(1, 3)]));
    world.run();
    let id = world.only_open();
    world.claim(&id);
    world.cancel();
    world.exit(&id, 1);
    let summary = &world.ledger.history.pending[0];
    assert_eq!((&summary.outcome, summary.replicas[0].attempts), (&Outcome::failed(1), 1));
}

#[test]
fn a_replica_in_its_pause_is_cancelled_at_once() {
    let mut world = World::new(unscheduled(vec![service(1, 3)]));
    world.run();
    world.finish(1);
    world.cancel();
    assert_eq!(world.ledger.history.pending[0].outcome, Outcome::Cancelled);
    assert!(world.ledger.active.is_empty());
}

#[test]
fn a_claim_that_overtakes_a_stop_is_told_to_stop_at_once() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    world.cancel();
    world.now = at(0.1);
    assert_eq!(world.claim(&id).stops(), [&id]);
}

#[test]
fn a_stop_is_sent_again_while_the_attempt_is_held() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    world.claim(&id);
    world.cancel();
    for seconds in [5.0, 10.0, 15.0] {
        assert!(world.clock(seconds - 0.1).actions.is_empty());
        assert_eq!(world.clock(seconds).stops(), [&id]);
    }
}

#[test]
fn a_stop_that_nobody_takes_ends_with_the_attempt_revoked() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    world.cancel();
    for seconds in [5.0, 10.0, 15.0, 20.0, 25.0] {
        assert_eq!(world.clock(seconds).stops(), [&id]);
    }
    let answer = world.clock(30.0);
    assert!(
        matches!(answer.stored()[..], [(revoked, AttemptEvent::Revoked { .. }, 0)] if *revoked == id),
        "{answer:?}"
    );
    world.report(&id, revoked(Revoker::Leader));
    assert_eq!(world.ledger.history.pending[0].outcome, Outcome::Cancelled);
}

#[test]
fn cancel_twice_is_cancel_once() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    world.cancel();
    let orders = world.cancel();
    assert!(orders.actions.is_empty(), "{orders:?}");
}

#[test]
fn a_stopping_run_gets_stops_only() {
    let mut world = World::new(unscheduled(vec![service(4, 3)]));
    world.run();
    world.cancel();
    for second in 1..40 {
        let answer = world.clock(f64::from(second));
        assert!(answer.orders().iter().all(|order| order.kind == OrderKind::Stop));
    }
}
