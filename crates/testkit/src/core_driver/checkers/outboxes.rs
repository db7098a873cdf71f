//! The streams of ticks and of history: every number once, in order, none missing but those that the ledger says it gave
//! up, and whoever repeats a number repeats its content.

use anyhow::ensure;
use tickmesh_core::{history::RunSummary, message::TickRecord};

/// A message of an outbox.
pub(in super::super) trait Published: Clone + PartialEq + std::fmt::Debug {
    fn number(&self) -> u64;

    /// Checks the message that is about to be stored after `stored`, or that was refused because it is there already.
    fn check(&self, stored: &[Self], given_up: u64) -> anyhow::Result<()> {
        let number = self.number();
        match stored.iter().rfind(|there| there.number() == number) {
            Some(there) => ensure!(there == self, "number {number} has two contents: {there:?} and {self:?}"),
            None => {
                let last = stored.last().map_or(0, Self::number);
                let next = last + 1..=last + 1 + given_up;
                ensure!(next.contains(&number), "number {number} comes after {last}, and {given_up} were given up");
            }
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
