//! Processes that the kernel killed for want of memory, and what that makes of an end.

use super::world::{World, service, unscheduled};
use crate::{
    end_notes::EndNotes,
    message::AttemptEvent,
    outcome::Outcome,
    spec::{OnOom, ServiceSpec},
};

const KILLED: EndNotes = EndNotes { oom_killed: true, unhealthy: false };

fn killed(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: true, unhealthy: false, started_at: None, finished_at: None }
}

/// Runs one replica that is not retried to that end. Returns how it ended and what is noted of it.
fn ended(oom: OnOom, event: AttemptEvent) -> (Outcome, EndNotes) {
    let mut world = World::new(unscheduled(vec![ServiceSpec { oom, ..service(1, 0) }]));
    world.run();
    let attempt = world.only_open();
    world.claim(&attempt);
    world.report(&attempt, event);
    let replica = world.last_summary().replicas[0].clone();
    (replica.outcome, replica.notes)
}

#[test]
fn want_of_memory_is_the_cause_of_a_kill_alone() {
    let out_of_memory = Outcome::Failed { exit_code: 137, out_of_memory: true };
    assert_eq!(ended(OnOom::Note, killed(137)), (out_of_memory, EndNotes::default()));
    assert_eq!(ended(OnOom::Note, killed(1)), (Outcome::failed(1), KILLED));
    let event = AttemptEvent::TimedOut { exit_code: Some(143), notes: KILLED };
    assert_eq!(ended(OnOom::Note, event), (Outcome::TimedOut, KILLED));
}

#[test]
fn a_success_with_a_killed_process_is_noted_or_fails() {
    assert_eq!(ended(OnOom::Note, killed(0)), (Outcome::Succeeded, KILLED));
    let failed = Outcome::Failed { exit_code: 0, out_of_memory: true };
    assert_eq!(ended(OnOom::Fail, killed(0)), (failed, EndNotes::default()));
}

#[test]
fn a_note_on_an_attempt_is_forgotten_when_another_ends_well() {
    let mut world = World::new(unscheduled(vec![ServiceSpec { oom: OnOom::Fail, ..service(1, 1) }]));
    world.run();
    let first = world.only_open();
    world.claim(&first);
    world.report(&first, killed(0));
    world.clock(1.0);
    let second = world.only_open();
    assert_eq!(second.attempt, 2, "a killed process is a failure, and is retried");
    world.claim(&second);
    world.exit(&second, 0);
    let replica = &world.last_summary().replicas[0];
    assert_eq!((&replica.outcome, replica.notes), (&Outcome::Succeeded, EndNotes::default()));
}
