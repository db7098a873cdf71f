//! Replicas of an app get agents.

use super::world::{World, service, unscheduled};
use crate::{
    fleet::{AgentView, Fleet, Readiness},
    name::ServiceName,
    placement::Placement,
    spec::{Affinity, ContainerSpec, Operator, ServiceSpec, ZoneSpread},
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

/// A service of this name whose replicas mind those of `others`.
fn minding(name: &str, scale: u32, operator: Operator, others: &[&str]) -> ServiceSpec {
    let services = others.iter().map(|other| ServiceName::new(*other).unwrap()).collect();
    ServiceSpec { affinities: vec![Affinity { operator, services }], ..named(name, scale) }
}

fn named(name: &str, scale: u32) -> ServiceSpec {
    ServiceSpec { name: ServiceName::new(name).unwrap(), ..service(scale, 0) }
}

/// The agents of the open attempts of a service.
fn agents_of(world: &World, service: &str) -> Vec<String> {
    let open = world.open().into_iter().filter(|(id, _)| id.service.as_str() == service);
    let mut agents: Vec<String> = open.map(|(_, attempt)| attempt.agent.to_string()).collect();
    agents.sort();
    agents
}

/// Why no agent takes a replica of a service of the one active run.
fn why_pending(world: &World, service: u32) -> String {
    let run = &world.ledger.active[0];
    let placement = Placement::new(&world.fleet);
    let wanted = placement.wanted_in(run, service, run.service_spec(service).unwrap());
    placement.explain(wanted).map(|why| why.to_string()).unwrap_or_default()
}

#[test]
fn replica_goes_where_those_are_that_it_must_be_beside() {
    // The follower comes first in the file, and has to wait for the other one.
    let services = vec![minding("s1", 2, Operator::Is, &["s2"]), named("s2", 1)];
    let mut world = World::new(unscheduled(services));
    world.run();
    let there = agents_of(&world, "s2");
    assert_eq!(there.len(), 1);
    assert_eq!(agents_of(&world, "s1"), [there[0].clone(), there[0].clone()]);
}

#[test]
fn replica_follows_one_that_has_ended() {
    let follower =
        ServiceSpec { depends: vec![ServiceName::new("s1").unwrap()], ..minding("s2", 1, Operator::Is, &["s1"]) };
    let mut world = World::new(unscheduled(vec![named("s1", 1), follower]));
    world.run();
    let there = agents_of(&world, "s1");
    // The agent is the worst one by then.
    world.finish_service("s1", 0);
    assert_eq!(agents_of(&world, "s2"), there);
}

#[test]
fn replicas_that_must_be_apart_wait_for_an_agent_without_the_other() {
    let mut world = World::new(unscheduled(vec![minding("s1", 9, Operator::IsNot, &["s1"])]));
    world.run();
    let all = world.fleet.agents().len();
    let agents = agents_of(&world, "s1");
    assert_eq!(agents.len(), all, "{agents:?}");
    assert!(agents.windows(2).all(|pair| pair[0] != pair[1]), "{agents:?}");
    assert_eq!(why_pending(&world, 0), format!("0 of {all} agents fit: {all} with a replica of s1"));
    let first = world.open()[0].0.clone();
    world.claim(&first);
    world.exit(&first, 0);
    assert_eq!(agents_of(&world, "s1").len(), all, "the next one takes its place");
}

/// Gives the agents these zones.
fn with_zones(world: &mut World, zones: &[(&str, Option<&str>)]) {
    for (name, zone) in zones {
        world.set_agent(name, Readiness::Ready, 10);
        let agent = super::world::agent(name);
        let AgentView { readiness, capacity, traits } = world.fleet.agent(&agent).unwrap().clone();
        let mut traits = (*traits).clone();
        traits.labels.extend(zone.map(|zone| ("az".to_owned(), zone.to_owned())));
        world.fleet.see(&agent, Some(AgentView { readiness, capacity, traits: traits.into() }));
    }
}

#[test]
fn replicas_are_spread_over_as_many_zones_as_are_asked_for() {
    let spread = Some(ZoneSpread { label: "az".to_owned(), zones: 2 });
    let app = || unscheduled(vec![ServiceSpec { spread: spread.clone(), ..named("s1", 4) }]);
    let mut world = World::new(app());
    let known: Vec<String> = world.fleet.agents().keys().map(ToString::to_string).collect();
    known.iter().for_each(|name| world.set_agent(name, Readiness::Silent, 10));
    with_zones(&mut world, &[("z1", Some("a")), ("z2", Some("a")), ("z3", Some("b")), ("z4", None)]);
    world.set_agent("z3", Readiness::Silent, 10);
    world.run();
    assert_eq!(agents_of(&world, "s1"), ["z1", "z1", "z2"], "the last one is kept for another zone");
    let silent = known.len() + 1;
    let total = known.len() + 4;
    let expect =
        format!("0 of {total} agents fit: 1 without label az, 2 in an az that has replicas already, {silent} silent");
    assert_eq!(why_pending(&world, 0), expect);
    with_zones(&mut world, &[("z3", Some("b"))]);
    world.take_over();
    assert_eq!(agents_of(&world, "s1"), ["z1", "z1", "z2", "z3"]);
}

/// As many replicas and rules as a file may have, of which each minds its own service.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test may look at a clock; what it tests may not")]
fn many_replicas_that_mind_each_other_are_placed_at_once() {
    let others: Vec<String> = (0..16).map(|at| format!("s{at}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let with_rules = |name: &str| {
        let one = minding(name, 125, Operator::IsNot, &others);
        ServiceSpec { affinities: vec![one.affinities[0].clone(); 8], ..one }
    };
    let mut world = World::new(unscheduled(others.iter().map(|name| with_rules(name)).collect()));
    (0..500).for_each(|at| world.set_agent(&format!("b{at}"), Readiness::Ready, 4));
    let begun = std::time::Instant::now();
    world.run();
    let taken = begun.elapsed();
    assert_eq!(world.open().len(), 503, "one on each agent");
    assert!(taken < std::time::Duration::from_secs(20), "{taken:?}");
}
