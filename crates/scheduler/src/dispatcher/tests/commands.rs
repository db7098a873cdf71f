use super::*;

#[test]
fn a_command_for_a_new_app_outlives_a_take_over() {
    let mut first = World::leading(Some("@every 10s"));
    let (ledger, revision) = written(&first.pass(Duration::from_secs(10)));
    let mut second = World::new();
    second.handle(Event::LedgerLoaded { app: app(), revision: revision + 1, ledger: Box::new(ledger) });
    let zebra = AppName::new("zebra").unwrap();
    for (app, app_revision) in [(app(), 1), (zebra.clone(), 2)] {
        let content = AppContent::Applied(spec(None));
        second.handle(Event::AppSeen { app, revision: app_revision, at: start(), content });
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
