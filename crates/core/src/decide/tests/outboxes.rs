//! Tick and history messages: numbered without gaps, kept until they are stored (protocol rule P11).

use super::{
    super::{Input, Record},
    world::{World, at, every_ten_seconds},
};
use crate::ledger::{HISTORY_RUNS, Ledger, ReplicaPlace, ReplicaState};

#[test]
fn tick_messages_are_numbered_from_1_and_kept_until_stored() {
    let mut world = World::new(every_ten_seconds());
    for seconds in [10.0, 20.0, 30.0] {
        world.clock(seconds);
    }
    assert_eq!(world.ticks().iter().map(|tick| tick.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(world.ticks()[1].decided_at, at(20.0));
    assert_eq!(world.decide(Input::TickStored { number: 2, sequence: 7 }).record, Record::WithNext);
    assert_eq!(world.ticks().iter().map(|tick| tick.number).collect::<Vec<_>>(), [3]);
    assert_eq!(world.ledger.ticks.last_sequence, 7);
    world.clock(40.0);
    assert_eq!(world.ticks().last().unwrap().number, 4);
}

#[test]
fn history_messages_are_numbered_from_1_and_kept_until_stored() {
    let mut world = World::new(every_ten_seconds());
    for run in 1..=12 {
        world.clock(f64::from(run * 10));
        world.finish(0);
    }
    assert_eq!(world.ledger.history.pending.len(), 12);
    assert!(world.ledger.history.pending.iter().zip(1..).all(|(it, number)| it.number == number && it.run == number));
    world.decide(Input::HistoryStored { number: 11, sequence: 90 });
    assert_eq!(world.ledger.history.first().map(|(number, _)| number), Some(12));
    assert_eq!(world.ledger.ticks.pending.len(), 12, "the other outbox is untouched");
}

#[test]
fn the_last_ten_outcomes_stay_in_the_ledger() {
    let mut world = World::new(every_ten_seconds());
    for run in 1..=12 {
        world.clock(f64::from(run * 10));
        world.finish(i64::from(run % 2));
    }
    let recent: Vec<_> = world.ledger.recent.iter().map(|run| (run.run, run.outcome.as_str())).collect();
    assert_eq!(recent.len(), HISTORY_RUNS);
    assert_eq!((recent[0], recent[9]), ((3, "failed"), (12, "succeeded")));
}

#[test]
fn taking_over_is_recorded_where_a_stale_leader_could_still_act() {
    let mut world = World::new(every_ten_seconds());
    assert_eq!(world.take_over().record, Record::Unchanged);
    world.clock(10.0);
    assert_eq!(world.take_over().record, Record::Due);
}

#[test]
fn a_ledger_survives_the_store() {
    let mut world = World::new(every_ten_seconds());
    for run in 1..=6 {
        world.clock(f64::from(run * 10));
        if run % 2 == 0 {
            world.finish(1);
        }
    }
    world.run();
    world.cancel();
    let stored = serde_json::to_string(&world.ledger).unwrap();
    // Whoever reads it sends the orders again.
    let place = ReplicaPlace { service: 0, replica: 0 };
    world.ledger.active[0].change(place, |replica| match &mut replica.state {
        ReplicaState::Open(open) => assert!(open.sent_at.take().is_some()),
        ReplicaState::Pending { .. } | ReplicaState::Ended { .. } => panic!("{replica:?}"),
    });
    assert_eq!(serde_json::from_str::<Ledger>(&stored).unwrap(), world.ledger);
}
