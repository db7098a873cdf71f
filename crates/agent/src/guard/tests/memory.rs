//! What a new guard process knows.

use super::*;

/// A guard that begins at `at(0)` with such a file.
#[track_caller]
fn check_begin(
    boot: &str,
    deadline: Duration,
    standing: Standing,
    expected: &[&str],
    wake_at: Option<Duration>,
) -> Guard {
    let memory = Memory { boot: boot.to_owned(), deadline, standing, killed: Vec::new() };
    let (guard, effects) = Guard::begin(settings(), Some(memory), at(0));
    assert_eq!(effects.iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!(guard.wake_at(), wake_at);
    guard
}

fn clear() -> Standing {
    Standing::Clear { since: Duration::ZERO }
}

#[test]
fn a_new_guard_keeps_the_deadline_of_the_one_before() {
    check_begin("boot-1", at(5), clear(), &[], Some(at(5)));
    check_begin("boot-1", at(0), clear(), &["remember 0, fenced", "list"], None);
}

#[test]
fn a_sweep_that_did_not_come_to_its_end_begins_again() {
    let mut guard = check_begin("boot-1", at(30), Standing::Fenced, &["list"], None);
    check(&mut guard, 1, may_go_on(1), FENCED);
    check(&mut guard, 1, listed([]), &["remember 30, clear since 1"]);
}

#[test]
fn a_new_guard_knows_what_is_on_the_wrong_side() {
    let mut guard = check_begin("boot-1", at(30), Standing::Clear { since: at(0) }, &[], Some(at(30)));
    check(&mut guard, 1, may_go_on(0), FENCED);
    check(&mut guard, 1, may_go_on(1), CLEAR);
}

#[test]
fn the_file_of_another_boot_is_worth_nothing() {
    check_begin("boot-0", at(5), clear(), &[], Some(at(45)));
    check_begin("", at(5), clear(), &[], Some(at(45)));
    let settings = Settings { boot: String::new(), ..settings() };
    let memory = Memory { boot: String::new(), deadline: at(5), standing: clear(), killed: Vec::new() };
    let (guard, _) = Guard::begin(settings, Some(memory), at(0));
    assert_eq!(guard.wake_at(), Some(at(45)), "where the system does not name its boots no file is trusted");
}

#[test]
fn without_a_file_the_deadline_counts_from_the_start_until_the_agent_tells() {
    assert_eq!(new().wake_at(), Some(at(45)));
    let mut guard = new();
    let earlier = at(0) - Duration::from_secs(20);
    check(&mut guard, 1, Event::Fed { sent_at: earlier }, &["remember 25, clear since 0"]);
    let mut guard = new();
    let long_ago = at(0) - FENCE;
    check(
        &mut guard,
        1,
        Event::Fed { sent_at: long_ago },
        &["remember 0, clear since 0", "remember 0, fenced", "list"],
    );
}

#[test]
fn what_is_remembered_is_read_back() {
    for standing in [Standing::Clear { since: at(3) }, Standing::Fenced] {
        let memory = Memory { boot: "boot-1".to_owned(), deadline: at(7), standing, killed: vec![id(3)] };
        let bytes = serde_json::to_vec(&memory).unwrap();
        assert_eq!(serde_json::from_slice::<Memory>(&bytes).unwrap(), memory);
    }
}

#[test]
fn a_new_guard_knows_what_was_killed_or_about_to_be() {
    let killed = vec![id(0), id(1)];
    let memory = Memory { boot: "boot-1".to_owned(), deadline: at(0), standing: Standing::Fenced, killed };
    let (mut guard, _) = Guard::begin(settings(), Some(memory), at(0));
    check(&mut guard, 1, who_killed(0), FENCED);
    check(&mut guard, 1, who_killed(2), &["answer 2: Clear"]);
    check(&mut guard, 1, listed([container(1, ContainerStatus::Running)]), &["kill c1"]);
    check(&mut guard, 1, kill_answered(1, Fate::Unknown), &[]);
    let both = [container(2, ContainerStatus::Running), container(1, ContainerStatus::Running)];
    check(&mut guard, 2, Event::Woken, &["list"]);
    check(&mut guard, 2, listed(both), &["remember 0, fenced, killed c0 c1 c2", "kill c2", "kill c1"]);
}
