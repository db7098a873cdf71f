//! What people wish of a host that is to be maintained: no new work, and from some moment on no work at all.

use std::time::Duration;

use tickmesh_core::message::MeshEvent;

use super::{
    AgentCore,
    io::{Effect, Moment},
};
use crate::attempt_table::Intake;

impl AgentCore {
    /// Takes in what the agent's key says. The deadline of a drain is an instant, so that the next process keeps it too; from here on
    /// it is uptime, which nobody sets.
    pub(super) fn obey(&mut self, intake: Intake, now: Moment) -> Vec<Effect> {
        let before = self.attempts.intake();
        if intake == before {
            return Vec::new();
        }
        tracing::info!(?intake, "intake changed");
        self.attempts.set_intake(intake);
        self.told_drained = false;
        self.evict_at = match intake {
            Intake::Open | Intake::Draining { by: None } => None,
            Intake::Draining { by: Some(by) } => {
                let left = Duration::try_from(by.duration_since(now.wall)).unwrap_or(Duration::ZERO);
                Some(now.uptime + left)
            }
        };
        let agent = self.ownership.owner().agent.clone();
        let event = match (before, intake) {
            (Intake::Open, Intake::Draining { .. }) => MeshEvent::AgentDraining { agent },
            (Intake::Draining { .. }, Intake::Open) => MeshEvent::AgentUndrained { agent },
            (Intake::Open, Intake::Open) | (Intake::Draining { .. }, Intake::Draining { .. }) => return Vec::new(),
        };
        vec![Effect::Announce(event)]
    }

    /// Tells the world, once, that nothing runs here any more: the last heartbeat has said so.
    pub(super) fn tell_drained(&mut self) -> Option<Effect> {
        let record = self.heartbeat.record();
        if !record.draining || !record.held.is_empty() || self.told_drained {
            return None;
        }
        self.told_drained = true;
        Some(Effect::Announce(MeshEvent::AgentDrained { agent: self.ownership.owner().agent.clone() }))
    }

    /// Stops what still runs once the deadline of a drain has passed: it runs elsewhere then.
    pub(super) fn evict(&mut self, now: Duration) -> Vec<Effect> {
        if self.evict_at.take_if(|at| *at <= now).is_none() {
            return Vec::new();
        }
        let tasks = self.attempts.evict();
        tracing::info!(
            containers = self.attempts.held().len(),
            "the drain's deadline has passed: what runs is stopped"
        );
        self.for_attempts(tasks)
    }
}
