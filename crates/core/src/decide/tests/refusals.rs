//! Hosts that refuse what they allow by name: the replica moves on, until nobody is left.

use super::world::*;
use crate::{
    decide::Input,
    fleet::Readiness,
    ledger::{Ledger, ReplicaState},
    message::AttemptEvent,
    name::AgentName,
    outcome::Outcome,
    spec::ServiceSpec,
};

fn refusal() -> AttemptEvent {
    AttemptEvent::CouldNotStart { reason: "leads to /secret".to_owned(), permanent: true }
}

fn refused() -> Outcome {
    Outcome::CouldNotStart { reason: "leads to /secret".to_owned() }
}

/// Has the agent of an open attempt refuse it. Returns the agent.
fn refuse(world: &mut World) -> AgentName {
    let (attempt, open) = world.open().remove(0);
    world.claim(&attempt);
    world.report(&attempt, refusal());
    open.agent
}

/// No retry is used up: the service has none.
#[test]
fn refusal_of_one_host_moves_the_replica_to_another_at_once() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let mut refusers = vec![refuse(&mut world), refuse(&mut world)];
    refusers.push(world.open()[0].1.agent.clone());
    refusers.sort();
    assert_eq!(refusers, ["a1", "a2", "a3"].map(agent));
    world.finish(0);
    assert_eq!(world.last_summary().outcome, Outcome::Succeeded);
}

#[test]
fn refusal_is_final_once_nobody_is_left_who_takes_work() {
    let mut world = World::new(unscheduled(vec![service(1, 3)]));
    world.set_agent("a3", Readiness::Silent, 10);
    world.run();
    refuse(&mut world);
    refuse(&mut world);
    assert_eq!(world.last_summary().outcome, refused());
}

#[test]
fn siblings_do_not_ask_the_host_that_refused() {
    let mut world = World::new(unscheduled(vec![service(3, 0)]));
    world.run();
    let refuser = refuse(&mut world);
    assert_eq!(world.open().iter().filter(|(_, open)| open.agent == refuser).count(), 0);
    // The refusal is in the ledger: whoever leads next knows it.
    let stored = serde_json::to_string(&world.ledger).unwrap();
    world.ledger = serde_json::from_str::<Ledger>(&stored).unwrap();
    world.take_over();
    for name in ["a1", "a2", "a3"].map(agent).into_iter().filter(|name| *name != refuser) {
        world.set_agent(name.as_str(), Readiness::Draining, 10);
    }
    let (attempt, _) = world.open().remove(0);
    world.report(&attempt, revoked(crate::message::Revoker::Agent));
    world.now = crate::time::after(world.now, std::time::Duration::from_secs(3));
    let answer = world.decide(Input::Clock);
    assert!(answer.unplaced && answer.starts().is_empty(), "{answer:?}");
}

#[test]
fn sibling_that_waits_ends_with_the_last_refusal() {
    let mut world = World::new(unscheduled(vec![service(2, 0)]));
    world.fleet.see(&agent("a3"), None);
    for name in ["a1", "a2"] {
        world.set_agent(name, Readiness::Ready, 1);
    }
    world.run();
    let (first, second) = (world.open()[0].clone(), world.open()[1].clone());
    for (attempt, _) in [&first, &second] {
        world.claim(attempt);
    }
    // The other host is full: it waits for that.
    assert!(world.report(&first.0, refusal()).unplaced);
    world.report(&second.0, refusal());
    assert_eq!(world.last_outcomes(), ["could_not_start", "could_not_start"]);
    let told: Vec<String> = world.last_summary().replicas.iter().map(|it| it.outcome.to_string()).collect();
    assert!(
        told.contains(&"could not start (refused by a1, a2, and no other agent may take it)".to_owned()),
        "{told:?}"
    );
}

#[test]
fn host_that_drains_may_take_it_later() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    world.set_agent("a2", Readiness::Draining, 10);
    world.set_agent("a3", Readiness::NoEngine, 10);
    refuse(&mut world);
    assert!(matches!(world.replica(0), ReplicaState::Pending { .. }));
    world.set_agent("a2", Readiness::Ready, 10);
    assert_eq!(world.clock(1.0).starts().len(), 1);
    world.set_agent("a2", Readiness::Silent, 10);
    world.set_agent("a3", Readiness::Silent, 10);
    refuse(&mut world);
    assert_eq!(world.last_summary().outcome, refused());
}

#[test]
fn replica_of_a_global_service_has_nowhere_else_to_go() {
    let mut world = World::new(unscheduled(vec![ServiceSpec { global: true, ..service(1, 1) }]));
    world.run();
    refuse(&mut world);
    let refused_one =
        |index: usize| matches!(world.replica(index), ReplicaState::Ended { outcome, .. } if *outcome == refused());
    assert_eq!((0..3).filter(|index| refused_one(*index)).count(), 1);
    assert_eq!(world.open().len(), 2);
}
