//! Those who watch. They see what the engine, the streams and the store see, in the order in which it happens, and fail
//! the history at the first broken guarantee.

mod account;
mod one_run;
mod outboxes;
mod replicas;

use anyhow::Context as _;
use tickmesh_core::{
    history::RunSummary,
    id::AttemptId,
    ledger::Ledger,
    message::{AttemptEvent, AttemptReport},
};

pub(super) use self::{
    account::{Account, Seen, Through},
    outboxes::Published,
};
use self::{one_run::OneRun, replicas::Replicas};

/// What happened to attempts, as everybody but the leader can see it.
#[derive(Debug, Default)]
pub(super) struct Witness {
    one_run: OneRun,
    replicas: Replicas,
    pub(super) containers: u64,
}

impl Witness {
    /// A ledger was stored.
    pub(super) fn recorded(&mut self, ledger: &Ledger) -> anyhow::Result<()> {
        self.replicas.recorded(ledger)
    }

    /// Somebody asked for the end of what is active in this ledger.
    pub(super) fn asked_to_stop(&mut self, ledger: &Ledger) {
        self.replicas.asked_to_stop(ledger);
    }

    /// A message about an attempt was stored.
    pub(super) fn reported(&mut self, report: &AttemptReport) -> anyhow::Result<()> {
        let id = &report.attempt;
        self.replicas.reported(report).with_context(|| format!("G4, {id}: {:?}", report.event))?;
        if matches!(report.event, AttemptEvent::Claimed { .. }) {
            self.one_run.claimed(id).with_context(|| format!("G1, claim of {id}"))?;
        } else {
            self.one_run.ended(id);
        }
        Ok(())
    }

    /// The engine started a container.
    pub(super) fn started(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        self.containers += 1;
        self.replicas.started(id).with_context(|| format!("G4, container of {id}"))?;
        self.one_run.started(id).with_context(|| format!("G1, container of {id}"))
    }

    /// A container is over.
    pub(super) fn stopped(&mut self, id: &AttemptId) {
        self.one_run.stopped(id);
        self.replicas.stopped(id);
    }

    /// The summary of a run was published.
    pub(super) fn summed_up(&self, summary: &RunSummary) -> anyhow::Result<()> {
        self.one_run.summed_up(summary)?;
        self.replicas.summed_up(summary).with_context(|| format!("G4, summary of run {}", summary.run))
    }
}
