//! Which agent a replica goes to, and why none.

use super::world::{World, agent, service, unscheduled};
use crate::{
    fleet::{Fleet, Load, LoadChange, Readiness},
    name::AgentName,
    placement::{Placement, Spread},
    spec::{ContainerSpec, ServiceSpec},
};

const ONE: Load = Load { slots: 1, cpu_millis: 0, memory_bytes: 0 };

/// Agents `(name, readiness, slots, taken slots)` with four cores and one GiB each.
fn fleet(agents: &[(&str, Readiness, u32, u32)]) -> Fleet {
    let mut world = World::new(unscheduled(Vec::new()));
    world.fleet.agents.clear();
    for &(name, readiness, slots, taken) in agents {
        world.set_agent(name, readiness, slots);
        world.fleet.apply(&LoadChange::Bind(agent(name), Load { slots: taken, ..Load::default() }));
    }
    world.fleet
}

/// Places a replica of `wanted` where the agents in `spread` have some of the same run.
#[track_caller]
fn check(fleet: &Fleet, spread: &[(&str, u32)], avoid: Option<&str>, expect: Result<&str, &str>) {
    let spread: Spread = spread.iter().map(|(name, count)| (agent(name), *count)).collect();
    let avoid = avoid.map(agent);
    let placed = Placement::new(fleet).place(ONE, &spread, avoid.as_ref()).map_err(|why| why.to_string());
    assert_eq!(placed.as_ref().map(AgentName::as_str).map_err(String::as_str), expect);
}

#[test]
fn an_agent_with_fewer_replicas_of_the_run_comes_first() {
    let fleet = fleet(&[("a1", Readiness::Ready, 9, 0), ("a2", Readiness::Ready, 9, 5)]);
    check(&fleet, &[("a1", 1)], None, Ok("a2"));
    check(&fleet, &[("a1", 1), ("a2", 2)], None, Ok("a1"));
}

#[test]
fn then_the_one_with_the_most_free_slots_then_the_first_by_name() {
    check(&fleet(&[("a1", Readiness::Ready, 4, 1), ("a2", Readiness::Ready, 9, 5)]), &[], None, Ok("a2"));
    check(&fleet(&[("a1", Readiness::Ready, 4, 0), ("a2", Readiness::Ready, 4, 0)]), &[], None, Ok("a1"));
}

#[test]
fn an_agent_to_avoid_comes_after_all_others_that_fit() {
    let two = fleet(&[("a1", Readiness::Ready, 9, 0), ("a2", Readiness::Ready, 9, 8)]);
    check(&two, &[("a2", 3)], Some("a1"), Ok("a2"));
    check(&fleet(&[("a1", Readiness::Ready, 9, 0)]), &[], Some("a1"), Ok("a1"));
}

#[test]
fn only_agents_that_are_ready_and_have_a_free_slot_are_taken() {
    let fleet = fleet(&[
        ("a1", Readiness::Draining, 9, 0),
        ("a2", Readiness::Silent, 9, 0),
        ("a3", Readiness::UnsafeTiming, 9, 0),
        ("a4", Readiness::Ready, 2, 2),
        ("a5", Readiness::Ready, 1, 0),
    ]);
    check(&fleet, &[("a5", 7)], None, Ok("a5"));
}

#[test]
fn the_explanation_counts_what_is_in_the_way() {
    check(&fleet(&[]), &[], None, Err("no agent is known"));
    check(&fleet(&[("a1", Readiness::Ready, 1, 1)]), &[], None, Err("0 of 1 agents fit: 1 without a free slot"));
    let all = fleet(&[
        ("a1", Readiness::Ready, 2, 2),
        ("a2", Readiness::Ready, 2, 2),
        ("a3", Readiness::Draining, 2, 0),
        ("a4", Readiness::Silent, 2, 0),
        ("a5", Readiness::UnsafeTiming, 2, 0),
    ]);
    let why = "0 of 5 agents fit: 2 without a free slot, 1 draining, 1 silent, 1 with unsafe deadlines";
    check(&all, &[], None, Err(why));
}

#[track_caller]
fn check_reservation(cpu_millis: u64, memory_bytes: u64, expect: Result<(), &str>) {
    let fleet = fleet(&[("a1", Readiness::Ready, 9, 0)]);
    let wanted = Load { slots: 1, cpu_millis, memory_bytes };
    let placed = Placement::new(&fleet).place(wanted, &Spread::new(), None).map(|_| ()).map_err(|why| why.to_string());
    assert_eq!(placed.as_ref().copied().map_err(String::as_str), expect);
}

#[test]
fn reservations_must_fit() {
    check_reservation(4_000, 1 << 30, Ok(()));
    check_reservation(4_001, 0, Err("0 of 1 agents fit: 1 without the reserved cpu or memory"));
    check_reservation(0, (1 << 30) + 1, Err("0 of 1 agents fit: 1 without the reserved cpu or memory"));
}

#[test]
fn what_one_decision_places_counts_for_the_next_replica() {
    let fleet = fleet(&[("a1", Readiness::Ready, 2, 0), ("a2", Readiness::Ready, 1, 0)]);
    let mut placement = Placement::new(&fleet);
    let mut place = || placement.place(ONE, &Spread::new(), None).map_err(|why| why.to_string());
    assert_eq!([place(), place(), place()].map(Result::unwrap), ["a1", "a1", "a2"].map(agent));
    assert_eq!(place().unwrap_err(), "0 of 2 agents fit: 2 without a free slot");
}

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
    let mut counted = Fleet { agents: world.fleet.agents.clone(), ..Fleet::default() };
    counted.bind_all(&world.ledger);
    for name in world.fleet.agents.keys() {
        assert_eq!(counted.load(name), world.fleet.load(name));
    }
}
