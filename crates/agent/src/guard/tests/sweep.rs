//! What is ended, and whose work it was.

use super::*;

/// A guard whose deadline passes at 45; time goes on a second a step.
#[track_caller]
fn check_sweep(looks: &[(Vec<ContainerView>, &[&str])]) -> Guard {
    let mut guard = new();
    check(&mut guard, 45, Event::Woken, &["remember 45, fenced", "list"]);
    for (step, (containers, expected)) in (45..).zip(looks) {
        if step > 45 {
            check(&mut guard, step, Event::Woken, &["list"]);
        }
        check(&mut guard, step, listed(containers.clone()), expected);
    }
    guard
}

#[test]
fn what_runs_is_killed_and_what_is_created_is_removed_until_the_engine_lists_none() {
    let guard = check_sweep(&[
        (
            vec![container(0, ContainerStatus::Running), container(1, ContainerStatus::Created)],
            &["remember 45, fenced, killed c0", "kill c0", "remove c1"],
        ),
        // A start that was under way took effect.
        (
            vec![container(0, ContainerStatus::Exited(exit(137))), container(1, ContainerStatus::Running)],
            &["remember 45, fenced, killed c0 c1", "kill c1"],
        ),
        // One kill at a time.
        (vec![container(1, ContainerStatus::Running)], &[]),
        (vec![container(1, ContainerStatus::Removing)], &[]),
        (vec![container(0, ContainerStatus::Exited(exit(137)))], &[]),
    ]);
    assert_eq!(guard.wake_at(), None, "swept");
}

#[test]
fn the_next_look_comes_after_a_pause_and_also_if_the_engine_does_not_answer() {
    let mut guard = new();
    check(&mut guard, 45, Event::Woken, &["remember 45, fenced", "list"]);
    check(&mut guard, 46, Event::Woken, &[]);
    check(&mut guard, 46, Event::Unlisted, &[]);
    let next = at(47);
    assert_eq!(guard.wake_at(), Some(next));
    check_at(&mut guard, next - Duration::from_nanos(1), Event::Woken, &[]);
    check_at(&mut guard, next, Event::Woken, &["list"]);
}

#[test]
fn a_container_that_was_renamed_is_ended() {
    let renamed = ContainerView { name: "by-hand".to_owned(), ..container(1, ContainerStatus::Running) };
    check_sweep(&[(vec![renamed], &["remember 45, fenced, killed c1", "kill c1"])]);
}

#[test]
fn containers_that_go_on_without_the_mesh_or_are_not_ours_are_left_alone() {
    let name = "debug".to_owned();
    let foreign = ContainerView { name, labels_are_own: false, ..container(1, ContainerStatus::Running) };
    let mut broken = container(2, ContainerStatus::Running);
    broken.labels.insert("io.tickmesh.run".to_owned(), "?".to_owned());
    let goes_on = |replica, status| container_on(OnDisconnect::Continue, replica, status);
    check_sweep(&[(
        vec![goes_on(0, ContainerStatus::Running), foreign, broken, goes_on(3, ContainerStatus::Created)],
        &[],
    )]);
}

#[test]
fn who_asks_about_a_death_is_told_whether_it_was_the_guard() {
    let both = || vec![container(0, ContainerStatus::Running), container(1, ContainerStatus::Running)];
    let mut guard = check_sweep(&[(both(), &["remember 45, fenced, killed c0 c1", "kill c0", "kill c1"])]);
    // The engine has not told yet what came of it.
    check(&mut guard, 45, who_killed(0), &[]);
    check(&mut guard, 46, kill_answered(0, Fate::Killed), &["answer 0: Fenced"]);
    check(&mut guard, 46, kill_answered(1, Fate::HadEnded), &["remember 45, fenced, killed c0"]);
    check(&mut guard, 46, who_killed(1), &["answer 1: Clear"]);
    check(&mut guard, 46, who_killed(2), &["answer 2: Clear"]);
    // A second kill that comes too late does not undo the first.
    check(&mut guard, 46, Event::Woken, &["list"]);
    check(&mut guard, 46, listed([container(0, ContainerStatus::Running)]), &["kill c0"]);
    check(&mut guard, 46, kill_answered(0, Fate::HadEnded), &["remember 45, fenced, killed c0"]);
    check(&mut guard, 46, who_killed(0), &["answer 0: Fenced"]);
}

const KILL_ONE: [&str; 2] = ["remember 45, fenced, killed c0", "kill c0"];

#[test]
fn an_exit_that_was_faster_than_the_kill_keeps_its_own_outcome() {
    let mut guard = check_sweep(&[(vec![container(0, ContainerStatus::Running)], &KILL_ONE)]);
    check_at(&mut guard, at(45), who_killed(0), &[]);
    check_at(&mut guard, at(45), kill_answered(0, Fate::HadEnded), &["remember 45, fenced", "answer 0: Clear"]);
}

#[test]
fn a_kill_that_nobody_knows_the_fate_of_counts() {
    let mut guard = check_sweep(&[(vec![container(0, ContainerStatus::Running)], &KILL_ONE)]);
    check_at(&mut guard, at(45), kill_answered(0, Fate::Unknown), &[]);
    check_at(&mut guard, at(45), who_killed(0), &["answer 0: Fenced"]);
}

#[test]
fn a_guard_may_go_only_when_a_deadline_passed_and_nothing_is_left_to_end() {
    assert!(!new().has_swept());
    let guard = check_sweep(&[(vec![container(0, ContainerStatus::Running)], &KILL_ONE)]);
    assert!(!guard.has_swept());
    let mut guard = swept();
    assert!(guard.has_swept());
    check(&mut guard, 60, fed(60), &["remember 105, fenced", "remember 105, clear since 60"]);
    assert!(!guard.has_swept());
}
