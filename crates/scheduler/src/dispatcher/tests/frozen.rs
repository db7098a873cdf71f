//! Apps whose ledger cannot be read.

use super::*;
use crate::dispatcher::UnreadableLedger;

fn problem(is_newer: bool) -> UnreadableLedger {
    UnreadableLedger { reason: "garbage".to_owned(), is_newer }
}

fn unreadable(revision: u64, is_newer: bool) -> Event {
    Event::LedgerUnreadable { app: app(), revision, problem: problem(is_newer) }
}

/// A tenure that leads `nightly`, which is frozen, and `other`, each due every second.
fn frozen() -> World {
    let mut world = World::leading(Some("@every 1s"));
    let other = AppName::new("other").unwrap();
    let content = AppContent::Applied(Arc::new(AppSpec { name: other.clone(), ..(*spec(Some("@every 1s"))).clone() }));
    let at = world.moment.wall;
    world.handle(Event::Changed(StateChange::App { app: other.clone(), revision: 2, at, content }));
    world.handle(Event::LedgerWritten { app: other, revision: 30 });
    let effects = world.handle(unreadable(20, false));
    assert!(matches!(&effects[..], [Effect::Announce(MeshEvent::AppUnreadable { .. })]), "{effects:?}");
    world
}

#[test]
fn a_frozen_app_decides_nothing_and_the_others_go_on() {
    let mut world = frozen();
    let effects = world.pass(Duration::from_secs(3));
    let apps = effects.iter().filter_map(|effect| match effect {
        Effect::WriteLedger { app, .. } => Some(app.as_str()),
        _ => None,
    });
    assert_eq!(apps.collect::<Vec<_>>(), ["other"]);
    world.handle(Event::LedgerWritten { app: AppName::new("other").unwrap(), revision: 31 });
    let wake_in = world.dispatcher.wake_in(world.moment).unwrap();
    assert!(wake_in > Duration::ZERO, "a frozen app must not be due for ever");
    assert!(world.dispatcher.ledger(&app()).is_none());
}

#[test]
fn commands_and_edits_of_a_frozen_app_wait() {
    let mut world = frozen();
    assert!(world.command(1, 1).is_empty(), "it is neither folded nor dismissed");
    let at = world.moment.wall;
    let content = AppContent::Applied(spec(Some("@every 5s")));
    assert!(world.handle(Event::Changed(StateChange::App { app: app(), revision: 9, at, content })).is_empty());
}

#[test]
fn what_a_frozen_app_runs_is_left_alone() {
    let mut world = World::leading(None);
    let (attempt, revision) = world.ordered();
    world.handle(unreadable(revision + 1, false));
    for _ in 0..3 {
        let effects = world.heartbeat(0, &[&attempt]);
        assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadLedger { .. })), 0);
    }
    let read = Event::LedgerRead { app: app(), epoch: None, attempt: Box::new(attempt), agent: agent() };
    assert!(world.handle(read).is_empty(), "nobody is told to stop it");
}

#[test]
fn only_a_ledger_newer_than_the_unreadable_one_ends_the_tenure() {
    let mut world = frozen();
    let seen = |revision| Event::LedgerSeen { app: app(), revision, epoch: Epoch(7) };
    assert!(world.handle(seen(19)).is_empty(), "a write of this tenure, seen late");
    assert!(world.handle(unreadable(25, false)).is_empty());
    assert!(world.handle(seen(24)).is_empty());
    world.conflicts(seen(26));
}

#[test]
fn an_older_unreadable_ledger_freezes_nothing() {
    let mut world = World::leading(Some("@every 1s"));
    let known = Event::LedgerWritten { app: app(), revision: 21 };
    let effects = world.pass(Duration::from_secs(1));
    written(&effects);
    world.handle(known);
    world.handle(unreadable(20, false));
    assert!(world.dispatcher.ledger(&app()).is_some());
}

#[test]
fn results_are_kept_for_a_later_release_alone() {
    for (is_newer, needed) in [(true, true), (false, false)] {
        let mut world = World::leading(None);
        let (attempt, revision) = world.ordered();
        world.report(5, &attempt, claimed());
        world.handle(unreadable(revision + 1, is_newer));
        assert_eq!(world.dispatcher.results_needed_after().is_some(), needed);
    }
    let mut world = World::new();
    let ledger = Err(problem(true));
    world.handle(Event::Changed(StateChange::Ledger { app: app(), revision: 4, ledger }));
    assert_eq!(world.dispatcher.results_needed_after(), Some(0), "nobody knows what it needs");
}

#[test]
fn an_agent_whose_key_cannot_be_read_is_lost_in_time() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(5, &attempt, claimed());
    let lost = Timing::default().lost;
    world.pass(lost / 2);
    let damaged = Event::Changed(StateChange::UnreadableAgent { agent: agent(), revision: 77 });
    world.handle(damaged);
    let asked = |effects: &[Effect]| count(effects, |effect| matches!(effect, Effect::ReadResultsEnd { .. }));
    assert_eq!(asked(&world.pass(lost / 2)), 0, "what was written over may have been a heartbeat");
    assert_eq!(asked(&world.pass(lost / 2)), 1);
    let effects = world.handle(Event::ResultsEnd { agent: agent(), sequence: 5 });
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadAgent { .. })), 1);
    let effects = world.handle(Event::AgentRead { agent: agent(), revision: 77 });
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::Announce(MeshEvent::AgentLost { .. }))), 1);
}
