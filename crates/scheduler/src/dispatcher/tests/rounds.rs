//! What every app is asked, a portion at a time.

use super::*;

/// Tells a new leader of so many apps with a run under way, which it asks one at a time.
fn taking_over(apps: usize) -> World {
    let mut first = World::leading(None);
    let (ledger, _) = written(&first.command(1, 1));
    let mut world = World::in_batches(Batches { round: 1, ..Batches::default() });
    for number in 0..apps {
        let app = AppName::new(format!("app-{number}")).unwrap();
        world.handle(Event::Changed(StateChange::Ledger { app, revision: 3, ledger: Ok(Box::new(ledger.clone())) }));
    }
    world
}

#[test]
fn a_take_over_goes_through_the_apps_in_portions() {
    let mut world = taking_over(3);
    let mut stamped = Vec::new();
    let mut effects = world.handle(Event::Loaded { results_end: 0 });
    while world.dispatcher.wake_in(world.moment) == Some(Duration::ZERO) {
        assert!(!world.dispatcher.has_taken_over() || stamped.len() == 3, "{stamped:?}");
        for effect in &effects {
            if let Effect::WriteLedger { app, .. } = effect {
                stamped.push(app.clone());
            }
        }
        effects = world.pass(Duration::ZERO);
    }
    assert!(world.dispatcher.has_taken_over());
    assert_eq!(stamped.iter().map(AppName::as_str).collect::<Vec<_>>(), ["app-0", "app-1", "app-2"]);
}
