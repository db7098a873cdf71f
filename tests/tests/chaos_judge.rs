//! The judge of the chaos tests finds what it is there to find: evidence in which nothing is wrong, and one thing that is.

use jiff::Timestamp;
use tickmesh_core::{
    end_notes::EndNotes,
    history::{ReplicaSummary, RequestSummary, RunSummary},
    id::RunUid,
    ledger::Cause,
    message::{Admission, DropReason, SCHEMA, TickRecord},
    name::{AppName, ServiceName},
    outcome::Outcome,
};
use tickmesh_tests::chaos::{
    Engine,
    instants::Schedule,
    judge::{Evidence, Outage, Reach, Verdict, judge},
    lives,
};
use uuid::Uuid;

/// The first instant.
const FIRST: i64 = 1_700_000_001;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a moment")
}

fn app() -> AppName {
    AppName::new("job").expect("an app name")
}

/// A decision: the `number`th run began at its instant.
fn tick(number: u64, instant: i64) -> TickRecord {
    TickRecord {
        schema: SCHEMA,
        number,
        app: app(),
        scheduled_at: second(instant),
        decided_at: second(instant),
        admission: Admission::Start { run: number },
        coalesced: 0,
    }
}

fn summary(run: u64, instant: i64) -> RunSummary {
    let replica = ReplicaSummary {
        service: ServiceName::new("s1").expect("a service name"),
        replica: 0,
        attempts: 1,
        outcome: Outcome::Succeeded,
        notes: EndNotes::default(),
        agent: None,
    };
    RunSummary {
        schema: SCHEMA,
        number: run,
        app: app(),
        run,
        uid: RunUid(Uuid::nil()),
        cause: Cause::Schedule,
        scheduled_at: Some(second(instant)),
        started_at: second(instant),
        finished_at: second(instant),
        outcome: Outcome::Succeeded,
        request: RequestSummary::default(),
        replicas: vec![replica],
    }
}

/// Two lines of a journal: a container that ran for 0.2 s.
fn life(run: u64, attempt: u32, from: i64) -> String {
    let line = |millis: i64, word: &str| {
        let at = Timestamp::from_millisecond(from * 1_000 + millis).expect("a moment");
        format!("{at} a1 job {run} {} s1 0 {attempt} {word}\n", Uuid::nil())
    };
    line(10, "start") + &line(210, "exit")
}

/// Four instants and four runs, as they should be.
fn evidence() -> Evidence {
    let instants = (1..).zip(FIRST..FIRST + 4);
    Evidence {
        schedules: vec![Schedule {
            app: "job".to_owned(),
            period: 1,
            after: second(FIRST - 1),
            through: second(FIRST + 3),
        }],
        ticks: instants.clone().map(|(number, instant)| tick(number, instant)).collect(),
        summaries: instants.clone().map(|(run, instant)| summary(run, instant)).collect(),
        lives: lives::parse(&instants.map(|(run, instant)| life(run, 1, instant)).collect::<String>()),
        ..Evidence::default()
    }
}

/// Exactly so many findings of each kind: lost, doubled, overlaps, others.
#[track_caller]
fn check(spoil: impl FnOnce(&mut Evidence), expected: [usize; 4]) -> Verdict {
    let mut evidence = evidence();
    spoil(&mut evidence);
    let verdict = judge(&evidence);
    let Verdict { lost, doubled, overlaps, unexcused, .. } = &verdict;
    assert_eq!([lost.len(), doubled.len(), overlaps.len(), unexcused.len()], expected, "{verdict:#?}");
    assert_eq!(verdict.is_clean(), expected == [0; 4]);
    verdict
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let verdict = check(|_| {}, [0, 0, 0, 0]);
    assert_eq!((verdict.instants, verdict.containers, verdict.killed), (4, 4, 0));
    // A decision that was published twice is no other decision.
    check(|evidence| evidence.ticks.push(tick(2, FIRST + 1)), [0, 0, 0, 0]);
}

#[test]
fn an_instant_that_was_not_decided_is_lost() {
    // The last one: nothing else is amiss.
    check(|evidence| drop(evidence.ticks.pop()), [1, 0, 0, 0]);
    // One in the middle: its number is missing, too.
    check(|evidence| drop(evidence.ticks.remove(1)), [2, 0, 0, 0]);
}

#[test]
fn a_run_that_did_not_end_is_lost() {
    // Its instant became no run, and its number is missing.
    check(|evidence| drop(evidence.summaries.remove(1)), [2, 0, 0, 0]);
    check(|evidence| evidence.summaries[1].outcome = Outcome::Cancelled, [1, 0, 0, 0]);
    check(|evidence| evidence.lives[3].ended = None, [1, 0, 0, 0]);
    check(|evidence| drop(evidence.lives.remove(1)), [1, 0, 0, 0]);
}

#[test]
fn an_instant_that_was_decided_twice_is_doubled() {
    // The fifth decision is about an instant that had been decided, and so it has a run already.
    check(
        |evidence| evidence.ticks.push(TickRecord { admission: Admission::Start { run: 4 }, ..tick(5, FIRST + 3) }),
        [0, 1, 0, 0],
    );
    // One decision, two versions.
    check(
        |evidence| evidence.ticks.push(TickRecord { decided_at: second(FIRST + 9), ..tick(2, FIRST + 1) }),
        [0, 1, 0, 0],
    );
    // The schedule has no such instant.
    check(|evidence| evidence.ticks[0].coalesced = 1, [0, 1, 0, 1]);
}

#[test]
fn what_ran_twice_is_doubled() {
    // Another run for the same instant.
    check(|evidence| evidence.summaries.push(summary(5, FIRST + 3)), [1, 1, 0, 0]);
    // Two runs with one number.
    check(|evidence| evidence.lives[1].attempt.uid = "other".to_owned(), [0, 1, 0, 0]);
    // The replica again, after it had come to an end, and beyond what the history knows.
    let again = lives::parse(&life(2, 2, FIRST + 10));
    check(|evidence| evidence.lives.extend(again.clone()), [0, 2, 1, 0]);
    // The attempt again.
    let again = lives::parse(&life(4, 1, FIRST + 10));
    check(|evidence| evidence.lives.extend(again.clone()), [0, 2, 0, 0]);
}

#[test]
fn a_replica_may_run_again_only_if_its_agent_could_not_say_that_it_had_ended() {
    let again = |reach| {
        move |evidence: &mut Evidence| {
            evidence.summaries[3].replicas[0].attempts = 2;
            evidence.lives.extend(lives::parse(&life(4, 2, FIRST + 10)));
            evidence.outages.push(Outage { from: second(FIRST + 2), to: second(FIRST + 9), reach });
        }
    };
    check(again(Reach::Leaders), [0, 1, 0, 0]);
    check(again(Reach::Agents), [0, 0, 0, 0]);
}

#[test]
fn runs_and_containers_at_the_same_time_overlap() {
    // The second run begins while the first one runs.
    check(|evidence| evidence.lives[1].started = evidence.lives[0].started, [0, 0, 1, 0]);
    // Two containers of one replica: the second attempt starts before the first one has ended.
    let killed = |evidence: &mut Evidence| {
        let first = &mut evidence.lives[3];
        first.ended = first.ended.map(|(at, _)| (at, lives::End::Killed));
        let second = lives::Life { started: first.started, ..lives::parse(&life(4, 2, FIRST + 4)).remove(0) };
        evidence.summaries[3].replicas[0].attempts = 2;
        evidence.lives.push(second);
    };
    assert_eq!(check(killed, [0, 0, 1, 0]).killed, 1);
}

#[test]
fn a_missed_instant_needs_an_outage() {
    // The third decision covers the second instant, too, and there are but three.
    let missed = |evidence: &mut Evidence| {
        evidence.ticks = vec![tick(1, FIRST), TickRecord { coalesced: 1, ..tick(2, FIRST + 2) }, tick(3, FIRST + 3)];
        evidence.summaries = vec![summary(1, FIRST), summary(2, FIRST + 2), summary(3, FIRST + 3)];
        let lives = [life(1, 1, FIRST), life(2, 1, FIRST + 2), life(3, 1, FIRST + 3)];
        evidence.lives = lives::parse(&lives.concat());
    };
    let outage = |from, to| Outage { from: second(from), to: second(to), reach: Reach::Leaders };
    assert_eq!(check(missed, [0, 0, 0, 1]).coalesced, 1);
    let within = |evidence: &mut Evidence| {
        missed(evidence);
        evidence.outages = vec![outage(FIRST + 1, FIRST + 2)];
    };
    check(within, [0, 0, 0, 0]);
    let elsewhere = |evidence: &mut Evidence| {
        missed(evidence);
        evidence.outages = vec![outage(FIRST + 3, FIRST + 4)];
    };
    check(elsewhere, [0, 0, 0, 1]);
    let ran = |evidence: &mut Evidence| {
        within(evidence);
        evidence.summaries.push(summary(4, FIRST + 1));
        evidence.lives.extend(lives::parse(&life(4, 1, FIRST + 10)));
    };
    check(ran, [0, 1, 0, 0]);
}

#[test]
fn a_dropped_instant_needs_an_outage() {
    let dropped = |evidence: &mut Evidence| {
        evidence.ticks[3].admission = Admission::Drop { reason: DropReason::QueueFull };
        evidence.summaries.pop();
        evidence.lives.pop();
    };
    assert_eq!(check(dropped, [0, 0, 0, 1]).dropped, 1);
    let by_docker = |evidence: &mut Evidence| {
        dropped(evidence);
        evidence.engine = Engine::Docker;
    };
    check(by_docker, [0, 0, 0, 1]);
    let ran = |evidence: &mut Evidence| evidence.ticks[3].admission = Admission::Drop { reason: DropReason::QueueFull };
    check(ran, [0, 1, 0, 1]);
}

#[test]
fn an_instant_may_be_dropped_while_docker_is_slow_and_three_wait() {
    // Five instants: when the last one falls due, the first run has not ended yet.
    let slow = |engine, ended| {
        move |evidence: &mut Evidence| {
            evidence.engine = engine;
            evidence.schedules[0].through = second(FIRST + 4);
            let reason = DropReason::QueueFull;
            evidence.ticks.push(TickRecord { admission: Admission::Drop { reason }, ..tick(5, FIRST + 4) });
            let lives = (1..).zip([ended, ended + 1, ended + 2, ended + 3]);
            evidence.lives = lives::parse(&lives.map(|(run, at)| life(run, 1, at)).collect::<String>());
        }
    };
    assert_eq!(check(slow(Engine::Docker, FIRST + 5), [0, 0, 0, 0]).dropped, 1);
    check(slow(Engine::Docker, FIRST + 2), [0, 0, 0, 1]);
    check(slow(Engine::Fake, FIRST + 5), [0, 0, 0, 1]);
}

#[test]
fn a_process_that_ended_by_itself_is_found() {
    check(|evidence| evidence.fallen.push("s1".to_owned()), [0, 0, 0, 1]);
}
