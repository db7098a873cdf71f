//! Which agent a replica goes to, and why none.

use std::{
    cmp::Reverse,
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::{collection::vec, option, prelude::*};

use super::{Placement, Spread, Wanted};
use crate::{
    fleet::{AgentView, Fleet, GpuLoad, Load, LoadChange, Needs, Readiness, Reservations, Traits},
    message::{Capacity, EngineStock},
    name::AgentName,
    policy::HostPolicy,
    spec::{Attribute, Constraint, ContainerSpec, DeviceRequest, HostAccess, Operator, RequestedDevices, Requirements},
};

const ONE: Load = Load { slots: 1, cpu_millis: 0, memory_bytes: 0, gpus: GpuLoad { counted: 0, whole: 0 } };
const ONE_ANYWHERE: Wanted<'_> = Wanted::room(ONE);

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

/// Agents `(name, readiness, slots, taken slots)` with four cores and one GiB each.
fn fleet(agents: &[(&str, Readiness, u32, u32)]) -> Fleet {
    let mut fleet = Fleet::default();
    for &(name, readiness, slots, taken) in agents {
        let capacity = Capacity { slots, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
        fleet.see(&agent(name), Some(AgentView { readiness, capacity, traits: Arc::default() }));
        fleet.apply(&LoadChange::Bind(agent(name), Load { slots: taken, ..Load::default() }));
    }
    fleet
}

/// Where one replica goes, or why nowhere.
fn place(fleet: &Fleet, wanted: Wanted<'_>, spread: &Spread, avoid: Option<&AgentName>) -> Result<String, String> {
    let mut placement = Placement::new(fleet);
    let why = placement.explain(wanted.clone()).map(|why| why.to_string());
    let mut candidates = placement.candidates(wanted, spread.clone());
    match (placement.take(&mut candidates, avoid), why) {
        (Some(agent), None) => Ok(agent.to_string()),
        (None, Some(why)) => Err(why),
        (placed, why) => panic!("placed on {placed:?}, but {why:?}"),
    }
}

/// Places a replica where the agents in `spread` have some of the same run.
#[track_caller]
fn check(fleet: &Fleet, spread: &[(&str, u32)], avoid: Option<&str>, expect: Result<&str, &str>) {
    let spread = spread.iter().map(|(name, count)| (agent(name), *count)).collect();
    let placed = place(fleet, ONE_ANYWHERE, &spread, avoid.map(agent).as_ref());
    assert_eq!(placed.as_deref().map_err(String::as_str), expect);
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
fn an_agent_that_one_replica_avoids_is_the_best_for_the_next() {
    let two = fleet(&[("a1", Readiness::Ready, 9, 0), ("a2", Readiness::Ready, 9, 8)]);
    let mut placement = Placement::new(&two);
    let mut candidates = placement.candidates(ONE_ANYWHERE, Spread::new());
    let avoid = agent("a1");
    let mut take = |avoid| placement.take(&mut candidates, avoid);
    assert_eq!([take(Some(&avoid)), take(None)].map(Option::unwrap), ["a2", "a1"].map(agent));
}

#[test]
fn only_agents_that_are_ready_and_have_a_free_slot_are_taken() {
    let fleet = fleet(&[
        ("a1", Readiness::Draining, 9, 0),
        ("a2", Readiness::Silent, 9, 0),
        ("a3", Readiness::UnsafeTiming, 9, 0),
        ("a4", Readiness::Ready, 2, 2),
        ("a5", Readiness::Ready, 1, 0),
        ("a6", Readiness::NoEngine, 9, 0),
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
        ("a6", Readiness::NoEngine, 2, 0),
    ]);
    let why = "0 of 6 agents fit: 2 without a free slot, 1 without an engine that answers, 1 draining, 1 silent, \
               1 with unsafe deadlines";
    check(&all, &[], None, Err(why));
}

/// Three agents, each with what it tells of itself.
fn fleet_of(traits: [Traits; 3]) -> Fleet {
    let mut fleet = Fleet::default();
    for (name, traits) in ["a1", "a2", "a3"].into_iter().zip(traits) {
        let capacity = Capacity { slots: 9, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
        fleet.see(&agent(name), Some(AgentView { readiness: Readiness::Ready, capacity, traits: traits.into() }));
    }
    fleet
}

/// What an agent tells that allows this path, and whose engine has this network and this volume.
fn telling(path: &str, network: &str, volume: &str) -> Traits {
    let policy = HostPolicy { host_paths: vec![path.into()], ..HostPolicy::default() };
    let names = |name: &str| Some([name.to_owned()].into());
    let stock = EngineStock { networks: names(network), volumes: names(volume) };
    Traits { policy: Some(policy), stock, ..Traits::default() }
}

#[track_caller]
fn check_host(fleet: &Fleet, wanted: Wanted<'_>, expect: Result<&str, &str>) {
    let never = Placement::new(fleet).explain_never(wanted.clone()).map(|why| why.to_string());
    assert_eq!(never.as_deref(), expect.err(), "an agent takes it once it has room");
    assert_eq!(Placement::new(fleet).is_anybody_left(&wanted), expect.is_ok());
    let placed = place(fleet, wanted, &Spread::new(), None);
    assert_eq!(placed.as_deref().map_err(String::as_str), expect);
}

fn path(path: &str) -> Wanted<'static> {
    Wanted { access: vec![HostAccess::Path(path.to_owned())], ..ONE_ANYWHERE }
}

#[test]
fn only_agents_that_allow_what_is_asked_for_are_taken() {
    let fleet = fleet_of([telling("/data", "", ""), telling("/srv", "", ""), telling("/var", "", "")]);
    check_host(&fleet, path("/srv/data"), Ok("a2"));
    let why = "0 of 3 agents allow /etc: start one with --allow-path /etc";
    check_host(&fleet, path("/etc"), Err(why));
    let wanted = || Wanted { access: vec![HostAccess::Privileged], ..ONE_ANYWHERE };
    check_host(&fleet, wanted(), Err("0 of 3 agents allow privileged: start one with --allow privileged"));
    let mixed = Wanted { access: vec![HostAccess::Path("/srv".to_owned()), HostAccess::Pid], ..ONE_ANYWHERE };
    let why = "0 of 3 agents fit: 2 not allowing /srv (--allow-path /srv), 1 not allowing pid host (--allow host-pid)";
    check_host(&fleet, mixed, Err(why));
}

#[test]
fn agent_that_does_not_tell_may_allow_and_have_everything() {
    let fleet = fleet_of([telling("/data", "x", "x"), Traits::default(), telling("/data", "x", "x")]);
    check_host(&fleet, path("/etc"), Ok("a2"));
    let requires = Requirements { networks: vec!["back".to_owned()], volumes: vec!["data".to_owned()] };
    check_host(&fleet, Wanted { requires, ..ONE_ANYWHERE }, Ok("a2"));
}

#[test]
fn what_must_be_on_the_host_already_is_looked_for() {
    let fleet = fleet_of([telling("/", "back", "one"), telling("/", "front", "one"), telling("/", "back", "two")]);
    let requiring = |networks: &[&str], volumes: &[&str]| {
        let [networks, volumes] = [networks, volumes].map(|names| names.iter().map(|it| (*it).to_owned()).collect());
        Wanted { requires: Requirements { networks, volumes }, ..ONE_ANYWHERE }
    };
    check_host(&fleet, requiring(&["front"], &[]), Ok("a2"));
    check_host(&fleet, requiring(&["back"], &["two"]), Ok("a3"));
    let why = "0 of 3 agents have network other: make it with `docker network create other`";
    check_host(&fleet, requiring(&["other"], &[]), Err(why));
    let why = "0 of 3 agents have volume none: make it with `docker volume create none`";
    check_host(&fleet, requiring(&[], &["none"]), Err(why));
    check_host(
        &fleet,
        requiring(&["front"], &["two"]),
        Err("0 of 3 agents fit: 2 without network front, 1 without volume two"),
    );
}

#[test]
fn agent_that_refused_is_not_asked_again() {
    let fleet = fleet_of([Traits::default(), Traits::default(), Traits::default()]);
    let refused = |names: &[&str]| Wanted { refused_by: names.iter().map(|it| agent(it)).collect(), ..ONE_ANYWHERE };
    check_host(&fleet, refused(&["a1", "a2"]), Ok("a3"));
    check_host(&fleet, refused(&["a1", "a2", "a3"]), Err("0 of 3 agents fit: 3 that refused it"));
}

/// One agent, with one of three cores bound and half of its memory, or all of its slots as well.
#[track_caller]
fn check_reservation(cpu_millis: u64, memory_bytes: u64, expect: Result<&str, &str>) {
    let mut fleet = fleet(&[("a1", Readiness::Ready, 9, 0)]);
    let bound = Load { cpu_millis: 1_000, memory_bytes: 1 << 29, ..Load::default() };
    fleet.apply(&LoadChange::Bind(agent("a1"), bound));
    let wanted = Wanted { load: Load { cpu_millis, memory_bytes, ..ONE }, ..ONE_ANYWHERE };
    let placed = place(&fleet, wanted, &Spread::new(), None);
    assert_eq!(placed.as_deref().map_err(String::as_str), expect);
}

#[test]
fn reservations_must_fit() {
    check_reservation(3_000, 1 << 29, Ok("a1"));
    check_reservation(3_500, 0, Err("0 of 1 agents fit: 1 without 3.5 cores left"));
    check_reservation(0, 768 << 20, Err("0 of 1 agents fit: 1 without 768.0MiB of memory left"));
    check_reservation(4_001, 0, Err("0 of 1 agents fit: 1 too small for 4.001 cores"));
    check_reservation(0, 2 << 30, Err("0 of 1 agents fit: 1 too small for 2.0GiB of memory"));
}

fn gpus(devices: RequestedDevices) -> GpuLoad {
    let device_requests = vec![DeviceRequest::gpus(devices)];
    GpuLoad::of(&ContainerSpec { device_requests, ..ContainerSpec::new("busybox") })
}

/// Where a container goes that asks for these GPUs, on a host that offers so many of which these
/// are taken.
#[track_caller]
fn check_gpus(offered: Option<u32>, taken: &[GpuLoad], wanted: RequestedDevices, expect: Result<&str, &str>) {
    let mut fleet = fleet(&[("a1", Readiness::Ready, 9, 0)]);
    let view = fleet.agent(&agent("a1")).unwrap().clone();
    let capacity = Capacity { gpus: offered, ..view.capacity };
    fleet.see(&agent("a1"), Some(AgentView { capacity, ..view }));
    let bind = |gpus: &GpuLoad| LoadChange::Bind(agent("a1"), Load { gpus: *gpus, ..ONE });
    taken.iter().for_each(|gpus| fleet.apply(&bind(gpus)));
    let load = Load { gpus: gpus(wanted), ..ONE };
    let placed = place(&fleet, Wanted { load, ..ONE_ANYWHERE }, &Spread::new(), None);
    assert_eq!(placed.as_deref().map_err(String::as_str), expect);
    let is_placed_on = Placement::new(&fleet).place_on(&agent("a1"), load);
    assert_eq!(is_placed_on, expect.is_ok(), "a global service is counted alike");
}

#[test]
fn gpus_are_counted_where_an_agent_says_how_many_it_has() {
    use RequestedDevices::{All, Count, Named};
    let (two, all) = (gpus(Count(2)), gpus(All));
    let named = || Named(vec!["0".to_owned(), "3".to_owned()]);
    check_gpus(Some(4), &[two], Count(2), Ok("a1"));
    check_gpus(Some(4), &[two], named(), Ok("a1"));
    check_gpus(Some(4), &[two, two], Count(1), Err("0 of 1 agents fit: 1 without a GPU left"));
    check_gpus(Some(3), &[two], named(), Err("0 of 1 agents fit: 1 without 2 GPUs left"));
    check_gpus(Some(2), &[], Count(3), Err("0 of 1 agents fit: 1 without 3 GPUs"));
    check_gpus(Some(2), &[], All, Ok("a1"));
    check_gpus(Some(2), &[two], All, Err("0 of 1 agents fit: 1 without a GPU left"));
    check_gpus(Some(2), &[all], Count(1), Err("0 of 1 agents fit: 1 without a GPU left"));
    check_gpus(Some(2), &[all], All, Err("0 of 1 agents fit: 1 without a GPU left"));
    check_gpus(Some(0), &[], All, Err("0 of 1 agents fit: 1 without a GPU"));
    // Agents of earlier releases do not tell.
    check_gpus(None, &[two, all], Count(9), Ok("a1"));
}

#[test]
fn gpus_come_back_with_the_end_of_an_attempt() {
    let load = |devices| Load { gpus: gpus(devices), ..ONE };
    let (two, all) = (load(RequestedDevices::Count(2)), load(RequestedDevices::All));
    assert_eq!(two.plus(all).minus(all), two);
    assert_eq!(two.plus(all).minus(two), all);
    let other = DeviceRequest { capabilities: vec!["tpu".to_owned()], ..DeviceRequest::gpus(RequestedDevices::All) };
    let container = ContainerSpec { device_requests: vec![other], ..ContainerSpec::new("busybox") };
    assert_eq!(GpuLoad::of(&container), GpuLoad::default(), "other devices are the engine's affair");
}

#[test]
fn what_will_never_fit_is_said_before_what_does_not_fit_now() {
    let full = fleet(&[("a1", Readiness::Ready, 1, 1), ("a2", Readiness::Ready, 1, 1)]);
    let check = |load: Load, expect: &str| {
        let placed = place(&full, Wanted { load, ..ONE_ANYWHERE }, &Spread::new(), None);
        assert_eq!(placed, Err(expect.to_owned()));
    };
    check(ONE, "0 of 2 agents fit: 2 without a free slot");
    check(Load { cpu_millis: 8_000, ..ONE }, "0 of 2 agents fit: 2 too small for 8 cores");
    check(Load { memory_bytes: 8 << 30, ..ONE }, "0 of 2 agents fit: 2 too small for 8.0GiB of memory");
}

/// Where a container with these limits goes, of a host with four cores and a busy one with eight.
#[track_caller]
fn check_limits(cpu_millis: Option<u64>, cpuset: Option<&str>, expect: Result<&str, &str>) {
    let mut fleet = fleet(&[("a4", Readiness::Ready, 9, 0), ("a8", Readiness::Ready, 9, 8)]);
    let a8 = fleet.agent(&agent("a8")).unwrap().clone();
    let capacity = Capacity { cpu_millis: 8_000, ..a8.capacity };
    fleet.see(&agent("a8"), Some(AgentView { capacity, ..a8 }));
    let mut container =
        ContainerSpec { cpu_millis, cpu_reservation_millis: Some(100), ..ContainerSpec::new("busybox") };
    container.limits.cpuset = cpuset.map(str::to_owned);
    let wanted = Wanted { needs: Needs::of(&container), ..Wanted::room(fleet.load_of(&container)) };
    let placed = place(&fleet, wanted, &Spread::new(), None);
    assert_eq!(placed.as_deref().map_err(String::as_str), expect, "{cpu_millis:?} {cpuset:?}");
}

#[test]
fn limits_that_name_more_cores_than_a_host_has_must_fit_too() {
    check_limits(Some(4_000), Some("0-3"), Ok("a4"));
    check_limits(Some(4_001), None, Ok("a8"));
    check_limits(None, Some("0,4"), Ok("a8"));
    check_limits(None, Some("7,0-1"), Ok("a8"));
    check_limits(Some(8_500), None, Err("0 of 2 agents fit: 2 too small for a limit of 8.5 cores"));
    check_limits(None, Some("6-9"), Err("0 of 2 agents fit: 2 without core 9 of the cpuset"));
}

#[test]
fn a_replica_with_an_agent_of_its_own_is_explained_against_that_one() {
    let fleet =
        fleet(&[("a1", Readiness::Ready, 9, 0), ("a2", Readiness::Ready, 1, 1), ("a3", Readiness::Draining, 9, 0)]);
    let check = |name: &str, load: Load, expect: Option<&str>| {
        let (name, placement) = (agent(name), Placement::new(&fleet));
        assert_eq!(placement.explain_on(&name, load).map(|why| why.to_string()).as_deref(), expect);
    };
    check("a1", ONE, None);
    check("a1", Load { cpu_millis: 8_000, ..ONE }, Some("its agent a1 is too small for 8 cores"));
    check("a2", ONE, Some("its agent a2 is without a free slot"));
    check("a3", ONE, Some("its agent a3 is draining"));
    check("a4", ONE, Some("its agent a4 is not there"));
}

#[test]
fn a_global_service_that_no_agent_matches_says_why() {
    let mut fleet = labelled();
    let tape = [label("disk", Operator::Is, &["tape"])];
    let why = |fleet: &Fleet, constraints: &[Constraint]| {
        Placement::new(fleet).explain_unmatched(constraints).map(|why| why.to_string())
    };
    assert_eq!(why(&fleet, &tape).as_deref(), Some("0 of 3 agents fit: 3 without disk==tape"));
    // It needs no room to match.
    for name in ["a1", "a2", "a3"] {
        fleet.apply(&LoadChange::Bind(agent(name), ONE));
    }
    assert_eq!(why(&fleet, &[]), None);
    assert_eq!(why(&Fleet::default(), &[]).as_deref(), Some("no agent is known"));
}

#[track_caller]
fn check_cpu(cpu_millis: Option<u64>, cpu_shares: Option<u64>, per_core: u64, expect: u64) {
    let container = ContainerSpec { cpu_millis, cpu_shares, ..ContainerSpec::new("busybox") };
    let reservations = Reservations { cpu_shares_per_core: NonZeroU64::new(per_core) };
    assert_eq!(Load::of(&container, reservations).cpu_millis, expect);
}

#[test]
fn a_weight_reserves_cores_where_the_scheduler_says_what_it_stands_for() {
    check_cpu(None, Some(50), 0, 0);
    check_cpu(None, Some(50), 100, 500);
    check_cpu(None, Some(2_048), 1_024, 2_000);
    check_cpu(Some(250), Some(50), 100, 250);
    check_cpu(None, None, 100, 0);
    check_cpu(None, Some(u64::MAX), 1, u64::MAX);
}

#[test]
fn what_one_decision_places_counts_for_the_next_replica_and_the_next_service() {
    let fleet = fleet(&[("a1", Readiness::Ready, 2, 0), ("a2", Readiness::Ready, 1, 0)]);
    let mut placement = Placement::new(&fleet);
    let mut candidates = placement.candidates(ONE_ANYWHERE, Spread::new());
    let mut take = || placement.take(&mut candidates, None);
    assert_eq!([take(), take()].map(Option::unwrap), ["a1", "a2"].map(agent));
    let mut candidates = placement.candidates(ONE_ANYWHERE, Spread::new());
    let mut take = || placement.take(&mut candidates, None);
    assert_eq!((take(), take()), (Some(agent("a1")), None));
    assert_eq!(placement.explain(ONE_ANYWHERE).unwrap().to_string(), "0 of 2 agents fit: 2 without a free slot");
}

/// Three hosts: two with fast disks, one of them in the west.
fn labelled() -> Fleet {
    let mut fleet = fleet(&["a1", "a2", "a3"].map(|name| (name, Readiness::Ready, 1, 0)));
    for (name, labels) in [("a1", "disk=ssd zone=west"), ("a2", "disk=ssd zone=east"), ("a3", "")] {
        let labels = labels.split(' ').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let traits = Traits { labels, host: format!("host-of-{name}"), ..Traits::default() };
        let view = fleet.agent(&agent(name)).unwrap().clone();
        fleet.see(&agent(name), Some(AgentView { traits: traits.into(), ..view }));
    }
    fleet
}

fn constraint(attribute: Attribute, operator: Operator, values: &[&str]) -> Constraint {
    Constraint { attribute, operator, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn label(name: &str, operator: Operator, values: &[&str]) -> Constraint {
    constraint(Attribute::Label(name.to_owned()), operator, values)
}

/// Which of the three hosts meet the constraints, and what they are called.
#[track_caller]
fn check_constraints(constraints: &[Constraint], text: &str, expect: &[&str]) {
    let shown: Vec<String> = constraints.iter().map(ToString::to_string).collect();
    assert_eq!(shown.join(" "), text);
    let fleet = labelled();
    let mut placement = Placement::new(&fleet);
    assert_eq!(placement.matching(constraints), expect.iter().map(|name| agent(name)).collect::<Vec<_>>());
    let mut candidates = placement.candidates(Wanted { constraints, ..ONE_ANYWHERE }, Spread::new());
    let taken: Vec<AgentName> = std::iter::from_fn(|| placement.take(&mut candidates, None)).collect();
    assert_eq!(taken, placement.matching(constraints));
}

#[test]
fn constraints_choose_agents_by_label_name_and_host() {
    use Operator::{Is, IsNot};
    check_constraints(&[], "", &["a1", "a2", "a3"]);
    check_constraints(&[label("disk", Is, &["ssd"])], "disk==ssd", &["a1", "a2"]);
    check_constraints(&[label("zone", Is, &["west", "east"])], "zone==west|east", &["a1", "a2"]);
    check_constraints(&[label("zone", IsNot, &["west"])], "zone!=west", &["a2", "a3"]);
    check_constraints(&[label("disk", IsNot, &["ssd", "nvme"])], "disk!=ssd|nvme", &["a3"]);
    let both = [label("disk", Is, &["ssd"]), label("zone", Is, &["west"])];
    check_constraints(&both, "disk==ssd zone==west", &["a1"]);
    check_constraints(&[constraint(Attribute::Agent, Is, &["a2"])], "agent==a2", &["a2"]);
    check_constraints(&[constraint(Attribute::Host, IsNot, &["host-of-a2"])], "host!=host-of-a2", &["a1", "a3"]);
    check_constraints(&[label("gpu", Is, &[""])], "gpu==", &[]);
}

#[test]
fn the_explanation_names_the_first_constraint_that_an_agent_does_not_meet() {
    let mut fleet = labelled();
    fleet.apply(&LoadChange::Bind(agent("a1"), ONE));
    let constraints = [label("disk", Operator::Is, &["ssd"]), label("zone", Operator::IsNot, &["east"])];
    let placed = place(&fleet, Wanted { constraints: &constraints, ..ONE_ANYWHERE }, &Spread::new(), None);
    let why = "0 of 3 agents fit: 1 without disk==ssd, 1 excluded by zone!=east, 1 without a free slot";
    assert_eq!(placed, Err(why.to_owned()));
}

#[test]
fn a_global_service_runs_on_a_full_agent_but_not_on_one_that_is_not_ready() {
    let fleet = fleet(&[
        ("a1", Readiness::Ready, 1, 1),
        ("a2", Readiness::Draining, 1, 0),
        ("a3", Readiness::Silent, 1, 0),
        ("a4", Readiness::Ready, 1, 0),
    ]);
    assert_eq!(Placement::new(&fleet).matching(&[]), ["a1", "a4"].map(agent));
}

/// As many agents, with ten slots each.
fn equal_hosts(count: u32) -> Fleet {
    let names: Vec<String> = (0..count).map(|number| format!("agent-{number}")).collect();
    fleet(&names.iter().map(|name| (name.as_str(), Readiness::Ready, 10, 0)).collect::<Vec<_>>())
}

/// Places services of 1,000 replicas, as many as asked for, and counts them by agent.
fn place_services(fleet: &Fleet, count: u32) -> Spread {
    let mut placement = Placement::new(fleet);
    let mut spread = Spread::new();
    for _ in 0..count {
        let mut candidates = placement.candidates(ONE_ANYWHERE, spread.clone());
        for _ in 0..1_000 {
            let agent = placement.take(&mut candidates, None).unwrap();
            *spread.entry(agent).or_default() += 1;
        }
    }
    spread
}

#[track_caller]
fn check_spread(agents: u32, services: u32) {
    let spread = place_services(&equal_hosts(agents), services);
    let (least, most) = (spread.values().min().unwrap(), spread.values().max().unwrap());
    assert_eq!((spread.len() as u32, spread.values().sum()), (agents, services * 1_000));
    assert!(most - least <= 1, "from {least} to {most} replicas on {agents} agents");
}

#[test]
fn equal_hosts_get_the_same_number_of_replicas_or_one_more() {
    check_spread(1_000, 10);
    check_spread(999, 3);
    check_spread(300, 2);
    check_spread(101, 1);
}

/// What it takes to place ten thousand replicas, on a machine that does nothing else: 20 ms.
const AT_ONCE: Duration = Duration::from_millis(50);
const ROUNDS_MAX: usize = 30;

/// Looking at each agent for each replica, it took seconds.
#[test]
#[expect(clippy::disallowed_methods, reason = "what work costs can only be measured")]
fn ten_thousand_replicas_are_placed_on_a_thousand_agents_at_once() {
    let fleet = equal_hosts(1_000);
    let once = || {
        let started = Instant::now();
        assert_eq!(place_services(&fleet, 10).len(), 1_000);
        started.elapsed()
    };
    // The machine may be busy with other things: one round that is not disturbed shows it.
    let rounds: Vec<Duration> = (0..ROUNDS_MAX).map(|_| once()).take_while(|took| *took >= AT_ONCE).collect();
    assert!(rounds.len() < ROUNDS_MAX, "took {:?} at best", rounds.iter().min());
}

/// A small fleet, what a run has of it already, and what its decision has changed so far: numbers say how much of each.
#[derive(Debug, Clone)]
struct Scene {
    /// Slots, bound slots, and how ready it is.
    agents: Vec<(u32, u32, Readiness)>,
    spread: Vec<u32>,
    changes: Vec<(usize, bool)>,
    slots_wanted: u32,
    avoid: Option<usize>,
}

fn scenes() -> impl Strategy<Value = Scene> {
    let readiness = prop_oneof![4 => Just(Readiness::Ready), 1 => Just(Readiness::Draining)];
    let agents = vec((0..5u32, 0..4u32, readiness), 0..7);
    let changes = vec((0..7usize, any::<bool>()), 0..4);
    (agents, vec(0..3u32, 7), changes, 1..3u32, option::of(0..7usize)).prop_map(
        |(agents, spread, changes, slots_wanted, avoid)| Scene { agents, spread, changes, slots_wanted, avoid },
    )
}

fn numbered(number: usize) -> AgentName {
    agent(&format!("a{number}"))
}

/// The rule as it is told, by a look at every agent for every replica.
fn by_the_rule(fleet: &Fleet, load: Load, spread: &mut Spread, avoid: Option<&AgentName>) -> Option<AgentName> {
    let fits = |name: &AgentName, view: &AgentView| {
        view.readiness == Readiness::Ready && fleet.load(name).plus(load).fits(&view.capacity)
    };
    let fitting = fleet.agents().iter().filter(|(name, view)| fits(name, view));
    let best = fitting.min_by_key(|(name, view)| {
        let replicas = spread.get(*name).copied().unwrap_or_default();
        (avoid == Some(*name), replicas, Reverse(view.free_slots(fleet.load(name))), *name)
    });
    let agent = best?.0.clone();
    *spread.entry(agent.clone()).or_default() += 1;
    Some(agent)
}

proptest! {
    #[test]
    fn candidates_come_as_if_all_agents_were_looked_at_for_each_replica(scene in scenes()) {
        let names: Vec<String> = (0..scene.agents.len()).map(|number| numbered(number).to_string()).collect();
        let agents: Vec<_> =
            names.iter().zip(&scene.agents).map(|(name, (slots, taken, ready))| (name.as_str(), *ready, *slots, *taken)).collect();
        let fleet = fleet(&agents);
        let change = |(number, bind): &(usize, bool)| {
            if *bind { LoadChange::Bind(numbered(*number), ONE) } else { LoadChange::Release(numbered(*number), ONE) }
        };
        let changes: Vec<LoadChange> = scene.changes.iter().map(change).collect();
        let has_some = |(number, count): (usize, &u32)| (*count > 0).then(|| (numbered(number), *count));
        let mut spread: Spread = scene.spread.iter().enumerate().filter_map(has_some).collect();
        let load = Load { slots: scene.slots_wanted, ..ONE };
        let avoid = scene.avoid.map(numbered);

        let mut changed = fleet.clone();
        changes.iter().for_each(|change| changed.apply(change));
        let mut placement = Placement::new(&fleet).after(&changes);
        let mut candidates = placement.candidates(Wanted { load, ..ONE_ANYWHERE }, spread.clone());
        for replica in 0..12 {
            // Every other replica avoids it.
            let avoid = avoid.as_ref().filter(|_| replica % 2 == 0);
            let expect = by_the_rule(&changed, load, &mut spread, avoid);
            prop_assert_eq!(placement.take(&mut candidates, avoid), expect.clone());
            let Some(agent) = expect else { break };
            changed.apply(&LoadChange::Bind(agent, load));
        }
    }

    #[test]
    fn vacancies_are_those_of_the_agents_as_they_are(scene in scenes(), seen in vec((0..7usize, 0..5u32, any::<bool>()), 0..9)) {
        let mut fleet = Fleet::default();
        for (number, (slots, taken, readiness)) in scene.agents.iter().enumerate() {
            fleet.apply(&LoadChange::Bind(numbered(number), Load { slots: *taken, ..Load::default() }));
            let capacity = Capacity { slots: *slots, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
            fleet.see(&numbered(number), Some(AgentView { readiness: *readiness, capacity, traits: Arc::default() }));
        }
        for (number, slots, is_there) in seen {
            let capacity = Capacity { slots, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
            let view = AgentView { readiness: Readiness::Ready, capacity, traits: Arc::default() };
            fleet.see(&numbered(number), is_there.then_some(view));
            fleet.apply(&LoadChange::Release(numbered(number), ONE));
        }
        let free = |(name, view): (&AgentName, &AgentView)| {
            let free = view.free_slots(fleet.load(name));
            (view.readiness == Readiness::Ready && free > 0).then(|| (Reverse(free), name.clone()))
        };
        let mut expect: Vec<_> = fleet.agents().iter().filter_map(free).collect();
        expect.sort();
        let found: Vec<_> = fleet.vacancies().map(|it| (it.free_slots, it.agent.clone())).collect();
        prop_assert_eq!(found, expect);
    }
}
