//! The clock need not be looked at before `wake_at`, and must be looked at then.

use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{
    super::{Input, Record},
    world::{World, app, at, every_ten_seconds, exited, service, unscheduled},
};
use crate::{ledger::ReplicaState, time};

const NANOSECOND: Duration = Duration::from_nanos(1);

#[track_caller]
fn check(world: &World, expect_seconds: Option<f64>) {
    assert_eq!(world.wake_at(), expect_seconds.map(at));
}

#[test]
fn the_next_instant_wakes() {
    check(&World::new(every_ten_seconds()), Some(10.0));
    check(&World::new(unscheduled(vec![service(1, 0)])), None);
}

#[test]
fn a_removed_app_does_not_wake() {
    let mut world = World::new(every_ten_seconds());
    world.remove(1.0);
    check(&world, None);
}

#[test]
fn an_unclaimed_order_wakes_and_a_claimed_one_does_not() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    check(&world, Some(5.0));
    let id = world.only_open();
    world.claim(&id);
    check(&world, None);
    world.cancel();
    check(&world, Some(5.0));
}

#[test]
fn a_replica_that_no_agent_takes_wakes_to_be_told() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.fleet.see_all(Default::default());
    world.run();
    assert!(matches!(world.replica(0), ReplicaState::Pending { .. }));
    check(&world, Some(300.0));
}

/// Deciding the clock just before `wake` changes nothing; deciding it at `wake` changes something.
#[track_caller]
fn check_exact(world: &mut World, wake: Timestamp, seed: u64) {
    if wake > world.now {
        let before = world.ledger.clone();
        world.now = time::before(wake, NANOSECOND).max(world.now);
        let answer = world.decide(Input::Clock);
        assert!(answer.record == Record::Unchanged && answer.actions.is_empty(), "seed {seed}: {answer:?}");
        assert_eq!(world.ledger, before, "seed {seed}");
        world.now = wake;
    }
    assert_ne!(world.decide(Input::Clock).record, Record::Unchanged, "seed {seed}");
}

#[test]
fn the_clock_changes_nothing_before_wake_at_and_something_then() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let expression = ["@every 7s", "@every 1s", "0-59/30 * * * * *", "@every 10m"][random.random_range(0..4)];
        let mut world = World::new(app(expression, vec![service(3, 2)]));
        for _ in 0..60 {
            let Some(wake) = world.wake_at() else { panic!("seed {seed}: a scheduled app always wakes") };
            check_exact(&mut world, wake, seed);
            disturb(&mut world, &mut random);
        }
    }
}

/// Something else happens to the app.
fn disturb(world: &mut World, random: &mut StdRng) {
    let open = world.open();
    let attempt = (!open.is_empty()).then(|| open[random.random_range(0..open.len())].0.clone());
    match (random.random_range(0..8), attempt) {
        (0..=2, Some(attempt)) => _ = world.claim(&attempt),
        (3..=4, Some(attempt)) => _ = world.report(&attempt, exited(random.random_range(0..2))),
        (5, _) => _ = world.run(),
        (6, _) if random.random_ratio(1, 4) => _ = world.cancel(),
        _ => {}
    }
}
