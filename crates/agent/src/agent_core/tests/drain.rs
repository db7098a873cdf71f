//! Drains with a deadline.

use super::*;

fn drain_until(second: i64) -> AgentRecord {
    AgentRecord { draining: true, drain_by: Some(Timestamp::from_second(second).unwrap()), ..record(1) }
}

/// One that holds replica 0, and reads this on its key at the next heartbeat.
fn holding_then_told(wish: AgentRecord) -> Process {
    let mut process = Process::serving();
    process.order(0, &["claim 0"]);
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 2 on 8: seen 41, holds [0]"]);
    process.tell(Event::KeyRefused { current: key(9, wish) }, &["announce agent-draining", "read-results-end"]);
    process
}

/// The next heartbeat, which says that it is draining.
fn beat(process: &mut Process) {
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 9: seen 41, holds [0], draining"]);
    process.tell(Event::KeyWritten { revision: 10 }, &[]);
}

#[test]
fn what_is_held_at_the_deadline_of_a_drain_is_stopped_once() {
    let mut process = holding_then_told(drain_until(1));
    let stored = attempt::Event::ClaimStored { sequence: 41, at: BEGUN };
    assert_eq!(process.attempt(0, stored), ["pull 0"]);
    beat(&mut process);
    process.wait(seconds(1), &["abandon-pull 0", "report 0"]);
    // What comes next is the next heartbeat.
    process.wait(seconds(1), &["read-results-end"]);
}

#[test]
fn the_world_is_told_once_when_nothing_runs_on_a_draining_host_any_more() {
    let mut process = holding_then_told(drain_until(100));
    beat(&mut process);
    assert_eq!(process.attempt(0, attempt::Event::ClaimRefused), [] as [&str; 0]);
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 4 on 10: seen 41, holds [], draining"]);
    process.tell(Event::KeyWritten { revision: 11 }, &["announce agent-drained"]);
    process.wait(seconds(2), &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 5 on 11: seen 41, holds [], draining"]);
    process.tell(Event::KeyWritten { revision: 12 }, &[]);
}

#[test]
fn a_wish_that_is_taken_back_stops_nothing() {
    let mut process = holding_then_told(drain_until(5));
    process.tell(Event::ResultsEnd { sequence: 41 }, &["write-key 3 on 9: seen 41, holds [0], draining"]);
    process.tell(Event::KeyRefused { current: key(10, record(1)) }, &["announce agent-undrained", "read-results-end"]);
    process.age += seconds(10);
    process.tell(Event::Woken, &[]);
    process.order(1, &["claim 1"]);
}

#[test]
fn the_next_process_keeps_the_deadline_of_the_one_before() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    let left = AgentRecord { process: nonce(9), ..drain_until(-5) };
    process.tell(Event::KeyRead { current: key(REVISION, left) }, &["list"]);
    process.tell(Event::Listed { containers: vec![container(0, 9, ContainerStatus::Running)] }, &["read-report 0"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 0", "follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds [0], draining"]);
    process.tell(Event::KeyWritten { revision: 8 }, &["remember", "announce agent-joined"]);
    process.tell(Event::Woken, &["clean [0]", "stop 0"]);
}
