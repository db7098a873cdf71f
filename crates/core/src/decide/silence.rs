//! Attempts that nobody holds: the agent lost them, fell silent, or never took them. The leader's word is stored on the
//! attempt's own subject first and comes back as a report like any other; the compare-and-set decides if the agent was
//! faster.

use std::time::Duration;

use super::{Action, Transition};
use crate::{
    id::AttemptId,
    ledger::{Claim, OpenAttempt},
    message::{AgentRecord, AttemptEvent, AttemptReport, Revoker, SCHEMA},
    name::AgentName,
    outcome::LostReason,
};

impl Transition<'_> {
    /// Lost at once (protocol rule P9): the heartbeat has seen the claim and does not hold the attempt. Sound because an
    /// agent holds an attempt from before its claim until after its end (P1). On another machine than the claim's the old
    /// one may still run the container: what it left is lost once the name has been elsewhere for as long as silence takes.
    pub(super) fn judge_heartbeat(&mut self, record: &AgentRecord, machine_for: Duration) {
        let (machine, moved_for_good) = (record.machine.digest(), machine_for >= self.context.timing.lost);
        let dropped = |claim: &Claim, id: &AttemptId| {
            claim.sequence <= record.results_seen
                && (claim.machine == machine || moved_for_good)
                && !record.held.contains(id)
        };
        let lost: Vec<_> = self
            .open_on(&record.agent)
            .filter_map(|(id, open)| open.claim().map(|claim| (id, claim.sequence, claim)))
            .filter(|(id, _, claim)| dropped(claim, id))
            .map(|(id, sequence, _)| (id, sequence))
            .collect();
        for (id, claim_sequence) in lost {
            self.declare_lost(id, &record.agent, claim_sequence, LostReason::NotHeld);
        }
    }

    /// The agent is silent, and the fold up to `results_through` shows all that it had stored (protocol rule P3). A claim
    /// above is news: the agent has come back since.
    pub(super) fn judge_silence(&mut self, agent: &AgentName, results_through: u64) {
        let open: Vec<_> =
            self.open_on(agent).map(|(id, open)| (id, open.claim().map(|claim| claim.sequence))).collect();
        for (id, claim_sequence) in open {
            match claim_sequence {
                Some(sequence) if sequence > results_through => {}
                Some(sequence) => self.declare_lost(id, agent, sequence, LostReason::AgentSilent),
                None => self.revoke(id, agent, "the agent fell silent"),
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

    fn open_on(&self, agent: &AgentName) -> impl Iterator<Item = (AttemptId, &OpenAttempt)> {
        let app = self.context.app;
        self.ledger.active.iter().flat_map(|run| run.open_attempts(app)).filter(move |(_, open)| open.agent == *agent)
    }
}
