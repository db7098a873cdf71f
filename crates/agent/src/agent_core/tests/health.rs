//! Engines that do not answer.

use tickmesh_core::message::EngineTrouble;

use super::*;

/// What came instead of an answer.
const REASON: &str = "cannot ask: the engine does not answer: permission denied";

fn denied() -> Event {
    Event::EngineSilent(engine::Error::Unavailable { attempted: "ask".to_owned(), source: "permission denied".into() })
}

fn answered() -> Event {
    Event::EngineAnswered { stock: Box::default() }
}

impl Process {
    /// Passes the time of one heartbeat. Returns what the heartbeat says of the engine, and whether the engine is asked.
    fn beat(&mut self) -> (Option<EngineTrouble>, bool) {
        self.age += Timing::default().heartbeat;
        let now = Moment { uptime: BEGUN + self.age, wall: Timestamp::UNIX_EPOCH };
        let due = lines(&self.core.fold(Event::Woken, now));
        let effects = self.core.fold(Event::ResultsEnd { sequence: 40 }, now);
        let [Effect::WriteKey { record, expected }] = effects.as_slice() else { panic!("{effects:?}") };
        let trouble = record.engine_trouble.clone();
        self.core.fold(Event::KeyWritten { revision: expected + 1 }, now);
        (trouble, due.contains(&PROBE.to_owned()))
    }

    /// One whose engine answered last with the first heartbeat, and has not for all of `no_engine`.
    fn without_engine() -> Self {
        let mut process = Self::serving();
        process.tell(answered(), &[]);
        process.age += Timing::default().no_engine;
        process
    }

    /// Tells that the engine does not answer, which is to be the last straw.
    fn lose_engine(&mut self) -> Vec<String> {
        let mut effects = self.fold(denied());
        assert_eq!(effects.remove(0), "announce engine-lost");
        effects
    }
}

fn trouble(since: u64, lasting: bool) -> Option<EngineTrouble> {
    let since = Timestamp::UNIX_EPOCH - jiff::SignedDuration::from_secs(since.try_into().unwrap());
    Some(EngineTrouble { since, reason: REASON.to_owned(), lasting })
}

#[test]
fn engine_is_asked_with_every_heartbeat_and_once_at_a_time() {
    let mut process = Process::serving();
    assert_eq!(process.beat(), (None, false), "the first probe is under way");
    process.tell(answered(), &[]);
    assert_eq!(process.beat(), (None, true));
    assert_eq!(process.beat(), (None, false));
}

#[test]
fn heartbeat_tells_what_the_engine_has() {
    let mut process = Process::serving();
    let stock = EngineStock { networks: Some(["backend".to_owned()].into()), volumes: None };
    process.tell(Event::EngineAnswered { stock: Box::new(stock.clone()) }, &[]);
    process.beat();
    assert_eq!(process.core.heartbeat.record().stock, stock);
}

#[test]
fn engine_is_lost_after_ten_seconds_without_an_answer_and_back_with_the_next() {
    let mut process = Process::serving();
    process.tell(answered(), &[]);
    for passed in [2, 4, 6, 8] {
        assert!(process.beat().1);
        process.tell(denied(), &[]);
        assert_eq!(
            process.core.health.trouble(Moment { uptime: BEGUN + process.age, wall: Timestamp::UNIX_EPOCH }),
            trouble(passed, false)
        );
    }
    assert_eq!(process.beat(), (trouble(10, true), true));
    process.order(0, &["decline 0"]);
    process.tell(answered(), &["announce engine-back"]);
    assert_eq!(process.beat(), (None, true));
    process.order(1, &["claim 1"]);
}

#[test]
fn probe_under_way_is_no_trouble_however_long_the_process_stood_still() {
    let mut process = Process::serving();
    process.age += seconds(100);
    assert_eq!(process.beat(), (None, false));
    process.tell(answered(), &[]);
    process.order(0, &["claim 0"]);
}

#[test]
fn what_the_engine_was_not_asked_to_start_is_given_back() {
    let mut process = Process::without_engine();
    for replica in 0..4 {
        process.order(replica, &[&format!("claim {replica}")]);
    }
    let at = Duration::ZERO;
    // Claiming, pulling, creating, and running.
    for replica in 1..4 {
        process.attempt(replica, attempt::Event::ClaimStored { sequence: 50, at });
    }
    for replica in 2..4 {
        process.attempt(replica, attempt::Event::ImageReady);
    }
    let container = ContainerId("c3".to_owned());
    process.attempt(3, attempt::Event::Created { container });
    process.attempt(3, attempt::Event::Started);
    let given_back = ["abandon-pull 1", "report 1", "abandon-create 2", "report 2"];
    assert_eq!(process.lose_engine(), given_back);
    // The claim that was under way is answered, and gives the attempt back at once.
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 51, at }), ["report 0"]);
    assert_eq!(process.attempt(0, attempt::Event::EndStored), [""; 0]);
    // A container that came of the creation after all is removed.
    let container = ContainerId("c2".to_owned());
    assert_eq!(process.attempt(2, attempt::Event::Created { container }), [""; 0]);
    assert_eq!(process.attempt(2, attempt::Event::EndStored), ["remove 2"]);
    assert_eq!(replicas(&process.core.attempts.held()), [1, 3]);
}

#[test]
fn creation_that_waits_for_the_guard_is_not_begun_when_the_guard_answers() {
    let mut process = Process::begin_with(Guarding::Present);
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, record(0)) }, &["start-guard"]);
    process.tell(Event::GuardReady, &["list"]);
    process.fold(Event::Listed { containers: Vec::new() });
    process.fold(Event::OrdersFollowed);
    process.fold(Event::ResultsEnd { sequence: 40 });
    process.fold(Event::LeaseRead(LeaseSeen::default()));
    process.fold(Event::KeyWritten { revision: 8 });
    process.tell(answered(), &[]);
    process.age += Timing::default().no_engine;
    let clear = || guard::Answer { attempt: attempt_of_replica(0), verdict: guard::Verdict::Clear };
    process.fold(Event::Woken);
    let ordered = format!("ask-guard 0: ordered at {:?}", process.age);
    process.order(0, &[&ordered]);
    process.tell(Event::GuardAnswered(clear()), &["claim 0"]);
    process.attempt(0, attempt::Event::ClaimStored { sequence: 50, at: Duration::ZERO });
    assert_eq!(process.attempt(0, attempt::Event::ImageReady), [ordered]);
    assert_eq!(process.lose_engine(), ["abandon-create 0", "report 0"]);
    process.tell(Event::GuardAnswered(clear()), &[]);
}
