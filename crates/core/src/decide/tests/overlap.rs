//! What becomes of a tick that finds a run active (label `overlap`).

use super::world::{World, at, every_ten_seconds};
use crate::{
    ledger::{Phase, StopReason, Verdict},
    message::{Admission, CommandKind, DiscardReason, DropReason, RunRequest, SkipReason},
    outcome::Outcome,
    spec::{AppSpec, Overlap},
};

fn overlapping(overlap: Overlap) -> World {
    World::new(AppSpec { overlap, ..every_ten_seconds() })
}

fn run_by_hand() -> CommandKind {
    CommandKind::Run(RunRequest::default())
}

#[test]
fn skip_wants_no_run_beside_or_after_the_active_one() {
    let mut world = overlapping(Overlap::Skip);
    world.clock(10.0);
    world.clock(20.0);
    assert_eq!(world.last_admission(), Admission::Skip { reason: SkipReason::Overlap, instants: 1 });
    assert_eq!(world.ask(run_by_hand()), Verdict::Skipped { reason: SkipReason::Overlap });
    world.finish(0);
    assert!(world.ledger.active.is_empty());
    world.clock(30.0);
    assert_eq!(world.ledger.active[0].scheduled_at, Some(at(30.0)));
    let counters = world.ledger.counters;
    assert_eq!((counters.decided, counters.started, counters.skipped, counters.manual.skipped), (3, 2, 1, 1));
}

#[test]
fn skip_also_skips_while_a_run_is_being_stopped() {
    let mut world = overlapping(Overlap::Skip);
    world.clock(10.0);
    let attempt = world.only_open();
    world.claim(&attempt);
    world.cancel();
    world.clock(20.0);
    assert_eq!(world.last_admission(), Admission::Skip { reason: SkipReason::Overlap, instants: 1 });
}

#[test]
fn replace_stops_the_active_run_and_starts_only_after_its_end() {
    let mut world = overlapping(Overlap::Replace);
    world.clock(10.0);
    let attempt = world.only_open();
    world.claim(&attempt);
    let answer = world.clock(20.0);
    assert_eq!(answer.stops(), [&attempt]);
    assert_eq!(*world.ledger.active[0].phase(), Phase::Stopping { reason: StopReason::Replaced });
    assert_eq!(world.last_admission(), Admission::Enqueue { waiting: 1 });
    assert_eq!(world.ledger.active.len(), 1);
    world.exit(&attempt, 143);
    assert_eq!(world.last_summary().outcome, Outcome::failed(143));
    assert_eq!((world.ledger.active.len(), world.ledger.active[0].scheduled_at), (1, Some(at(20.0))));
}

#[test]
fn replace_lets_one_wait_and_a_newer_one_takes_its_place() {
    let mut world = overlapping(Overlap::Replace);
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    assert_eq!((world.ledger.queue.len(), world.ledger.queue[0].scheduled_at), (1, Some(at(30.0))));
    let words: Vec<_> = world.ticks().into_iter().map(|tick| (tick.scheduled_at, tick.admission)).collect();
    let replaced = Admission::Discard { reason: DiscardReason::Replaced, ticks: 1 };
    assert_eq!(words[2..], [(at(20.0), replaced), (at(30.0), Admission::Enqueue { waiting: 1 })]);
    assert_eq!(world.ask(run_by_hand()), Verdict::Enqueued { waiting: 1 });
    let counters = world.ledger.counters;
    assert_eq!((counters.enqueued, counters.replaced, counters.manual.enqueued), (2, 2, 1));
    world.clock(40.0);
    assert_eq!(world.ledger.counters.manual.replaced, 1);
}

#[test]
fn a_run_that_is_cancelled_already_keeps_its_reason() {
    let mut world = overlapping(Overlap::Replace);
    world.clock(10.0);
    world.cancel();
    world.clock(20.0);
    let reason = StopReason::Cancelled { by: "ann@desk".to_owned() };
    assert_eq!(*world.ledger.active[0].phase(), Phase::Stopping { reason });
}

#[test]
fn allow_starts_beside_the_active_runs_up_to_its_bound() {
    let mut world = overlapping(Overlap::Allow { max_active: 2 });
    world.clock(10.0);
    world.clock(20.0);
    let numbers: Vec<_> = world.ledger.active.iter().map(|run| run.number).collect();
    assert_eq!(numbers, [1, 2]);
    for seconds in [30.0, 40.0, 50.0] {
        world.clock(seconds);
        assert!(matches!(world.last_admission(), Admission::Enqueue { .. }));
    }
    world.clock(60.0);
    assert_eq!(world.last_admission(), Admission::Drop { reason: DropReason::QueueFull });
    let (first, _) = world.open().remove(0);
    world.claim(&first);
    world.exit(&first, 0);
    let numbers: Vec<_> = world.ledger.active.iter().map(|run| run.number).collect();
    assert_eq!((numbers, world.ledger.queue.len()), (vec![2, 3], 2));
}

#[test]
fn a_bound_that_is_raised_lets_those_start_that_wait() {
    let mut world = overlapping(Overlap::Allow { max_active: 1 });
    for seconds in [10.0, 20.0, 30.0, 40.0] {
        world.clock(seconds);
    }
    world.apply(41.0, AppSpec { overlap: Overlap::Allow { max_active: 3 }, ..every_ten_seconds() });
    assert_eq!((world.ledger.active.len(), world.ledger.queue.len()), (3, 1));
}

#[test]
fn a_run_beside_others_needs_room_in_the_ledger() {
    let mut world = overlapping(Overlap::Allow { max_active: 20 });
    let mut large = AppSpec { overlap: Overlap::Allow { max_active: 20 }, ..every_ten_seconds() };
    let mut run = (*large.run()).clone();
    run.services[0].container.image = "x".repeat(150_000);
    large.run = run.into();
    world.apply(1.0, large);
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    assert_eq!((world.ledger.active.len(), world.ledger.queue.len()), (2, 1));
}
