//! The work queue of commands: one consumer at a time; what is not confirmed comes again, not always in order.

use std::{collections::BTreeMap, time::Duration};

use rand::RngExt as _;

use super::{Kind, Stored};
use crate::sim::{context::SimContext, event::SimEvent, faults::Fault, process_table::Address};

/// A command that is not confirmed within this time is delivered again.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// The consumer of commands.
#[derive(Debug, Default)]
pub(in crate::sim) struct Queue {
    /// Number of the present consumer: that of an earlier leader is gone.
    pub(in crate::sim) consumer: u64,
    pub(in crate::sim) owner: Option<Address>,
    /// Delivered and not confirmed, with the moment at which it is delivered again.
    in_hand: BTreeMap<u64, Duration>,
    coming: bool,
}

impl Queue {
    /// Nobody receives commands any more, and none is in anybody's hand.
    pub(super) fn forget(&mut self) {
        *self = Self { consumer: self.consumer + 1, ..Self::default() };
    }

    /// Whether a confirmation counts.
    pub(super) fn confirm(&mut self, consumer: u64, sequence: u64) -> bool {
        let counts = consumer == self.consumer;
        if counts {
            self.in_hand.remove(&sequence);
        }
        counts
    }
}

impl SimContext {
    /// Removes the consumer of whoever received before, and makes one for this process.
    /// That one is told, and cannot receive any more; also if it has come to lead meanwhile, and this is a request from long ago.
    pub(super) fn begin_to_receive(&mut self, owner: Address) -> u64 {
        if let Some(before) = self.net.queue.owner {
            let (latency, consumer) = (self.latency(), self.net.queue.consumer);
            self.later(latency, SimEvent::Superseded(before, consumer));
        }
        let consumer = self.net.queue.consumer + 1;
        self.net.queue = Queue { consumer, owner: Some(owner), in_hand: BTreeMap::new(), coming: false };
        self.bring_commands();
        consumer
    }

    pub(super) fn bring_commands(&mut self) {
        if self.net.queue.owner.is_some() && !self.net.queue.coming {
            self.net.queue.coming = true;
            let (latency, consumer) = (self.latency(), self.net.queue.consumer);
            self.later(latency, SimEvent::DeliverCommands { consumer });
        }
    }

    /// The commands that are to be delivered now, and to whom.
    pub(in crate::sim) fn deliver_commands(&mut self, consumer: u64) -> Option<(Address, Vec<Stored>)> {
        if consumer != self.net.queue.consumer {
            return None;
        }
        self.net.queue.coming = false;
        let owner =
            self.net.queue.owner.filter(|owner| !self.net.is_lost && !self.processes.hears_nothing(owner.place))?;
        let (now, hand) = (self.now, &self.net.queue.in_hand);
        let due = |stored: &&Stored| hand.get(&stored.sequence).is_none_or(|again_at| *again_at <= now);
        let mut batch: Vec<Stored> = self.net.streams[&Kind::Commands].after(0).filter(due).cloned().collect();
        if batch.len() > 1 && self.mishap(Fault::CommandOvertaken) {
            let last = self.random.random_range(1..batch.len());
            batch.swap(0, last);
        }
        for stored in &batch {
            let before = self.net.queue.in_hand.insert(stored.sequence, now + CONFIRM_WITHIN);
            if before.is_some() {
                self.count(Fault::CommandRedelivered);
            }
        }
        if let Some(again_at) = self.net.queue.in_hand.values().min().copied() {
            self.agenda.put(again_at, SimEvent::DeliverCommands { consumer });
        }
        Some((owner, batch))
    }
}
