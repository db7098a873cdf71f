//! Replicas of an app get agents.

use super::world::{World, service, unscheduled};
use crate::{
    fleet::Fleet,
    spec::{ContainerSpec, ServiceSpec},
};

/// A service whose replicas take two cores each.
fn heavy(scale: u32) -> ServiceSpec {
    let service = service(scale, 0);
    ServiceSpec { container: ContainerSpec { cpu_millis: Some(2_000), ..service.container }, ..service }
}

#[test]
fn a_service_that_does_not_fit_keeps_none_of_its_siblings_back() {
    let light = ServiceSpec { name: crate::name::ServiceName::new("s2").unwrap(), ..service(2, 0) };
    let mut world = World::new(unscheduled(vec![heavy(7), light]));
    world.run();
    let open = world.open();
    let of = |name: &str| open.iter().filter(|(id, _)| id.service.as_str() == name).count();
    assert_eq!((of("s1"), of("s2")), (6, 2));
}

#[test]
fn the_load_of_a_stored_ledger_is_the_load_that_its_decisions_made() {
    let mut world = World::new(unscheduled(vec![heavy(3)]));
    world.run();
    let first = world.open()[0].0.clone();
    world.claim(&first);
    world.exit(&first, 0);
    let mut counted = Fleet::default();
    counted.bind_all(&world.ledger);
    for name in world.fleet.agents().keys() {
        assert_eq!(counted.load(name), world.fleet.load(name));
    }
}
