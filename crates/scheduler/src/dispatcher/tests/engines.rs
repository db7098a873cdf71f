//! Agents whose engine does not answer.

use tickmesh_core::message::EngineTrouble;

use super::*;

/// Whether a run by hand gets the only agent, whose last heartbeat says this of its engine.
fn is_bound(trouble: Option<bool>) -> bool {
    let mut world = World::leading(None);
    let since = world.moment.wall;
    world.last_heartbeat(|record| {
        record.engine_trouble = trouble.map(|lasting| EngineTrouble { since, reason: "no answer".to_owned(), lasting });
    });
    let mut effects = world.command(1, 1);
    if effects.is_empty() {
        // No agent fits: the app waits for capacity first, and its run is recorded in its turn.
        effects = world.pass(Duration::from_secs(1));
    }
    let (ledger, _) = written(&effects);
    ledger.active[0].bound_agents().next().is_some()
}

#[test]
fn agent_gets_nothing_once_its_engine_has_not_answered_for_long() {
    assert!(is_bound(None));
    assert!(is_bound(Some(false)), "it may be a hiccup");
    assert!(!is_bound(Some(true)));
}
