//! Attempts of one replica: how each ended, where, and what it wrote last. Known as long as results and output are kept.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tickmesh_core::{
    message::{AttemptEvent, AttemptReport},
    outcome::Outcome,
};

use super::{Tone, replica::detail, tone};

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// So, and it counts.
    Outcome(Outcome),
    /// It never began, and counts for nothing (protocol rule P12).
    Revoked {
        /// Why.
        reason: String,
    },
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: u32,
    /// Where it was.
    pub agent: String,
    /// How it ended: an outcome's label, `revoked`, or `null` while it goes on.
    #[serde(rename = "outcome")]
    pub end: Option<End>,
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
                end: None,
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
        if let Some(end) = end(&report.event) {
            self.reason = end.detail();
            self.end = Some(end);
        }
    }

    /// How to take its end.
    pub fn tone(&self) -> Tone {
        self.end.as_ref().map_or(Tone::Busy, End::tone)
    }

    /// Whether it came to an end that somebody should look at.
    pub fn has_failed(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_failure)
    }

    /// How it ended, and what is to be said about it.
    pub fn end_text(&self) -> String {
        self.end.as_ref().map_or_else(|| "goes on".to_owned(), End::text)
    }
}

impl End {
    /// In one word.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Outcome(outcome) => outcome.label(),
            Self::Revoked { .. } => "revoked",
        }
    }

    /// What is to be said about it besides that.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Outcome(outcome) => detail(outcome),
            Self::Revoked { reason } => Some(reason.clone()),
        }
    }

    /// Both.
    pub fn text(&self) -> String {
        match self.detail() {
            Some(detail) => format!("{}: {detail}", self.label()),
            None => self.label().to_owned(),
        }
    }

    /// How to take it.
    pub fn tone(&self) -> Tone {
        match self {
            Self::Outcome(outcome) => tone::outcome_tone(outcome.label()),
            Self::Revoked { .. } => Tone::Dim,
        }
    }

    /// Whether somebody should look at it.
    fn is_failure(&self) -> bool {
        match self {
            Self::Outcome(
                Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Lost { .. } | Outcome::CouldNotStart { .. },
            ) => true,
            Self::Outcome(Outcome::Succeeded | Outcome::Cancelled | Outcome::Skipped { .. }) | Self::Revoked { .. } => {
                false
            }
        }
    }
}

/// As its label: the reason is a field of its own.
impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// What an attempt's last message makes of it; `None`: it goes on.
pub fn end(event: &AttemptEvent) -> Option<End> {
    let outcome = match event {
        AttemptEvent::Claimed { .. } => return None,
        AttemptEvent::Revoked { reason, .. } => return Some(End::Revoked { reason: reason.clone() }),
        AttemptEvent::Cancelled { .. } => Outcome::Cancelled,
        AttemptEvent::TimedOut { .. } => Outcome::TimedOut,
        AttemptEvent::Exited { exit_code: 0, .. } => Outcome::Succeeded,
        AttemptEvent::Exited { exit_code, oom_killed, .. } => {
            Outcome::Failed { exit_code: *exit_code, out_of_memory: *oom_killed }
        }
        AttemptEvent::CouldNotStart { reason, .. } => Outcome::CouldNotStart { reason: reason.clone() },
        AttemptEvent::Lost { reason } => Outcome::Lost { reason: *reason },
    };
    Some(End::Outcome(outcome))
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
        let views = of_reports(&reports);
        assert_eq!(views.iter().map(AttemptView::has_failed).collect::<Vec<_>>(), [true, false, false], "P12");
        assert_eq!(views[1].tone(), Tone::Dim);
        let labels: Vec<_> = views.iter().map(|it| it.end.as_ref().map(End::label)).collect();
        assert_eq!(labels, [Some("failed"), Some("revoked"), None]);
    }
}
