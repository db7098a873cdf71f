//! Attempts that nobody holds. The leader's word goes to the attempt's subject, on exactly the sequence that it saw
//! (protocol rules P3 and P9).

use std::time::Duration;

use super::{
    super::{Input, Record},
    world::{World, agent, claimed, service, unscheduled},
};
use crate::{
    id::AttemptId,
    message::{AgentRecord, AttemptEvent, MachineId},
    outcome::LostReason,
    spec::{AppSpec, OnDisconnect, OnLost, RunSpec},
};

/// One replica on `a1`.
fn started() -> (World, AttemptId) {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    (world, id)
}

#[track_caller]
fn check_heartbeat(change: impl Fn(&mut AgentRecord, &AttemptId, u64), expect_lost: usize) {
    let (mut world, id) = started();
    world.claim(&id);
    let claim_sequence = world.sequence;
    let mut record = world.heartbeat("a1", &[]);
    change(&mut record, &id, claim_sequence);
    let answer = world.decide(Input::Heartbeat { record: &record, machine_for: Duration::ZERO });
    let lost = AttemptEvent::Lost { reason: LostReason::NotHeld };
    assert_eq!(answer.stored(), vec![(&id, &lost, claim_sequence); expect_lost]);
    // Nothing is believed before it is stored.
    assert_eq!((answer.record, world.only_open()), (Record::Unchanged, id));
}

#[test]
fn an_attempt_is_lost_at_once_only_if_a_heartbeat_of_its_machine_has_seen_its_claim_and_does_not_hold_it() {
    check_heartbeat(|_, _, _| {}, 1);
    check_heartbeat(|record, _, claim| record.results_seen = claim, 1);
    check_heartbeat(|record, _, claim| record.results_seen = claim - 1, 0);
    check_heartbeat(|record, id, _| record.held = [id.clone()].into(), 0);
    check_heartbeat(|record, _, _| record.machine = MachineId("other".to_owned()), 0);
    check_heartbeat(|record, _, _| record.agent = agent("a2"), 0);
}

#[test]
fn a_heartbeat_says_nothing_about_an_attempt_without_a_claim() {
    let (mut world, _) = started();
    let record = world.heartbeat("a1", &[]);
    assert!(world.decide(Input::Heartbeat { record: &record, machine_for: Duration::ZERO }).actions.is_empty());
}

#[test]
fn an_agent_that_falls_silent_loses_what_it_claimed_and_is_relieved_of_the_rest() {
    let mut world = World::new(unscheduled(vec![service(6, 0)]));
    world.run();
    let on_a1: Vec<_> = world.open().into_iter().filter(|(_, open)| open.agent == agent("a1")).collect();
    let [(first, _), (second, _)] = &on_a1[..] else { panic!("{on_a1:?}") };
    world.claim(second);
    let sequence = world.sequence;
    let answer = world.decide(Input::Silent { agent: &agent("a1"), results_through: u64::MAX });
    let stored = answer.stored();
    assert!(matches!(stored[0], (id, AttemptEvent::Revoked { .. }, 0) if id == first), "{stored:?}");
    let lost = AttemptEvent::Lost { reason: LostReason::AgentSilent };
    assert_eq!(stored[1..], [(second, &lost, sequence)]);
    assert_eq!(world.open().len(), 6);
}

#[test]
fn silence_of_one_agent_is_nothing_to_the_others() {
    let (mut world, _) = started();
    assert!(world.decide(Input::Silent { agent: &agent("a2"), results_through: u64::MAX }).actions.is_empty());
}

#[test]
fn a_lost_attempt_stays_open_until_the_word_is_stored() {
    let (mut world, id) = started();
    world.claim(&id);
    world.decide(Input::Silent { agent: &agent("a1"), results_through: u64::MAX });
    // The agent was faster: its own end stands, and the leader's word was refused.
    world.exit(&id, 0);
    assert_eq!(world.ledger.history.pending[0].outcome.label(), "succeeded");
}

#[test]
fn a_claim_after_the_silence_began_is_judged_on_its_own_sequence() {
    let (mut world, id) = started();
    world.sequence += 10;
    world.report_by(&id, agent("a1"), claimed(&agent("a1")));
    let answer = world.decide(Input::Silent { agent: &agent("a1"), results_through: u64::MAX });
    assert_eq!(answer.stored()[0].2, 111);
}

#[test]
fn a_name_that_moved_to_another_machine_loses_what_it_left_once_silence_would_have() {
    let (mut world, id) = started();
    world.claim(&id);
    let mut record = world.heartbeat("a1", &[]);
    record.machine = MachineId("another".to_owned());
    let lost = world.timing.lost;
    let early = Input::Heartbeat { record: &record, machine_for: lost - Duration::from_millis(1) };
    assert!(world.decide(early).actions.is_empty());
    let late = world.decide(Input::Heartbeat { record: &record, machine_for: lost });
    assert_eq!(late.stored().len(), 1, "{late:?}");
}

#[test]
fn a_claim_that_was_not_folded_when_the_key_was_read_is_no_silence() {
    let (mut world, id) = started();
    world.claim(&id);
    let claim = world.ledger.active[0].claims().next().unwrap().sequence;
    let before = Input::Silent { agent: &agent("a1"), results_through: claim - 1 };
    assert!(world.decide(before).actions.is_empty());
    let answer = world.decide(Input::Silent { agent: &agent("a1"), results_through: claim });
    assert_eq!(answer.stored().len(), 1);
}

/// One replica on `a1`, of an app with these wishes.
fn claimed_under(on_disconnect: OnDisconnect, on_lost: OnLost) -> (World, AttemptId) {
    let spec = unscheduled(vec![service(1, 3)]);
    let run = RunSpec { on_disconnect, on_lost, ..(*spec.run()).clone() };
    let mut world = World::new(AppSpec { run: run.into(), ..spec });
    world.run();
    let id = world.only_open();
    world.claim(&id);
    (world, id)
}

#[test]
fn a_container_that_goes_on_without_a_mesh_is_not_declared_lost_by_silence() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue, OnLost::Retry);
    let silent = Input::Silent { agent: &agent("a1"), results_through: u64::MAX };
    assert!(world.decide(silent).actions.is_empty());
    let mut record = world.heartbeat("a1", &[]);
    record.machine = MachineId("another".to_owned());
    let moved = Input::Heartbeat { record: &record, machine_for: Duration::from_secs(3_600) };
    assert!(world.decide(moved).actions.is_empty());
    let back = world.heartbeat("a1", &[]);
    let answer = world.decide(Input::Heartbeat { record: &back, machine_for: Duration::ZERO });
    assert_eq!(answer.stored().len(), 1, "its agent is back and does not hold it");
    assert_eq!(world.only_open(), id);
}

#[test]
fn an_order_that_nobody_claimed_is_taken_back_whatever_the_containers_may_do() {
    let spec = unscheduled(vec![service(1, 0)]);
    let run = RunSpec { on_disconnect: OnDisconnect::Continue, ..(*spec.run()).clone() };
    let mut world = World::new(AppSpec { run: run.into(), ..spec });
    world.run();
    let answer = world.decide(Input::Silent { agent: &agent("a1"), results_through: u64::MAX });
    assert!(matches!(answer.stored()[0].1, AttemptEvent::Revoked { .. }));
}

#[test]
fn a_replica_that_must_not_run_twice_ends_with_its_first_loss() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop, OnLost::Fail);
    world.report(&id, AttemptEvent::Lost { reason: LostReason::AgentSilent });
    assert_eq!((world.last_outcomes(), world.open().len()), (vec!["lost"], 0));
    let (mut world, id) = claimed_under(OnDisconnect::Stop, OnLost::Retry);
    world.report(&id, AttemptEvent::Lost { reason: LostReason::AgentSilent });
    assert_eq!(world.only_open().attempt, 2);
}

/// Whoever forgets an agent says that nothing of it runs any more, wherever it was and whatever goes on without the mesh.
#[test]
fn what_was_claimed_on_an_agent_that_is_forgotten_is_lost() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue, OnLost::Retry);
    let sequence = world.sequence;
    let elsewhere = AgentRecord { machine: MachineId("other".to_owned()), ..world.heartbeat("a1", &[]) };
    let hour = Duration::from_secs(3_600);
    let answer = world.decide(Input::Heartbeat { record: &elsewhere, machine_for: hour });
    assert!(answer.stored().is_empty(), "it may go on there: {answer:?}");
    let forgotten = AgentRecord { forgotten: true, stopped: true, ..elsewhere };
    let answer = world.decide(Input::Heartbeat { record: &forgotten, machine_for: Duration::ZERO });
    let lost = AttemptEvent::Lost { reason: LostReason::AgentForgotten };
    assert_eq!(answer.stored(), [(&id, &lost, sequence)]);
}
