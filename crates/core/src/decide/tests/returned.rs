//! Attempts that an agent gives back because its engine does not answer.

use std::time::Duration;

use super::world::*;
use crate::{
    decide::Input,
    fleet::Readiness,
    ledger::ReplicaState,
    message::AttemptEvent,
    name::AgentName,
    outcome::Outcome,
    spec::{LOSSES_MAX, OnLost},
    time,
};

fn returned() -> AttemptEvent {
    AttemptEvent::Returned { reason: "no engine".to_owned() }
}

/// Claims the only open attempt and has it given back. Returns its agent.
fn give_back(world: &mut World) -> AgentName {
    let (attempt, open) = world.open().remove(0);
    world.claim(&attempt);
    world.report(&attempt, returned());
    open.agent
}

#[test]
fn what_is_given_back_is_placed_elsewhere_after_a_heartbeat() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let sick = give_back(&mut world);
    let ReplicaState::Pending { not_before, .. } = world.replica(0).clone() else { panic!("not pending") };
    assert!(not_before <= time::after(world.now, Duration::from_secs(2)), "{not_before}");
    world.set_agent(sick.as_str(), Readiness::NoEngine, 10);
    world.now = not_before;
    assert_eq!(world.decide(Input::Clock).starts().len(), 1);
    assert_ne!(world.open()[0].1.agent, sick);
    world.finish(0);
    assert_eq!(world.last_summary().outcome, Outcome::Succeeded);
}

/// Neither uses up a retry: the service has none.
#[test]
fn what_is_given_back_is_neither_an_attempt_nor_a_loss() {
    let mut spec = unscheduled(vec![service(1, 0)]);
    let mut run = (*spec.run()).clone();
    run.on_lost = OnLost::Fail;
    spec.run = run.into();
    let mut world = World::new(spec);
    world.run();
    for _ in 0..=LOSSES_MAX + 1 {
        give_back(&mut world);
        let replica = &world.ledger.active[0].services()[0].replicas[0];
        assert_eq!((replica.failures, replica.losses), (0, 0));
        world.now = time::after(world.now, Duration::from_secs(2));
        world.decide(Input::Clock);
    }
    world.finish(0);
    assert_eq!(world.last_summary().outcome, Outcome::Succeeded);
}

#[test]
fn what_is_given_back_in_a_run_that_is_being_stopped_ends_with_it() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.cancel();
    world.report(&attempt, returned());
    assert_eq!(world.last_outcomes(), ["cancelled"]);
}
