//! Instants that were missed, came too late, or fall due later than the schedule says (labels `misfire`, `start_deadline`,
//! `jitter`), and clocks that are set.

use std::time::Duration;

use super::world::{World, app, at, every_ten_seconds, service};
use crate::{
    decide::Clock,
    ledger::Cause,
    message::{Admission, DiscardReason, SkipReason},
    spec::{AppSpec, Misfire},
};

#[test]
fn missed_instants_are_skipped_with_their_count_where_none_is_wanted() {
    let mut world = World::new(AppSpec { misfire: Misfire::Skip, ..every_ten_seconds() });
    world.now = at(47.0);
    world.take_over();
    assert_eq!(world.last_admission(), Admission::Skip { reason: SkipReason::Misfire, instants: 4 });
    assert!(world.ledger.active.is_empty());
    assert_eq!((world.ledger.counters.decided, world.ledger.counters.skipped), (4, 4));
    world.clock(50.0);
    assert_eq!(world.last_admission(), Admission::Start { run: 1 });
}

#[test]
fn an_hour_forward_is_one_run_and_an_hour_back_is_none() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.finish(0);
    world.clock(3_610.0);
    let run = &world.ledger.active[0];
    assert_eq!((&run.cause, run.scheduled_at), (&Cause::CatchUp { missed: 359 }, Some(at(3_600.0))));
    // The last five seconds were in time.
    assert_eq!((world.ledger.counters.decided, world.ledger.queue.len()), (361, 1));
    let before = world.ledger.counters;
    for seconds in [20.0, 2_000.0, 3_610.0] {
        world.clock(seconds);
    }
    assert_eq!(world.ledger.counters, before);
    world.clock(3_620.0);
    assert_eq!(world.ledger.counters.decided, 362);
}

#[test]
fn thirty_days_of_a_per_second_schedule_are_one_run() {
    let mut world = World::new(app("* * * * * *", vec![service(1, 0)]));
    world.now = at(30.0 * 86_400.0);
    world.take_over();
    assert_eq!((world.ledger.active.len(), world.ledger.queue.len(), world.ledger.last_run), (1, 1, 1));
    assert_eq!((world.ledger.counters.decided, world.ledger.ticks.last_number), (30 * 86_400, 2));
}

#[test]
fn a_tick_that_comes_later_than_it_may_starts_nothing() {
    let mut world = World::new(AppSpec { start_deadline: Some(Duration::from_secs(15)), ..every_ten_seconds() });
    world.now = at(26.0);
    world.take_over();
    assert_eq!(world.last_admission(), Admission::Start { run: 1 }, "the latest is six seconds late");
    let mut world =
        World::new(AppSpec { start_deadline: Some(Duration::from_secs(15)), ..app("@every 1h", vec![service(1, 0)]) });
    world.now = at(3_616.0);
    world.take_over();
    assert_eq!(world.last_admission(), Admission::Skip { reason: SkipReason::Deadline, instants: 1 });
    assert_eq!(world.ledger.counters.skipped, 1);
}

#[test]
fn a_tick_that_has_waited_longer_than_it_may_expires() {
    let mut world = World::new(AppSpec { start_deadline: Some(Duration::from_secs(15)), ..every_ten_seconds() });
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    world.now = at(36.0);
    world.finish(0);
    let run = &world.ledger.active[0];
    assert_eq!((run.number, run.scheduled_at), (2, Some(at(30.0))), "the tick of 20 is 16 seconds late");
    let ticks = world.ticks();
    let expired = ticks.iter().find(|tick| tick.number == 4).unwrap();
    assert_eq!(expired.admission, Admission::Discard { reason: DiscardReason::Expired, ticks: 1 });
    assert_eq!((expired.scheduled_at, world.ledger.counters.expired), (at(20.0), 1));
}

#[test]
fn a_doubted_clock_expires_no_tick_and_starts_no_late_one() {
    let mut world = World::new(AppSpec { start_deadline: Some(Duration::from_secs(15)), ..every_ten_seconds() });
    world.clock(10.0);
    world.clock(20.0);
    world.run();
    world.clock = Clock::Doubted;
    world.now = at(3_620.0);
    world.finish(0);
    assert!(world.ledger.active.is_empty(), "nobody knows whether the tick of 20 is too late");
    world.run();
    assert_eq!((world.ledger.queue.len(), world.ledger.counters.expired), (3, 0));
    world.clock = Clock::Running;
    world.clock(21.0);
    assert_eq!(world.ledger.active[0].scheduled_at, Some(at(20.0)));
}

#[test]
fn an_expired_tick_keeps_no_place_in_the_queue() {
    let mut world =
        World::new(AppSpec { start_deadline: Some(Duration::from_secs(15)), queue_limit: 1, ..every_ten_seconds() });
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    assert_eq!(world.ledger.counters.dropped, 1);
    world.clock(40.0);
    assert_eq!((world.ledger.counters.expired, world.ledger.queue[0].scheduled_at), (1, Some(at(40.0))));
}

#[test]
fn what_people_ask_for_does_not_expire() {
    let mut world = World::new(AppSpec { start_deadline: Some(Duration::from_secs(1)), ..every_ten_seconds() });
    world.clock(10.0);
    world.run();
    world.now = at(19.0);
    world.finish(0);
    assert_eq!(world.ledger.active[0].cause.label(), "manual");
}

fn jittered() -> (AppSpec, f64) {
    let spec = AppSpec { jitter: Duration::from_secs(8), ..every_ten_seconds() };
    let offset = spec.offset().as_secs_f64();
    assert!((1.0..7.0).contains(&offset), "{offset}");
    (spec, offset)
}

#[test]
fn an_instant_with_jitter_falls_due_later_and_keeps_its_name() {
    let (spec, offset) = jittered();
    let mut world = World::new(spec);
    assert_eq!(world.wake_at(), Some(at(10.0 + offset)));
    world.clock(10.0 + offset - 0.001);
    assert!(world.ledger.active.is_empty());
    world.clock(10.0 + offset);
    assert_eq!(world.ledger.active[0].scheduled_at, Some(at(10.0)));
}

#[test]
fn lateness_counts_from_when_an_instant_fell_due() {
    let (spec, offset) = jittered();
    let mut world = World::new(spec);
    world.clock(10.0 + offset + 4.9);
    assert_eq!(world.ledger.active[0].cause, Cause::Schedule);
    let (spec, offset) = jittered();
    let mut world = World::new(spec);
    world.clock(10.0 + offset + 5.1);
    assert_eq!(world.ledger.active[0].cause, Cause::CatchUp { missed: 1 });
}

#[test]
fn what_was_noticed_in_time_and_had_to_wait_for_its_turn_is_not_missed() {
    for (noticed, cause) in [(15.0, Cause::Schedule), (15.1, Cause::CatchUp { missed: 1 })] {
        let mut world = World::new(every_ten_seconds());
        world.noticed = Some(at(noticed));
        world.clock(19.0);
        let run = &world.ledger.active[0];
        assert_eq!((&run.cause, run.started_at), (&cause, at(19.0)), "noticed at {noticed}");
    }
}

#[test]
fn an_edit_loses_no_instant_that_jitter_has_delayed() {
    let (spec, offset) = jittered();
    let mut world = World::new(spec.clone());
    world.now = at(10.0 + offset / 2.0);
    world.apply(10.0 + offset / 2.0, spec);
    assert_eq!((world.ledger.counters.decided, world.ledger.active[0].scheduled_at), (1, Some(at(10.0))));
    world.clock(10.0 + offset);
    assert_eq!(world.ledger.counters.decided, 1);
}
