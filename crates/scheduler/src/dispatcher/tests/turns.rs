//! Whose turn it is where more wants to run than there is room for.

use super::*;

fn zebra() -> AppName {
    AppName::new("zebra").unwrap()
}

impl World {
    /// Applies an app whose runs have so many replicas.
    fn apply(&mut self, app: AppName, revision: u64, scale: u32) {
        let mut run = Arc::unwrap_or_clone(spec(None).run());
        run.services[0].scale = scale;
        let content = AppContent::Applied(Arc::new(AppSpec::new(app.clone(), run)));
        let effects = self.handle(Event::Changed(StateChange::App { app, revision, at: start(), content }));
        self.store_all(effects);
    }

    /// Stores what ledgers are written, and whatever is written next.
    fn store_all(&mut self, effects: Vec<Effect>) {
        let written = |effect: &Effect| match effect {
            Effect::WriteLedger { app, expected, .. } => Some((app.clone(), expected + 1)),
            _ => None,
        };
        let mut writes: Vec<_> = effects.iter().filter_map(written).collect();
        while let Some((app, revision)) = writes.pop() {
            let effects = self.handle(Event::LedgerWritten { app, revision });
            writes.extend(effects.iter().filter_map(written));
        }
    }

    fn run(&mut self, app: AppName, number: u128, app_revision: u64) {
        let effects = self.command_for(app, number, app_revision);
        self.store_all(effects);
        let effects = self.pass(Duration::from_millis(50));
        self.store_all(effects);
    }

    /// What of an app is with an agent.
    fn bound(&self, app: &AppName) -> Vec<AttemptId> {
        let ledger = self.dispatcher.apps[app].ledger.as_ref().unwrap();
        let open = ledger.active.iter().flat_map(|run| {
            let open = run.replicas().filter(|(_, _, replica)| matches!(replica.state, ReplicaState::Open(_)));
            open.map(|(service, index, replica)| run.attempt_id(app, service, index, replica.last_attempt))
        });
        open.collect()
    }

    /// The only attempt that is with an agent ends.
    fn succeed(&mut self, sequence: u64, app: &AppName) {
        let [attempt] = &self.bound(app)[..] else { panic!("{:?}", self.bound(app)) };
        let effects = self.report(sequence, &attempt.clone(), succeeded());
        self.store_all(effects);
    }

    fn bound_counts(&self) -> (usize, usize) {
        (self.bound(&app()).len(), self.bound(&zebra()).len())
    }
}

fn one_slot() -> World {
    let mut world = World::new();
    world.slots = 1;
    world.handle(Event::Loaded { results_end: 0 });
    world.heartbeat(0, &[]);
    world
}

#[test]
fn an_app_whose_queue_is_never_empty_keeps_nobody_waiting() {
    let mut world = one_slot();
    world.apply(app(), 1, 1);
    world.apply(zebra(), 2, 1);
    world.run(app(), 1, 1);
    world.run(zebra(), 2, 2);
    world.run(app(), 3, 1);
    assert_eq!(world.bound_counts(), (1, 0));
    world.succeed(1, &app());
    assert_eq!(world.bound_counts(), (0, 1));
}

/// Whoever came first and wants much gets something in each of its turns, and no more than a turn before the next one.
#[test]
fn an_app_of_many_replicas_takes_turns_with_a_small_one() {
    let mut world = one_slot();
    world.apply(app(), 1, 60);
    world.apply(zebra(), 2, 1);
    world.run(app(), 1, 1);
    world.run(zebra(), 2, 2);
    assert_eq!(world.bound_counts(), (1, 0));
    world.succeed(1, &app());
    assert_eq!(world.bound_counts(), (1, 0), "it came first");
    world.succeed(2, &app());
    assert_eq!(world.bound_counts(), (0, 1), "it has had its turn");
    world.run(zebra(), 3, 2);
    world.succeed(3, &zebra());
    assert_eq!(world.bound_counts(), (1, 0), "and has one again");
    world.succeed(4, &app());
    assert_eq!(world.bound_counts(), (0, 1));
}
