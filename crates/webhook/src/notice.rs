//! What is worth a notice, and how it is told. Pure.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_client::views::{replica::detail, run::RunView};
use tickmesh_core::{
    history::RunSummary,
    message::{Admission, MeshEvent, TickRecord},
    outcome::Outcome,
};

/// One notice, as it is posted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// Id of the notice. A notice that is posted again has the same id, so that a receiver can leave out repeats.
    pub id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// The app; `null`: it is about the mesh.
    pub app: Option<String>,
    /// For people, in one line.
    pub text: String,
    /// The message as it is on its subject.
    pub message: serde_json::Value,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A run did not succeed, and nobody had cancelled it.
    RunFailed,
    /// A run succeeded after one that did not.
    RunRecovered,
    /// A tick will have no run: as many wait as may.
    TickDropped,
    /// An agent fell silent.
    AgentLost,
}

impl Notice {
    /// Of a run that ended. `before` is how the last one before it did that nobody had cancelled, if that is known.
    pub fn of_run(summary: &RunSummary, before: Option<&Outcome>) -> Option<Self> {
        let kind = match (has_failed(&summary.outcome), before) {
            (true, _) => Kind::RunFailed,
            (false, Some(before)) if has_failed(before) && summary.outcome == Outcome::Succeeded => Kind::RunRecovered,
            (false, _) => return None,
        };
        let view = RunView::of_summary(summary);
        let detail = detail(&summary.outcome).map(|detail| format!(" ({detail})")).unwrap_or_default();
        let (name, outcome, succeeded, total) =
            (view.name(), summary.outcome.label(), view.succeeded, view.replicas.len());
        Some(Self {
            id: format!("run-{}-{}", summary.app, summary.run),
            kind,
            at: summary.finished_at,
            app: Some(summary.app.to_string()),
            text: format!("run {name} {outcome}{detail}, {succeeded} of {total} replicas succeeded"),
            message: serde_json::to_value(summary).ok()?,
        })
    }

    /// Of a decision of the clock.
    pub fn of_tick(record: &TickRecord) -> Option<Self> {
        let Admission::Drop { reason } = &record.admission else { return None };
        Some(Self {
            id: format!("tick-{}-{}", record.app, record.number),
            kind: Kind::TickDropped,
            at: record.decided_at,
            app: Some(record.app.to_string()),
            text: format!("app {}: the tick of {:.0} was dropped: {reason}", record.app, record.scheduled_at),
            message: serde_json::to_value(record).ok()?,
        })
    }

    /// Of an event of the mesh, stored at that sequence.
    pub fn of_event(event: &MeshEvent, at: Timestamp, sequence: u64) -> Option<Self> {
        let MeshEvent::AgentLost { agent } = event else { return None };
        Some(Self {
            id: format!("mesh-{sequence}"),
            kind: Kind::AgentLost,
            at,
            app: None,
            text: format!("agent {agent} fell silent: it gets no work until it is back"),
            message: serde_json::to_value(event).ok()?,
        })
    }
}

/// Whether somebody should look: a run that a person cancelled is as that person wanted it.
pub(crate) fn has_failed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Succeeded | Outcome::Cancelled => false,
        Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Lost { .. }
        | Outcome::CouldNotStart { .. }
        | Outcome::Skipped { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use tickmesh_core::{ledger::Cause, message::DropReason, message::SCHEMA};
    use tickmesh_testkit::records;

    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, before: Option<Outcome>, kind: Option<Kind>) {
        let summary = records::summary(7, Cause::Schedule, &[outcome]);
        let notice = Notice::of_run(&summary, before.as_ref());
        assert_eq!(notice.as_ref().map(|notice| notice.kind), kind);
        assert!(notice.is_none_or(|notice| notice.id == "run-nightly-7"));
    }

    #[test]
    fn failures_and_recoveries_are_told_and_nothing_else() {
        check(Outcome::failed(3), None, Some(Kind::RunFailed));
        check(Outcome::failed(3), Some(Outcome::failed(3)), Some(Kind::RunFailed));
        check(Outcome::TimedOut, Some(Outcome::Succeeded), Some(Kind::RunFailed));
        check(Outcome::Succeeded, Some(Outcome::failed(1)), Some(Kind::RunRecovered));
        check(Outcome::Succeeded, Some(Outcome::Succeeded), None);
        check(Outcome::Succeeded, None, None);
        check(Outcome::Cancelled, Some(Outcome::failed(1)), None);
    }

    #[test]
    fn a_notice_is_json_with_a_line_for_people() {
        let summary = records::summary(7, Cause::Schedule, &[Outcome::failed(3), Outcome::Succeeded]);
        let told = serde_json::to_value(Notice::of_run(&summary, None).unwrap()).unwrap();
        assert_eq!(told["type"], "run_failed");
        assert_eq!(told["text"], "run nightly/7 failed (exit code 3), 1 of 2 replicas succeeded");
        assert_eq!(told["message"]["run"], 7);
    }

    #[test]
    fn a_lost_agent_is_told_without_a_word_on_its_attempts_which_apps_decide_about() {
        let event = MeshEvent::AgentLost { agent: records::agent() };
        let notice = Notice::of_event(&event, records::now(), 9).unwrap();
        assert_eq!((notice.id.as_str(), notice.kind), ("mesh-9", Kind::AgentLost));
        assert_eq!(notice.text, format!("agent {} fell silent: it gets no work until it is back", records::agent()));
        assert_eq!(Notice::of_event(&MeshEvent::AgentJoined { agent: records::agent() }, records::now(), 9), None);
    }

    #[test]
    fn of_ticks_only_those_that_are_dropped_are_told() {
        let mut record = TickRecord {
            schema: SCHEMA,
            number: 4,
            app: records::app(),
            scheduled_at: records::now(),
            decided_at: records::now(),
            admission: Admission::Drop { reason: DropReason::QueueFull },
            coalesced: 0,
        };
        let notice = Notice::of_tick(&record).unwrap();
        assert_eq!((notice.id.as_str(), notice.kind), ("tick-nightly-4", Kind::TickDropped));
        record.admission = Admission::Start { run: 1 };
        assert_eq!(Notice::of_tick(&record), None);
    }
}
