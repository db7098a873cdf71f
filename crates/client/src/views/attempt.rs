//! Attempts of one replica: how each ended, where, and what it wrote last. Known as long as results and output are kept.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    message::{AttemptEvent, AttemptReport},
    outcome::Outcome,
};

use super::{Tone, replica::detail, tone};

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: u32,
    /// Where it was.
    pub agent: String,
    /// How it ended: an outcome, `revoked`, or `null` while it goes on.
    pub outcome: Option<&'static str>,
    /// What is to be said about that, such as the exit code in words.
    pub reason: Option<String>,
    /// Exit code, if a process ended.
    pub exit_code: Option<i64>,
    /// When its agent made it its own, by that agent's clock.
    pub claimed_at: Option<Timestamp>,
    /// When its end was told, by the teller's clock.
    pub ended_at: Option<Timestamp>,
    /// The last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// What is on record about the attempts of one replica, in order.
pub fn of_reports<'a>(reports: impl IntoIterator<Item = &'a AttemptReport>) -> Vec<AttemptView> {
    let mut views: Vec<AttemptView> = Vec::new();
    for report in reports {
        let attempt = report.attempt.attempt;
        let place = views.iter().position(|view| view.attempt == attempt).unwrap_or_else(|| {
            views.push(AttemptView {
                attempt,
                agent: report.agent.to_string(),
                outcome: None,
                reason: None,
                exit_code: None,
                claimed_at: None,
                ended_at: None,
                last_lines: Vec::new(),
            });
            views.len() - 1
        });
        views[place].take(report);
    }
    views.sort_by_key(|view| view.attempt);
    views
}

impl AttemptView {
    fn take(&mut self, report: &AttemptReport) {
        if report.event.is_terminal() {
            self.ended_at = Some(report.at);
        } else {
            self.claimed_at = Some(report.at);
        }
        self.exit_code = exit_code(&report.event);
        if let AttemptEvent::Revoked { reason, .. } = &report.event {
            (self.outcome, self.reason) = (Some("revoked"), Some(reason.clone()));
        } else if let Some(outcome) = outcome(&report.event) {
            (self.outcome, self.reason) = (Some(outcome.label()), detail(&outcome));
        }
    }

    /// How to take its end.
    pub fn tone(&self) -> Tone {
        self.outcome.map_or(Tone::Busy, tone::outcome_tone)
    }

    /// How it ended, and what is to be said about it.
    pub fn end_text(&self) -> String {
        match (self.outcome, &self.reason) {
            (None, _) => "goes on".to_owned(),
            (Some(outcome), None) => outcome.to_owned(),
            (Some(outcome), Some(reason)) => format!("{outcome}: {reason}"),
        }
    }
}

/// What an attempt's last message makes of it; `None`: it goes on, or never was.
pub fn outcome(event: &AttemptEvent) -> Option<Outcome> {
    match event {
        AttemptEvent::Claimed { .. } | AttemptEvent::Revoked { .. } => None,
        AttemptEvent::Cancelled { .. } => Some(Outcome::Cancelled),
        AttemptEvent::TimedOut { .. } => Some(Outcome::TimedOut),
        AttemptEvent::Exited { exit_code: 0, .. } => Some(Outcome::Succeeded),
        AttemptEvent::Exited { exit_code, oom_killed, .. } => {
            Some(Outcome::Failed { exit_code: *exit_code, out_of_memory: *oom_killed })
        }
        AttemptEvent::CouldNotStart { reason, .. } => Some(Outcome::CouldNotStart { reason: reason.clone() }),
        AttemptEvent::Lost { reason } => Some(Outcome::Lost { reason: *reason }),
    }
}

fn exit_code(event: &AttemptEvent) -> Option<i64> {
    match event {
        AttemptEvent::Exited { exit_code, .. } => Some(*exit_code),
        AttemptEvent::Cancelled { exit_code } | AttemptEvent::TimedOut { exit_code } => *exit_code,
        AttemptEvent::Claimed { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Lost { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        id::Nonce,
        message::{MachineId, Revoker},
    };
    use tickmesh_testkit::records as fixture;

    use super::*;

    fn report(attempt: u32, event: AttemptEvent) -> AttemptReport {
        let mut report = fixture::report(0, event);
        report.attempt.attempt = attempt;
        report
    }

    #[test]
    fn every_attempt_says_where_it_was_and_how_it_ended() {
        let claimed =
            || AttemptEvent::Claimed { nonce: Nonce::from_random([1; 16]), machine: MachineId("m".to_owned()) };
        let exited = AttemptEvent::Exited { exit_code: 3, oom_killed: false, started_at: None, finished_at: None };
        let revoked = AttemptEvent::Revoked { by: Revoker::Leader, reason: "nobody took it".to_owned() };
        let reports = [report(1, claimed()), report(2, revoked), report(1, exited), report(3, claimed())];
        let shown: Vec<_> = of_reports(&reports).iter().map(|it| (it.attempt, it.end_text(), it.exit_code)).collect();
        let expected = [
            (1, "failed: exit code 3".to_owned(), Some(3)),
            (2, "revoked: nobody took it".to_owned(), None),
            (3, "goes on".to_owned(), None),
        ];
        assert_eq!(shown, expected);
    }
}
