//! Attempts that nobody holds: the agent lost them, fell silent, or never took them. The leader's word is stored on the
//! attempt's own subject first and comes back as a report like any other; the compare-and-set decides if the agent was
//! faster.

use std::time::Duration;

use super::{Action, Transition};
use crate::{
    id::AttemptId,
    ledger::Claim,
    message::{AgentRecord, AttemptEvent, AttemptReport, Revoker, SCHEMA},
    name::AgentName,
    outcome::LostReason,
    spec::OnDisconnect,
};

impl Transition<'_> {
    /// Lost at once (protocol rule P9): the heartbeat has seen the claim and does not hold the attempt. Sound because an
    /// agent holds an attempt from before its claim until after its end (P1). On another machine than the claim's the old
    /// one may still run the container: what it left is lost once the name has been elsewhere for as long as silence takes,
    /// unless its containers go on without a mesh (`on_disconnect: continue`). An agent that somebody forgot holds nothing, by that
    /// person's word.
    pub(super) fn judge_heartbeat(&mut self, record: &AgentRecord, machine_for: Duration) {
        let reason = if record.forgotten { LostReason::AgentForgotten } else { LostReason::NotHeld };
        let (machine, moved_for_good) = (record.machine.digest(), machine_for >= self.context.timing.lost);
        let dropped = |open: &OnAgent| {
            let moved = moved_for_good && open.on_disconnect == OnDisconnect::Stop;
            let gone = |claim: Claim| {
                claim.sequence <= record.results_seen && (claim.machine == machine || moved || record.forgotten)
            };
            open.claim.is_some_and(gone) && !record.held.contains(&open.attempt)
        };
        for OnAgent { attempt, claim, .. } in self.open_on(&record.agent).into_iter().filter(dropped) {
            if let Some(claim) = claim {
                self.declare_lost(attempt, &record.agent, claim.sequence, reason);
            }
        }
    }

    /// The agent is silent, and the fold up to `results_through` shows all that it had stored (protocol rule P3). A claim
    /// above is news: the agent has come back since. Containers that go on without a mesh are nobody's to declare lost: they
    /// wait for their agent.
    pub(super) fn judge_silence(&mut self, agent: &AgentName, results_through: u64) {
        for OnAgent { attempt, claim, on_disconnect } in self.open_on(agent) {
            match (claim, on_disconnect) {
                (Some(claim), OnDisconnect::Stop) if claim.sequence <= results_through => {
                    self.declare_lost(attempt, agent, claim.sequence, LostReason::AgentSilent);
                }
                (Some(_), OnDisconnect::Stop | OnDisconnect::Continue) => {}
                (None, OnDisconnect::Stop | OnDisconnect::Continue) => {
                    self.revoke(attempt, agent, "the agent fell silent");
                }
            }
        }
    }

    /// Takes back an attempt that was not claimed.
    pub(super) fn revoke(&mut self, attempt: AttemptId, agent: &AgentName, reason: &str) {
        let event = AttemptEvent::Revoked { by: Revoker::Leader, reason: reason.to_owned() };
        self.store_report(attempt, agent, event, 0);
    }

    fn declare_lost(&mut self, attempt: AttemptId, agent: &AgentName, claim_sequence: u64, reason: LostReason) {
        self.store_report(attempt, agent, AttemptEvent::Lost { reason }, claim_sequence);
    }

    fn store_report(&mut self, attempt: AttemptId, agent: &AgentName, event: AttemptEvent, expected: u64) {
        let report = AttemptReport { schema: SCHEMA, attempt, agent: agent.clone(), at: self.context.now, event };
        self.actions.push(Action::StoreReport { report, expected });
    }

    fn open_on(&self, agent: &AgentName) -> Vec<OnAgent> {
        let runs = self.ledger.active.iter();
        let open = runs.flat_map(|run| {
            let on_disconnect = run.spec.on_disconnect;
            let attempts = run.open_attempts_on(self.context.app, agent);
            attempts.map(move |(attempt, open)| OnAgent { attempt, claim: open.claim().copied(), on_disconnect })
        });
        open.collect()
    }
}

/// An attempt that is bound to an agent and has not ended.
struct OnAgent {
    attempt: AttemptId,
    claim: Option<Claim>,
    on_disconnect: OnDisconnect,
}
