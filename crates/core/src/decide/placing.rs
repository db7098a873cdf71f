//! Replicas that are due get an agent, each for one attempt.

use jiff::Timestamp;

use super::{Placing, Record, Transition};
use crate::{
    fleet::{Load, LoadChange},
    ledger::{ActiveRun, OpenAttempt, Phase, Progress, Replica, ReplicaState},
    name::AgentName,
    placement::{Placement, Spread},
};

impl Transition<'_> {
    /// Places every replica that is due. What does not fit stays pending and is tried again when the fleet changes, or
    /// when those that have waited longer have had their turn.
    pub(super) fn place_replicas(&mut self) {
        if self.context.placing == Placing::InTurn {
            let now = self.context.now;
            let running = self.ledger.active.iter().filter(|run| run.phase == Phase::Running);
            self.unplaced = running.flat_map(ActiveRun::replicas).any(|(_, _, replica)| is_due(replica, now));
            return;
        }
        let mut placement = Placement::new(self.context.fleet).after(&self.loads);
        for run in self.ledger.active.iter_mut().filter(|run| run.phase == Phase::Running) {
            let placed = place_run(run, &mut placement, self.context.now);
            self.unplaced |= placed.unplaced;
            if !placed.loads.is_empty() {
                self.record = Record::Due;
            }
            self.loads.extend(placed.loads);
        }
    }
}

struct Placed {
    loads: Vec<LoadChange>,
    unplaced: bool,
}

fn place_run(run: &mut ActiveRun, placement: &mut Placement<'_>, now: Timestamp) -> Placed {
    let mut placed = Placed { loads: Vec::new(), unplaced: false };
    if !run.replicas().any(|(_, _, replica)| is_due(replica, now)) {
        return placed;
    }
    let mut spread = spread_of(run);
    let spec = run.spec.clone();
    for service in &mut run.services {
        let Some(container) = spec.service(&service.name).map(|service| &service.container) else { continue };
        let load = Load::of(container);
        for replica in service.replicas.iter_mut().filter(|replica| is_due(replica, now)) {
            let Ok(agent) = placement.place(load, &spread, avoided(replica)) else {
                // Its siblings ask for the same and would not fit either.
                placed.unplaced = true;
                break;
            };
            *spread.entry(agent.clone()).or_default() += 1;
            placed.loads.push(LoadChange::Bind(agent.clone(), load));
            bind(replica, agent, now);
        }
    }
    placed
}

fn is_due(replica: &Replica, now: Timestamp) -> bool {
    matches!(replica.state, ReplicaState::Pending { not_before, .. } if not_before <= now)
}

fn avoided(replica: &Replica) -> Option<&AgentName> {
    match &replica.state {
        ReplicaState::Pending { avoid, .. } => avoid.as_ref(),
        ReplicaState::Open(_) | ReplicaState::Ended { .. } => None,
    }
}

/// The attempt belongs to this agent for ever: if it does not take it, there will be another attempt.
fn bind(replica: &mut Replica, agent: AgentName, now: Timestamp) {
    replica.last_attempt += 1;
    replica.state = ReplicaState::Open(OpenAttempt { agent, progress: Progress::Ordered { at: now }, sent_at: None });
}

fn spread_of(run: &ActiveRun) -> Spread {
    let mut spread = Spread::new();
    for (_, agent) in run.bound_agents() {
        *spread.entry(agent.clone()).or_default() += 1;
    }
    spread
}
