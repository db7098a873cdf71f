//! Messages about attempts that are late, repeated, or not for us: they change nothing (guarantee G7).

use uuid::Uuid;

use super::{
    super::Record,
    world::{World, agent, claimed, exited, revoked, service, unscheduled},
};
use crate::{
    id::{AttemptId, RunUid},
    ledger::ReplicaState,
    message::{AttemptEvent, Revoker},
    name::{AgentName, ServiceName},
    outcome::LostReason,
};

/// A world whose only replica failed once and is at its second attempt; the id of the first, and its agent.
fn at_second_attempt() -> (World, AttemptId, AgentName) {
    let mut world = World::new(unscheduled(vec![service(1, 3)]));
    world.run();
    let (first, open) = world.open().remove(0);
    world.claim(&first);
    world.exit(&first, 1);
    world.clock(1.0);
    assert_eq!(world.only_open().attempt, 2);
    (world, first, open.agent)
}

fn every_event(by: &AgentName) -> Vec<AttemptEvent> {
    vec![
        claimed(by),
        revoked(Revoker::Leader),
        AttemptEvent::Cancelled { exit_code: None },
        AttemptEvent::Cancelled { exit_code: Some(143) },
        exited(0),
        exited(1),
        AttemptEvent::CouldNotStart { reason: "policy".to_owned(), permanent: true },
        AttemptEvent::Lost { reason: LostReason::Fenced },
    ]
}

/// Nothing of the replicas changes by a message about `attempt` from `by`, whatever it says.
#[track_caller]
fn check_ignored(change: impl Fn(&mut AttemptId), by: Option<AgentName>) {
    let (mut world, _, _) = at_second_attempt();
    let (mut id, open) = world.open().remove(0);
    change(&mut id);
    let by = by.unwrap_or(open.agent);
    for event in every_event(&by) {
        let before = world.ledger.active[0].services().to_vec();
        let answer = world.report_by(&id, by.clone(), event.clone());
        assert_eq!(world.ledger.active[0].services(), before, "{event:?}");
        assert!(answer.actions.is_empty() && answer.record < Record::Due, "{event:?}: {answer:?}");
    }
}

#[test]
fn a_message_about_something_else_changes_nothing() {
    check_ignored(|id| id.attempt = 1, None);
    check_ignored(|id| id.attempt = 3, None);
    check_ignored(|id| id.replica = 1, None);
    check_ignored(|id| id.uid = RunUid(Uuid::from_u128(5)), None);
    check_ignored(|id| id.service = ServiceName::new("s2").unwrap(), None);
}

#[test]
fn a_message_from_another_agent_changes_nothing() {
    check_ignored(|_| {}, Some(agent("a3")));
    check_ignored(|_| {}, Some(agent("stranger")));
}

#[test]
fn a_replay_of_the_stream_changes_nothing() {
    let (mut world, first, by) = at_second_attempt();
    let before = world.ledger.clone();
    for (sequence, event) in [(101, claimed(&by)), (102, exited(1)), (102, exited(1))] {
        let answer = world.report_at(sequence, &first, by.clone(), event);
        assert_eq!(answer.record, Record::Unchanged);
    }
    assert_eq!(world.ledger, before);
}

#[test]
fn a_replay_of_the_open_attempts_claim_changes_nothing() {
    let (mut world, _, _) = at_second_attempt();
    let id = world.only_open();
    world.claim(&id);
    let (before, by) = (world.ledger.clone(), world.open()[0].1.agent.clone());
    assert_eq!(world.report_at(world.sequence, &id, by.clone(), claimed(&by)).record, Record::Unchanged);
    assert_eq!(world.ledger, before);
}

#[test]
fn messages_about_a_finished_run_change_nothing() {
    let (mut world, _, _) = at_second_attempt();
    let (id, open) = world.open().remove(0);
    world.finish(0);
    let before = world.ledger.clone();
    for event in every_event(&open.agent) {
        assert_eq!(world.report_by(&id, open.agent.clone(), event).record, Record::Unchanged);
    }
    assert_eq!(world.ledger, before);
}

#[test]
fn a_claim_is_noted_with_its_sequence_and_needs_no_write_of_its_own() {
    let (mut world, _, _) = at_second_attempt();
    let id = world.only_open();
    assert_eq!(world.claim(&id).record, Record::WithNext);
    let ReplicaState::Open(open) = world.replica(0) else { panic!("not open") };
    assert_eq!(open.claim().unwrap().sequence, world.sequence);
    assert_eq!(world.ledger.active[0].results_through, world.sequence);
}

#[test]
fn an_end_must_be_recorded_before_its_consequences() {
    let (mut world, _, _) = at_second_attempt();
    let id = world.only_open();
    world.claim(&id);
    assert_eq!(world.exit(&id, 1).record, Record::Due);
}
