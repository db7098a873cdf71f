//! Every active run can be ended: nobody waits for a word that will never come.

use std::time::Duration;

use super::{
    super::{Action, Clock, Input, Record},
    answer::Answer,
    world::{World, agent, at, claimed, exited, revoked, service, unscheduled},
};
use crate::{
    id::AttemptId,
    ledger::{Remains, Verdict},
    message::{AttemptEvent, AttemptReport, CommandKind, MachineId, Revoker},
    outcome::LostReason,
    spec::{AppSpec, OnDisconnect, RunSpec},
};

/// One replica on `a1`, claimed, of an app whose containers do this without the mesh.
fn claimed_under(on_disconnect: OnDisconnect) -> (World, AttemptId) {
    let spec = unscheduled(vec![service(1, 3)]);
    let run = RunSpec { on_disconnect, ..(*spec.run()).clone() };
    let mut world = World::new(AppSpec { run: run.into(), ..spec });
    world.run();
    let id = world.only_open();
    world.claim(&id);
    (world, id)
}

fn force(world: &mut World) -> Answer {
    let command = world.command(CommandKind::Cancel { run: None, force: true });
    world.decide(Input::Command { sequence: 1, command: &command, retried: None })
}

fn silent(world: &mut World, seconds: f64) -> Answer {
    world.now = at(seconds);
    world.decide(Input::Silent { agent: &agent("a1"), results_through: u64::MAX })
}

fn heard(world: &mut World, seconds: f64, held: &[AttemptId]) -> Answer {
    world.now = at(seconds);
    let record = world.heartbeat("a1", held);
    world.decide(Input::Heartbeat { record: &record, machine_for: Duration::ZERO })
}

/// The leader's word in `answer` is refused: the subject ends with this event of `a1`.
fn refuse(world: &mut World, answer: &Answer, found: Option<(u64, AttemptEvent)>) -> Answer {
    let refused = answer.actions.iter().find_map(|action| match action {
        Action::StoreReport { report, .. } => Some(report.clone()),
        Action::Send(_) => None,
    });
    let refused = refused.expect("a word was to be stored");
    let found = found.map(|(sequence, event)| (sequence, AttemptReport { event, ..refused.clone() }));
    let found = found.as_ref().map(|(sequence, report)| (*sequence, report));
    world.decide(Input::ReportRefused { refused: &refused, found })
}

/// Attempt 1 is lost, and a message of an attempt 2 that this ledger never ordered lies on its subject.
#[test]
fn a_number_that_a_message_names_is_not_given_out() {
    let (mut world, first) = claimed_under(OnDisconnect::Stop);
    let second = AttemptId { attempt: 2, ..first.clone() };
    world.report_by(&second, agent("a1"), AttemptEvent::Cancelled { exit_code: Some(143) });
    world.report(&first, AttemptEvent::Lost { reason: LostReason::NotHeld });
    assert_eq!(world.only_open().attempt, 3);
}

#[test]
fn a_message_cannot_use_the_numbers_up() {
    let (mut world, first) = claimed_under(OnDisconnect::Stop);
    let absurd = AttemptId { attempt: u32::MAX, ..first.clone() };
    world.report_by(&absurd, agent("a1"), exited(1));
    world.report(&first, AttemptEvent::Lost { reason: LostReason::NotHeld });
    assert_eq!(world.only_open().attempt, 2);
}

#[test]
fn after_a_loss_attempts_are_numbered_far_above() {
    let (mut world, first) = claimed_under(OnDisconnect::Stop);
    world.ledger.move_ahead(&"nightly".parse().unwrap(), Remains::default());
    assert_eq!(world.only_open(), first, "what is open keeps its number");
    let stored = serde_json::to_string(&world.ledger).unwrap();
    world.ledger = serde_json::from_str(&stored).unwrap();
    world.report(&first, AttemptEvent::Lost { reason: LostReason::NotHeld });
    let second = world.only_open();
    assert_eq!(second.attempt, 1_002);
    let run = &world.ledger.active[0];
    assert_eq!(run.retries_of(&run.services()[0].replicas[0]), 0, "what was skipped is no retry");
    world.report(&second, revoked(Revoker::Agent));
    world.clock(3.0);
    assert_eq!(world.only_open().attempt, 1_003);
}

/// The end was folded before the ledger knew the attempt: it lies on the subject, and nobody sends it again.
#[test]
fn an_end_that_was_passed_over_counts_once_a_word_is_refused() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let answer = world.clock(30.0);
    let before = world.ledger.active[0].results_through;
    refuse(&mut world, &answer, Some((7, AttemptEvent::Cancelled { exit_code: Some(137) })));
    assert_eq!((world.last_outcomes(), before >= 7), (vec!["cancelled"], true));
}

#[test]
fn a_claim_that_was_passed_over_is_judged_on_its_sequence() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    let answer = world.clock(30.0);
    refuse(&mut world, &answer, Some((7, claimed(&agent("a1")))));
    let lost = AttemptEvent::Lost { reason: LostReason::NotHeld };
    assert_eq!(heard(&mut world, 32.0, &[]).stored(), [(&id, &lost, 7)]);
}

#[test]
fn a_claim_that_the_stream_has_lost_is_forgotten() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop);
    let answer = heard(&mut world, 1.0, &[]);
    refuse(&mut world, &answer, None);
    let lost = AttemptEvent::Lost { reason: LostReason::NotHeld };
    assert_eq!(heard(&mut world, 3.0, &[]).stored(), [(&id, &lost, 0)]);
}

#[test]
fn a_refusal_about_another_attempt_changes_nothing() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop);
    let answer = heard(&mut world, 1.0, &[]);
    world.report(&id, exited(1));
    world.clock(3.0);
    let second = world.only_open();
    let refused = refuse(&mut world, &answer, Some((7, exited(0))));
    assert_eq!((refused.record, world.only_open()), (Record::Unchanged, second));
}

/// A container that goes on without the mesh is given up `lost` after somebody asked for the run's end,
/// and the run ends before another `unclaimed` has passed, even if no word can be stored.
#[test]
fn a_cancelled_run_does_not_wait_for_an_agent_that_is_gone() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue);
    world.now = at(10.0);
    world.cancel();
    assert!(silent(&mut world, 69.9).stored().is_empty(), "it may still come back");
    let lost = AttemptEvent::Lost { reason: LostReason::AgentSilent };
    let sequence = world.sequence;
    assert_eq!(silent(&mut world, 70.0).stored(), [(&id, &lost, sequence)]);
    assert_eq!(world.only_open(), id, "first the word is stored");
    silent(&mut world, 94.9);
    assert_eq!(world.only_open(), id);
    silent(&mut world, 95.0);
    assert_eq!(world.last_outcomes(), ["lost"]);
}

#[test]
fn a_run_that_nobody_asked_to_end_waits_for_its_agent() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue);
    assert!(silent(&mut world, 3_600.0).actions.is_empty());
    world.now = at(3_600.0);
    world.cancel();
    silent(&mut world, 3_650.0);
    assert_eq!(world.only_open(), id, "the time counts from the command");
}

#[test]
fn a_container_whose_name_moved_is_given_up_like_a_silent_one() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue);
    world.cancel();
    world.now = at(60.0);
    let mut record = world.heartbeat("a1", &[]);
    record.machine = MachineId("another".to_owned());
    let moved = |since: u64| Input::Heartbeat { record: &record, machine_for: Duration::from_secs(since) };
    assert!(world.decide(moved(59)).stored().is_empty());
    assert_eq!(world.decide(moved(60)).stored()[0].0, &id);
}

/// G1: the container runs, and the next run must not begin beside it.
#[test]
fn a_cancelled_run_waits_for_an_agent_that_holds_its_attempt() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop);
    world.cancel();
    for second in [60.0, 90.0, 3_600.0] {
        let answer = heard(&mut world, second, std::slice::from_ref(&id));
        assert!(answer.stored().is_empty(), "{answer:?}");
    }
    assert_eq!(world.only_open(), id);
}

#[test]
fn what_no_agent_holds_ends_although_no_word_can_be_stored() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop);
    world.cancel();
    let answer = heard(&mut world, 84.9, &[]);
    assert_eq!((answer.stored().len(), world.only_open()), (1, id));
    heard(&mut world, 85.0, &[]);
    assert_eq!(world.last_outcomes(), ["lost"]);
}

#[test]
fn an_order_that_nobody_holds_ends_as_cancelled() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    world.cancel();
    heard(&mut world, 84.9, &[]);
    world.only_open();
    heard(&mut world, 85.0, &[]);
    assert_eq!(world.last_outcomes(), ["cancelled"]);
}

/// A claim that the heartbeat has not seen is younger than the heartbeat.
#[test]
fn a_claim_that_came_late_is_not_given_up() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    world.run();
    let id = world.only_open();
    world.cancel();
    world.now = at(100.0);
    let record = world.heartbeat("a1", &[]);
    world.claim(&id);
    world.decide(Input::Heartbeat { record: &record, machine_for: Duration::ZERO });
    world.decide(Input::Silent { agent: &agent("a1"), results_through: world.sequence - 1 });
    assert_eq!(world.only_open(), id);
}

/// A ledger of an earlier release does not say when somebody asked.
#[test]
fn a_run_stopped_by_an_earlier_release_ends_too() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue);
    world.cancel();
    let mut stored = serde_json::to_value(&world.ledger).unwrap();
    let asked = stored.pointer_mut("/active/0").unwrap().as_object_mut().unwrap().remove("end_asked_at");
    assert!(asked.is_some());
    world.ledger = serde_json::from_value(stored).unwrap();
    world.now = at(100.0);
    world.take_over();
    silent(&mut world, 184.9);
    assert_eq!(world.only_open(), id);
    silent(&mut world, 185.0);
    assert_eq!(world.last_outcomes(), ["lost"]);
}

/// A clock that is wrong ends nothing, and what it says of the command is not believed later.
#[test]
fn by_a_doubted_clock_nobody_is_given_up() {
    let (mut world, id) = claimed_under(OnDisconnect::Continue);
    world.clock = Clock::Doubted;
    world.cancel();
    silent(&mut world, 7_200.0);
    assert_eq!(world.only_open(), id);
    world.clock = Clock::Running;
    world.clock(10.0);
    silent(&mut world, 94.9);
    assert_eq!(world.only_open(), id);
    world.clock = Clock::Doubted;
    silent(&mut world, 7_200.0);
    assert_eq!(world.only_open(), id);
    world.clock = Clock::Running;
    silent(&mut world, 95.0);
    assert_eq!(world.last_outcomes(), ["lost"]);
}

#[test]
fn force_ends_a_run_now_and_stops_what_is_left() {
    let mut world = World::new(unscheduled(vec![service(3, 3)]));
    world.run();
    let open: Vec<_> = world.open().into_iter().map(|(id, _)| id).collect();
    world.claim(&open[0]);
    world.exit(&open[1], 0);
    let answer = force(&mut world);
    assert_eq!((answer.record, answer.stops()), (Record::Due, vec![&open[0], &open[2]]));
    assert!(matches!(answer.stored()[..], [(id, AttemptEvent::Revoked { .. }, 0)] if *id == open[2]));
    assert_eq!(world.last_outcomes(), ["cancelled", "succeeded", "cancelled"]);
    assert!(world.ledger.active.is_empty());
}

#[test]
fn force_ends_a_run_that_is_being_stopped() {
    let (mut world, id) = claimed_under(OnDisconnect::Stop);
    world.cancel();
    assert_eq!(world.only_open(), id);
    force(&mut world);
    assert_eq!(world.last_outcomes(), ["cancelled"]);
    assert_eq!(world.ledger.requests.back().unwrap().verdict, Verdict::Stopping { runs: vec![1] });
}

#[test]
fn a_command_of_an_earlier_release_is_not_forced() {
    let kind = CommandKind::Cancel { run: Some(1), force: false };
    assert_eq!(serde_json::to_string(&kind).unwrap(), r#"{"command":"cancel","run":1}"#);
    assert_eq!(serde_json::from_str::<CommandKind>(r#"{"command":"cancel","run":1}"#).unwrap(), kind);
    let forced = serde_json::to_string(&CommandKind::Cancel { run: None, force: true }).unwrap();
    assert_eq!(forced, r#"{"command":"cancel","run":null,"force":true}"#);
}
