//! What an order means to an agent: claimed, refused or ignored; and whose turn it is to start.

use tickmesh_core::{
    id::Epoch,
    message::{Awaited, SCHEMA},
};

use super::*;
use crate::{
    attempt::Claimed,
    fixture::{self, attempt_of_replica, container_id, exit, nonce},
};

/// Uptime of the host when every order of these tests arrives.
const ORDERED_AT: Duration = Duration::from_secs(100_000);

fn attempts(slots: usize, start_limit: usize) -> AttemptTable {
    let settings = Settings { agent: fixture::agent(), slots, start_limit, policy: HostPolicy::default() };
    AttemptTable::new(settings, Intake::Open)
}

fn order(replica: u32, kind: OrderKind) -> Order {
    Order { schema: SCHEMA, epoch: Epoch(1), agent: fixture::agent(), attempt: attempt_of_replica(replica), kind }
}

fn start(replica: u32) -> Order {
    order(replica, OrderKind::Start(Box::new(fixture::start_order())))
}

fn stop(replica: u32) -> Order {
    order(replica, OrderKind::Stop)
}

fn names(tasks: &[Task]) -> Vec<(u32, &'static str)> {
    let name = |effect: &Effect| match effect {
        Effect::Decline { event: AttemptEvent::Revoked { .. } } => "revoke",
        Effect::Decline { .. } => "cancel",
        Effect::Claim { .. } => "claim",
        Effect::Pull { .. } => "pull",
        Effect::AbandonPull => "abandon-pull",
        Effect::AbandonCreate => "abandon-create",
        Effect::Create { .. } => "create",
        Effect::Start { .. } => "start",
        Effect::Watch { .. } => "watch",
        Effect::Time { .. } => "time",
        Effect::Stop { .. } => "stop",
        Effect::Report { .. } => "report",
        Effect::Collect { .. } => "collect",
        Effect::Remove { .. } => "remove",
    };
    tasks.iter().map(|task| (task.attempt.replica, name(&task.effect))).collect()
}

#[track_caller]
fn check_order(attempts: &mut AttemptTable, order: Order, expected: &[(u32, &'static str)]) {
    assert_eq!(names(&attempts.order(order, nonce(1), 0, ORDERED_AT)), expected);
    assert_eq!(attempts.attempts.counts(), attempts.attempts.recounted());
}

#[track_caller]
fn check_event(attempts: &mut AttemptTable, replica: u32, event: Event, expected: &[(u32, &'static str)]) {
    assert_eq!(names(&attempts.event(&attempt_of_replica(replica), event).unwrap()), expected);
    assert_eq!(attempts.attempts.counts(), attempts.attempts.recounted());
}

fn claim(attempts: &mut AttemptTable, replica: u32) {
    check_order(attempts, start(replica), &[(replica, "claim")]);
    check_event(attempts, replica, Event::ClaimStored { sequence: 7, at: ORDERED_AT }, &[(replica, "pull")]);
}

fn run(attempts: &mut AttemptTable, replica: u32) {
    claim(attempts, replica);
    check_event(attempts, replica, Event::ImageReady, &[(replica, "create")]);
    check_event(attempts, replica, Event::Created { container: container_id() }, &[(replica, "start")]);
    check_event(attempts, replica, Event::Started, &[(replica, "watch")]);
}

#[test]
fn an_order_is_held_before_its_claim_is_sent() {
    let mut attempts = attempts(4, 4);
    check_order(&mut attempts, start(0), &[(0, "claim")]);
    assert_eq!(attempts.held(), [attempt_of_replica(0)].into());
}

/// After a restore, orders of a lost history can be claimed again: never two of one replica at once.
#[test]
fn an_agent_runs_one_attempt_of_a_replica_at_a_time() {
    let mut attempts = attempts(4, 4);
    let next = |number| {
        let attempt = AttemptId { attempt: number, ..attempt_of_replica(0) };
        Order { attempt, ..start(0) }
    };
    check_order(&mut attempts, next(2), &[(0, "claim")]);
    check_order(&mut attempts, next(1), &[]);
    check_order(&mut attempts, next(3), &[]);
    check_order(&mut attempts, start(1), &[(1, "claim")]);
    let second = next(2).attempt;
    attempts.event(&second, Event::ClaimStored { sequence: 7, at: ORDERED_AT }).unwrap();
    check_order(&mut attempts, next(1), &[(0, "revoke")]);
    check_order(&mut attempts, next(3), &[(0, "revoke")]);
    attempts.event(&second, Event::CouldNotPull { reason: "no such image".to_owned() }).unwrap();
    check_order(&mut attempts, next(4), &[(0, "claim")]);
}

#[test]
fn the_age_of_an_order_counts_from_its_arrival() {
    let mut attempts = attempts(4, 4);
    for (replica, minutes, next) in [(0, 9, "pull"), (1, 11, "report")] {
        check_order(&mut attempts, start(replica), &[(replica, "claim")]);
        let stored = Event::ClaimStored { sequence: 7, at: ORDERED_AT + Duration::from_secs(minutes * 60) };
        check_event(&mut attempts, replica, stored, &[(replica, next)]);
    }
}

#[test]
fn an_order_that_comes_again_is_ignored() {
    let mut attempts = attempts(4, 4);
    run(&mut attempts, 0);
    check_order(&mut attempts, start(0), &[]);
    check_event(&mut attempts, 0, Event::Exited(exit(3)), &[(0, "report")]);
    check_order(&mut attempts, start(0), &[]);
    check_event(&mut attempts, 0, Event::EndStored, &[(0, "collect")]);
    check_order(&mut attempts, start(0), &[]);
    check_event(&mut attempts, 0, Event::Collected, &[]);
    assert!(!attempts.knows(&attempt_of_replica(0)));
    check_order(&mut attempts, start(0), &[]);
    check_order(&mut attempts, stop(0), &[]);
}

#[test]
fn orders_for_other_agents_are_refused() {
    let mut attempts = attempts(4, 4);
    let other = AgentName::new("host-2").unwrap();
    check_order(&mut attempts, Order { agent: other, ..stop(2) }, &[]);
    check_order(&mut attempts, stop(2), &[(2, "cancel")]);
}

#[test]
fn a_full_agent_revokes_and_takes_the_next_once_a_slot_is_free() {
    let mut attempts = attempts(1, 4);
    run(&mut attempts, 0);
    check_order(&mut attempts, start(1), &[(1, "revoke")]);
    assert_eq!(attempts.held(), [attempt_of_replica(0)].into());
    check_event(&mut attempts, 0, Event::Exited(exit(0)), &[(0, "report")]);
    check_order(&mut attempts, start(2), &[(2, "revoke")]);
    check_event(&mut attempts, 0, Event::EndStored, &[(0, "collect")]);
    check_order(&mut attempts, start(3), &[(3, "claim")]);
}

#[test]
fn a_revoked_attempt_stays_revoked() {
    let mut attempts = attempts(1, 4);
    run(&mut attempts, 0);
    check_order(&mut attempts, start(1), &[(1, "revoke")]);
    check_order(&mut attempts, start(1), &[]);
    check_event(&mut attempts, 1, Event::Declined, &[]);
    check_order(&mut attempts, start(1), &[]);
}

#[test]
fn a_draining_agent_takes_nothing_and_finishes_what_it_has() {
    let mut attempts = attempts(4, 4);
    run(&mut attempts, 0);
    attempts.set_intake(Intake::Draining { by: None });
    check_order(&mut attempts, start(1), &[(1, "revoke")]);
    check_order(&mut attempts, stop(0), &[(0, "stop")]);
    attempts.set_intake(Intake::Open);
    check_order(&mut attempts, start(2), &[(2, "claim")]);
}

#[test]
fn a_stop_for_an_unknown_attempt_cancels_it_before_its_start() {
    let mut attempts = attempts(4, 4);
    check_order(&mut attempts, stop(0), &[(0, "cancel")]);
    assert!(attempts.held().is_empty());
    check_order(&mut attempts, start(0), &[]);
    check_event(&mut attempts, 0, Event::Declined, &[]);
    check_order(&mut attempts, start(0), &[]);
}

#[test]
fn starts_take_turns_in_order() {
    let mut attempts = attempts(8, 2);
    for replica in 0..4 {
        claim(&mut attempts, replica);
    }
    check_event(&mut attempts, 2, Event::ImageReady, &[(2, "create")]);
    check_event(&mut attempts, 0, Event::ImageReady, &[(0, "create")]);
    check_event(&mut attempts, 3, Event::ImageReady, &[]);
    check_event(&mut attempts, 1, Event::ImageReady, &[]);
    check_event(&mut attempts, 2, Event::Created { container: container_id() }, &[(2, "start")]);
    check_event(&mut attempts, 2, Event::Started, &[(2, "watch"), (3, "create")]);
    check_event(&mut attempts, 0, Event::CouldNotCreate { reason: String::new() }, &[(0, "report"), (1, "create")]);
}

#[test]
fn what_is_cleared_away_takes_half_of_the_turns_at_most() {
    let mut attempts = attempts(8, 2);
    for replica in [5, 6, 7] {
        attempts.adopt(attempt_of_replica(replica), State::adopt_leftover(container_id()));
    }
    for replica in [0, 1] {
        claim(&mut attempts, replica);
    }
    check_event(&mut attempts, 0, Event::ImageReady, &[(0, "create")]);
    check_event(&mut attempts, 1, Event::ImageReady, &[]);
    for replica in [5, 6] {
        check_event(&mut attempts, replica, Event::Removed, &[]);
    }
    check_event(&mut attempts, 7, Event::Removed, &[(1, "create")]);
}

#[test]
fn a_turn_of_a_stopped_attempt_goes_to_the_next() {
    let mut attempts = attempts(8, 1);
    for replica in 0..3 {
        claim(&mut attempts, replica);
    }
    check_event(&mut attempts, 0, Event::ImageReady, &[(0, "create")]);
    check_event(&mut attempts, 1, Event::ImageReady, &[]);
    check_event(&mut attempts, 2, Event::ImageReady, &[]);
    check_order(&mut attempts, stop(1), &[(1, "report")]);
    check_event(&mut attempts, 0, Event::CouldNotCreate { reason: String::new() }, &[(0, "report"), (2, "create")]);
}

#[test]
fn news_of_a_gone_attempt_changes_nothing() {
    let mut attempts = attempts(4, 4);
    check_event(&mut attempts, 0, Event::EndStored, &[]);
    assert!(attempts.survives_restart());
}

#[test]
fn only_claims_of_this_process_are_its_own() {
    let mut attempts = attempts(4, 4);
    run(&mut attempts, 0);
    check_order(&mut attempts, start(1), &[(1, "claim")]);
    let claimed = Claimed { sequence: 3, terms: fixture::terms() };
    let adopted = attempts.adopt(attempt_of_replica(2), State::adopt_started(claimed, container_id()));
    assert_eq!(names(&adopted), [(2, "watch")]);
    let own: Vec<_> =
        attempts.own_claims().into_iter().map(|own| (own.attempt.replica, own.last_words.is_some())).collect();
    assert_eq!(own, [(0, true), (1, false)]);
    assert_eq!(attempts.held().len(), 3);
}

#[test]
fn an_agent_is_calm_when_all_it_has_is_running() {
    let mut attempts = attempts(4, 4);
    run(&mut attempts, 0);
    assert!(attempts.survives_restart());
    claim(&mut attempts, 1);
    assert!(!attempts.survives_restart());
}

#[test]
fn an_event_that_cannot_be_is_an_error_and_changes_nothing() {
    let mut attempts = attempts(4, 4);
    run(&mut attempts, 0);
    assert!(attempts.event(&attempt_of_replica(0), Event::Declined).is_err());
    check_event(&mut attempts, 0, Event::Exited(exit(3)), &[(0, "report")]);
}

#[test]
fn attempts_without_a_container_say_what_they_wait_for() {
    let progress = |done_bytes| PullProgress { done_bytes, total_bytes: 40 };
    let image = fixture::start_order().container.image;
    let mut attempts = attempts(3, 1);
    claim(&mut attempts, 0);
    claim(&mut attempts, 1);
    attempts.pull_moved(&image, progress(12));
    attempts.pull_moved("another", progress(13));
    claim(&mut attempts, 2);
    let preparing = |attempts: &AttemptTable| -> Vec<_> {
        attempts.preparing().into_iter().map(|it| (it.attempt.replica, it.awaited)).collect()
    };
    let pulling = |replica, done| (replica, Awaited::Pulling(progress(done)));
    let unknown = (2, Awaited::Pulling(PullProgress::default()));
    assert_eq!(preparing(&attempts), [pulling(0, 12), pulling(1, 12), unknown]);
    check_event(&mut attempts, 0, Event::ImageReady, &[(0, "create")]);
    check_event(&mut attempts, 1, Event::ImageReady, &[]);
    attempts.pull_moved(&image, progress(20));
    assert_eq!(preparing(&attempts), [(1, Awaited::Queued), pulling(2, 20)]);
}

#[test]
fn a_heartbeat_says_it_of_a_limited_number_of_attempts() {
    let mut attempts = attempts(usize::MAX, 1);
    for replica in 0..=PREPARING_MAX as u32 {
        claim(&mut attempts, replica);
    }
    assert_eq!((attempts.preparing().len(), attempts.held().len()), (PREPARING_MAX, PREPARING_MAX + 1));
}
