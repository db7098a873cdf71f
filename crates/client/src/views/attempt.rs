//! Attempts of one replica: how each ended, where, and what it wrote last. Known as long as results and output are kept.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tickmesh_core::{
    message::{AttemptEvent, AttemptReport},
    outcome::Outcome,
};

use super::{Tone, replica::detail, tone};

/// Exit code of a process that SIGKILL ended.
const EXIT_KILLED: i64 = 137;
/// What is said about an attempt whose container was asked to stop, and did not.
const USED_WHOLE_GRACE: &str = "the stop signal did not end it within `stop_grace_period`, so it was killed; a shell \
    in front of the job keeps the signal from it: write `exec`, or `init: true`";

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// So, and it counts.
    Outcome(Outcome),
    /// It never began, and counts for nothing (protocol rule P12).
    Revoked { reason: String },
    /// Its agent gave it back before the engine was asked to start it, and it counts for nothing.
    Returned { reason: String },
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
            self.reason = reason(&end, &report.event);
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
        match (&self.end, &self.reason) {
            (None, _) => "goes on".to_owned(),
            (Some(end), Some(reason)) => format!("{}: {reason}", end.label()),
            (Some(end), None) => end.label().to_owned(),
        }
    }
}

impl End {
    /// In one word.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Outcome(outcome) => outcome.label(),
            Self::Revoked { .. } => "revoked",
            Self::Returned { .. } => "returned",
        }
    }

    /// What is to be said about it besides that.
    fn detail(&self) -> Option<String> {
        match self {
            Self::Outcome(outcome) => detail(outcome),
            Self::Revoked { reason } | Self::Returned { reason } => Some(reason.clone()),
        }
    }

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
            Self::Revoked { .. } | Self::Returned { .. } => Tone::Dim,
        }
    }

    /// Whether somebody should look at it.
    fn is_failure(&self) -> bool {
        match self {
            Self::Outcome(
                Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Lost { .. } | Outcome::CouldNotStart { .. },
            ) => true,
            Self::Outcome(Outcome::Succeeded | Outcome::Cancelled | Outcome::Skipped { .. })
            | Self::Revoked { .. }
            | Self::Returned { .. } => false,
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
        AttemptEvent::Returned { reason } => return Some(End::Returned { reason: reason.clone() }),
        AttemptEvent::Revoked { reason, .. } => return Some(End::Revoked { reason: reason.clone() }),
        AttemptEvent::Cancelled { .. } => Outcome::Cancelled,
        AttemptEvent::TimedOut { .. } => Outcome::TimedOut,
        AttemptEvent::Exited { exit_code: 0, .. } => Outcome::Succeeded,
        AttemptEvent::Exited { exit_code, .. } => Outcome::exited(*exit_code, event.notes()),
        AttemptEvent::CouldNotStart { reason, .. } => Outcome::CouldNotStart { reason: reason.clone() },
        AttemptEvent::Lost { reason } => Outcome::Lost { reason: *reason },
    };
    Some(End::Outcome(outcome))
}

/// What is to be said about an end besides its label: by the outcome, by the engine, and by how it was stopped.
fn reason(end: &End, event: &AttemptEvent) -> Option<String> {
    let notes = match end {
        End::Outcome(outcome) => outcome.notes_beside(event.notes()),
        End::Revoked { .. } | End::Returned { .. } => event.notes(),
    };
    let grace = used_whole_grace(event).then(|| USED_WHOLE_GRACE.to_owned());
    let notes = (!notes.is_empty()).then(|| notes.to_string());
    let texts: Vec<String> = [end.detail(), notes, grace].into_iter().flatten().collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// Says whether a container that was stopped had to be killed at the end of its grace period.
fn used_whole_grace(event: &AttemptEvent) -> bool {
    match event {
        AttemptEvent::Cancelled { exit_code } | AttemptEvent::TimedOut { exit_code, .. } => {
            *exit_code == Some(EXIT_KILLED)
        }
        AttemptEvent::Claimed { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Returned { .. }
        | AttemptEvent::Exited { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Lost { .. } => false,
    }
}

fn exit_code(event: &AttemptEvent) -> Option<i64> {
    match event {
        AttemptEvent::Exited { exit_code, .. } => Some(*exit_code),
        AttemptEvent::Cancelled { exit_code } | AttemptEvent::TimedOut { exit_code, .. } => *exit_code,
        AttemptEvent::Claimed { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Returned { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Lost { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{
        end_notes::EndNotes,
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
        let exited = AttemptEvent::Exited {
            exit_code: 3,
            oom_killed: false,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
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

    #[test]
    fn want_of_memory_explains_an_end_or_is_a_note() {
        let told = |exit_code| {
            let (started_at, finished_at) = (None, None);
            let event = AttemptEvent::Exited { exit_code, oom_killed: true, unhealthy: false, started_at, finished_at };
            of_reports(&[report(1, event)])[0].end_text()
        };
        assert_eq!(told(137), "failed: exit code 137: out of memory");
        assert_eq!(told(1), "failed: exit code 1; a process of it was killed for want of memory");
        assert_eq!(told(0), "succeeded: a process of it was killed for want of memory");
        let event =
            AttemptEvent::TimedOut { exit_code: Some(143), notes: EndNotes { oom_killed: true, unhealthy: true } };
        let text = of_reports(&[report(1, event)])[0].end_text();
        assert_eq!(text, "timed_out: a process of it was killed for want of memory; its health check failed");
    }

    #[test]
    fn attempt_that_used_its_whole_grace_says_so() {
        let told = |event| of_reports(&[report(1, event)])[0].end_text();
        let killed = Some(EXIT_KILLED);
        for (event, label) in [
            (AttemptEvent::TimedOut { exit_code: killed, notes: EndNotes::default() }, "timed_out"),
            (AttemptEvent::Cancelled { exit_code: killed }, "cancelled"),
        ] {
            assert_eq!(told(event), format!("{label}: {USED_WHOLE_GRACE}"));
        }
        for exit_code in [None, Some(0), Some(143)] {
            assert_eq!(told(AttemptEvent::TimedOut { exit_code, notes: EndNotes::default() }), "timed_out");
            assert_eq!(told(AttemptEvent::Cancelled { exit_code }), "cancelled");
        }
    }
}
