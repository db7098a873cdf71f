//! Ends that nobody has to report: a person asked for the end of the run, and the run ends whatever
//! its agents say or fail to say.
//!
//! A run that was cancelled or removed waits for the reports on its attempts, but not for ever. Once
//! [`Timing::lost`](crate::timing::Timing::lost) has passed since somebody asked, the leader also gives up
//! containers that go on without the mesh. When another `unclaimed` is nearly over, the ledger alone
//! decides. Until the end an attempt keeps the run active if an agent that is heard holds it: its
//! container runs, and the next run must not begin beside it (guarantee G1).
//!
//! `cancel --force` waits for nobody. What an agent then still holds is no open attempt of any ledger,
//! and the agent is told to stop it as soon as it is heard.

use super::{Clock, Record, Transition, report::AttemptEnd};
use crate::{
    id::{AttemptId, RunNumber},
    ledger::{ActiveRun, Phase},
    message::OrderKind,
    name::AgentName,
    outcome::LostReason,
    time,
};

/// How long a run waits for the reports on its attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Patience {
    /// As long as it takes.
    Unlimited,
    /// Containers that go on without the mesh are declared lost like others.
    Short,
    /// No report is waited for.
    Over,
}

impl Transition<'_> {
    /// Notes since when a person waits for the end of a run. By a clock that is not trusted nobody knows:
    /// then it is noted once the clock is right, as it is for a run that an earlier release stopped.
    pub(super) fn note_asked_ends(&mut self) {
        if self.context.clock != Clock::Running {
            return;
        }
        for run in &mut self.ledger.active {
            let is_asked_for = match run.phase() {
                Phase::Running => false,
                Phase::Stopping { reason } => reason.is_asked_for(),
            };
            if is_asked_for && run.ask_to_end(self.context.now) {
                self.record = Record::Due;
            }
        }
    }

    /// Returns how long a run still waits for reports.
    pub(super) fn patience_with(&self, run: &ActiveRun) -> Patience {
        let (now, timing) = (self.context.now, self.context.timing);
        let Some(asked_at) = run.end_asked_at().filter(|_| self.context.clock == Clock::Running) else {
            return Patience::Unlimited;
        };
        let short_from = time::after(asked_at, timing.lost);
        // The agents' next signs of life, or of silence, are judged within `resend`: by then the promised
        // time is not over yet.
        let over_from = time::after(short_from, timing.unclaimed.saturating_sub(timing.resend));
        if over_from <= now {
            Patience::Over
        } else if short_from <= now {
            Patience::Short
        } else {
            Patience::Unlimited
        }
    }

    /// Ends an attempt that no agent holds any more, without a message on its subject: the leader's
    /// messages could not be stored there in all that time.
    pub(super) fn end_unreported(&mut self, attempt: &AttemptId, agent: &AgentName, reason: LostReason) {
        let Some(position) = self.ledger.active.iter().position(|run| run.is_open(attempt)) else { return };
        let run = &self.ledger.active[position];
        let Some(place) = run.place_of(&attempt.service, attempt.replica) else { return };
        let claim = run.open_attempt(self.context.app, place).and_then(|(_, open)| open.claim());
        let end = if claim.is_some() { AttemptEnd::Lost(reason) } else { AttemptEnd::NeverWas };
        self.end_attempt(position, place, agent, end);
    }

    /// Ends every open attempt of a run that is being stopped. Agents are told to stop what they hold, and
    /// what was not claimed is revoked, so that no container starts any more.
    pub(super) fn end_by_force(&mut self, number: RunNumber) {
        let Some(position) = self.ledger.active.iter().position(|run| run.number == number) else { return };
        let open: Vec<_> = self.ledger.active[position]
            .open_attempts(self.context.app)
            .map(|(attempt, open)| (attempt, open.agent.clone(), open.claim().is_some()))
            .collect();
        for (attempt, agent, is_claimed) in open {
            let run = &self.ledger.active[position];
            let Some(place) = run.place_of(&attempt.service, attempt.replica) else { continue };
            if !is_claimed {
                self.revoke(attempt.clone(), &agent, "the run was ended by force");
            }
            self.send(attempt, agent.clone(), OrderKind::Stop);
            self.end_attempt(position, place, &agent, AttemptEnd::NeverWas);
        }
    }
}
