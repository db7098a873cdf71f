//! Revisions of the app: edits, files that are not valid, rm, and apps that come back.

use super::{
    super::{AppChange, AppContent, Input, Record},
    world::{World, app, at, every_ten_seconds, service, unscheduled},
};
use crate::{
    ledger::{Cause, Ledger, Phase, Standing, State, StopReason},
    message::{Admission, DropReason},
    outcome::Outcome,
    spec::AppSpec,
};

#[test]
fn an_edit_decides_the_old_schedule_up_to_its_timestamp() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(25.0);
    // The leader learns of the edit late: the instant of second 20 came after it, and is no instant any more.
    world.apply(15.0, app("@every 60s", vec![service(1, 0)]));
    assert_eq!(world.ledger.counters.decided, 1);
    assert_eq!(world.ticks()[0].scheduled_at, at(10.0));
    assert_eq!(world.ledger.decided_through, at(15.0));
}

#[test]
fn an_edit_found_after_an_outage_splits_the_outage() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(3_600.0);
    world.apply(1_805.0, app("@every 60s", vec![service(1, 0)]));
    world.take_over();
    let ticks: Vec<_> = world.ticks().iter().map(|tick| (tick.scheduled_at, tick.coalesced)).collect();
    assert_eq!(ticks, [(at(1_800.0), 179), (at(3_540.0), 28), (at(3_600.0), 0)]);
}

#[test]
fn an_edit_never_fires_an_instant_of_the_new_schedule_before_it() {
    let mut world = World::new(app("@every 60s", vec![service(1, 0)]));
    world.now = at(36.0);
    world.apply(35.0, app("* * * * * *", vec![service(1, 0)]));
    assert_eq!(world.ledger.counters.decided, 0);
    world.clock(36.0);
    assert_eq!(world.ticks()[0].scheduled_at, at(36.0));
}

#[test]
fn an_edit_at_an_instant_leaves_that_instant_to_the_old_schedule() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(10.0);
    world.apply(10.0, app("@every 5s", vec![service(1, 0)]));
    assert_eq!(world.ledger.counters.decided, 1);
    world.clock(10.0);
    assert_eq!(world.ledger.counters.decided, 1);
    world.clock(15.0);
    assert_eq!(world.ledger.counters.decided, 2);
}

#[test]
fn an_edit_that_comes_late_repeats_no_instant() {
    let mut world = World::new(every_ten_seconds());
    world.clock(20.0);
    world.apply(12.0, app("@every 5s", vec![service(1, 0)]));
    world.clock(20.0);
    assert_eq!((world.ledger.counters.decided, world.ledger.decided_through), (2, at(20.0)));
}

#[test]
fn a_revision_is_folded_once() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    let before = world.ledger.clone();
    for revision in [0, 1] {
        let change = AppChange { revision, at: at(10.0), content: AppContent::Removed };
        assert_eq!(world.decide(Input::App(change)).record, Record::Unchanged);
    }
    assert_eq!(world.ledger, before);
}

#[test]
fn the_active_run_keeps_its_spec_and_a_waiting_tick_takes_the_new_one() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(20.0);
    world.apply(21.0, app("@every 10s", vec![service(2, 0)]));
    assert_eq!(world.ledger.active[0].spec.replica_count(), 1);
    world.finish(0);
    assert_eq!(world.ledger.active[0].services()[0].replicas.len(), 2);
}

#[test]
fn a_lower_queue_limit_keeps_those_that_wait() {
    let mut world = World::new(every_ten_seconds());
    for seconds in [10.0, 20.0, 30.0, 40.0] {
        world.clock(seconds);
    }
    world.apply(41.0, AppSpec { queue_limit: 1, ..every_ten_seconds() });
    assert_eq!(world.ledger.queue.len(), 3);
    world.clock(50.0);
    assert_eq!(world.last_admission(), Admission::Drop { reason: DropReason::QueueFull });
    assert_eq!(world.ledger.queue.len(), 3);
}

#[test]
fn an_app_that_loses_its_schedule_still_runs_what_waits() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(20.0);
    world.apply(21.0, unscheduled(vec![service(1, 0)]));
    world.finish(0);
    assert_eq!(world.ledger.active[0].number, 2);
    world.clock(600.0);
    assert_eq!(world.ledger.counters.decided, 2);
}

#[test]
fn a_file_that_is_not_valid_decides_nothing_and_the_active_run_goes_on() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(20.0);
    let reason = "line 3".to_owned();
    world.change(21.0, AppContent::Invalid { reason: reason.clone() });
    world.clock(100.0);
    assert_eq!((world.ledger.counters.decided, world.ledger.active.len()), (2, 1));
    world.finish(0);
    assert_eq!(world.ledger.standing, Standing::Invalid { reason });
    assert_eq!((world.ledger.state(), world.ledger.queue.len()), (State::Invalid, 1));

    // The repaired file yields nothing for the time without one, and what waited is run.
    world.apply(101.0, every_ten_seconds());
    assert_eq!((world.ledger.counters.decided, world.ledger.active[0].number), (2, 2));
    world.clock(110.0);
    assert_eq!(world.ledger.counters.decided, 3);
}

#[test]
fn rm_flushes_the_queue_and_cancels_the_active_run_but_keeps_its_number() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    let attempt = world.only_open();
    world.claim(&attempt);
    world.clock(20.0);
    world.run();
    world.now = at(25.0);
    let answer = world.remove(25.0);
    assert_eq!(answer.stops(), [&attempt]);
    assert_eq!((world.ledger.queue.len(), world.ledger.counters.flushed), (0, 1));
    assert_eq!(world.ledger.counters.manual.flushed, 1);
    assert_eq!(*world.ledger.active[0].phase(), Phase::Stopping { reason: StopReason::Removed });
    assert_eq!((world.ledger.tombstone_revision, world.ledger.last_run), (2, 1));

    world.exit(&attempt, 137);
    assert_eq!((world.ledger.active.len(), world.ledger.state()), (0, State::Removed));
    world.clock(1_000.0);
    assert_eq!((world.ledger.counters.decided, world.ledger.last_run), (2, 1));
}

#[test]
fn a_created_again_app_waits_for_the_old_run_to_end_and_numbers_go_on() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    let attempt = world.only_open();
    world.claim(&attempt);
    world.now = at(12.0);
    world.remove(12.0);
    world.apply(13.0, every_ten_seconds());
    assert_eq!(world.ledger.state(), State::Stopping);
    world.clock(20.0);
    assert_eq!(world.last_admission(), Admission::Enqueue { waiting: 1 });
    world.exit(&attempt, 137);
    assert_eq!(world.ledger.history.pending[0].outcome, Outcome::failed(137));
    let run = &world.ledger.active[0];
    assert_eq!((run.number, &run.cause, world.ledger.ticks.last_number), (2, &Cause::Schedule, 2));
}

#[test]
fn instants_up_to_the_rm_are_decided_and_none_after_it() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(42.0);
    world.remove(25.0);
    assert_eq!((world.ledger.counters.decided, world.ledger.counters.coalesced), (2, 1));
    world.apply(41.0, every_ten_seconds());
    world.clock(50.0);
    assert_eq!(world.ledger.counters.decided, 3);
}

#[test]
fn the_first_revision_may_be_folded_into_an_empty_ledger() {
    let mut world = World::new(unscheduled(Vec::new()));
    world.ledger = Ledger::new(0, at(0.0));
    world.now = at(100.0);
    world.apply(95.0, every_ten_seconds());
    world.clock(100.0);
    assert_eq!((world.ledger.app_revision, world.ledger.counters.decided), (1, 1));
}
