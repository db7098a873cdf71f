//! What people hear of an app: each incident once when it opens and once when it closes.

use std::time::Duration;

use super::{
    super::{AppContent, Clock, Input, Record},
    world::{World, app, at, every_ten_seconds, service, unscheduled},
};
use crate::{
    fleet::Readiness,
    ledger::NOTICES_PENDING_MAX,
    message::{AppNotice, AttemptEvent, CommandKind, DropReason},
    outcome::Outcome,
    spec::{AppSpec, Overlap},
};

/// Takes the notices that wait, as if they were published.
fn told(world: &mut World) -> Vec<AppNotice> {
    let notices = world.ledger.notices.pending.iter().map(|record| record.notice.clone()).collect();
    let number = world.ledger.notices.last_number;
    world.decide(Input::NoticeStored { number, sequence: number });
    assert_eq!(world.ledger.notices.pending.len(), 0);
    notices
}

#[track_caller]
fn check(world: &mut World, expected: &[AppNotice]) {
    assert_eq!(told(world), expected);
}

fn ends(world: &mut World, exit_code: i64) {
    world.run();
    world.finish(exit_code);
}

fn failed(run: u64, failures: u32) -> AppNotice {
    AppNotice::Failed { run, outcome: Outcome::failed(3), failures }
}

#[test]
fn each_failure_is_told_and_the_first_success_after_it() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    for exit_code in [0, 3, 3, 0, 0] {
        ends(&mut world, exit_code);
    }
    check(&mut world, &[failed(2, 1), failed(3, 2), AppNotice::Recovered { run: 4, failures: 2 }]);
}

#[test]
fn a_cancelled_run_is_no_news_and_no_recovery() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    ends(&mut world, 3);
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.cancel();
    world.report(&attempt, AttemptEvent::Cancelled { exit_code: Some(143) });
    check(&mut world, &[failed(1, 1)]);
    ends(&mut world, 0);
    check(&mut world, &[AppNotice::Recovered { run: 3, failures: 1 }]);
}

/// Three ticks wait at 10 s, 20 s ...: the fourth and all after it are dropped.
#[test]
fn dropped_ticks_are_told_at_once_and_then_once_an_hour() {
    let mut world = World::new(every_ten_seconds());
    for tick in 1..=7 {
        world.clock(f64::from(tick) * 10.0);
    }
    let reason = DropReason::QueueFull;
    check(&mut world, &[AppNotice::Dropped { tick: 5, scheduled_at: at(50.0), reason, ticks: 1 }]);
    assert_eq!(world.ledger.told.dropped.as_ref().map(|drops| drops.untold), Some(2));
    // The run ends, and nothing is dropped any more: the two are told when the hour is over.
    world.timing.tell_dropped = Duration::from_secs(25);
    assert_eq!(world.wake_at(), Some(at(75.0)));
    world.clock(75.0);
    check(&mut world, &[AppNotice::Dropped { tick: 7, scheduled_at: at(70.0), reason, ticks: 2 }]);
    world.clock(80.0);
    check(&mut world, &[]);
    // Two of the three that are late are folded into one tick.
    world.clock(110.0);
    check(&mut world, &[AppNotice::Dropped { tick: 9, scheduled_at: at(100.0), reason, ticks: 2 }]);
}

fn homeless() -> World {
    let mut world = World::new(unscheduled(vec![service(2, 0)]));
    for name in ["a1", "a2", "a3"] {
        world.set_agent(name, Readiness::Draining, 10);
    }
    world.run();
    world
}

#[test]
fn a_run_without_an_agent_is_told_after_five_minutes() {
    let mut world = homeless();
    assert_eq!(world.wake_at(), Some(at(300.0)));
    assert_eq!(world.clock(299.9).record, Record::Unchanged);
    assert_eq!(world.clock(300.0).record, Record::Due);
    let reason = "0 of 3 agents fit: 3 draining".to_owned();
    check(&mut world, &[AppNotice::Pending { run: 1, since: at(0.0), reason }]);
    assert_eq!(world.wake_at(), None, "it is told once");
    world.clock(900.0);
    check(&mut world, &[]);
    world.set_agent("a2", Readiness::Ready, 10);
    world.clock(901.0);
    check(&mut world, &[AppNotice::Placed { run: 1 }]);
}

#[test]
fn a_wait_goes_on_across_leaders_until_the_run_ends() {
    let mut world = homeless();
    world.clock(200.0);
    // What is stored need not say since when: it follows from the run.
    world.ledger.told.waits_since = None;
    world.take_over();
    assert_eq!(world.wake_at(), Some(at(300.0)));
    world.clock(300.0);
    assert_eq!(told(&mut world).len(), 1);
    world.take_over();
    check(&mut world, &[]);
    world.cancel();
    check(&mut world, &[AppNotice::Placed { run: 1 }]);
}

/// One slot for two replicas: the second waits for long, but the run goes on.
#[test]
fn a_run_of_which_something_runs_is_not_pending() {
    let mut world = World::new(unscheduled(vec![service(2, 3)]));
    world.set_agent("a1", Readiness::Ready, 1);
    world.set_agent("a2", Readiness::Silent, 1);
    world.set_agent("a3", Readiness::Silent, 1);
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.clock(1_000.0);
    check(&mut world, &[]);
    world.set_agent("a1", Readiness::Silent, 1);
    world.exit(&attempt, 0);
    world.clock(1_299.0);
    check(&mut world, &[]);
    world.clock(1_300.0);
    assert!(matches!(told(&mut world)[..], [AppNotice::Pending { run: 1, since, .. }] if since == at(1_000.0)));
}

#[test]
fn a_long_run_is_told_and_so_is_its_end() {
    let warn_after = Some(Duration::from_secs(60));
    let allow = Overlap::Allow { max_active: 2 };
    let spec = AppSpec { warn_after, overlap: allow, ..unscheduled(vec![service(1, 0)]) };
    let mut world = World::new(spec);
    world.run();
    let first = world.only_open();
    world.claim(&first);
    world.clock(30.0);
    world.run();
    let second = world.open().into_iter().map(|(id, _)| id).find(|id| *id != first).unwrap();
    world.claim(&second);
    assert_eq!(world.wake_at(), Some(at(60.0)));
    world.clock(60.0);
    world.clock(70.0);
    let long = |run, seconds| AppNotice::Long { run, started_at: at(seconds), warn_after_ms: 60_000 };
    check(&mut world, &[long(1, 0.0)]);
    world.take_over();
    world.clock(91.0);
    check(&mut world, &[long(2, 30.0)]);
    world.exit(&first, 0);
    check(&mut world, &[AppNotice::LongOver { run: 1, outcome: Outcome::Succeeded }]);
    assert_eq!(world.ledger.told.long, [2]);
}

/// A success is expected every minute; the app is applied at second 0.
fn expecting() -> World {
    let spec = AppSpec { expect_success: Some(Duration::from_secs(60)), ..unscheduled(vec![service(1, 0)]) };
    let mut world = World::new(spec.clone());
    world.apply(0.0, spec);
    world
}

fn overdue(seconds: f64) -> AppNotice {
    AppNotice::Overdue { since: at(seconds), expect_success_ms: 60_000 }
}

#[test]
fn an_app_without_success_is_overdue_once() {
    let mut world = expecting();
    assert_eq!(world.wake_at(), Some(at(60.0)));
    world.clock(59.9);
    check(&mut world, &[]);
    world.clock(60.0);
    world.clock(200.0);
    check(&mut world, &[overdue(0.0)]);
    ends(&mut world, 3);
    check(&mut world, &[failed(1, 1)]);
    ends(&mut world, 0);
    check(&mut world, &[AppNotice::Recovered { run: 2, failures: 1 }, AppNotice::OnTime { run: Some(2) }]);
    assert_eq!(world.wake_at(), Some(at(260.0)));
    world.clock(260.0);
    check(&mut world, &[overdue(200.0)]);
}

#[test]
fn a_pause_stops_the_time_that_a_success_is_expected_in() {
    let mut world = expecting();
    world.clock(20.0);
    world.ask(CommandKind::Pause);
    assert_eq!(world.wake_at(), None);
    world.clock(1_000.0);
    check(&mut world, &[]);
    world.ask(CommandKind::Resume);
    assert_eq!(world.wake_at(), Some(at(1_040.0)));
    world.clock(1_040.0);
    check(&mut world, &[overdue(980.0)]);
}

#[test]
fn whoever_expects_nothing_any_more_closes_what_is_open() {
    let mut world = expecting();
    world.clock(60.0);
    check(&mut world, &[overdue(0.0)]);
    world.apply(61.0, unscheduled(vec![service(1, 0)]));
    check(&mut world, &[AppNotice::OnTime { run: None }]);
    let mut removed = expecting();
    removed.clock(60.0);
    removed.remove(61.0);
    check(&mut removed, &[overdue(0.0), AppNotice::OnTime { run: None }]);
    assert_eq!(removed.ledger.told, Default::default());
}

/// Its fields are gone once a release has written the ledger that does not know them.
#[test]
fn after_an_earlier_release_a_success_is_expected_from_then_on() {
    let mut world = expecting();
    world.clock(50.0);
    (world.ledger.told, world.ledger.notices) = Default::default();
    world.take_over();
    assert_eq!(world.wake_at(), Some(at(110.0)));
}

#[test]
fn a_file_that_is_not_valid_any_more_is_told() {
    let mut world = World::new(every_ten_seconds());
    let invalid = || AppContent::Invalid { reason: "1:1: no".to_owned() };
    world.change(1.0, invalid());
    world.change(2.0, invalid());
    world.apply(3.0, every_ten_seconds());
    check(&mut world, &[AppNotice::Invalid { reason: "1:1: no".to_owned() }, AppNotice::Valid]);
}

#[test]
fn nothing_is_told_by_a_clock_that_may_be_wrong() {
    let mut world = homeless();
    world.clock = Clock::Doubted;
    world.clock(900.0);
    check(&mut world, &[]);
    world.clock = Clock::Running;
    world.clock(901.0);
    assert_eq!(told(&mut world).len(), 1);
}

#[test]
fn numbers_begin_at_the_tenure_and_the_newest_are_kept() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.tenure.epoch.0 = 900;
    ends(&mut world, 3);
    assert_eq!(world.ledger.notices.first().map(|(number, record)| (number, record.number)), Some((901, 901)));
    for _ in 0..NOTICES_PENDING_MAX + 5 {
        ends(&mut world, 3);
    }
    assert_eq!(world.ledger.notices.pending.len(), NOTICES_PENDING_MAX);
    let mut numbers = world.ledger.notices.pending.iter().map(|record| record.number);
    assert!(numbers.clone().is_sorted() && numbers.next_back() == Some(world.ledger.notices.last_number));
    let written = serde_json::to_string(&world.ledger).unwrap();
    assert_eq!(serde_json::from_str::<crate::ledger::Ledger>(&written).unwrap().notices, world.ledger.notices);
}

#[test]
fn an_app_that_is_well_has_nothing_to_tell() {
    let mut world = World::new(app("@every 10s", vec![service(1, 0)]));
    for tick in 1..=20 {
        world.clock(f64::from(tick) * 10.0);
        world.finish(0);
    }
    check(&mut world, &[]);
    assert!(world.ledger.notices.is_unused());
    assert_eq!(world.ledger.told, Default::default());
}
