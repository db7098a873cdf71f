//! Global services: one replica on each agent that matches when the run begins.

use super::world::{World, agent, at, service, service_after, unscheduled};
use crate::{
    fleet::Readiness,
    ledger::{ReplicaState, Verdict},
    message::CommandKind,
    outcome::Outcome,
    spec::ServiceSpec,
};

fn everywhere() -> ServiceSpec {
    ServiceSpec { global: true, ..service(1, 1) }
}

fn world() -> World {
    World::new(unscheduled(vec![everywhere()]))
}

/// Agents of the open attempts, by index of the replica.
fn open_agents(world: &World) -> Vec<(u32, String)> {
    world.open().into_iter().map(|(id, open)| (id.replica, open.agent.to_string())).collect()
}

#[test]
fn each_agent_that_is_ready_gets_one_replica() {
    let mut world = world();
    world.set_agent("a2", Readiness::Draining, 10);
    world.set_agent("a4", Readiness::Silent, 10);
    world.run();
    assert_eq!(open_agents(&world), [(0, "a1".to_owned()), (1, "a3".to_owned())]);
    world.set_agent("a5", Readiness::Ready, 10);
    world.clock(1.0);
    assert_eq!(world.open().len(), 2, "who comes later has missed this run");
}

#[test]
fn a_replica_is_tried_again_where_it_belongs() {
    let mut world = world();
    world.run();
    let (first, _) = world.open().remove(0);
    world.claim(&first);
    world.exit(&first, 1);
    world.clock(1.0);
    let again = world.open().into_iter().find(|(id, _)| id.replica == first.replica).unwrap();
    assert_eq!((again.0.attempt, again.1.agent), (2, agent("a1")));
}

#[test]
fn a_replica_waits_for_a_slot_of_its_agent_and_takes_no_other() {
    let mut world = world();
    world.set_agent("a2", Readiness::Ready, 0);
    assert!(world.run() == Verdict::Started { run: 1 });
    assert_eq!(open_agents(&world), [(0, "a1".to_owned()), (2, "a3".to_owned())]);
    world.clock(600.0);
    assert!(matches!(world.replica(1), ReplicaState::Pending { .. }));
    world.set_agent("a2", Readiness::Ready, 1);
    world.clock(601.0);
    assert!(open_agents(&world).contains(&(1, "a2".to_owned())));
}

#[test]
fn a_replica_whose_agent_stays_away_ends_with_the_reason() {
    let mut world = world();
    world.set_agent("a2", Readiness::Ready, 0);
    world.run();
    world.set_agent("a2", Readiness::Silent, 0);
    world.clock(59.0);
    assert!(matches!(world.replica(1), ReplicaState::Pending { .. }));
    assert_eq!(world.wake_at(), Some(at(60.0)));
    world.clock(60.0);
    let outcome = Outcome::CouldNotStart { reason: "agent `a2` is silent".to_owned() };
    assert_eq!(*world.replica(1), ReplicaState::Ended { outcome, agent: Some(agent("a2")) });
}

#[test]
fn a_run_whose_last_replica_is_given_up_ends_at_once() {
    let mut world = world();
    world.set_agent("a2", Readiness::Ready, 0);
    world.run();
    for attempt in world.open().into_iter().map(|(id, _)| id).collect::<Vec<_>>() {
        world.claim(&attempt);
        world.exit(&attempt, 0);
    }
    world.fleet.see(&agent("a2"), None);
    world.clock(60.0);
    assert_eq!(
        (world.last_outcomes(), world.ledger.active.len()),
        (vec!["succeeded", "could_not_start", "succeeded"], 0)
    );
}

#[test]
fn a_new_leader_looks_for_a_while_before_it_gives_an_agent_up() {
    let mut world = world();
    world.set_agent("a2", Readiness::Ready, 0);
    world.run();
    world.set_agent("a2", Readiness::Silent, 0);
    world.now = at(300.0);
    world.take_over();
    assert!(matches!(world.replica(1), ReplicaState::Pending { .. }));
    world.clock(360.0);
    assert!(matches!(world.replica(1), ReplicaState::Ended { .. }));
}

#[test]
fn a_run_without_any_agent_waits_for_the_first() {
    let mut world = world();
    let agents = world.fleet.agents().clone();
    world.fleet.see_all(Default::default());
    world.run();
    assert_eq!((world.ledger.active.len(), world.open().len()), (1, 0));
    assert!(world.clock(30.0).unplaced);
    world.fleet.see_all(agents);
    world.clock(31.0);
    assert_eq!(world.open().len(), 3);
}

#[test]
fn a_run_that_waited_has_its_replicas_as_soon_as_it_begins() {
    let mut world = world();
    world.run();
    world.run();
    for (attempt, _) in world.open() {
        world.claim(&attempt);
        world.exit(&attempt, 0);
    }
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| (id.run, id.replica)).collect();
    assert_eq!(open, [(2, 0), (2, 1), (2, 2)]);
}

#[test]
fn a_service_that_nobody_matched_ends_with_its_run() {
    let mut world = world();
    world.fleet.see_all(Default::default());
    world.run();
    world.cancel();
    assert_eq!((world.last_outcomes(), world.ledger.active.len()), (vec!["cancelled"], 0));
}

#[test]
fn a_service_that_nobody_matched_is_skipped_like_any_other() {
    let after = ServiceSpec { global: true, ..service_after("second", &["first"]) };
    let mut world = World::new(unscheduled(vec![service_after("first", &[]), after]));
    world.run();
    let attempt = world.open_of("first");
    world.claim(&attempt);
    world.exit(&attempt, 1);
    assert_eq!(world.last_outcomes(), ["failed", "skipped", "skipped", "skipped"]);
}

#[test]
fn a_retry_goes_to_the_agents_of_before() {
    let mut world = world();
    world.run();
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    for (attempt, exit_code) in open.iter().zip([0, 0, 1]) {
        world.claim(attempt);
        world.exit(attempt, exit_code);
    }
    world.clock(1.0);
    world.finish_service("s1", 1);
    world.set_agent("a0", Readiness::Ready, 10);
    world.ask(CommandKind::Retry { run: 1 });
    assert_eq!(open_agents(&world), [(2, "a3".to_owned())]);
}
