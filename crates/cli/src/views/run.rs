//! Runs: active ones from the ledger, finished ones from the history.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    history::RunSummary,
    id::RunNumber,
    ledger::{ActiveRun, Cause, Phase},
    message::AttemptReport,
    name::AppName,
    outcome::Outcome,
};

use super::{
    Detail, Style, Table, Tone, View, cell,
    replica::{self, Doing, ReplicaView},
    strip,
};
use crate::when;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunView {
    /// The app.
    pub app: String,
    /// Number of the run.
    pub run: RunNumber,
    /// Its random identity.
    pub uid: String,
    /// `schedule`, `catch_up` or `manual`.
    pub cause: &'static str,
    /// Who asked for it, if a person did.
    pub by: Option<String>,
    /// How many missed instants it stands for, if it catches up.
    pub missed: Option<u64>,
    /// Its instant, if a schedule asked for it.
    pub scheduled_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it is doing.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<&'static str>,
    /// What is to be said about that.
    pub reason: Option<String>,
    /// What services wait for that have no replicas yet.
    pub waiting: Vec<String>,
    /// Replicas that succeeded.
    pub succeeded: usize,
    /// Its replicas.
    pub replicas: Vec<ReplicaView>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunState {
    /// It goes on.
    Running,
    /// It is being stopped.
    Stopping,
    /// It ended.
    Ended,
}

/// Runs of an app, the newest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct RunsView(pub Vec<RunView>);

impl RunView {
    /// A run that goes on. `reports` may be newer than its ledger.
    pub(crate) fn of_active(app: &AppName, run: &ActiveRun, reports: &[AttemptReport]) -> Self {
        let state = match run.phase() {
            Phase::Running => RunState::Running,
            Phase::Stopping { .. } => RunState::Stopping,
        };
        Self {
            app: app.to_string(),
            run: run.number,
            uid: run.uid.to_string(),
            scheduled_at: run.scheduled_at,
            started_at: run.started_at,
            state,
            ..Self::new(&run.cause, run.started_at, replica::of_active(run, reports))
        }
    }

    /// A run that ended.
    pub(crate) fn of_summary(summary: &RunSummary) -> Self {
        Self {
            app: summary.app.to_string(),
            run: summary.run,
            uid: summary.uid.to_string(),
            scheduled_at: summary.scheduled_at,
            finished_at: Some(summary.finished_at),
            state: RunState::Ended,
            outcome: Some(summary.outcome.label()),
            reason: replica::detail(&summary.outcome),
            ..Self::new(&summary.cause, summary.started_at, summary.replicas.iter().map(replica::of_summary).collect())
        }
    }

    fn new(cause: &Cause, started_at: Timestamp, replicas: Vec<ReplicaView>) -> Self {
        let (by, missed) = match cause {
            Cause::Schedule => (None, None),
            Cause::CatchUp { missed } => (None, Some(*missed)),
            Cause::Manual { by, .. } | Cause::Retry { by, .. } => (Some(by.clone()), None),
        };
        let success = Some(Outcome::Succeeded.label());
        Self {
            app: String::new(),
            run: 0,
            uid: String::new(),
            cause: cause.label(),
            by,
            missed,
            scheduled_at: None,
            started_at,
            finished_at: None,
            state: RunState::Running,
            outcome: None,
            reason: None,
            waiting: Vec::new(),
            succeeded: replicas.iter().filter(|it| it.state == Doing::Ended && it.outcome == success).count(),
            replicas,
        }
    }

    /// `app/number`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.app, self.run)
    }

    /// Why it exists, for people.
    pub(crate) fn cause_text(&self) -> String {
        match (&self.by, self.missed) {
            (Some(by), _) => format!("{} by {by}", self.cause),
            (None, Some(missed)) => format!("{} of {missed}", self.cause),
            (None, None) => self.cause.to_owned(),
        }
    }

    /// What it is doing, or how it ended.
    pub(crate) fn state_text(&self) -> String {
        match (self.state, self.outcome, &self.reason) {
            (RunState::Ended, Some(outcome), Some(reason)) => format!("{outcome} ({reason})"),
            (RunState::Ended, Some(outcome), None) => outcome.to_owned(),
            (RunState::Ended, None, _) => "ended".to_owned(),
            (RunState::Stopping, _, _) => "stopping".to_owned(),
            (RunState::Running, _, _) => "running".to_owned(),
        }
    }

    /// How long it took, or has taken so far.
    pub(crate) fn took(&self, now: Timestamp) -> String {
        when::took(when::between(self.started_at, self.finished_at.unwrap_or(now)))
    }

    /// Whether it ended well.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.outcome == Some(Outcome::Succeeded.label())
    }

    /// The tone of its state.
    pub(crate) fn tone(&self) -> Tone {
        self.outcome.map_or(Tone::Busy, strip::tone)
    }
}

impl View for RunsView {
    fn text(&self, style: &Style) -> String {
        let mut headings = vec!["RUN", "CAUSE", "SCHEDULED", "STARTED", "DURATION", "OUTCOME", "REPLICAS"];
        if style.detail == Detail::Wide {
            headings.extend(["FINISHED", "UID"]);
        }
        let mut table = Table::new(headings);
        let relative = |at: Option<Timestamp>| at.map_or("-".to_owned(), |at| when::relative(at, style.now));
        for run in &self.0 {
            let mut cells = vec![
                cell(run.name(), Tone::Plain),
                cell(run.cause_text(), Tone::Plain),
                cell(relative(run.scheduled_at), Tone::Plain),
                cell(relative(Some(run.started_at)), Tone::Plain),
                cell(run.took(style.now), Tone::Plain),
                cell(run.state_text(), run.tone()),
                cell(format!("{}/{}", run.succeeded, run.replicas.len()), Tone::Plain),
            ];
            if style.detail == Detail::Wide {
                cells.push(cell(relative(run.finished_at), Tone::Plain));
                cells.push(cell(&run.uid, Tone::Dim));
            }
            table.row(cells);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(RunView::name).collect()
    }
}

impl View for RunView {
    fn text(&self, style: &Style) -> String {
        let mut lines = vec![format!("run {}: {}", self.name(), self.tone().paint(&self.state_text()))];
        lines.push(format!("  cause      {}", self.cause_text()));
        if let Some(at) = self.scheduled_at {
            lines.push(format!("  scheduled  {at:.3} ({})", when::relative(at, style.now)));
        }
        lines.push(format!("  started    {:.3} ({})", self.started_at, when::relative(self.started_at, style.now)));
        if let Some(at) = self.finished_at {
            lines.push(format!("  finished   {at:.3} ({})", when::relative(at, style.now)));
        }
        lines.push(format!("  took       {}", self.took(style.now)));
        lines.push(format!("  replicas   {} of {} succeeded", self.succeeded, self.replicas.len()));
        lines.extend(self.waiting.iter().map(|waiting| format!("  waits      {waiting}")));
        lines.push(String::new());
        lines.push(replica::table(&self.replicas));
        lines.join("\n")
    }

    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }
}
