//! Many apps at once.

use std::collections::BTreeSet;

use super::{super::DUE_AT_ONCE, *};
use crate::dispatcher::Haste;

/// More than are decided about at once.
const APPS: usize = 200;

fn burst() -> World {
    let mut world = World::new();
    world.slots = 1_000;
    world.handle(Event::Loaded { results_end: 0 });
    world.heartbeat(0, &[]);
    for number in 0..APPS {
        let name = AppName::new(format!("app-{number}")).unwrap();
        let content = AppContent::Applied(spec(Some("@every 5s")));
        let revision = number as u64 + 1;
        world.handle(Event::AppSeen { app: name.clone(), revision, at: start(), content });
        world.handle(Event::LedgerWritten { app: name, revision: 1 });
    }
    world
}

/// The ledgers to be written, and for how many of them somebody waits.
fn writes(effects: &[Effect]) -> (Vec<AppName>, usize) {
    let of_ledgers = effects.iter().filter(|effect| matches!(effect, Effect::WriteLedger { .. }));
    let (mut apps, mut at_once) = (Vec::new(), 0);
    for effect in of_ledgers {
        if let Effect::WriteLedger { app, haste, .. } = effect {
            apps.push(app.clone());
            at_once += usize::from(*haste == Haste::AtOnce);
        }
    }
    (apps, at_once)
}

#[test]
fn many_due_apps_are_decided_about_in_portions_and_none_is_left_out() {
    let mut world = burst();
    let mut decided = BTreeSet::new();
    let mut effects = world.pass(Duration::from_secs(5));
    let mut portions = 0;
    loop {
        let (apps, at_once) = writes(&effects);
        assert_eq!(apps.len(), at_once, "an order waits for each");
        assert!(apps.len() <= DUE_AT_ONCE, "what follows from the first portion must not wait for the last");
        decided.extend(apps);
        portions += 1;
        if world.dispatcher.wake_in(world.moment) != Some(Duration::ZERO) {
            break;
        }
        effects = world.pass(Duration::ZERO);
    }
    assert_eq!((decided.len(), portions), (APPS, APPS.div_ceil(DUE_AT_ONCE)));
}

#[test]
fn only_what_orders_wait_for_is_in_haste() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.pass(Duration::from_millis(50));
    let mut effects = world.report(1, &attempt, claimed());
    effects.extend(world.report(2, &attempt, succeeded()));
    effects.extend(world.pass(Duration::from_millis(50)));
    let (apps, at_once) = writes(&effects);
    assert_eq!((apps.len(), at_once), (1, 0), "an end is only recorded");
}
