//! When a deadline passes, what moves it, and who is on which side of it.

use super::*;

#[test]
fn the_deadline_counts_from_when_the_heartbeat_was_sent() {
    let mut guard = new();
    check(&mut guard, 14, fed(10), &["remember 55, clear since 0"]);
    assert_eq!(guard.wake_at(), Some(at(55)));
    let just_before = at(55) - Duration::from_nanos(1);
    check_at(&mut guard, just_before, Event::Woken, &[]);
    check_at(&mut guard, at(55), Event::Woken, &["remember 55, fenced", "list"]);
}

#[test]
fn each_acknowledged_heartbeat_moves_it_and_an_older_one_does_not_move_it_back() {
    let mut guard = new();
    check(&mut guard, 10, fed(10), &["remember 55, clear since 0"]);
    check(&mut guard, 12, fed(12), &["remember 57, clear since 0"]);
    check(&mut guard, 13, fed(11), &[]);
    check(&mut guard, 13, fed(12), &[]);
    check(&mut guard, 56, Event::Woken, &[]);
    check(&mut guard, 57, Event::Woken, &["remember 57, fenced", "list"]);
}

#[test]
fn an_acknowledgement_whose_own_deadline_is_over_revives_nobody() {
    let mut guard = swept();
    check(&mut guard, 70, fed(25), &[]);
    check(&mut guard, 70, may_go_on(69), FENCED);
    check(&mut guard, 70, fed(26), &["remember 71, fenced", "remember 71, clear since 70"]);
    check(&mut guard, 70, may_go_on(71), CLEAR);
}

#[test]
fn a_heartbeat_that_comes_after_the_deadline_does_not_undo_it() {
    // Nobody woke the guard in time: it was frozen together with the agent.
    let mut guard = new();
    check(&mut guard, 10, fed(10), &["remember 55, clear since 0"]);
    check(&mut guard, 80, fed(80), &["remember 55, fenced", "list", "remember 125, fenced"]);
    check(&mut guard, 80, may_go_on(79), FENCED);
}

#[test]
fn what_was_ordered_before_a_deadline_passed_never_goes_on() {
    let mut guard = new();
    check(&mut guard, 10, fed(10), &["remember 55, clear since 0"]);
    check(&mut guard, 54, may_go_on(20), CLEAR);
    check(&mut guard, 55, may_go_on(20), &["remember 55, fenced", "list", "answer 0: Fenced"]);
    check(&mut guard, 55, listed([]), &[]);
    check(&mut guard, 60, may_go_on(59), FENCED);
    check(&mut guard, 61, fed(60), &["remember 105, fenced", "remember 105, clear since 61"]);
    for ordered_at in [20, 54, 55, 59, 61] {
        check(&mut guard, 62, may_go_on(ordered_at), FENCED);
    }
    check(&mut guard, 63, may_go_on(62), CLEAR);
}

#[test]
fn nothing_goes_on_while_something_is_left_to_end() {
    let mut guard = new();
    check(&mut guard, 10, fed(10), &["remember 55, clear since 0"]);
    check(&mut guard, 55, Event::Woken, &["remember 55, fenced", "list"]);
    check(&mut guard, 56, fed(56), &["remember 101, fenced"]);
    check(&mut guard, 57, may_go_on(57), FENCED);
    check(&mut guard, 57, listed([container(0, ContainerStatus::Removing)]), &[]);
    check(&mut guard, 58, may_go_on(57), FENCED);
    check(&mut guard, 58, Event::Woken, &["list"]);
    check(&mut guard, 58, listed([]), &["remember 101, clear since 58"]);
    check(&mut guard, 59, may_go_on(59), CLEAR);
}
