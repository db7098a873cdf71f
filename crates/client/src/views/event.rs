//! What happened: the messages on the subjects `tick`, `result`, `history` and `mesh`.

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    history::RunSummary,
    message::{AttemptReport, MeshEvent, TickRecord},
};

/// One event.
#[derive(Debug, Serialize)]
pub struct EventView {
    /// When it happened.
    pub at: Timestamp,
    /// What it is about, and the message as it is on its subject.
    #[serde(flatten)]
    pub what: What,
}

/// What an event is about.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "message", rename_all = "snake_case")]
pub enum What {
    /// The clock decided.
    Tick(Box<TickRecord>),
    /// Something became of an attempt.
    Result(Box<AttemptReport>),
    /// A run ended.
    Run(Box<RunSummary>),
    /// Something happened to the mesh itself.
    Mesh(MeshEvent),
}

impl EventView {
    /// A decision of the clock.
    pub fn tick(record: TickRecord) -> Self {
        Self { at: record.decided_at, what: What::Tick(Box::new(record)) }
    }

    /// What became of an attempt.
    pub fn result(report: AttemptReport) -> Self {
        Self { at: report.at, what: What::Result(Box::new(report)) }
    }

    /// How a run ended.
    pub fn run(summary: RunSummary) -> Self {
        Self { at: summary.finished_at, what: What::Run(Box::new(summary)) }
    }

    /// What happened to the mesh.
    pub fn mesh(at: Timestamp, event: MeshEvent) -> Self {
        Self { at, what: What::Mesh(event) }
    }
}
