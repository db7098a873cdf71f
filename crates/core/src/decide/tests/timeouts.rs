//! Runs and attempts that last longer than they may (labels `timeout` and `attempt_timeout`).

use std::time::Duration;

use super::world::{World, at, service, unscheduled};
use crate::{
    decide::{Clock, Record},
    end_notes::EndNotes,
    ledger::{Phase, ReplicaState, StopReason},
    message::{AttemptEvent, OrderKind},
    outcome::Outcome,
    spec::{AppSpec, RunSpec, ServiceSpec},
};

fn timed(timeout: u64, services: Vec<ServiceSpec>) -> AppSpec {
    let spec = unscheduled(services);
    let run = RunSpec { timeout: Some(Duration::from_secs(timeout)), ..(*spec.run()).clone() };
    AppSpec { run: run.into(), ..spec }
}

#[test]
fn a_run_that_lasts_too_long_is_stopped_and_nothing_of_it_is_tried_again() {
    let mut world = World::new(timed(60, vec![service(3, 2)]));
    world.set_agent("a1", crate::fleet::Readiness::Ready, 2);
    for name in ["a2", "a3"] {
        world.set_agent(name, crate::fleet::Readiness::Draining, 10);
    }
    world.run();
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    world.claim(&open[0]);
    world.claim(&open[1]);
    assert_eq!(world.wake_at(), Some(at(60.0)));
    assert_eq!(world.clock(59.9).record, Record::Unchanged);
    let answer = world.clock(60.0);
    assert_eq!(answer.stops(), open.iter().collect::<Vec<_>>());
    assert_eq!(*world.ledger.active[0].phase(), Phase::Stopping { reason: StopReason::TimedOut });
    assert_eq!(*world.replica(2), ReplicaState::Ended { outcome: Outcome::TimedOut, agent: None });
    world.report(&open[0], AttemptEvent::Cancelled { exit_code: Some(143) });
    world.exit(&open[1], 0);
    assert_eq!(world.last_outcomes(), ["timed_out", "succeeded", "timed_out"]);
    assert_eq!(world.last_summary().outcome, Outcome::TimedOut);
}

#[test]
fn a_run_that_waits_for_an_agent_times_out_like_any_other() {
    let mut world = World::new(timed(60, vec![service(1, 0)]));
    world.fleet.see_all(Default::default());
    world.run();
    world.clock(60.0);
    assert_eq!((world.last_outcomes(), world.ledger.active.len()), (vec!["timed_out"], 0));
}

#[test]
fn no_run_times_out_before_the_results_of_the_time_without_a_leader_are_folded() {
    let mut world = World::new(timed(60, vec![service(1, 0)]));
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.now = at(100.0);
    world.clock = Clock::CatchingUp;
    world.take_over();
    assert_eq!(*world.ledger.active[0].phase(), Phase::Running);
    world.exit(&attempt, 0);
    assert_eq!(world.last_summary().outcome, Outcome::Succeeded);
}

#[test]
fn a_run_that_is_cancelled_first_was_cancelled() {
    let mut world = World::new(timed(60, vec![service(1, 0)]));
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.cancel();
    world.clock(61.0);
    world.report(&attempt, AttemptEvent::Cancelled { exit_code: Some(143) });
    assert_eq!(world.last_summary().outcome, Outcome::Cancelled);
}

#[test]
fn an_attempt_that_lasts_too_long_is_a_failure_and_is_retried() {
    let attempt_timeout = Some(Duration::from_secs(5));
    let mut world = World::new(unscheduled(vec![ServiceSpec { attempt_timeout, ..service(1, 1) }]));
    world.run();
    let first = world.only_open();
    world.claim(&first);
    world.report(&first, AttemptEvent::TimedOut { exit_code: Some(137), notes: EndNotes::default() });
    let answer = world.clock(1.0);
    let OrderKind::Start(start) = &answer.orders()[0].kind else { panic!("{answer:?}") };
    assert_eq!(start.attempt_timeout, attempt_timeout);
    let second = world.only_open();
    assert_eq!(second.attempt, 2);
    world.claim(&second);
    world.report(&second, AttemptEvent::TimedOut { exit_code: None, notes: EndNotes::default() });
    assert_eq!(world.last_summary().outcome, Outcome::TimedOut);
}
