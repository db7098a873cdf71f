//! Many apps at once.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use tickmesh_core::spec::Misfire;

use super::{
    super::{Backlog, Batches},
    *,
};

/// Due apps that are decided about at once, and more than that.
const DUE_AT_ONCE: usize = 20;
const APPS: usize = 200;

fn burst() -> World {
    burst_of(spec(Some("@every 5s")))
}

fn burst_of(spec: Arc<AppSpec>) -> World {
    let mut world = World::in_batches(Batches { due: DUE_AT_ONCE, ..Batches::default() });
    world.slots = 1_000;
    world.handle(Event::Loaded { results_end: 0 });
    world.heartbeat(0, &[]);
    for number in 0..APPS {
        let name = AppName::new(format!("app-{number}")).unwrap();
        let content = AppContent::Applied(spec.clone());
        let revision = number as u64 + 1;
        world.handle(Event::Changed(StateChange::App { app: name.clone(), revision, at: start(), content }));
        world.handle(Event::LedgerWritten { app: name, revision: 1 });
    }
    world
}

/// The ledgers to be written, and for how many of them somebody waits.
fn writes(effects: &[Effect]) -> (Vec<AppName>, usize) {
    let of_ledgers = effects.iter().filter(|effect| matches!(effect, Effect::WriteLedger { .. }));
    let (mut apps, mut at_once) = (Vec::new(), 0);
    for effect in of_ledgers {
        if let Effect::WriteLedger { app, priority, .. } = effect {
            apps.push(app.clone());
            at_once += usize::from(*priority == Priority::Urgent);
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
fn only_writes_that_orders_wait_for_are_urgent() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.pass(Duration::from_millis(50));
    let mut effects = world.report(1, &attempt, claimed());
    effects.extend(world.report(2, &attempt, succeeded()));
    effects.extend(world.pass(Duration::from_millis(50)));
    let (apps, at_once) = writes(&effects);
    assert_eq!((apps.len(), at_once), (1, 0), "an end is only recorded");
}

/// How many of the apps have started a run, and how many have skipped their instant, when this time passes before each portion but the
/// first.
fn decided_with(pause: Duration) -> (u64, u64) {
    let mut world = burst_of(Arc::new(AppSpec { misfire: Misfire::Skip, ..(*spec(Some("@every 1m"))).clone() }));
    world.pass(Duration::from_secs(60));
    while world.dispatcher.wake_in(world.moment) == Some(Duration::ZERO) {
        world.pass(pause);
    }
    let ledgers = world.dispatcher.apps.values().filter_map(|state| state.ledger.as_ref());
    ledgers.fold((0, 0), |(started, skipped), it| (started + it.counters.started, skipped + it.counters.skipped))
}

#[test]
fn what_waits_for_its_turn_in_a_burst_is_not_missed() {
    let late_after = Timing::default().late_after;
    assert_eq!(decided_with(late_after), (APPS as u64, 0), "the leader was at work all the time");
    let away = late_after + Duration::from_millis(1);
    let first = DUE_AT_ONCE as u64;
    assert_eq!(decided_with(away), (first, APPS as u64 - first), "it was not");
}

#[test]
fn a_burst_that_lasts_for_long_began_a_minute_ago_and_a_clock_that_is_set_ends_none() {
    let late_after = Timing::default().late_after;
    let at = |wall_ms: i64, uptime: u64| Moment {
        wall: start() + SignedDuration::from_millis(wall_ms),
        uptime: Duration::from_secs(uptime),
    };
    let noticed = |before, moment| Backlog::at(before, moment, late_after);
    let begun = noticed(None, at(0, 0));
    let goes_on = noticed(Some(begun), at(-1, 1));
    assert_eq!(goes_on.noticed, start());
    let last =
        (2..=90).fold(goes_on, |backlog, second| noticed(Some(backlog), at(second * 1_000, second.unsigned_abs())));
    assert_eq!(last.noticed, at(30_000, 0).wall);
}

#[test]
fn a_write_that_nobody_waited_for_is_hastened_when_an_order_has_to_wait_for_it() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.report(2, &attempt, succeeded());
    written(&world.pass(Duration::from_millis(50)));
    world.command(2, 1);
    assert_eq!(world.hastened, [app()], "its order and its answer wait for the end that is being recorded");
    world.command(3, 1);
    assert_eq!(world.hastened, [], "once is enough");
}
