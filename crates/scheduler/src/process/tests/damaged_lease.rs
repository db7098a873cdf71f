//! A lease that cannot be read: its holder writes over it, and nobody takes it who never read it.

use tickmesh_messaging::Unreadable;

use super::*;

fn unreadable(sequence: u64) -> Failure {
    Failure::new(messaging::Error::Unreadable { key: "leader".to_owned(), sequence, source: Unreadable::Deleted })
}

#[test]
fn a_leader_writes_over_a_damaged_lease() {
    let mut world = World::leading();
    let begun = world.moment.uptime;
    let expected = |world: &World| {
        world.effects.iter().find_map(|effect| match effect {
            Effect::WriteLease { expected, .. } => Some(*expected),
            _ => None,
        })
    };
    world.pass(Duration::from_millis(800));
    assert_eq!(expected(&world), Some(8));
    world.lease_written(Err(unreadable(12)));
    assert_eq!((expected(&world), world.process.stage()), (Some(12), "leading"));
    world.stored(13);
    world.pass(Duration::from_millis(800));
    assert_eq!(expected(&world), Some(13), "as after any renewal");
    assert!(world.moment.uptime - begun < Duration::from_secs(3));
}

#[test]
fn a_standby_gives_the_holder_a_term_to_write_over_it() {
    let mut world = World::standing_by();
    world.pass(Duration::from_secs(2));
    world.fold(Event::LeaseDamaged { revision: 9 }).check(&[], "standing by");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.process.stage(), "standing by", "{:?}", world.effects);
    world.pass(Duration::from_secs(1)).check(&["ReadMarks"], "taking");
    world.look();
    assert!(matches!(world.effects[..], [Effect::WriteLease { expected: 9, .. }]), "{:?}", world.effects);
}

#[test]
fn who_has_never_read_the_lease_does_not_take_it() {
    let mut world = World::new();
    world.fold(Event::MeshFound(Ok(mesh())));
    world.fold(Event::LeaseRead(Err(unreadable(9)))).check(&["ReadMarks"], "checking");
    world.look().check(&["CheckStreams"], "checking");
    world.fold(Event::StreamsChecked(Ok(())));
    for (stream, sequence) in [(StreamKind::Ledger, 5), (StreamKind::Agents, 0), (StreamKind::Apps, 4)] {
        world.fold(Event::SnapshotEnd { stream, sequence });
    }
    world.read_clock(world.moment.wall);
    world.fold(Event::LeaseDamaged { revision: 9 }).check(&[], "standing by");
    world.pass(Duration::from_secs(3)).check(&["Abandon", "ShowRole(Refusing"], "refusing");
    let lost = |effect: &Effect| matches!(effect, Effect::ShowRole(SchedulerRole::Refusing { data_lost: true, .. }));
    assert!(world.effects.iter().any(lost), "a person may accept it: {:?}", world.effects);
}
