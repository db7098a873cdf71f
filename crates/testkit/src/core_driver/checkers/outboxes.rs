//! The streams of ticks and of history: every number once, in order, and whoever repeats a number repeats its content.

use anyhow::ensure;
use tickmesh_core::{history::RunSummary, message::TickRecord};

/// A message of an outbox.
pub(in super::super) trait Published: Clone + PartialEq + std::fmt::Debug {
    fn number(&self) -> u64;

    /// Checks the message that is about to be stored after `stored`, or that was refused because it is there already.
    fn check(&self, stored: &[Self]) -> anyhow::Result<()> {
        let number = self.number();
        match stored.get(number as usize - 1) {
            Some(there) => ensure!(there == self, "number {number} has two contents: {there:?} and {self:?}"),
            None => ensure!(number == stored.len() as u64 + 1, "number {number} comes after {}", stored.len()),
        }
        Ok(())
    }
}

impl Published for TickRecord {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Published for RunSummary {
    fn number(&self) -> u64 {
        self.number
    }
}
