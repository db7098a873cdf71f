//! What people ask for: each request once, whatever the stream does (protocol rule P13).

use super::{
    super::{AppContent, Input, Record},
    world::{World, at, every_ten_seconds, service, unscheduled},
};
use crate::{
    id::RunNumber,
    ledger::{Cause, Phase, REQUESTS_MAX, Verdict},
    message::{Command, CommandKind, DropReason, OrderKind, RunRequest},
};

fn by_hand() -> World {
    World::new(unscheduled(vec![service(1, 0)]))
}

#[test]
fn a_run_by_hand_starts_at_once_when_nothing_runs() {
    let mut world = by_hand();
    assert_eq!(world.run(), Verdict::Started { run: 1 });
    let run = &world.ledger.active[0];
    assert!(matches!(&run.cause, Cause::Manual { by, .. } if by == "ann@desk"), "{:?}", run.cause);
    assert_eq!((run.scheduled_at, world.ledger.counters.decided), (None, 0));
}

#[test]
fn runs_by_hand_obey_the_same_bound_as_ticks() {
    let mut world = by_hand();
    world.run();
    for waiting in 1..=3 {
        assert_eq!(world.run(), Verdict::Enqueued { waiting });
    }
    assert_eq!(world.run(), Verdict::Dropped { reason: DropReason::QueueFull });
    let manual = world.ledger.counters.manual;
    assert_eq!((manual.started, manual.enqueued, manual.dropped), (1, 3, 1));
    world.finish(0);
    assert_eq!((world.ledger.active[0].number, world.ledger.counters.manual.started_later), (2, 1));
}

#[test]
fn a_run_by_hand_carries_its_environment_and_arguments_into_the_order() {
    let mut world = by_hand();
    let environment = [("A".to_owned(), "hand".to_owned()), ("B".to_owned(), "2".to_owned())].into();
    let run = RunRequest { environment, arguments: vec!["date".to_owned()] };
    let command = world.command(CommandKind::Run(run));
    let answer = world.decide(Input::Command { sequence: 1, command: &command, retried: None });
    let OrderKind::Start(start) = &answer.orders()[0].kind else { panic!("{answer:?}") };
    assert_eq!(start.container.environment["A"], "hand");
    assert_eq!(start.container.environment["B"], "2");
    assert_eq!(start.container.command, Some(vec!["date".to_owned()]));
    // The spec of the run stays as the file has it.
    assert_eq!(world.ledger.active[0].spec.services[0].container.environment["A"], "file");
}

#[test]
fn a_request_is_carried_out_once() {
    let mut world = by_hand();
    let command = world.command(CommandKind::Run(RunRequest::default()));
    assert_eq!(world.decide(Input::Command { sequence: 1, command: &command, retried: None }).record, Record::Due);
    let before = world.ledger.clone();
    world.now = at(60.0);
    let before_decision = world.ledger.requests.clone();
    world.decide(Input::Command { sequence: 1, command: &command, retried: None });
    assert_eq!((&world.ledger.requests, world.ledger.last_run), (&before_decision, before.last_run));
    world.decide(Input::CommandConfirmed(command.request));
    world.decide(Input::Command { sequence: 1, command: &command, retried: None });
    assert_eq!((world.ledger.last_run, world.ledger.queue.len()), (1, 0));
}

#[track_caller]
fn check_refused(world: &mut World, kind: CommandKind, reason: &str) {
    let command = world.command(kind);
    assert_eq!(world.decide(Input::Command { sequence: 1, command: &command, retried: None }).record, Record::Due);
    let verdict = &world.ledger.requests.back().unwrap().verdict;
    assert_eq!(*verdict, Verdict::Refused { reason: reason.to_owned() });
}

#[test]
fn a_command_that_is_too_large_for_the_ledger_is_refused() {
    let mut world = by_hand();
    let run = RunRequest { arguments: vec!["a".repeat(700_000)], ..RunRequest::default() };
    let reason = "the list of arguments takes 700004 bytes to store, at most 4096 are allowed";
    check_refused(&mut world, CommandKind::Run(run), reason);
    let command = Command { by: "x".repeat(129), ..world.command(CommandKind::Cancel { run: None, force: false }) };
    world.decide(Input::Command { sequence: 1, command: &command, retried: None });
    let reason = "the name of the sender takes 129 bytes to store, at most 128 are allowed".to_owned();
    assert_eq!(world.ledger.requests.back().unwrap().verdict, Verdict::Refused { reason });
    assert!(serde_json::to_string(&world.ledger).unwrap().len() < 2_000, "nothing of it is kept");
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let run = || CommandKind::Run(RunRequest::default());
    let mut world = by_hand();
    check_refused(&mut world, CommandKind::Cancel { run: None, force: false }, "no run is active");
    check_refused(
        &mut world,
        CommandKind::Cancel { run: Some(7), force: false },
        "there is no run 7: the app has not run yet",
    );
    world.change(1.0, AppContent::Invalid { reason: "line 3".to_owned() });
    check_refused(&mut world, run(), "the app is not valid: line 3");
    world.remove(2.0);
    check_refused(&mut world, run(), "the app was removed");
    assert_eq!(world.ledger.last_run, 0);
}

#[test]
fn a_command_from_before_a_tombstone_is_refused() {
    let mut world = World::new(every_ten_seconds());
    let before = world.command(CommandKind::Run(RunRequest::default()));
    world.remove(1.0);
    world.apply(2.0, every_ten_seconds());
    world.decide(Input::Command { sequence: 1, command: &before, retried: None });
    let reason = "the app was removed after this was sent".to_owned();
    assert_eq!(world.ledger.requests.back().unwrap().verdict, Verdict::Refused { reason });
    assert_eq!(world.run(), Verdict::Started { run: 1 });
}

#[test]
fn an_edit_leaves_older_commands_in_force() {
    let mut world = World::new(every_ten_seconds());
    let before = world.command(CommandKind::Run(RunRequest::default()));
    world.apply(2.0, every_ten_seconds());
    world.decide(Input::Command { sequence: 1, command: &before, retried: None });
    assert_eq!(world.ledger.last_run, 1);
}

#[track_caller]
fn check_cancel(wanted: Option<RunNumber>, expect: Verdict) {
    let mut world = by_hand();
    world.run();
    let command = world.command(CommandKind::Cancel { run: wanted, force: false });
    world.decide(Input::Command { sequence: 1, command: &command, retried: None });
    assert_eq!(world.ledger.requests.back().unwrap().verdict, expect);
    let stopping = matches!(world.ledger.active[0].phase(), Phase::Stopping { .. });
    assert_eq!(stopping, matches!(expect, Verdict::Stopping { .. }));
}

#[test]
fn cancel_stops_the_run_that_it_names_and_no_other() {
    check_cancel(None, Verdict::Stopping { runs: vec![1] });
    check_cancel(Some(1), Verdict::Stopping { runs: vec![1] });
    check_cancel(Some(2), Verdict::Refused { reason: "there is no run 2: the newest one is run 1".to_owned() });
}

#[test]
fn with_64_unconfirmed_requests_there_is_no_room_for_another() {
    let mut world = by_hand();
    for _ in 0..REQUESTS_MAX {
        assert!(world.ledger.has_room_for_request());
        world.run();
    }
    assert!(!world.ledger.has_room_for_request());
    let confirmed = world.ledger.requests[5].request;
    world.decide(Input::CommandConfirmed(confirmed));
    assert!(world.ledger.has_room_for_request());
}

#[test]
fn the_oldest_confirmed_request_makes_room_and_no_unconfirmed_one_does() {
    let mut world = by_hand();
    for _ in 0..REQUESTS_MAX {
        world.run();
    }
    let requests: Vec<_> = world.ledger.requests.iter().map(|handled| handled.request).collect();
    for index in [9, 5] {
        world.decide(Input::CommandConfirmed(requests[index]));
    }
    world.run();
    let left: Vec<_> = world.ledger.requests.iter().map(|handled| handled.request).collect();
    assert_eq!((left.len(), left.contains(&requests[5]), left.contains(&requests[9])), (REQUESTS_MAX, false, true));
    assert!(world.ledger.has_room_for_request());
}
