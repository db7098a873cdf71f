//! An agent with a guard: what it tells it, and what it asks.

use tickmesh_core::{message::StartOrder, spec::OnDisconnect};

use super::*;
use crate::guard::{Answer, Verdict};

fn answer(replica: u32, verdict: Verdict) -> Event {
    Event::GuardAnswered(Answer { attempt: attempt_of_replica(replica), verdict })
}

/// One that takes orders, and whose guard listens.
fn serving() -> Process {
    let mut process = Process::begin_with(Guarding::Present);
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["start-guard"]);
    process.tell(Event::GuardReady, &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 0: seen 40, holds []"]);
    process.age += Duration::from_millis(30);
    process.tell(Event::KeyWritten { revision: 8 }, &["feed-guard 0ns", "remember", "announce agent-joined"]);
    process.tell(Event::Woken, &["clean []"]);
    process
}

/// Brings attempt 0 up to where the guard is asked before `last`, which is not answered.
fn asked_before(last: &str) -> Process {
    let mut process = serving();
    process.order(0, &["ask-guard 0: ordered at 30ms"]);
    if last == "claim" {
        return process;
    }
    process.tell(answer(0, Verdict::Clear), &["claim 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 41, at: BEGUN }), ["pull 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ImageReady), ["ask-guard 0: ordered at 30ms"]);
    if last == "create" {
        return process;
    }
    process.tell(answer(0, Verdict::Clear), &["create 0"]);
    let created = attempt::Event::Created { container: fixture::container_id() };
    assert_eq!(process.attempt(0, created), ["ask-guard 0: ordered at 30ms"]);
    if last == "start" {
        return process;
    }
    process.tell(answer(0, Verdict::Clear), &["start 0"]);
    assert_eq!(process.attempt(0, attempt::Event::Started), ["watch 0"]);
    process
}

#[test]
fn only_an_acknowledged_heartbeat_feeds_the_guard_with_the_moment_it_was_sent() {
    let mut process = serving();
    process.wait(Duration::from_millis(1_970), &["read-results-end"]);
    process.age += seconds(1);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.age += seconds(1);
    process.tell(Event::HeartbeatUnanswered, &[]);
    process.wait(Duration::from_millis(500), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 8: seen 41, holds []"]);
    // The try before was stored, and this is not its acknowledgement.
    process.tell(Event::KeyRefused { current: key(9, record(1)) }, &["read-results-end"]);
    process.age += seconds(1);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 4 on 9: seen 41, holds []"]);
    process.age += seconds(1);
    process.tell(Event::KeyWritten { revision: 10 }, &["feed-guard 5.5s"]);
}

#[test]
fn the_guard_is_asked_before_the_claim_before_the_container_and_before_its_start() {
    for last in ["claim", "create", "start", "nothing"] {
        let process = asked_before(last);
        assert_eq!(replicas(&process.core.attempts.held()), [0], "held before it is asked: {last}");
    }
}

/// The guard says that a deadline has passed when it is asked before `last`.
#[track_caller]
fn check_fenced(last: &str, expected: &[&str], then: &[(attempt::Event, &str)]) {
    let mut process = asked_before(last);
    process.tell(answer(0, Verdict::Fenced), expected);
    for (event, expected) in then {
        assert_eq!(process.attempt(0, event.clone()), [*expected]);
    }
}

#[test]
fn what_is_on_the_wrong_side_of_a_deadline_never_starts() {
    check_fenced("claim", &["decline 0"], &[]);
    check_fenced("create", &["report 0"], &[]);
    check_fenced("start", &["remove 0"], &[(attempt::Event::Removed, "report 0")]);
}

#[test]
fn while_the_guard_is_away_nothing_goes_on_and_the_next_one_is_told_and_asked() {
    let mut process = asked_before("create");
    process.tell(Event::GuardLost, &["start-guard"]);
    process.order(1, &[]);
    process.wait(Duration::from_millis(1_970), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0, 1]"]);
    process.tell(Event::KeyWritten { revision: 9 }, &[]);
    process.tell(Event::GuardReady, &["feed-guard 2s", "ask-guard 0: ordered at 30ms", "ask-guard 1: ordered at 30ms"]);
    process.tell(answer(1, Verdict::Clear), &["claim 1"]);
    process.tell(answer(1, Verdict::Clear), &[]);
    process.tell(answer(0, Verdict::Fenced), &["report 0"]);
}

#[test]
fn a_container_that_the_guard_killed_is_lost_and_one_that_exited_keeps_its_outcome() {
    let killed = || attempt::Event::Exited(fixture::exit(137));
    let mut process = asked_before("nothing");
    assert_eq!(process.attempt(0, killed()), ["ask-guard 0: who killed c0ffee"]);
    let claims = process.core.attempts.own_claims();
    assert_eq!(claims.len(), 1, "still held: {claims:?}");
    process.tell(answer(0, Verdict::Fenced), &["report 0"]);
    assert_eq!(last_words(&process), AttemptEvent::Lost { reason: LostReason::Fenced });

    let mut process = asked_before("nothing");
    assert_eq!(process.attempt(0, killed()), ["ask-guard 0: who killed c0ffee"]);
    process.tell(answer(0, Verdict::Clear), &["report 0"]);
    assert!(matches!(last_words(&process), AttemptEvent::Exited { exit_code: 137, .. }));

    let mut process = asked_before("nothing");
    assert_eq!(process.attempt(0, attempt::Event::Exited(fixture::exit(0))), ["report 0"]);
    assert!(matches!(last_words(&process), AttemptEvent::Exited { exit_code: 0, .. }));
}

fn last_words(process: &Process) -> AttemptEvent {
    process.core.attempts.own_claims().remove(0).last_words.unwrap().1
}

#[test]
fn nobody_asks_about_a_container_that_goes_on_without_the_mesh_once_it_is_claimed() {
    let mut process = serving();
    let kind =
        OrderKind::Start(Box::new(StartOrder { on_disconnect: OnDisconnect::Continue, ..fixture::start_order() }));
    process.take(Order { kind, ..start(0) }, &["ask-guard 0: ordered at 30ms"]);
    process.tell(answer(0, Verdict::Clear), &["claim 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 41, at: BEGUN }), ["pull 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ImageReady), ["create 0"]);
    assert_eq!(process.attempt(0, attempt::Event::Created { container: fixture::container_id() }), ["start 0"]);
}

#[test]
fn a_stop_that_comes_while_the_guard_is_asked_is_obeyed() {
    let stop = |process: &mut Process| {
        let order = Box::new(Order { kind: OrderKind::Stop, ..start(0) });
        process.tell(Event::Order { order, nonce: nonce(51) }, &[]);
    };
    let mut process = asked_before("claim");
    stop(&mut process);
    process.tell(answer(0, Verdict::Fenced), &["decline 0"]);
    let mut process = asked_before("start");
    stop(&mut process);
    process.tell(answer(0, Verdict::Fenced), &["remove 0"]);
    assert_eq!(last_words(&process), AttemptEvent::Cancelled { exit_code: None });
}

/// Tells a process to stop, and answers its farewell.
#[track_caller]
fn check_leave(mut process: Process, held: &str, expected: &[&str]) {
    process.tell(Event::Shutdown(Shutdown::OfProcess), &["read-results-end"]);
    let farewell = format!("write-key 2 on 8: seen 50, holds {held}, stopped");
    process.tell(Event::ResultsEnd { sequence: 50 }, &[&farewell]);
    process.tell(Event::KeyWritten { revision: 9 }, expected);
}

#[test]
fn a_guard_that_nothing_is_left_to_is_sent_away_and_no_other() {
    check_leave(serving(), "[]", &["feed-guard 30ms", "announce agent-stopped", "dismiss-guard", "end"]);
    check_leave(asked_before("end"), "[0]", &["feed-guard 30ms", "announce agent-stopped", "end"]);
}
