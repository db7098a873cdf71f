//! Services that wait for others (label `depends`).

use super::world::{World, service, service_after, unscheduled};
use crate::{
    ledger::{ReplicaState, StopReason},
    message::CommandKind,
    name::ServiceName,
    outcome::Outcome,
    spec::ServiceSpec,
};

/// `d` waits for `b` and `c`, and these for `a`.
fn diamond() -> World {
    let services = vec![
        service_after("d", &["b", "c"]),
        service_after("b", &["a"]),
        service_after("c", &["a"]),
        service_after("a", &[]),
    ];
    let mut world = World::new(unscheduled(services));
    world.run();
    world
}

#[test]
fn services_begin_in_the_order_of_their_dependencies() {
    let mut world = diamond();
    assert_eq!(world.open_services(), ["a"]);
    world.finish_service("a", 0);
    assert_eq!(world.open_services(), ["b", "c"]);
    world.finish_service("c", 0);
    assert_eq!(world.open_services(), ["b"]);
    world.finish_service("b", 0);
    assert_eq!(world.open_services(), ["d"]);
    world.finish_service("d", 0);
    assert_eq!(world.last_summary().outcome, Outcome::Succeeded);
}

#[test]
fn what_waits_for_a_failed_service_is_skipped_with_the_reason_and_its_siblings_go_on() {
    let mut world = diamond();
    world.finish_service("a", 0);
    world.finish_service("b", 3);
    let skipped = Outcome::Skipped { dependency: ServiceName::new("b").unwrap() };
    assert_eq!(*world.replica(0), ReplicaState::Ended { outcome: skipped.clone(), agent: None });
    assert_eq!(world.open_services(), ["c"]);
    world.finish_service("c", 0);
    assert_eq!(world.last_outcomes(), ["skipped", "failed", "succeeded", "succeeded"]);
    assert_eq!(world.last_summary().outcome, Outcome::failed(3));
    assert_eq!(skipped.to_string(), "skipped (service `b` did not succeed)");
}

#[test]
fn what_waits_for_something_skipped_is_skipped() {
    let mut world = diamond();
    world.finish_service("a", 1);
    assert_eq!(world.last_outcomes(), ["skipped", "skipped", "skipped", "failed"]);
}

#[test]
fn a_service_has_succeeded_when_all_its_replicas_have() {
    let first = ServiceSpec { scale: 2, ..service_after("first", &[]) };
    let mut world = World::new(unscheduled(vec![first, service_after("second", &["first"])]));
    world.run();
    world.finish_service("first", 0);
    assert_eq!(world.open_services(), ["first"]);
    world.finish_service("first", 0);
    assert_eq!(world.open_services(), ["second"]);
}

#[test]
fn a_failure_that_will_be_retried_skips_nothing() {
    let first = ServiceSpec { name: ServiceName::new("first").unwrap(), ..service(1, 1) };
    let mut world = World::new(unscheduled(vec![first, service_after("second", &["first"])]));
    world.run();
    world.finish_service("first", 1);
    world.clock(1.0);
    world.finish_service("first", 0);
    assert_eq!(world.open_services(), ["second"]);
}

#[test]
fn a_run_that_is_stopped_ends_what_waits_like_everything_else() {
    let mut world = diamond();
    world.ask(CommandKind::Cancel { run: None, force: false });
    assert_eq!(*world.replica(0), ReplicaState::Ended { outcome: StopReason::Removed.outcome(), agent: None });
    world.finish_service("a", 0);
    assert_eq!(world.last_outcomes(), ["cancelled", "cancelled", "cancelled", "succeeded"]);
}

#[test]
fn a_ledger_that_was_stored_knows_who_waits_for_whom() {
    let mut world = diamond();
    world.finish_service("a", 0);
    let stored = serde_json::to_string(&world.ledger).unwrap();
    world.ledger = serde_json::from_str(&stored).unwrap();
    world.finish_service("b", 0);
    assert_eq!(world.open_services(), ["c"]);
    world.finish_service("c", 0);
    assert_eq!(world.open_services(), ["d"]);
}
