//! What the guard ends, when, and what it answers its agent.

use tickmesh_core::spec::OnDisconnect;

use super::*;
use crate::{
    attempt::Terms,
    engine::{ContainerId, ContainerStatus},
    fixture::{self, attempt_of_replica, exit},
    labels::Tag,
};

/// Longest time without an acknowledged heartbeat.
const FENCE: Duration = Duration::from_secs(45);

fn settings() -> Settings {
    Settings { ownership: Ownership::of(fixture::owner()), fence: FENCE, boot: "boot-1".to_owned() }
}

/// A moment of these tests: every guard begins at 1000 s.
fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

fn new() -> Guard {
    let (guard, effects) = Guard::begin(settings(), None, at(0));
    assert_eq!(effects, []);
    guard
}

fn container(replica: u32, status: ContainerStatus) -> ContainerView {
    container_on(OnDisconnect::Stop, replica, status)
}

fn container_on(on_disconnect: OnDisconnect, replica: u32, status: ContainerStatus) -> ContainerView {
    let terms = Terms { on_disconnect, ..fixture::terms() };
    let attempt = attempt_of_replica(replica);
    let tag = Tag { attempt, nonce: fixture::nonce(1), claim_sequence: 7, terms };
    ContainerView {
        id: id(replica),
        name: Ownership::of(fixture::owner()).container_name(&tag.attempt),
        labels: tag.labels(&fixture::owner(), &[].into()),
        labels_are_own: true,
        status,
    }
}

fn id(replica: u32) -> ContainerId {
    ContainerId(format!("c{replica}"))
}

fn fed(sent_at: u64) -> Event {
    Event::Fed { sent_at: at(sent_at) }
}

fn may_go_on(ordered_at: u64) -> Event {
    Event::Asked(Question { attempt: attempt_of_replica(0), matter: Matter::GoingOn { ordered_at: at(ordered_at) } })
}

fn who_killed(replica: u32) -> Event {
    Event::Asked(Question { attempt: attempt_of_replica(replica), matter: Matter::Death(id(replica)) })
}

fn kill_answered(replica: u32, fate: Fate) -> Event {
    Event::KillAnswered { container: id(replica), fate }
}

fn listed(containers: impl Into<Vec<ContainerView>>) -> Event {
    Event::Listed { containers: containers.into() }
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Remember(memory) => remembered(memory),
        Effect::List => "list".to_owned(),
        Effect::Kill { container } => format!("kill {container}"),
        Effect::Remove { container } => format!("remove {container}"),
        Effect::Answer(Answer { attempt, verdict }) => format!("answer {}: {verdict:?}", attempt.replica),
    }
}

fn remembered(memory: &Memory) -> String {
    let deadline = (memory.deadline - at(0)).as_secs();
    let mut line = match memory.standing {
        Standing::Clear { since } => {
            format!("remember {deadline}, clear since {}", since.saturating_sub(at(0)).as_secs())
        }
        Standing::Fenced => format!("remember {deadline}, fenced"),
    };
    if !memory.killed.is_empty() {
        let killed: Vec<_> = memory.killed.iter().map(ToString::to_string).collect();
        line += &format!(", killed {}", killed.join(" "));
    }
    line
}

#[track_caller]
fn check(guard: &mut Guard, now: u64, event: Event, expected: &[&str]) {
    check_at(guard, at(now), event, expected);
}

#[track_caller]
fn check_at(guard: &mut Guard, now: Duration, event: Event, expected: &[&str]) {
    let what = format!("{event:?}");
    let effects: Vec<_> = guard.fold(event, now).iter().map(line).collect();
    assert_eq!(effects, expected, "{what}");
}

const CLEAR: &[&str] = &["answer 0: Clear"];
const FENCED: &[&str] = &["answer 0: Fenced"];

/// A guard that was fed at 10, whose deadline (55) passed, and that has found nothing to end.
fn swept() -> Guard {
    let mut guard = new();
    check(&mut guard, 10, fed(10), &["remember 55, clear since 0"]);
    check(&mut guard, 55, Event::Woken, &["remember 55, fenced", "list"]);
    check(&mut guard, 55, listed([]), &[]);
    guard
}

mod deadline;
mod memory;
mod sweep;
