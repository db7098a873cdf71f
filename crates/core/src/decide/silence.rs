//! Attempts that nobody holds: the agent lost them, fell silent, or never took them. The leader's word is stored on the
//! attempt's own subject first and comes back as a report like any other; the compare-and-set decides if the agent was
//! faster.

use std::time::Duration;

use super::{Action, Transition, ending::Patience};
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
        let mut open = self.open_on(&record.agent);
        open.retain(|open| !record.held.contains(&open.attempt));
        for open in open {
            let moved = moved_for_good && !open.may_go_on();
            let OnAgent { attempt, claim, patience, .. } = open;
            let is_gone = |claim: Claim| {
                claim.sequence <= record.results_seen && (claim.machine == machine || moved || record.forgotten)
            };
            if let Some(claim) = claim.filter(|claim| is_gone(*claim)) {
                self.declare_lost(attempt.clone(), &record.agent, claim.sequence, reason);
            }
            if patience == Patience::Over && claim.is_none_or(is_gone) {
                self.end_unreported(&attempt, &record.agent, reason);
            }
        }
    }

    /// The agent is silent, and the fold up to `results_through` shows all that it had stored (protocol rule P3). A claim
    /// above is news: the agent has come back since. Containers that go on without a mesh are nobody's to declare lost: they
    /// wait for their agent, unless somebody has asked for the end of the run.
    pub(super) fn judge_silence(&mut self, agent: &AgentName, results_through: u64) {
        for open in self.open_on(agent) {
            let is_waited_for = open.may_go_on();
            let OnAgent { attempt, claim, patience, .. } = open;
            let is_news = claim.is_some_and(|claim| claim.sequence > results_through);
            match claim {
                None => self.revoke(attempt.clone(), agent, "the agent fell silent"),
                Some(_) if is_news || is_waited_for => {}
                Some(claim) => {
                    self.declare_lost(attempt.clone(), agent, claim.sequence, LostReason::AgentSilent);
                }
            }
            if patience == Patience::Over && !is_news {
                self.end_unreported(&attempt, agent, LostReason::AgentSilent);
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
            let (on_disconnect, patience) = (run.spec.on_disconnect, self.patience_with(run));
            let attempts = run.open_attempts_on(self.context.app, agent);
            attempts.map(move |(attempt, open)| {
                let claim = open.claim().copied();
                OnAgent { attempt, claim, on_disconnect, patience }
            })
        });
        open.collect()
    }
}

/// An attempt that is bound to an agent and has not ended.
struct OnAgent {
    attempt: AttemptId,
    claim: Option<Claim>,
    on_disconnect: OnDisconnect,
    patience: Patience,
}

impl OnAgent {
    /// Returns whether the container may go on without its agent, and the run waits for that.
    fn may_go_on(&self) -> bool {
        self.on_disconnect == OnDisconnect::Continue && self.patience == Patience::Unlimited
    }
}
