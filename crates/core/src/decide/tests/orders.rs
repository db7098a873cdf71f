//! Orders are wake-ups: sent when decided, again while reality disagrees, and taken back when nobody comes.

use super::{
    super::Record,
    world::{World, at, every_ten_seconds, revoked, service, unscheduled},
};
use crate::{
    id::Epoch,
    message::{AttemptEvent, OrderKind, Revoker},
};

fn started() -> World {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    world
}

#[test]
fn an_order_says_all_that_the_agent_needs() {
    let mut world = World::new(every_ten_seconds());
    let answer = world.clock(10.0);
    let order = answer.orders()[0];
    assert_eq!((order.epoch, &order.agent), (Epoch(1), &world.open()[0].1.agent));
    let OrderKind::Start(start) = &order.kind else { panic!("{order:?}") };
    assert_eq!((start.replicas, start.scheduled_at), (1, Some(at(10.0))));
    assert_eq!(start.cause, world.ledger.active[0].cause);
    assert_eq!(start.container, service(1, 0).container);
}

#[test]
fn a_start_that_nobody_claims_is_sent_again_and_then_revoked() {
    let mut world = started();
    let id = world.only_open();
    for seconds in [5.0, 10.0, 15.0, 20.0, 25.0] {
        assert!(world.clock(seconds - 0.001).actions.is_empty());
        assert_eq!(world.clock(seconds).starts(), [&id]);
    }
    let answer = world.clock(30.0);
    assert!(matches!(answer.stored()[..], [(_, AttemptEvent::Revoked { by: Revoker::Leader, .. }, 0)]), "{answer:?}");
    assert!(answer.starts().is_empty());

    // Until the word is stored, the attempt stays open: the agent may have been faster.
    assert_eq!(world.only_open(), id);
    assert_eq!(world.clock(35.0).stored().len(), 1);
    world.report(&id, revoked(Revoker::Leader));
    // It is not asked again as fast as messages travel.
    assert!(world.open().is_empty());
    world.clock(37.0);
    assert_eq!(world.only_open().attempt, 2);
}

#[test]
fn a_claim_that_beats_the_revocation_stands() {
    let mut world = started();
    let id = world.only_open();
    world.clock(30.0);
    world.claim(&id);
    assert!(world.clock(60.0).actions.is_empty());
    world.exit(&id, 0);
    assert!(world.ledger.active.is_empty());
}

#[test]
fn a_claimed_start_is_not_sent_again() {
    let mut world = started();
    let id = world.only_open();
    world.claim(&id);
    assert!(world.clock(3_600.0).actions.is_empty());
}

#[test]
fn a_new_leader_sends_with_its_own_epoch() {
    let mut world = started();
    world.now = at(6.0);
    let answer = world.take_over();
    assert_eq!(answer.orders()[0].epoch, Epoch(2));
}

#[test]
fn an_order_may_only_be_sent_once_its_attempt_is_recorded() {
    let mut world = World::new(every_ten_seconds());
    let answer = world.clock(10.0);
    assert_eq!((answer.record, answer.starts().len()), (Record::Due, 1));
    // Saying it again needs no record.
    let answer = world.clock(15.0);
    assert_eq!((answer.record, answer.starts().len()), (Record::WithNext, 1));
}
