//! Agents that fall silent, or hold less than they should.

use super::*;

#[test]
fn an_attempt_that_its_agent_does_not_hold_is_lost_at_once() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    assert!(world.heartbeat(1, &[&attempt]).is_empty());
    let effects = world.heartbeat(1, &[]);
    let [Effect::Act(Action::StoreReport { report, expected: 1 })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(report.event, AttemptEvent::Lost { reason: LostReason::NotHeld });
}

#[test]
fn a_heartbeat_is_judged_only_when_what_it_saw_is_folded() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    assert!(world.heartbeat(2, &[]).is_empty(), "the end at 2 is on its way");
    let effects = world.report(2, &attempt, succeeded());
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::Act(Action::StoreReport { .. }))), 0);
}

#[test]
fn a_later_heartbeat_is_not_judged_when_what_the_one_before_it_saw_is_folded() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.heartbeat(2, &[&attempt]);
    world.heartbeat(3, &[]);
    assert!(world.handle(Event::ReportSeen { sequence: 2, report: None }).is_empty(), "the end at 3 is on its way");
    let effects = world.report(3, &attempt, succeeded());
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::Act(Action::StoreReport { .. }))), 0);
}

#[test]
fn a_heartbeat_ends_the_checks_of_silence_whatever_is_folded_then() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Timing::default().lost);
    world.handle(Event::ResultsEnd { agent: agent(), sequence: 2 });
    world.heartbeat(1, &[&attempt]);
    assert!(world.handle(Event::ReportSeen { sequence: 2, report: None }).is_empty());
}

#[test]
fn silence_is_checked_on_the_results_and_then_on_the_key() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    assert_eq!(
        count(&world.pass(Duration::from_secs(59)), |effect| matches!(effect, Effect::ReadResultsEnd { .. })),
        0
    );
    let effects = world.pass(Duration::from_secs(1));
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadResultsEnd { .. })), 1);
    assert!(world.handle(Event::ResultsEnd { agent: agent(), sequence: 2 }).is_empty(), "2 is not folded yet");
    let effects = world.handle(Event::ReportSeen { sequence: 2, report: None });
    assert!(matches!(&effects[..], [Effect::ReadAgent { .. }]), "{effects:?}");
    let effects = world.handle(Event::AgentRead { agent: agent(), revision: 1 });
    let lost = |effect: &Effect| matches!(effect, Effect::Act(Action::StoreReport { expected: 1, .. }));
    assert_eq!(count(&effects, lost), 1, "{effects:?}");
}

/// Has the agent declared silent; returned is what follows.
fn declare_silent(world: &mut World, results_end: u64) -> Vec<Effect> {
    world.handle(Event::ResultsEnd { agent: agent(), sequence: results_end });
    world.handle(Event::AgentRead { agent: agent(), revision: 1 })
}

#[test]
fn a_silent_agent_whose_last_claim_was_faster_is_checked_again() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.pass(Duration::from_secs(60));
    let revokes = |effect: &Effect| matches!(effect, Effect::Act(Action::StoreReport { expected: 0, .. }));
    assert_ne!(count(&declare_silent(&mut world, 0), revokes), 0);
    world.report(1, &attempt, claimed());
    let effects = world.pass(Duration::from_secs(5));
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadResultsEnd { .. })), 1);
    let loses = |effect: &Effect| matches!(effect, Effect::Act(Action::StoreReport { expected: 1, .. }));
    assert_eq!(count(&declare_silent(&mut world, 1), loses), 1);
}

#[test]
fn the_world_is_told_once_that_an_agent_is_silent() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Timing::default().lost);
    let told = |effect: &Effect| matches!(effect, Effect::Announce(MeshEvent::AgentLost { .. }));
    assert_eq!(count(&declare_silent(&mut world, 1), told), 1);
    world.pass(Timing::default().resend);
    assert_eq!(count(&declare_silent(&mut world, 1), told), 0);
}

fn told(effects: &[Effect]) -> usize {
    count(effects, |effect| matches!(effect, Effect::Announce(MeshEvent::AgentLost { .. })))
}

fn told_back(effects: &[Effect]) -> usize {
    count(effects, |effect| matches!(effect, Effect::Announce(MeshEvent::AgentBack { .. })))
}

#[test]
fn an_agent_that_was_lost_is_back_with_its_next_heartbeat() {
    let mut world = World::leading(None);
    assert_eq!(told_back(&world.heartbeat(0, &[])), 0, "it was never away");
    world.pass(Timing::default().lost - Duration::from_secs(1));
    assert_eq!(told_back(&world.heartbeat(0, &[])), 0, "nobody was told that it is lost");
    assert_eq!(told(&world.pass(Timing::default().lost)), 1);
    assert_eq!(told_back(&world.heartbeat(0, &[])), 1);
    assert_eq!(told_back(&world.heartbeat(0, &[])), 0);
}

#[test]
fn an_agent_that_holds_nothing_is_lost_too_once_in_each_silence() {
    let mut world = World::leading(None);
    let lost = Timing::default().lost;
    assert_eq!(told(&world.pass(lost - Duration::from_millis(1))), 0);
    // All agents are looked at once in half a heartbeat.
    let effects = world.pass(Timing::default().heartbeat / 2);
    assert_eq!(told(&effects), 1);
    assert_eq!(effects.len(), 1, "there is nothing to check, since nothing follows from it: {effects:?}");
    assert_eq!(told(&world.pass(lost)), 0, "it has been told");
    assert_eq!(told(&world.heartbeat(0, &[])), 0);
    assert_eq!(told(&world.pass(lost)), 1, "it was back, and fell silent again");
}

#[test]
fn an_agent_whose_attempts_were_lost_is_not_told_of_again_when_nothing_is_bound_to_it_any_more() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Timing::default().lost);
    assert_eq!(told(&declare_silent(&mut world, 1)), 1);
    world.report(2, &attempt, AttemptEvent::Lost { reason: LostReason::AgentSilent });
    assert_eq!(told(&world.pass(Timing::default().lost)), 0);
}

#[test]
fn an_agent_that_was_stopped_in_order_or_forgotten_is_not_lost() {
    let stopped: fn(&mut AgentRecord) = |record| record.stopped = true;
    let forgotten: fn(&mut AgentRecord) = |record| record.forgotten = true;
    for wish in [stopped, forgotten] {
        let mut world = World::leading(None);
        world.last_heartbeat(wish);
        assert_eq!(told(&world.pass(Timing::default().lost)), 0);
    }
    let mut world = World::leading(None);
    world.last_heartbeat(|record| record.draining = true);
    assert_eq!(told(&world.pass(Timing::default().lost)), 1, "one that drains is still expected to be there");
}

#[test]
fn an_agent_whose_key_moved_meanwhile_is_not_silent() {
    let mut world = World::leading(None);
    let (attempt, _) = world.ordered();
    world.report(1, &attempt, claimed());
    world.pass(Duration::from_secs(60));
    world.handle(Event::ResultsEnd { agent: agent(), sequence: 1 });
    let effects = world.handle(Event::AgentRead { agent: agent(), revision: 2 });
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn an_agent_without_a_key_falls_silent_like_any_other() {
    let mut first = World::leading(None);
    let (ledger, revision) = written(&first.command(1, 1));
    let mut second = World::new();
    second.handle(Event::Changed(StateChange::Ledger {
        app: app(),
        revision: revision + 1,
        ledger: Ok(Box::new(ledger)),
    }));
    second.handle(Event::Loaded { results_end: 0 });
    let effects = second.pass(Duration::from_secs(60));
    assert_eq!(count(&effects, |effect| matches!(effect, Effect::ReadResultsEnd { .. })), 1);
}
