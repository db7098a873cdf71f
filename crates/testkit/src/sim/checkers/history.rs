//! G5: the streams of ticks and of history. Every number once, in order, and every run has its summary.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use tickmesh_core::{
    history::RunSummary,
    id::{RequestId, RunNumber},
    ledger::{Cause, Ledger},
    message::TickRecord,
};

#[derive(Debug, Default)]
pub(super) struct History {
    last_tick: u64,
    last_number: u64,
    runs: BTreeSet<RunNumber>,
    /// Runs that people asked for.
    requests: BTreeMap<RequestId, u32>,
    /// Runs up to here had begun when a loss was accepted: only those that were under way get a summary.
    begun: RunNumber,
    /// Those that were.
    under_way: BTreeSet<RunNumber>,
}

impl History {
    /// Begins at a ledger with which people go on after a loss.
    pub(super) fn begin_at(ledger: &Ledger) -> Self {
        let active = ledger.active.iter().map(|run| run.number);
        let pending = ledger.history.pending.iter().map(|summary| summary.run);
        Self {
            last_number: ledger.history.last_number - ledger.history.pending.len() as u64,
            begun: ledger.last_run,
            under_way: active.chain(pending).collect(),
            ..Self::default()
        }
    }

    /// A tick message was stored. Some may have been given up, but none comes twice.
    pub(super) fn ticked(&mut self, tick: &TickRecord) -> anyhow::Result<()> {
        ensure!(tick.number > self.last_tick, "it comes after number {}", self.last_tick);
        self.last_tick = tick.number;
        Ok(())
    }

    /// A summary was stored.
    pub(super) fn summed_up(&mut self, summary: &RunSummary) -> anyhow::Result<()> {
        ensure!(summary.number == self.last_number + 1, "number {} comes after {}", summary.number, self.last_number);
        self.last_number = summary.number;
        ensure!(self.runs.insert(summary.run), "a second summary");
        if let Cause::Manual { request, .. } | Cause::Retry { request, .. } = &summary.cause {
            *self.requests.entry(*request).or_default() += 1;
        }
        Ok(())
    }

    pub(super) fn runs(&self) -> u64 {
        self.runs.len() as u64
    }

    pub(super) fn runs_of(&self, request: RequestId) -> u32 {
        self.requests.get(&request).copied().unwrap_or(0)
    }

    /// Nothing is under way any more: no run is missing.
    pub(super) fn close(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let expected: BTreeSet<_> = (self.begun + 1..=ledger.last_run).chain(self.under_way.iter().copied()).collect();
        let missing: Vec<_> = expected.difference(&self.runs).collect();
        ensure!(missing.is_empty(), "the runs {missing:?} have no summary");
        ensure!(self.runs == expected, "{} runs have a summary", self.runs());
        Ok(())
    }
}
