//! What a wish about an agent comes to, step by step.

use serde_json::json;

use super::*;
use crate::{
    id::{AttemptId, RunUid},
    name::AppName,
};

const LOST: Duration = Duration::from_secs(60);

fn name() -> AgentName {
    AgentName::new("a1").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn nonce(byte: u8) -> Nonce {
    Nonce::from_random([byte; 16])
}

fn attempt() -> AttemptId {
    let (app, service) = (AppName::new("nightly").unwrap(), "s1".parse().unwrap());
    AttemptId { app, run: 1, uid: RunUid::from_random([7; 16]), service, replica: 0, attempt: 1 }
}

/// An agent that holds one attempt. Its host's clock is an hour ahead of the store's.
fn heartbeat() -> AgentRecord {
    AgentRecord {
        number: 7,
        at: at(3_600),
        results_seen: 5,
        held: [attempt()].into(),
        ..AgentRecord::unknown(name(), nonce(1), at(0))
    }
}

fn stored(record: AgentRecord) -> AgentKey {
    AgentKey::Record { record: Box::new(record), sequence: 10, at: at(0) }
}

/// Brings a wish to the step after the key was read, so many seconds after it was stored.
fn judged(wish: AgentWish, key: AgentKey, seconds: i64) -> WishWork {
    let mut work = WishWork::new(name(), wish, LOST, nonce(9));
    if *work.step() == WishStep::ReadResultsEnd {
        work.done(StepDone::ResultsEnd(33));
    }
    assert_eq!(*work.step(), WishStep::ReadClock);
    work.done(StepDone::Clock(at(seconds)));
    assert_eq!(*work.step(), WishStep::ReadKey);
    work.done(StepDone::Key { key, is_trusted: true });
    work
}

#[track_caller]
fn written(work: &WishWork) -> AgentRecord {
    let WishStep::Write { record, expected: 10 } = work.step() else { panic!("{:?}", work.step()) };
    (**record).clone()
}

#[track_caller]
fn refused(work: &WishWork) -> (String, String) {
    let WishStep::Done(WishAnswer::Refused { reason, hint }) = work.step() else { panic!("{:?}", work.step()) };
    (reason.clone(), hint.clone())
}

#[test]
fn drain_deadline_is_an_instant_of_the_hosts_clock() {
    let deadline = Some(Duration::from_secs(600));
    let work = judged(AgentWish::drain(deadline), stored(heartbeat()), 3);
    let expect = AgentRecord { draining: true, drain_by: Some(at(3_600 + 3 + 600)), ..heartbeat() };
    assert_eq!(written(&work), expect);
    // Clocks that disagree about the order of things take nothing off the deadline.
    let work = judged(AgentWish::drain(deadline), stored(heartbeat()), -5);
    assert_eq!(written(&work).drain_by, Some(at(3_600 + 600)));
    let endless = AgentWish::drain(Some(Duration::MAX));
    assert_eq!(refused(&judged(endless, stored(heartbeat()), 3)).0, "the deadline is later than any clock can tell");
}

#[test]
fn undrain_takes_back_drain_and_deadline() {
    let draining = AgentRecord { draining: true, drain_by: Some(at(9)), ..heartbeat() };
    assert_eq!(written(&judged(AgentWish::Undrain, stored(draining), 3)), heartbeat());
}

#[test]
fn a_wish_is_written_even_where_the_key_has_it() {
    let draining = AgentRecord { draining: true, ..heartbeat() };
    let again = judged(AgentWish::drain(None), stored(draining.clone()), 1);
    assert_eq!(written(&again), draining, "the write of an earlier wish that is under way is refused by it");
    assert_eq!(written(&judged(AgentWish::Undrain, stored(heartbeat()), 1)), heartbeat());
}

#[test]
fn forget_needs_silence_or_an_orderly_stop() {
    let early = refused(&judged(AgentWish::Forget, stored(heartbeat()), 59));
    let reason = "agent `a1` was heard of 59 s ago: its containers may run";
    let hint = "drain and stop it, or wait until it has been silent for 60 s";
    assert_eq!(early, (reason.to_owned(), hint.to_owned()));
    let forgotten = written(&judged(AgentWish::Forget, stored(heartbeat()), 60));
    assert_eq!(forgotten, heartbeat().into_forgotten(33));
    assert_eq!((forgotten.results_seen, forgotten.held.len()), (33, 0));

    let stopped = AgentRecord { stopped: true, ..heartbeat() };
    refused(&judged(AgentWish::Forget, stored(stopped.clone()), 59));
    let over = AgentRecord { held: [].into(), ..stopped };
    assert!(written(&judged(AgentWish::Forget, stored(over), 0)).forgotten);
}

#[test]
fn a_damaged_key_is_forgotten_after_silence_only() {
    let damaged = |is_newer| AgentKey::Unreadable { sequence: 10, at: at(0), is_newer };
    assert!(refused(&judged(AgentWish::Forget, damaged(false), 59)).0.contains("its containers may run"));
    let forgotten = written(&judged(AgentWish::Forget, damaged(false), 60));
    assert_eq!(forgotten, AgentRecord::unknown(name(), nonce(9), at(60)).into_forgotten(33));
    for wish in [AgentWish::drain(None), AgentWish::Undrain] {
        assert_eq!(refused(&judged(wish, damaged(false), 60)).0, "the key of agent `a1` is damaged");
    }
    for wish in [AgentWish::drain(None), AgentWish::Undrain, AgentWish::Forget] {
        assert!(refused(&judged(wish, damaged(true), 60)).0.contains("a later release"));
    }
}

#[test]
fn nobody_wishes_anything_of_an_agent_that_is_not_there() {
    let forgotten = stored(heartbeat().into_forgotten(33));
    for wish in [AgentWish::drain(None), AgentWish::Undrain, AgentWish::Forget] {
        assert_eq!(*judged(wish, AgentKey::Absent, 99).step(), unknown(false));
        assert_eq!(*judged(wish, forgotten.clone(), 99).step(), unknown(true));
    }
}

#[test]
fn a_key_read_under_a_lease_that_is_too_old_is_not_written() {
    let mut work = WishWork::new(name(), AgentWish::Undrain, LOST, nonce(9));
    work.done(StepDone::Clock(at(1)));
    work.done(StepDone::Key { key: stored(heartbeat()), is_trusted: false });
    assert_eq!(*work.step(), WishStep::Done(WishAnswer::NotLeading));
}

#[test]
fn an_overtaken_write_is_judged_anew_a_few_times() {
    let mut work = judged(AgentWish::Forget, stored(heartbeat()), 60);
    work.done(StepDone::Overtaken);
    assert_eq!(*work.step(), WishStep::ReadKey);
    // The agent was heard of meanwhile.
    let heard = AgentKey::Record { record: Box::new(heartbeat()), sequence: 11, at: at(60) };
    work.done(StepDone::Key { key: heard, is_trusted: true });
    refused(&work);

    let mut work = judged(AgentWish::Undrain, stored(heartbeat()), 1);
    for _ in 1..WISH_TRIES_MAX {
        work.done(StepDone::Overtaken);
        work.done(StepDone::Key { key: stored(heartbeat()), is_trusted: true });
        written(&work);
    }
    work.done(StepDone::Overtaken);
    let WishStep::Done(WishAnswer::Failed { reason }) = work.step() else { panic!("{:?}", work.step()) };
    assert_eq!(reason, "the key of agent `a1` changed 20 times meanwhile");
}

#[test]
fn the_answer_says_what_the_agent_held() {
    let mut work = judged(AgentWish::drain(None), stored(heartbeat()), 1);
    work.done(StepDone::Stored(12));
    assert_eq!(*work.step(), WishStep::Done(WishAnswer::Granted { sequence: 12, stopped: false, held: 1 }));
    let mut work = judged(AgentWish::drain(None), stored(heartbeat()), 1);
    work.done(StepDone::Failed("no answer".to_owned()));
    assert_eq!(*work.step(), WishStep::Done(WishAnswer::Failed { reason: "no answer".to_owned() }));
}

#[test]
fn wishes_and_answers_keep_their_form() {
    let check = |wish: AgentWish, form| {
        assert_eq!(serde_json::to_value(wish).unwrap(), form);
        assert_eq!(serde_json::from_value::<AgentWish>(form).unwrap(), wish);
    };
    check(AgentWish::drain(None), json!({"wish": "drain"}));
    check(AgentWish::drain(Some(Duration::from_secs(2))), json!({"wish": "drain", "deadline_ms": 2_000}));
    check(AgentWish::Undrain, json!({"wish": "undrain"}));
    check(AgentWish::Forget, json!({"wish": "forget"}));

    let check = |answer: WishAnswer, form: serde_json::Value| {
        assert_eq!(serde_json::to_value(&answer).unwrap(), form);
        assert_eq!(serde_json::from_value::<WishAnswer>(form).unwrap(), answer);
    };
    let granted = WishAnswer::Granted { sequence: 12, stopped: true, held: 3 };
    check(granted, json!({"answer": "granted", "sequence": 12, "stopped": true, "held": 3}));
    check(WishAnswer::UnknownAgent { forgotten: true }, json!({"answer": "unknown_agent", "forgotten": true}));
    let refused = WishAnswer::Refused { reason: "r".to_owned(), hint: "h".to_owned() };
    check(refused, json!({"answer": "refused", "reason": "r", "hint": "h"}));
    check(WishAnswer::NotLeading, json!({"answer": "not_leading"}));
    check(WishAnswer::Busy, json!({"answer": "busy"}));
    check(WishAnswer::Failed { reason: "r".to_owned() }, json!({"answer": "failed", "reason": "r"}));
}
