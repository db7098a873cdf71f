//! `retry APP/RUN`: a new run of what did not succeed.

use super::world::{World, every_ten_seconds, service, service_after, unscheduled};
use crate::{
    ledger::{Cause, Verdict},
    message::{CommandKind, RunRequest},
    outcome::Outcome,
    spec::ServiceSpec,
};

fn three_replicas() -> World {
    let mut world = World::new(unscheduled(vec![service(3, 0)]));
    world.run();
    world
}

/// Ends the open attempts, each with its exit code.
fn finish_all(world: &mut World, exit_codes: &[i64]) {
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    assert_eq!(open.len(), exit_codes.len());
    for (attempt, exit_code) in open.iter().zip(exit_codes) {
        world.claim(attempt);
        world.exit(attempt, *exit_code);
    }
}

#[test]
fn what_had_succeeded_is_carried_over_and_the_rest_runs_again() {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 1, 0]);
    assert_eq!(world.ask(CommandKind::Retry { run: 1 }), Verdict::Started { run: 2 });
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id.replica).collect();
    assert_eq!(open, [1]);
    assert!(matches!(world.ledger.active[0].cause, Cause::Retry { of: 1, .. }));
    finish_all(&mut world, &[0]);
    assert_eq!(world.last_outcomes(), ["succeeded"; 3]);
    let attempts: Vec<_> = world.last_summary().replicas.iter().map(|replica| replica.attempts).collect();
    assert_eq!((attempts, &world.last_summary().outcome), (vec![0, 1, 0], &Outcome::Succeeded));
    assert_eq!((world.ledger.counters.retry.started, world.ledger.counters.manual.started), (1, 1));
}

#[test]
fn the_history_tells_as_well_as_what_is_not_published_yet() {
    let mut world = three_replicas();
    finish_all(&mut world, &[1, 0, 0]);
    world.publish();
    assert_eq!(world.ask(CommandKind::Retry { run: 1 }), Verdict::Started { run: 2 });
    assert_eq!(world.open().len(), 1);
}

#[test]
fn a_retry_asks_for_the_same_environment_and_instant() {
    let mut world = World::new(every_ten_seconds());
    let request = RunRequest { environment: [("B".to_owned(), "2".to_owned())].into(), arguments: vec![] };
    world.ask(CommandKind::Run(request.clone()));
    world.finish(1);
    world.ask(CommandKind::Retry { run: 1 });
    assert_eq!(world.ledger.active[0].request, request);
    world.finish(0);
    world.clock(10.0);
    world.finish(1);
    let scheduled_at = world.last_summary().scheduled_at;
    world.ask(CommandKind::Retry { run: 3 });
    assert_eq!(world.ledger.active[0].scheduled_at, scheduled_at);
}

#[test]
fn a_retry_waits_like_a_tick_and_remembers_what_it_carries() {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 0, 1]);
    world.run();
    assert_eq!(world.ask(CommandKind::Retry { run: 1 }), Verdict::Enqueued { waiting: 1 });
    let stored = serde_json::to_string(&world.ledger).unwrap();
    world.ledger = serde_json::from_str(&stored).unwrap();
    finish_all(&mut world, &[0, 0, 0]);
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| (id.run, id.replica)).collect();
    assert_eq!(open, [(3, 2)]);
    assert_eq!(world.ledger.counters.retry.started_later, 1);
}

#[test]
fn dependencies_that_had_succeeded_stay_met() {
    let mut world = World::new(unscheduled(vec![service_after("first", &[]), service_after("second", &["first"])]));
    world.run();
    world.finish_service("first", 0);
    world.finish_service("second", 1);
    world.ask(CommandKind::Retry { run: 1 });
    assert_eq!(world.open_services(), ["second"]);
}

#[test]
fn a_retry_runs_the_file_as_it_is_now() {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 1, 1]);
    world.apply(1.0, unscheduled(vec![service(2, 0), ServiceSpec { scale: 2, ..service_after("new", &[]) }]));
    world.ask(CommandKind::Retry { run: 1 });
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| format!("{}/{}", id.service, id.replica)).collect();
    assert_eq!(open, ["s1/1", "new/0", "new/1"]);
}

#[track_caller]
fn check_refused(world: &mut World, run: u64, reason: &str) {
    let verdict = world.ask(CommandKind::Retry { run });
    assert_eq!(verdict, Verdict::Refused { reason: reason.to_owned() });
}

#[test]
fn what_is_active_unknown_or_has_succeeded_is_not_retried() {
    let mut world = three_replicas();
    check_refused(&mut world, 1, "run 1 is active: only one that has ended can be retried");
    check_refused(&mut world, 7, "run 7 is not in the history");
    finish_all(&mut world, &[0, 0, 0]);
    check_refused(&mut world, 1, "run 1 succeeded: nothing of it is left to do");
}

#[test]
fn a_retry_with_nothing_left_in_the_file_is_refused() {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 1, 1]);
    world.apply(1.0, unscheduled(vec![service(1, 0)]));
    check_refused(&mut world, 1, "what did not succeed in run 1 is not in the file any more");
}

#[test]
fn a_retry_that_has_nothing_left_when_its_turn_comes_ends_at_once() {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 1, 1]);
    world.run();
    world.ask(CommandKind::Retry { run: 1 });
    world.run();
    world.apply(1.0, unscheduled(vec![service(1, 0)]));
    finish_all(&mut world, &[0, 0, 0]);
    let active: Vec<u64> = world.ledger.active.iter().map(|run| run.number).collect();
    assert_eq!((active, world.last_summary().run), (vec![4], 3));
}

fn with_variable(value: &str) -> RunRequest {
    RunRequest { environment: [("PASSWORD".to_owned(), value.to_owned())].into(), arguments: vec!["-v".to_owned()] }
}

/// A run with a variable of that value has failed.
fn failed_run(value: &str) -> World {
    let mut world = three_replicas();
    finish_all(&mut world, &[0, 0, 0]);
    world.ask(CommandKind::Run(with_variable(value)));
    finish_all(&mut world, &[0, 1, 0]);
    world
}

#[test]
fn retry_has_values_that_the_history_does_not_tell() {
    let mut world = failed_run("hunter2");
    let summary = serde_json::to_string(world.last_summary()).unwrap();
    assert!(summary.contains("PASSWORD") && !summary.contains("hunter2"), "{summary}");
    world.publish();
    // Another leader knows what is stored.
    let stored = serde_json::to_string(&world.ledger).unwrap();
    world.ledger = serde_json::from_str(&stored).unwrap();
    assert_eq!(world.ask(CommandKind::Retry { run: 2 }), Verdict::Started { run: 3 });
    assert_eq!(world.ledger.active[0].request, with_variable("hunter2"));
    finish_all(&mut world, &[0]);
    assert!(world.ledger.retained_values(3).is_none(), "nobody retries a run that succeeded");
}

#[test]
fn retry_without_its_values_is_refused_and_names_them() {
    let mut world = failed_run("hunter2");
    world.publish();
    world.ledger.retained.clear();
    let reason = "the values that run 2 was started with are not kept any more: run the app with --env for PASSWORD";
    check_refused(&mut world, 2, reason);
}

#[test]
fn values_go_when_the_app_is_removed() {
    let mut world = failed_run("hunter2");
    assert!(serde_json::to_string(&world.ledger).unwrap().contains("hunter2"));
    world.remove(1.0);
    assert!(!serde_json::to_string(&world.ledger).unwrap().contains("hunter2"));
}
