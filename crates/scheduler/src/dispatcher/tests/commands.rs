//! Commands of people: in which order they are folded, and which have to wait.

use super::*;

#[test]
fn a_command_for_a_new_app_outlives_a_take_over() {
    let mut first = World::leading(Some("@every 10s"));
    let (ledger, revision) = written(&first.pass(Duration::from_secs(10)));
    let mut second = World::new();
    second.handle(Event::Changed(StateChange::Ledger {
        app: app(),
        revision: revision + 1,
        ledger: Ok(Box::new(ledger)),
    }));
    let zebra = AppName::new("zebra").unwrap();
    for (app, app_revision) in [(app(), 1), (zebra.clone(), 2)] {
        let content = AppContent::Applied(spec(None));
        second.handle(Event::Changed(StateChange::App { app, revision: app_revision, at: start(), content }));
    }
    second.handle(Event::Loaded { results_end: 1 });
    let early = second.command_for(zebra.clone(), 1, 2);
    assert!(early.is_empty(), "the app's file waits for results, and so does the command: {early:?}");
    let effects = second.handle(Event::ReportSeen { sequence: 1, report: None });
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::WriteLedger { app, ledger, .. } if *app == zebra => Some(ledger.requests.len()),
        _ => None,
    });
    assert_eq!(requests.collect::<Vec<_>>(), [0], "{effects:?}");
    let mut effects = second.handle(Event::LedgerWritten { app: zebra, revision: 100 });
    effects.extend(second.pass(Duration::from_millis(50)));
    let (ledger, _) = written(&effects);
    assert_eq!((ledger.requests.len(), ledger.last_run), (1, 1));
}

#[test]
fn an_app_is_resumed_once_the_clock_can_be_trusted() {
    let mut world = World::leading(Some("@every 10s"));
    world.ask(1, CommandKind::Pause);
    let (_, revision) = written(&world.pass(Duration::from_millis(50)));
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    world.handle(Event::ClockDoubted);
    // The clock is an hour ahead: to resume by it would skip an hour of instants that are not due yet.
    world.pass(Duration::from_secs(3_600));
    assert!(world.ask(2, CommandKind::Resume).is_empty(), "in doubt it waits");
    assert!(world.ask(3, CommandKind::Pause).is_empty(), "and so does whoever pauses the app again");
    let (ledger, revision) = written(&world.ask(4, CommandKind::Flush));
    assert_eq!(ledger.requests.len(), 2, "others need not");
    world.handle(Event::LedgerWritten { app: app(), revision: revision + 1 });
    world.pass(Duration::from_millis(50));
    world.moment.wall = tickmesh_core::time::after(start(), Duration::from_secs(25));
    let (ledger, _) = written(&world.handle(Event::ClockTrusted));
    assert_eq!((ledger.pause, ledger.requests.len(), ledger.counters.skipped), (None, 3, 2));
}
