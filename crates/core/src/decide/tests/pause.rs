//! Pause: no instants, nothing of the queue; the active run goes on (command, and label `paused`).

use super::world::{World, at, every_ten_seconds};
use crate::{
    decide::AppContent,
    ledger::{Pause, State, Verdict},
    message::{Admission, CommandKind, SkipReason},
    spec::AppSpec,
};

#[test]
fn a_paused_app_decides_nothing_until_it_is_resumed_and_then_skips_all_with_one_word() {
    let mut world = World::new(every_ten_seconds());
    world.now = at(5.0);
    assert_eq!(world.ask(CommandKind::Pause), Verdict::Paused);
    assert_eq!(world.ledger.pause, Some(Pause { by: "ann@desk".to_owned(), since: at(5.0) }));
    assert_eq!((world.ledger.state(), world.wake_at()), (State::Paused, None));
    world.clock(55.0);
    assert_eq!((world.ledger.counters.decided, world.ticks().len()), (0, 0));
    world.now = at(65.0);
    assert_eq!(world.ask(CommandKind::Resume), Verdict::Resumed { skipped: 6 });
    let ticks = world.ticks();
    assert_eq!(ticks.len(), 1);
    assert_eq!(ticks[0].admission, Admission::Skip { reason: SkipReason::Paused, instants: 6 });
    assert_eq!((ticks[0].scheduled_at, world.ledger.counters.skipped), (at(60.0), 6));
    world.clock(70.0);
    assert_eq!(world.ledger.active[0].scheduled_at, Some(at(70.0)));
}

#[test]
fn the_active_run_goes_on_and_what_waits_goes_on_waiting() {
    let mut world = World::new(every_ten_seconds());
    world.clock(10.0);
    world.clock(20.0);
    world.ask(CommandKind::Pause);
    assert_eq!(world.ledger.state(), State::Running);
    world.finish(0);
    assert_eq!((world.ledger.state(), world.ledger.queue.len()), (State::Paused, 1));
    assert_eq!(world.ask(CommandKind::Resume), Verdict::Resumed { skipped: 0 });
    assert_eq!(world.ledger.active[0].scheduled_at, Some(at(20.0)));
}

#[test]
fn a_run_by_hand_starts_in_a_paused_app_unless_something_waits() {
    let mut world = World::new(every_ten_seconds());
    world.ask(CommandKind::Pause);
    assert_eq!(world.run(), Verdict::Started { run: 1 });
    assert_eq!(world.run(), Verdict::Enqueued { waiting: 1 });
    world.finish(0);
    assert_eq!(world.run(), Verdict::Enqueued { waiting: 2 });
    assert!(world.ledger.active.is_empty());
}

#[test]
fn pausing_twice_and_resuming_what_runs_changes_nothing() {
    let mut world = World::new(every_ten_seconds());
    assert_eq!(world.ask(CommandKind::Resume), Verdict::Resumed { skipped: 0 });
    world.ask(CommandKind::Pause);
    world.now = at(3.0);
    world.ask(CommandKind::Pause);
    assert_eq!(world.ledger.pause.as_ref().unwrap().since, at(0.0));
}

#[test]
fn an_edit_of_a_paused_app_accounts_for_the_old_schedule() {
    let mut world = World::new(every_ten_seconds());
    world.ask(CommandKind::Pause);
    world.now = at(25.0);
    world.apply(25.0, super::world::app("@every 5s", vec![super::world::service(1, 0)]));
    assert_eq!((world.ledger.counters.decided, world.ledger.counters.skipped), (2, 2));
    assert_eq!(world.ledger.state(), State::Paused);
    world.now = at(40.0);
    assert_eq!(world.ask(CommandKind::Resume), Verdict::Resumed { skipped: 3 });
}

#[test]
fn a_file_that_is_not_valid_stays_paused_and_owes_nothing() {
    let mut world = World::new(every_ten_seconds());
    world.ask(CommandKind::Pause);
    world.now = at(25.0);
    world.change(25.0, AppContent::Invalid { reason: "line 3".to_owned() });
    assert_eq!((world.ledger.counters.skipped, world.ledger.state()), (2, State::Invalid));
    world.now = at(60.0);
    assert_eq!(world.ask(CommandKind::Resume), Verdict::Resumed { skipped: 0 });
}

fn labelled(paused: bool) -> AppSpec {
    AppSpec { paused, ..every_ten_seconds() }
}

#[track_caller]
fn check_label(before: bool, by_hand: CommandKind, after: bool, paused: bool) {
    let mut world = World::new(every_ten_seconds());
    world.apply(1.0, labelled(before));
    world.ask(by_hand.clone());
    world.apply(2.0, labelled(after));
    assert_eq!(world.ledger.pause.is_some(), paused, "{before}, {by_hand:?}, {after}");
}

#[test]
fn the_label_acts_when_it_changes_and_not_against_what_people_did_meanwhile() {
    check_label(false, CommandKind::Pause, false, true);
    check_label(false, CommandKind::Pause, true, true);
    check_label(true, CommandKind::Resume, true, false);
    check_label(true, CommandKind::Resume, false, false);
    check_label(false, CommandKind::Resume, true, true);
    check_label(true, CommandKind::Pause, false, false);
}

#[test]
fn a_label_that_lifts_the_pause_owes_the_instants_like_a_person() {
    let mut world = World::new(every_ten_seconds());
    world.apply(1.0, labelled(true));
    world.now = at(35.0);
    world.apply(35.0, labelled(false));
    assert_eq!((world.ledger.counters.skipped, world.ledger.state()), (3, State::Waiting));
}

#[test]
fn rm_ends_the_pause() {
    let mut world = World::new(every_ten_seconds());
    world.apply(1.0, labelled(true));
    world.now = at(25.0);
    world.remove(25.0);
    assert_eq!(world.ask(CommandKind::Pause), Verdict::Refused { reason: "the app was removed".to_owned() });
    world.apply(26.0, every_ten_seconds());
    assert_eq!((world.ledger.counters.skipped, world.ledger.state()), (2, State::Waiting));
}

#[test]
fn a_queue_can_be_emptied_by_hand() {
    let mut world = World::new(every_ten_seconds());
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    world.run();
    assert_eq!(world.ask(CommandKind::Flush), Verdict::Flushed { waiting: 3 });
    let counters = world.ledger.counters;
    assert_eq!((counters.flushed, counters.manual.flushed, world.ledger.active.len()), (2, 1, 1));
    assert_eq!(world.ask(CommandKind::Flush), Verdict::Flushed { waiting: 0 });
}
