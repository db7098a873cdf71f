//! From the lock of the name to the first order.

use super::*;

/// Tells a process that looks for its name what it finds.
#[track_caller]
fn check_key(current: Option<KeyState>, expected: &[&str]) {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
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
    process.tell(Event::NameLocked { remembered: Vec::new() }, &[]);
}

#[test]
fn a_name_on_another_machine_is_free_once_its_key_did_not_change_for_as_long_as_a_loss_takes() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
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

/// Looks at the key until a look has shown something for as long as a loss takes.
fn until_lost(process: &mut Process, shown: impl Fn() -> Option<KeyState>, then: &[&str]) {
    for _ in 0..30 {
        process.tell(Event::KeyRead { current: shown() }, &[]);
        process.wait(seconds(2), &["read-key"]);
    }
    process.tell(Event::KeyRead { current: shown() }, then);
}

/// Rule P10: damage is no sign of life, and no name is held by it for ever.
#[test]
fn a_name_is_free_in_time_whenever_its_key_was_damaged() {
    let damaged = |revision| move || Some(KeyState { revision, record: None });
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, elsewhere(record(0))) }, &[]);
    process.wait(seconds(2), &["read-key"]);
    process.tell(Event::KeyRead { current: damaged(REVISION + 1)() }, &[]);
    process.wait(seconds(2), &["read-key"]);
    until_lost(&mut process, damaged(REVISION + 2), &["list"]);
}

#[test]
fn a_key_that_was_put_back_is_no_sign_of_life() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: Some(KeyState { revision: REVISION, record: None }) }, &[]);
    process.wait(seconds(2), &["read-key"]);
    until_lost(&mut process, || key(REVISION + 1, elsewhere(record(0))), &["list"]);
}

#[test]
fn a_name_that_lives_on_another_machine_is_refused() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, elsewhere(record(0))) }, &[]);
    process.wait(seconds(2), &["read-key"]);
    process.tell(
        Event::KeyRead { current: key(REVISION + 1, elsewhere(record(0))) },
        &["end: agent `host-1` runs on machine machine-2 (host `other-host`): stop it there, or choose another name"],
    );
}

/// Tells a process what its host remembers, and what it finds then.
fn naming_on(remembered: u8, left: AgentRecord, expected: &[&str]) -> Process {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: vec![nonce(3), nonce(remembered)] }, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, left) }, expected);
    process
}

fn before_a_boot(record: AgentRecord) -> AgentRecord {
    AgentRecord { boot: "boot-0".to_owned(), ..record }
}

#[test]
fn after_a_reboot_a_name_is_free_once_its_key_stood_still_for_a_moment() {
    let mut process = naming_on(9, before_a_boot(record(9)), &[]);
    for _ in 0..2 {
        process.wait(seconds(2), &["read-key"]);
        process.tell(Event::KeyRead { current: key(REVISION, before_a_boot(record(9))) }, &[]);
    }
    process.wait(seconds(2), &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, before_a_boot(record(9))) }, &["list"]);
}

/// Two hosts that were copied from one image have one machine id.
#[test]
fn the_machine_id_of_another_boot_is_no_proof_of_this_host() {
    let mut process = naming_on(8, before_a_boot(record(9)), &[]);
    for _ in 0..29 {
        process.wait(seconds(2), &["read-key"]);
        process.tell(Event::KeyRead { current: key(REVISION, before_a_boot(record(9))) }, &[]);
    }
    process.wait(seconds(2), &["read-key"]);
    process
        .tell(Event::KeyRead { current: key(REVISION, before_a_boot(record(9))) }, &["go-by machine-1/boot-1", "list"]);
}

/// What the other host still runs must not be lost at once because the copy does not hold it.
#[test]
fn a_copy_that_takes_a_name_which_was_left_goes_by_an_id_of_its_own_and_keeps_it() {
    let left = AgentRecord { stopped: true, ..before_a_boot(record(9)) };
    naming_on(8, left, &["go-by machine-1/boot-1", "list"]);
    let own = || AgentRecord { machine: MachineId("machine-1/boot-1".to_owned()), ..record(9) };
    naming_on(9, own(), &["go-by machine-1/boot-1", "list"]);
    // The other host, when its agent comes back.
    let machine = MachineId("machine-1/boot-2".to_owned());
    let copy_left = AgentRecord { stopped: true, boot: "boot-2".to_owned(), machine, ..record(9) };
    naming_on(8, copy_left, &["go-by machine-1/boot-1", "list"]);
}

#[test]
fn a_copy_of_a_host_whose_agent_lives_gives_up_and_names_the_host() {
    let other = || AgentRecord { host: "other-host".to_owned(), ..before_a_boot(record(9)) };
    let mut process = naming_on(9, other(), &[]);
    process.wait(seconds(2), &["read-key"]);
    process.tell(
        Event::KeyRead { current: key(REVISION + 1, other()) },
        &[concat!(
            "end: agent `host-1` runs on host `other-host`, which has the machine id of this host (machine-1): one is a copy of ",
            "the other. Give this host an id of its own (remove /etc/machine-id, run systemd-machine-id-setup), and the agent ",
            "another name"
        )],
    );
}

/// Up to its first heartbeat, which another record is in the way of.
fn first_beat_refused(in_the_way: AgentRecord, then: &[&str]) -> Process {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    let left = AgentRecord { process: nonce(9), number: 5, ..record(1) };
    process.tell(Event::KeyRead { current: key(REVISION, left) }, &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
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
    let in_use =
        "end: agent `host-1` runs on machine machine-1 (host `test-host`): stop it there, or choose another name";
    first_beat_refused(beat, &[in_use]);
}

/// A container of an image that was made from one of ours.
fn committed(container: ContainerView) -> ContainerView {
    ContainerView { name: "debug".to_owned(), labels_are_own: false, ..container }
}

/// Ours is what has our labels, whatever somebody called it meanwhile: a second one beside it would run the job twice.
#[test]
fn a_container_that_was_renamed_is_adopted() {
    let renamed = ContainerView { name: "by-hand".to_owned(), ..container(0, 9, ContainerStatus::Running) };
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["list"]);
    process.tell(Event::Listed { containers: vec![renamed] }, &["read-report 0"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 0", "follow-orders"]);
}

#[test]
fn a_copy_of_a_container_is_left_alone() {
    let ours = container(0, 9, ContainerStatus::Running);
    let exited = ContainerStatus::Exited(fixture::exit(3));
    let copy = ContainerView { id: ContainerId("copy".to_owned()), name: "copy".to_owned(), ..container(0, 9, exited) };
    for containers in [vec![ours.clone(), copy.clone()], vec![copy, ours]] {
        let mut process = Process::begin();
        process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
        process.tell(Event::KeyRead { current: None }, &["list"]);
        process.tell(Event::Listed { containers }, &["read-report 0"]);
        process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 0", "follow-orders"]);
    }
}

#[test]
fn everything_that_was_left_is_adopted_before_the_first_sign_of_life() {
    let running = container(0, 9, ContainerStatus::Running);
    let created = container(1, 9, ContainerStatus::Created);
    let kept = container(2, 9, ContainerStatus::Exited(fixture::exit(3)));
    let foreign = committed(container(3, 9, ContainerStatus::Running));
    let mut process = Process::subscribed(Vec::new());
    process.tell(Event::Listed { containers: Vec::new() }, &[]);

    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["list"]);
    process.tell(Event::Listed { containers: vec![running, created, foreign, kept] }, &["read-report 0"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["watch 0", "read-report 1"]);
    process.tell(Event::ReportRead { last: claimed_with(9) }, &["remove 1", "read-report 2"]);
    process.tell(Event::ReportRead { last: None }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 0: seen 40, holds [0, 1]"]);
}

#[test]
fn an_engine_that_cannot_list_at_the_start_ends_the_process() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: None }, &["list"]);
    let source = "no answer".into();
    let error = engine::Error::Unavailable { attempted: "list containers".to_owned(), source };
    process.tell(Event::Unlisted(error), &["end: failed to begin with the container engine"]);
}

#[test]
fn no_order_is_taken_before_the_first_heartbeat_is_acknowledged() {
    let mut process = Process::subscribed(Vec::new());
    process.order(0, &[]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.order(0, &[]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds []"]);
    assert!(!process.core.takes_orders());
    process.order(0, &[]);
    process.tell(Event::KeyWritten { revision: 8 }, &["remember", "announce agent-joined"]);
    assert!(process.core.takes_orders());
    process.order(0, &["claim 0"]);
}

#[test]
fn a_wish_to_drain_outlives_the_process() {
    let mut process = Process::begin();
    process.tell(Event::NameLocked { remembered: Vec::new() }, &["read-key"]);
    process.tell(Event::KeyRead { current: key(REVISION, AgentRecord { draining: true, ..record(0) }) }, &["list"]);
    process.tell(Event::Listed { containers: Vec::new() }, &["follow-orders"]);
    process.tell(Event::OrdersFollowed, &["read-results-end", "read-lease"]);
    process.tell(Event::ResultsEnd { sequence: 40 }, &["write-key 1 on 7: seen 40, holds [], draining"]);
}
