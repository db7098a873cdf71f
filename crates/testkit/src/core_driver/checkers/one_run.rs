//! G1: at most one run is active. Seen from below: no attempt of a run is claimed and no container of it starts while an
//! attempt of another run is claimed and not ended, or a container of another run lives; and run numbers only go up.

use std::collections::BTreeSet;

use anyhow::ensure;
use tickmesh_core::{
    history::RunSummary,
    id::{AttemptId, RunNumber, RunUid},
};

#[derive(Debug, Default)]
pub(super) struct OneRun {
    /// Claimed, and without an end.
    open: BTreeSet<AttemptId>,
    /// Attempts with a container that runs.
    live: BTreeSet<AttemptId>,
    newest: Option<(RunNumber, RunUid)>,
}

impl OneRun {
    pub(super) fn claimed(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        self.enter(id)?;
        self.open.insert(id.clone());
        Ok(())
    }

    pub(super) fn started(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        self.enter(id)?;
        self.live.insert(id.clone());
        Ok(())
    }

    pub(super) fn ended(&mut self, id: &AttemptId) {
        self.open.remove(id);
    }

    pub(super) fn stopped(&mut self, id: &AttemptId) {
        self.live.remove(id);
    }

    /// Something of this attempt's run is about to exist.
    fn enter(&mut self, id: &AttemptId) -> anyhow::Result<()> {
        let run = (id.run, id.uid);
        if let Some((number, uid)) = self.newest {
            ensure!(id.run >= number, "run {number} had begun");
            ensure!(id.run > number || id.uid == uid, "two runs have the number {number}");
        }
        let other = self.live.iter().chain(&self.open).find(|other| other.uid != id.uid);
        ensure!(other.is_none(), "{} of another run is not over", other.map(ToString::to_string).unwrap_or_default());
        self.newest = Some(run);
        Ok(())
    }

    /// A run that is said to be over has nothing left.
    pub(super) fn summed_up(&self, summary: &RunSummary) -> anyhow::Result<()> {
        let left = self.live.iter().chain(&self.open).find(|left| left.uid == summary.uid);
        ensure!(
            left.is_none(),
            "G1: run {} was summed up while {} was not over",
            summary.run,
            left.map(ToString::to_string).unwrap_or_default()
        );
        Ok(())
    }
}
