//! A store that comes back empty is not filled, and is led on again once it is restored.

use std::collections::BTreeSet;

use tickmesh_messaging::{StoreLost, StreamKind};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HALF: Duration = Duration::from_millis(500);

fn all() -> BTreeSet<StreamKind> {
    StreamKind::ALL.into()
}

fn gone() -> Failure {
    Failure::new(messaging::Error::StreamGone { stream: "mesh_ledger".to_owned() })
}

fn no_mesh() -> Failure {
    Failure::new(messaging::Error::NotProvisioned { namespace: "mesh".to_owned() })
}

impl World {
    /// What the process says of the store, if it takes it for lost.
    fn store_lost(&self) -> Option<StoreLost> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::ShowRole(role) => role.store_lost().cloned(),
            _ => None,
        })
    }

    fn find(&mut self, missing: BTreeSet<StreamKind>) -> &mut Self {
        self.fold(Event::StreamsFound(Ok(missing)))
    }

    /// A standby whose store has gone, up to the look that is believed.
    fn lost() -> Self {
        let mut world = Self::standing_by();
        world.fold(Event::FollowEnded(gone())).check(&["Abandon", "ShowRole(Refusing"], "refusing");
        assert_eq!(world.store_lost(), None, "a stream may be gone alone");
        world.pass(SECOND).check(&["FindStreams"], "checking");
        for _ in 0..3 {
            world.find(all()).check(&[], "checking");
            world.pass(HALF).check(&["FindStreams"], "checking");
        }
        world.find(all()).check(&["Abandon", "ShowRole(Refusing"], "refusing");
        world
    }

    /// Up to the lease, with all streams there again.
    fn found(&mut self) -> &mut Self {
        self.pass(5 * SECOND).check(&["FindStreams"], "checking");
        self.find(BTreeSet::new()).check(&["OpenMesh"], "checking");
        self.fold(Event::MeshFound(Ok(mesh()))).check(&["ReadLease"], "checking")
    }
}

#[test]
fn lost_store_is_shown_and_never_filled() {
    let mut world = World::lost();
    let missing = StreamKind::ALL.len();
    assert_eq!(world.store_lost().map(|it| (it.mesh, it.missing.len())), Some((Some(mesh()), missing)));
    // The restore has begun, and has one stream left to put back.
    world.pass(5 * SECOND).find([StreamKind::Ticks].into()).check(&["Abandon", "ShowRole(Refusing"], "refusing");
    assert_eq!(world.store_lost().unwrap().missing, ["ticks"]);
}

#[test]
fn moment_without_streams_is_no_lost_store() {
    let mut world = World::standing_by();
    world.fold(Event::FollowEnded(gone())).pass(SECOND).find(all()).check(&[], "checking");
    world.pass(HALF).find(BTreeSet::new()).check(&["OpenMesh"], "checking");
    world.fold(Event::MeshFound(Ok(mesh()))).check(&["ReadLease"], "checking");
}

#[test]
fn restored_store_is_led_on_again() {
    let mut world = World::lost();
    world.found();
    let lease = Box::new(world.lease());
    world.fold(Event::LeaseRead(Ok(Some(lease)))).check(&["ReadMarks"], "checking");
    world.look().check(&["CheckStreams"], "checking");
    world.fold(Event::StreamsChecked(Ok(()))).check(&["Follow(Ledgers)"], "loading");
    // It is as if nothing had been: a stream that is gone alone is made anew.
    world.fold(Event::FollowEnded(gone())).pass(SECOND);
    world.find([StreamKind::Orders].into()).check(&["MakeMissingStreams"], "checking");
}

#[test]
fn older_copy_in_a_lost_store_is_not_led_on() {
    let mut world = World::lost();
    world.found();
    let lease = Box::new(world.lease());
    world.fold(Event::LeaseRead(Ok(Some(lease))));
    world.lose().check(&["Abandon", "ShowRole(Refusing"], "refusing");
}

#[test]
fn streams_without_a_lease_are_not_the_lost_store() {
    let mut world = World::lost();
    world.found();
    world.fold(Event::LeaseRead(Ok(None))).check(&["Abandon", "ShowRole(Refusing"], "refusing");
    assert_eq!(world.store_lost().map(|it| it.missing), Some(Vec::new()));
}

#[test]
fn store_of_another_mesh_is_not_led_on() {
    let mut world = World::lost();
    world.pass(5 * SECOND).find(BTreeSet::new()).check(&["OpenMesh"], "checking");
    let other = MeshId::from_random([2; 16]);
    world.fold(Event::MeshFound(Ok(other))).check(&["Abandon", "ShowRole(Refusing"], "refusing");
}

#[test]
fn process_that_never_saw_the_mesh_waits_for_its_store() {
    let mut world = World::new();
    for _ in 0..3 {
        world.fold(Event::MeshFound(Err(no_mesh()))).check(&["FindStreams"], "checking");
        world.find(all()).check(&[], "checking");
        world.pass(HALF).check(&["OpenMesh"], "checking");
    }
    world.fold(Event::MeshFound(Err(no_mesh()))).find(all()).check(&["Abandon", "ShowRole(Refusing"], "refusing");
    assert_eq!(world.store_lost().map(|it| it.mesh), Some(None));
    world.pass(5 * SECOND).check(&["OpenMesh"], "checking");
    world.fold(Event::MeshFound(Ok(mesh()))).check(&["ReadLease"], "checking");
}

#[test]
fn ledger_without_its_app_is_lost_data() {
    let mut world = World::new();
    let lease = Box::new(world.lease());
    world.fold(Event::MeshFound(Ok(mesh()))).fold(Event::LeaseRead(Ok(Some(lease)))).look();
    world.fold(Event::StreamsChecked(Ok(())));
    let (app, ledger) = (AppName::new("nightly").unwrap(), Ok(Box::new(Ledger::new(4, start()))));
    world.fold(Event::Changed(StateChange::Ledger { app, revision: 5, ledger }));
    for (stream, sequence) in [(StreamKind::Ledger, 5), (StreamKind::Agents, 0)] {
        world.fold(Event::SnapshotEnd { stream, sequence });
    }
    world.fold(Event::SnapshotEnd { stream: StreamKind::Apps, sequence: 4 });
    world.check(&["Abandon", "ShowRole(Refusing"], "refusing");
    let shown = format!("{:?}", world.effects);
    assert!(shown.contains("go by: nightly\", data_lost: true"), "{shown}");
}
