//! What people are told of an app: each failed run once, each recovery once, and whatever opens closes before it opens again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use tickmesh_core::{
    history::RunSummary,
    id::RunNumber,
    message::{AppNotice, NoticeRecord},
    outcome::Outcome,
};

#[derive(Debug, Default)]
pub(super) struct Notices {
    last_number: u64,
    failed: BTreeSet<RunNumber>,
    recovered: BTreeSet<RunNumber>,
    pending: Option<RunNumber>,
    long: BTreeSet<RunNumber>,
    is_overdue: bool,
    is_invalid: bool,
    /// How runs ended, by the order of their summaries.
    ended: BTreeMap<u64, (RunNumber, Outcome)>,
    /// Some notices are missing with good reason: stored data was lost, or a release that knows none has led.
    is_incomplete: bool,
}

impl Notices {
    /// From now on only what is told twice is judged.
    pub(super) fn forgive(&mut self) {
        *self = Self { last_number: 0, is_incomplete: true, ..Self::default() };
    }

    /// A notice was stored.
    pub(super) fn told(&mut self, record: &NoticeRecord) -> anyhow::Result<()> {
        ensure!(record.number > self.last_number, "it comes after number {}", self.last_number);
        self.last_number = record.number;
        let is_expected = match &record.notice {
            AppNotice::Failed { run, .. } => self.failed.insert(*run),
            AppNotice::Recovered { run, .. } => self.recovered.insert(*run),
            AppNotice::Pending { run, .. } => self.pending.replace(*run).is_none(),
            AppNotice::Placed { run } => self.pending.take() == Some(*run),
            AppNotice::Overdue { .. } => !std::mem::replace(&mut self.is_overdue, true),
            AppNotice::OnTime { .. } => std::mem::take(&mut self.is_overdue),
            AppNotice::Long { run, .. } => self.long.insert(*run),
            AppNotice::LongOver { run, .. } => self.long.remove(run),
            AppNotice::Invalid { .. } => !std::mem::replace(&mut self.is_invalid, true),
            AppNotice::Valid => std::mem::take(&mut self.is_invalid),
            AppNotice::Dropped { ticks, .. } => *ticks > 0,
        };
        ensure!(is_expected || self.is_incomplete, "it is told twice, or closes what was not opened");
        Ok(())
    }

    /// A summary was stored.
    pub(super) fn summed_up(&mut self, summary: &RunSummary) {
        self.ended.insert(summary.number, (summary.run, summary.outcome.clone()));
    }

    /// Nothing is under way any more: nothing was forgotten.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        if self.is_incomplete {
            return Ok(());
        }
        let (mut failed, mut recovered, mut is_failing) = (BTreeSet::new(), BTreeSet::new(), false);
        for (run, outcome) in self.ended.values() {
            match outcome {
                Outcome::Cancelled => {}
                Outcome::Succeeded => {
                    if std::mem::take(&mut is_failing) {
                        recovered.insert(*run);
                    }
                }
                Outcome::Failed { .. }
                | Outcome::TimedOut
                | Outcome::Lost { .. }
                | Outcome::CouldNotStart { .. }
                | Outcome::Skipped { .. } => {
                    failed.insert(*run);
                    is_failing = true;
                }
            }
        }
        ensure!(self.failed == failed, "told are the failures {:?} of {failed:?}", self.failed);
        // Whoever removes an app forgets that it was failing.
        let unknown: Vec<_> = self.recovered.difference(&recovered).collect();
        ensure!(unknown.is_empty(), "told are recoveries {unknown:?} that were none");
        ensure!(self.pending.is_none() && self.long.is_empty(), "{:?}, {:?} are open", self.pending, self.long);
        Ok(())
    }
}
