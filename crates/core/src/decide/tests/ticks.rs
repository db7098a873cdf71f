//! What becomes of instants (guarantees G2 and G3).

use std::time::{Duration, Instant};

use jiff::tz::TimeZoneDatabase;

use super::{
    super::Record,
    world::{World, app, at, every_ten_seconds, service},
};
use crate::{
    ledger::{Cause, Ledger, State},
    message::{Admission, DropReason},
    schedule::Schedule,
    spec::AppSpec,
};

#[test]
fn an_instant_starts_a_run_when_nothing_runs() {
    let mut world = World::new(every_ten_seconds());
    assert_eq!(world.clock(9.9).record, Record::Unchanged);
    let answer = world.clock(10.0);
    assert_eq!((answer.record, answer.starts().len()), (Record::Due, 1));
    let run = &world.ledger.active[0];
    assert_eq!((run.number, &run.cause, run.scheduled_at), (1, &Cause::Schedule, Some(at(10.0))));
    assert_eq!(world.ledger.state(), State::Running);
}

#[test]
fn an_instant_is_decided_once() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    let before = world.ledger.clone();
    let answer = world.clock(10.0);
    assert_eq!((answer.record, answer.actions.len()), (Record::Unchanged, 0));
    assert_eq!(world.ledger, before);
}

#[test]
fn a_clock_that_is_set_back_decides_nothing_again() {
    let mut world = World::new(every_ten_seconds());
    world.clock(31.0);
    let before = world.ledger.counters;
    world.clock(12.0);
    world.clock(30.0);
    assert_eq!(world.ledger.counters, before);
    world.clock(40.0);
    assert_eq!(world.ledger.counters.decided, before.decided + 1);
}

#[test]
fn a_tick_during_a_run_waits_and_starts_when_the_run_ends() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(20.0);
    assert_eq!(world.last_admission(), Admission::Enqueue { waiting: 1 });
    assert_eq!(world.ledger.active.len(), 1);
    world.finish(0);
    let run = &world.ledger.active[0];
    assert_eq!((run.number, run.scheduled_at, world.ledger.queue.len()), (2, Some(at(20.0)), 0));
    assert_eq!(world.ledger.counters.started_later, 1);
}

#[test]
fn waiting_ticks_start_in_the_order_in_which_they_fell_due() {
    let mut world = World::new(every_ten_seconds());
    for seconds in [10.0, 20.0, 30.0, 40.0] {
        world.clock(seconds);
    }
    for seconds in [10.0, 20.0, 30.0, 40.0] {
        assert_eq!(world.ledger.active[0].scheduled_at, Some(at(seconds)));
        world.finish(0);
    }
    assert_eq!(world.ledger.state(), State::Waiting);
}

#[track_caller]
fn check_queue(queue_limit: u32) {
    let mut world = World::new(AppSpec { queue_limit, ..every_ten_seconds() });
    for instant in 1..=queue_limit + 3 {
        world.clock(f64::from(instant * 10));
        assert!(world.ledger.queue.len() <= queue_limit as usize);
    }
    assert_eq!(world.last_admission(), Admission::Drop { reason: DropReason::QueueFull });
    let counters = world.ledger.counters;
    assert_eq!((counters.enqueued, counters.dropped), (u64::from(queue_limit), 2));
    // A drop takes no run number.
    assert_eq!(world.ledger.last_run, 1);
}

#[test]
fn a_tick_that_finds_the_queue_full_is_dropped_and_counted() {
    for queue_limit in [0, 1, 3, 100] {
        check_queue(queue_limit);
    }
}

#[test]
fn the_fourth_waiting_tick_is_dropped_and_room_is_used_again() {
    let mut world = World::new(every_ten_seconds());
    for seconds in [10.0, 20.0, 30.0, 40.0, 50.0] {
        world.clock(seconds);
    }
    let waiting: Vec<_> = world.ticks().into_iter().map(|tick| tick.admission).collect();
    let enqueue = |waiting| Admission::Enqueue { waiting };
    let drop = Admission::Drop { reason: DropReason::QueueFull };
    assert_eq!(waiting, [Admission::Start { run: 1 }, enqueue(1), enqueue(2), enqueue(3), drop]);
    world.finish(0);
    world.clock(60.0);
    assert_eq!(world.last_admission(), enqueue(3));
}

/// What Berlin's clock shows between 02:00 and 03:00 when it is set back, which happens twice.
#[test]
fn a_restart_between_two_ticks_of_a_zoned_job_changes_nothing() {
    const OVERLAP: f64 = 297.0 * 86_400.0;
    let schedule = Schedule::parse("0 0,30 2 * * *", "Europe/Berlin", &TimeZoneDatabase::bundled()).unwrap();
    let spec = AppSpec { schedule: Some(schedule), ..every_ten_seconds() };
    let mut world = World::new(spec);
    world.ledger = Ledger::new(1, at(OVERLAP - 1.0));
    for half_hour in 0..4 {
        // What a scheduler leaves is what is stored.
        world.ledger = serde_json::from_slice(&serde_json::to_vec(&world.ledger).unwrap()).unwrap();
        world.take_over();
        world.clock(OVERLAP + 1_800.0 * f64::from(half_hour));
        world.take_over();
    }
    let instants: Vec<_> = world.ticks().iter().map(|tick| tick.scheduled_at.to_string()).collect();
    let expected = ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
    assert_eq!(instants, expected);
    assert_eq!((world.ledger.counters.decided, world.ledger.counters.coalesced), (4, 0));
}

#[test]
fn missed_instants_coalesce_into_the_latest_with_their_count() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(3_605.0);
    world.take_over();
    let tick = &world.ticks()[0];
    assert_eq!((world.ticks().len(), tick.scheduled_at, tick.coalesced), (1, at(3_600.0), 359));
    assert_eq!(world.ledger.active[0].cause, Cause::CatchUp { missed: 360 });
    assert_eq!((world.ledger.counters.decided, world.ledger.counters.started), (360, 1));
}

#[track_caller]
fn check_lateness(folded_at: f64, expect: Cause) {
    let mut world = World::new(every_ten_seconds());
    world.clock(folded_at);
    assert_eq!(world.ledger.active[0].cause, expect, "folded at second {folded_at}");
}

#[test]
fn one_instant_late_by_more_than_late_after_is_a_catch_up() {
    check_lateness(10.0, Cause::Schedule);
    check_lateness(15.0, Cause::Schedule);
    check_lateness(15.001, Cause::CatchUp { missed: 1 });
    check_lateness(19.999, Cause::CatchUp { missed: 1 });
}

#[test]
fn an_instant_before_the_take_over_was_missed_however_short_ago() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(10.001);
    world.take_over();
    assert_eq!(world.ledger.active[0].cause, Cause::CatchUp { missed: 1 });

    let mut world = World::new(every_ten_seconds());
    world.now = at(10.0);
    world.take_over();
    assert_eq!(world.ledger.active[0].cause, Cause::Schedule);
}

#[test]
fn after_a_pause_the_instants_of_the_last_seconds_are_admitted_one_by_one() {
    let mut world = World::new(app("* * * * * *", vec![service(1, 0)]));
    world.clock(60.0);
    let ticks: Vec<_> = world.ticks().iter().map(|tick| (tick.scheduled_at, tick.coalesced)).collect();
    let on_time = (55..=60).map(|second| (at(f64::from(second)), 0));
    assert_eq!(ticks, std::iter::once((at(54.0), 53)).chain(on_time).collect::<Vec<_>>());
    let counters = world.ledger.counters;
    assert_eq!((counters.started, counters.enqueued, counters.dropped, counters.coalesced), (1, 3, 3, 53));
}

#[test]
fn a_catch_up_waits_for_the_active_run_like_any_tick() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(100.0);
    assert_eq!(world.ledger.queue[0].cause, Cause::CatchUp { missed: 8 });
    assert_eq!(world.ledger.queue[1].cause, Cause::Schedule);
}

/// A month of seconds, decided by the next leader. Returns how long that took.
#[expect(clippy::disallowed_methods, reason = "what work costs can only be measured")]
fn a_month_of_seconds(expression: &str) -> Duration {
    let mut world = World::new(app(expression, vec![service(1, 0)]));
    world.now = at(30.0 * 86_400.0);
    let started = Instant::now();
    world.take_over();
    let took = started.elapsed();
    let counters = world.ledger.counters;
    assert_eq!((counters.decided, counters.coalesced, counters.started), (2_592_000, 2_592_000 - 2, 1));
    assert_eq!(world.ledger.active[0].cause, Cause::CatchUp { missed: 2_592_000 - 1 });
    took
}

/// One by one it takes more than five seconds, for every app of a mesh.
#[test]
fn a_month_without_a_leader_is_one_catch_up_decided_at_once() {
    for expression in ["@every 1s", "* * * * * *"] {
        // The machine may be busy with other things.
        let took = (0..3).map(|_| a_month_of_seconds(expression)).min().unwrap();
        assert!(took < Duration::from_secs(1), "`{expression}` took {took:?}");
    }
}
