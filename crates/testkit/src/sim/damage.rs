//! Records that nobody can read: somebody else, or a release that is not understood, has written them. What one of them
//! does reaches no further than what it names.

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;

use super::{
    event::SimEvent,
    fault_injection::Relief,
    faults::Fault,
    net::{Kind, Record, Stored},
    world::World,
};

/// Whose records are damaged.
const DAMAGED: [Kind; 6] = [Kind::Lease, Kind::Ledger, Kind::Agents, Kind::Results, Kind::Ticks, Kind::History];

/// A record that was written over.
#[derive(Debug)]
pub(super) struct Damaged {
    kind: Kind,
    subject: Arc<str>,
    record: Record,
}

impl World {
    /// Something that nobody can read is stored in the place of some record.
    pub(super) fn damage_record(&mut self, delay: Duration) {
        // A store that lost data has one fault already, and nobody leads who could mend another one.
        if self.context.net.regressed || self.context.net.is_lost {
            return;
        }
        let kind = DAMAGED[self.context.random.random_range(0..DAMAGED.len())];
        let stored: Vec<_> = self.context.net.stream(kind).last_per_subject();
        let readable: Vec<_> = stored.into_iter().filter(|stored| stored.record.is_readable()).collect();
        if readable.is_empty() {
            return;
        }
        let victim = readable[self.context.random.random_range(0..readable.len())].clone();
        self.context.count(Fault::RecordDamaged);
        match kind {
            Kind::Ledger => {
                self.context.count(Fault::LedgerUnreadable);
                self.remember(kind, victim.clone(), delay);
            }
            Kind::Lease => {
                self.context.count(Fault::LeaseDamaged);
                self.remember(kind, victim.clone(), delay);
            }
            Kind::Agents => self.context.count(Fault::AgentKeyDamaged),
            Kind::Apps
            | Kind::Commands
            | Kind::Orders
            | Kind::Results
            | Kind::Ticks
            | Kind::History
            | Kind::Notices => {}
        }
        self.context.damage(kind, &victim.subject);
    }

    fn remember(&mut self, kind: Kind, Stored { subject, record, .. }: Stored, delay: Duration) {
        self.damaged.push(Damaged { kind, subject, record });
        self.context.later(delay, SimEvent::Relief(Relief::Records));
    }

    /// Somebody puts back what was written over, where nobody else has written since.
    pub(super) fn mend_records(&mut self) {
        for Damaged { kind, subject, record } in std::mem::take(&mut self.damaged) {
            let last = self.context.net.stream(kind).last(&subject);
            if last.is_some_and(|last| !last.record.is_readable()) {
                self.context.store(kind, &subject, record, None);
            }
        }
    }
}
