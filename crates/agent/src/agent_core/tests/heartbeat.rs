//! Heartbeats.

use tickmesh_core::message::{Awaited, Preparation, PullProgress};

use super::*;

#[test]
fn a_heartbeat_reads_the_end_of_the_results_first_and_what_is_held_after() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    // Its claim may be stored before the end is read: then it has to be in the list.
    process.order(0, &["claim 0"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0]"]);
}

#[test]
fn an_attempt_is_held_from_before_its_claim_is_sent_until_its_end_is_stored() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    assert_eq!(replicas(&process.core.attempts().held()), [0]);
    let stored = attempt::Event::ClaimStored { sequence: 41, at: BEGUN };
    assert_eq!(process.attempt(0, stored), ["pull 0"]);
    assert_eq!(process.attempt(0, attempt::Event::CouldNotPull { reason: "no".to_owned() }), ["report 0"]);
    assert_eq!(replicas(&process.core.attempts().held()), [0]);
    assert_eq!(process.attempt(0, attempt::Event::EndStored), [] as [&str; 0]);
    assert_eq!(replicas(&process.core.attempts().held()), [] as [u32; 0]);
}

#[test]
fn a_heartbeat_says_how_far_a_pull_has_come() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    assert_eq!(process.attempt(0, attempt::Event::ClaimStored { sequence: 41, at: BEGUN }), ["pull 0"]);
    let progress = PullProgress { done_bytes: 12, total_bytes: 40 };
    process.tell(Event::PullMoved { image: fixture::start_order().container.image, progress }, &[]);
    process.wait(seconds(2), &["read-results-end"]);
    let now = Moment { uptime: BEGUN + process.age, wall: Timestamp::UNIX_EPOCH };
    let effects = process.core.fold(Event::ResultsEnd { sequence: 41 }, now);
    let [Effect::WriteKey { record, .. }] = &effects[..] else { panic!("a heartbeat: {effects:?}") };
    let awaited = Awaited::Pulling(progress);
    assert_eq!(record.preparing, [Preparation { attempt: attempt_of_replica(0), awaited }]);
}

#[test]
fn heartbeats_come_one_after_the_other_however_long_one_takes() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.age += seconds(3);
    process.tell(Event::Woken, &[]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.tell(Event::KeyWritten { revision: 9 }, &[]);
    process.tell(Event::Woken, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 9: seen 41, holds []"]);
}

#[test]
fn a_heartbeat_without_an_answer_is_tried_again_with_another_body() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::HeartbeatUnanswered, &[]);
    process.wait(Duration::from_millis(500), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.tell(Event::HeartbeatUnanswered, &[]);
    process.wait(Duration::from_millis(500), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 42 }, &["write-key 3 on 8: seen 42, holds []"]);
    // The try before was stored after all.
    process.tell(Event::KeyRefused { current: key(9, record(1)) }, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 42 }, &["write-key 4 on 9: seen 42, holds []"]);
    process.tell(Event::KeyWritten { revision: 10 }, &[]);
    // The next one counts from the first of these tries.
    process.wait(seconds(1), &["read-results-end"]);
}

#[test]
fn an_agent_that_was_forgotten_shows_itself_again() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    process.tell(Event::KeyRefused { current: None }, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 0: seen 41, holds []"]);
}

#[test]
fn a_wish_on_the_key_is_obeyed_and_shown() {
    let mut process = Process::serving();
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds []"]);
    let wish = AgentRecord { draining: true, ..record(1) };
    process.tell(Event::KeyRefused { current: key(9, wish) }, &["announce agent-draining", "read-results-end"]);
    process.order(0, &["decline 0"]);
    process.tell(Event::ResultsEnd { sequence: 42 }, &["write-key 3 on 9: seen 42, holds [], draining"]);
    process.tell(Event::KeyRefused { current: key(10, record(1)) }, &["announce agent-undrained", "read-results-end"]);
    process.order(1, &["claim 1"]);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let mut process = Process::serving();
    let due = process.core.wake_at();
    for event in [
        Event::ResultsEnd { sequence: 50 },
        Event::KeyWritten { revision: 50 },
        Event::KeyRefused { current: key(50, record(2)) },
        Event::HeartbeatUnanswered,
        Event::NameLocked { remembered: Vec::new() },
        Event::KeyRead { current: None },
        Event::Listed { containers: Vec::new() },
        Event::ReportRead { last: None },
        Event::OwnRemoved,
        Event::EndTold,
    ] {
        process.tell(event, &[]);
    }
    assert_eq!(process.core.wake_at(), due);
}

#[test]
fn containers_that_can_go_are_looked_for_again_and_again() {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.age += seconds(60);
    process.tell(Event::Woken, &["clean [0]", "read-results-end"]);
    let leftover =
        |replica| Event::Leftover { attempt: attempt_of_replica(replica), container: fixture::container_id() };
    process.tell(leftover(0), &[]);
    process.tell(leftover(1), &["remove 1"]);
}
