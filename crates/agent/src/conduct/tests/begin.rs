//! From the lock of the name to the first order.

use super::*;

/// Tells a process that looks for its name what it finds.
#[track_caller]
fn check_key(current: Option<KeyState>, expected: &[&str]) {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    process.tell(Event::KeyRead { current }, expected);
}

#[test]
fn a_name_is_free_that_nobody_has_that_was_left_or_that_is_this_machines() {
    check_key(None, &["list"]);
    check_key(key(REVISION, record(0)), &["list"]);
    check_key(key(REVISION, AgentRecord { stopped: true, ..elsewhere(record(0)) }), &["list"]);
    check_key(key(REVISION, elsewhere(record(0))), &[]);
}

#[test]
fn the_key_is_not_read_before_the_name_is_locked() {
    let mut process = Process::begin();
    process.tell(Event::KeyRead { current: None }, &[]);
    process.tell(Event::Woken, &[]);
    process.tell(
        Event::Failed(Error::Deposed { agent: fixture::agent() }),
        &["end: another process has taken over agent `host-1`: its own containers are removed"],
    );
    process.tell(Event::NameLocked, &[]);
}

#[test]
fn a_name_on_another_machine_is_free_once_its_key_did_not_change_for_as_long_as_a_loss_takes() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    let silent = || Event::KeyRead { current: key(REVISION, elsewhere(record(0))) };
    process.tell(silent(), &[]);
    for _ in 0..29 {
        process.wait(seconds(2), &["read-key"]);
        process.tell(silent(), &[]);
    }
    // Not read for once: silence goes on.
    process.wait(seconds(2), &["read-key"]);
    process.tell(Event::KeyUnread, &[]);
    process.wait(seconds(2), &["read-key"]);
    process.tell(silent(), &["list"]);
}

#[test]
fn a_name_that_lives_on_another_machine_is_refused() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, elsewhere(record(0))) }, &[]);
    process.wait(seconds(2), &["read-key"]);
    process.tell(
        Event::KeyRead { current: key(REVISION + 1, elsewhere(record(0))) },
        &["end: agent `host-1` runs on machine machine-2 (host `other-host`): stop it there, or choose another name"],
    );
}

/// Up to its first heartbeat, which another record is in the way of.
fn first_beat_refused(in_the_way: AgentRecord, then: &[&str]) -> Process {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    let left = AgentRecord { process: nonce(9), number: 5, ..record(1) };
    process.tell(Event::KeyRead { current: key(REVISION, left) }, &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds []"]);
    process.tell(Event::KeyRefused { current: key(REVISION + 1, in_the_way) }, then);
    process
}

#[test]
fn a_wish_that_comes_before_the_first_heartbeat_is_obeyed() {
    let wish = AgentRecord { process: nonce(9), number: 5, draining: true, ..record(1) };
    let mut process = first_beat_refused(wish, &["announce agent-draining", "read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 2 on 8: seen 40, holds [], draining"]);
}

#[test]
fn a_process_before_that_still_lives_keeps_the_name() {
    let beat = AgentRecord { process: nonce(9), number: 6, ..record(1) };
    first_beat_refused(
        beat,
        &["abandon", "end: another process has taken over agent `host-1`: its own containers are removed"],
    );
}

#[test]
fn everything_that_was_left_is_adopted_before_the_first_sign_of_life() {
    let running = container(0, 9, ContainerStatus::Running);
    let created = container(1, 9, ContainerStatus::Created);
    let kept = container(2, 9, ContainerStatus::Exited(fixture::exit(3)));
    let foreign = ContainerView { name: "debug".to_owned(), ..container(3, 9, ContainerStatus::Running) };
    let mut process = Process::subscribed(Vec::new());
    process.tell(Event::Listed { containers: Vec::new() }, &[]);

    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["list"]);
    process.tell(Event::Listed { containers: vec![running, created, foreign, kept] }, &["read-report 0"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 0", "read-report 1"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["remove 1", "read-report 2"]);
    process.tell(Event::ReportRead { last: None }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 0: seen 40, holds [0, 1]"]);
}

#[test]
fn an_engine_that_cannot_list_at_the_start_ends_the_process() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["list"]);
    let source = "no answer".into();
    let error = engine::Error::Unavailable { attempted: "list containers".to_owned(), source };
    process.tell(Event::Unlisted(error), &["end: failed to begin with the container engine"]);
}

#[test]
fn no_order_is_taken_before_the_first_heartbeat_is_acknowledged() {
    let mut process = Process::subscribed(Vec::new());
    process.order(0, &[]);
    process.tell(Event::OrdersFollowed, &["read-results-end"]);
    process.order(0, &[]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds []"]);
    assert!(!process.conduct.takes_orders());
    process.order(0, &[]);
    process.tell(Event::KeyWritten { revision: 8 }, &["announce agent-joined"]);
    assert!(process.conduct.takes_orders());
    process.order(0, &["claim 0"]);
}

#[test]
fn a_wish_to_drain_outlives_the_process() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, AgentRecord { draining: true, ..record(0) }) }, &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds [], draining"]);
}
