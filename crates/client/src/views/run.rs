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
    Tone,
    replica::{self, Doing, ReplicaView},
    tone,
};
use crate::when;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunView {
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
    /// When its app falls due next, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
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
pub struct RunsView(pub Vec<RunView>);

impl RunView {
    /// A run that goes on. `reports` may be newer than its ledger.
    pub fn of_active(app: &AppName, run: &ActiveRun, reports: &[AttemptReport]) -> Self {
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
    pub fn of_summary(summary: &RunSummary) -> Self {
        Self {
            app: summary.app.to_string(),
            run: summary.run,
            uid: summary.uid.to_string(),
            scheduled_at: summary.scheduled_at,
            finished_at: Some(summary.finished_at),
            state: RunState::Ended,
            outcome: Some(summary.outcome.label()),
            reason: replica::detail(&summary.outcome).or_else(|| replica::notes_of_all(&summary.replicas)),
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
            next: None,
        }
    }

    /// `app/number`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.app, self.run)
    }

    /// Why it exists, for people.
    pub fn cause_text(&self) -> String {
        match (&self.by, self.missed) {
            (Some(by), _) => format!("{} by {by}", self.cause),
            (None, Some(missed)) => format!("{} of {missed}", self.cause),
            (None, None) => self.cause.to_owned(),
        }
    }

    /// What it is doing, or how it ended.
    pub fn state_text(&self) -> String {
        match (self.state, self.outcome, &self.reason) {
            (RunState::Ended, Some(outcome), Some(reason)) => format!("{outcome} ({reason})"),
            (RunState::Ended, Some(outcome), None) => outcome.to_owned(),
            (RunState::Ended, None, _) => "ended".to_owned(),
            (RunState::Stopping, _, _) => "stopping".to_owned(),
            (RunState::Running, _, _) => "running".to_owned(),
        }
    }

    /// How long it took, or has taken so far.
    pub fn took(&self, now: Timestamp) -> String {
        when::took(when::between(self.started_at, self.finished_at.unwrap_or(now)))
    }

    /// Whether it ended well.
    pub fn has_succeeded(&self) -> bool {
        self.outcome == Some(Outcome::Succeeded.label())
    }

    /// The tone of its state.
    pub fn tone(&self) -> Tone {
        self.outcome.map_or(Tone::Busy, tone::outcome_tone)
    }
}
