//! Replicas of a run: how many, on which agents, and how often each is tried (guarantee G4).

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{Input, Record},
    world::{World, agent, at, exited, revoked, service, unscheduled},
};
use crate::{
    fleet::Readiness,
    ledger::ReplicaState,
    message::{AttemptEvent, Revoker},
    outcome::{LostReason, Outcome},
    time,
};

fn started(scale: u32, retry_count: u32) -> World {
    let mut world = World::new(unscheduled(vec![service(scale, retry_count)]));
    world.run();
    world
}

/// Lets the pause before a retry pass.
fn pass_pause(world: &mut World) {
    world.now = time::after(world.now, Duration::from_secs(2));
    world.decide(Input::Clock);
}

fn ended(outcome: Outcome) -> ReplicaState {
    ReplicaState::Ended { outcome, agent: Some(agent("a1")) }
}

#[test]
fn a_run_has_as_many_replicas_as_its_scale_with_indexes_from_0() {
    for scale in [1, 2, 5, 30] {
        let world = started(scale, 0);
        let open = world.open();
        let indexes: Vec<_> = open.iter().map(|(id, _)| id.replica).collect();
        assert_eq!(indexes, (0..scale).collect::<Vec<_>>());
        assert!(open.iter().all(|(id, _)| id.attempt == 1));
        assert_eq!(world.ledger.active[0].services()[0].replicas.len(), scale as usize);
    }
}

#[test]
fn replicas_are_spread_evenly() {
    let world = started(6, 0);
    for name in ["a1", "a2", "a3"] {
        assert_eq!(world.open().iter().filter(|(_, open)| open.agent == agent(name)).count(), 2);
        assert_eq!(world.fleet.load(&agent(name)).slots, 2);
    }
}

#[test]
fn what_does_not_fit_stays_pending_until_a_slot_is_free() {
    let mut world = World::new(unscheduled(vec![service(31, 0)]));
    world.run();
    assert_eq!(world.open().len(), 30);
    assert!(world.clock(1.0).unplaced);
    let (first, open) = world.open().remove(0);
    world.claim(&first);
    assert_eq!(world.exit(&first, 0).starts().len(), 1);
    assert_eq!(world.open().last().unwrap().1.agent, open.agent);
    assert!(!world.clock(2.0).unplaced);
}

#[test]
fn a_run_takes_the_slots_of_the_run_before_it_at_once() {
    let mut world = World::new(unscheduled(vec![service(1, 0)]));
    ["a2", "a3"].iter().for_each(|name| world.fleet.see(&agent(name), None));
    world.set_agent("a1", Readiness::Ready, 1);
    world.run();
    world.run();
    let first = world.only_open();
    world.claim(&first);
    let answer = world.exit(&first, 0);
    assert_eq!((answer.starts().len(), answer.unplaced, world.only_open().run), (1, false, 2));
}

#[test]
fn a_failing_replica_is_tried_retry_count_plus_one_times() {
    for retry_count in [0, 1, 3] {
        let mut world = started(1, retry_count);
        for attempt in 1..=retry_count {
            assert_eq!(world.only_open().attempt, attempt);
            world.finish(2);
            assert!(world.open().is_empty(), "no retry without a pause");
            pass_pause(&mut world);
        }
        world.finish(2);
        let summary = &world.ledger.history.pending[0];
        assert_eq!(summary.outcome, Outcome::failed(2));
        assert_eq!(summary.replicas[0].attempts, retry_count + 1);
    }
}

#[test]
fn a_retry_waits_for_its_pause_and_no_longer() {
    let mut world = started(1, 1);
    world.now = at(5.0);
    world.finish(2);
    let ReplicaState::Pending { not_before, .. } = world.replica(0).clone() else { panic!("not pending") };
    assert!((at(5.5)..=at(6.0)).contains(&not_before), "{not_before}");
    assert_eq!(world.wake_at(), Some(not_before));
    world.now = time::before(not_before, Duration::from_nanos(1));
    assert_eq!(world.decide(Input::Clock).record, Record::Unchanged);
    world.now = not_before;
    assert_eq!(world.decide(Input::Clock).starts().len(), 1);
}

#[test]
fn a_replica_that_succeeded_is_never_tried_again() {
    let mut world = started(2, 3);
    let [first, second] = [world.open()[0].0.clone(), world.open()[1].0.clone()];
    world.claim(&first);
    world.exit(&first, 0);
    world.claim(&second);
    world.exit(&second, 1);
    pass_pause(&mut world);
    assert_eq!(world.only_open().replica, 1);
    assert_eq!(*world.replica(0), ended(Outcome::Succeeded));
    world.finish(0);
    let summary = &world.ledger.history.pending[0];
    assert_eq!(summary.outcome, Outcome::Succeeded);
    assert_eq!(summary.replicas.iter().map(|replica| replica.attempts).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn what_could_not_start_is_retried_unless_it_never_can() {
    let could_not_start = |permanent| AttemptEvent::CouldNotStart { reason: "no image".to_owned(), permanent };
    let mut world = started(1, 3);
    world.report(&world.only_open(), could_not_start(false));
    assert!(matches!(world.replica(0), ReplicaState::Pending { .. }));
    pass_pause(&mut world);
    // No other host takes work: a refusal is final.
    let last = world.open()[0].1.agent.clone();
    for name in ["a1", "a2", "a3"].map(agent).iter().filter(|name| **name != last) {
        world.fleet.see(name, None);
    }
    world.report(&world.only_open(), could_not_start(true));
    let summary = &world.ledger.history.pending[0];
    assert_eq!((summary.outcome.label(), summary.replicas[0].attempts), ("could_not_start", 2));
}

#[test]
fn a_replica_that_is_lost_three_times_fails() {
    let mut world = started(1, 0);
    let lost = || AttemptEvent::Lost { reason: LostReason::AgentSilent };
    for attempt in 1..=2 {
        let id = world.only_open();
        let by = world.open()[0].1.agent.clone();
        assert_eq!(id.attempt, attempt);
        world.claim(&id);
        assert_eq!(world.report(&id, lost()).starts().len(), 1, "a loss is made good at once");
        assert_ne!(world.open()[0].1.agent, by, "the agent that lost it comes last");
    }
    world.claim(&world.only_open());
    world.report(&world.only_open(), lost());
    let summary = &world.ledger.history.pending[0];
    assert_eq!(summary.outcome, Outcome::Lost { reason: LostReason::AgentSilent });
}

#[test]
fn a_replica_may_be_drained_as_often_as_there_are_hosts_and_a_run_that_is_stopped_counts_it_as_stopped() {
    let mut world = started(1, 0);
    let drained = || AttemptEvent::Lost { reason: LostReason::Drained };
    for attempt in 1..=5 {
        let id = world.only_open();
        let by = world.open()[0].1.agent.clone();
        assert_eq!(id.attempt, attempt);
        world.claim(&id);
        world.report(&id, drained());
        assert_ne!(world.open()[0].1.agent, by, "the agent that is drained comes last");
    }
    world.claim(&world.only_open());
    world.cancel();
    world.report(&world.only_open(), drained());
    assert_eq!(world.ledger.history.pending[0].outcome, Outcome::Cancelled);
}

#[test]
fn losses_and_failures_are_counted_apart() {
    let mut world = started(1, 1);
    let lost = || AttemptEvent::Lost { reason: LostReason::NotHeld };
    world.report(&world.only_open(), lost());
    world.finish(1);
    pass_pause(&mut world);
    world.report(&world.only_open(), lost());
    world.finish(1);
    let summary = &world.ledger.history.pending[0];
    assert_eq!((&summary.outcome, summary.replicas[0].attempts), (&Outcome::failed(1), 4));
}

#[test]
fn a_revoked_attempt_counts_for_nothing_and_its_agent_comes_last() {
    let mut world = started(1, 0);
    for attempt in 1..=10 {
        let (id, open) = world.open().remove(0);
        assert_eq!(id.attempt, attempt);
        let by = if attempt % 2 == 0 { Revoker::Agent } else { Revoker::Leader };
        world.report(&id, revoked(by));
        pass_pause(&mut world);
        assert_ne!(world.open()[0].1.agent, open.agent);
    }
    world.finish(0);
    assert_eq!(world.ledger.history.pending[0].outcome, Outcome::Succeeded);
}

#[test]
fn an_agent_to_avoid_is_taken_if_there_is_no_other() {
    let mut world = started(1, 0);
    ["a2", "a3"].iter().for_each(|name| world.fleet.see(&agent(name), None));
    let id = world.only_open();
    world.report(&id, revoked(Revoker::Leader));
    pass_pause(&mut world);
    assert_eq!(world.open()[0].1.agent, agent("a1"));
}

#[test]
fn every_end_gives_the_slot_back() {
    let events = [exited(0), exited(1), revoked(Revoker::Leader), AttemptEvent::Lost { reason: LostReason::NotHeld }];
    for event in events {
        let mut world = started(1, 0);
        world.fleet.see_all(Default::default());
        world.report(&world.only_open(), event.clone());
        assert!(["a1", "a2", "a3"].iter().all(|name| world.fleet.load(&agent(name)).slots == 0), "{event:?}");
    }
}

#[test]
fn the_run_before_is_over_when_its_summary_is_written() {
    let mut world = started(2, 0);
    world.now = at(3.0);
    for (id, _) in world.open() {
        world.claim(&id);
        world.exit(&id, 0);
    }
    let summary = &world.ledger.history.pending[0];
    assert_eq!((summary.run, summary.finished_at, summary.replicas.len()), (1, at(3.0), 2));
    let indexes: BTreeSet<_> = summary.replicas.iter().map(|replica| replica.replica).collect();
    assert_eq!(indexes, BTreeSet::from([0, 1]));
    assert_eq!(world.ledger.recent.back().unwrap().outcome, "succeeded");
}

#[test]
fn a_ledger_at_rest_gives_back_the_room_of_its_run() {
    let mut world = started(1, 0);
    assert_ne!(world.ledger.active.capacity(), 0);
    world.finish(0);
    assert_eq!(world.ledger.active.capacity(), 0);
}
