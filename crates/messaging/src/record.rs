//! Where each record belongs. A record that is found elsewhere was written by a mistake, or by somebody who may write
//! there and not where the record belongs: it is not believed.

use serde::{Serialize, de::DeserializeOwned};
use tickmesh_core::{
    history::RunSummary,
    ledger::{Ledger, LedgerWrite},
    message::{AgentRecord, AppRecord, AttemptReport, Command, LogBatch, MeshEvent, NoticeRecord, Order, TickRecord},
    name::AppName,
};

use crate::{
    address::AttemptAddress,
    lease::LeaseRecord,
    names::{Names, StreamKind},
    notices::NoticePosition,
    topology::MeshRecord,
};

/// Something that is stored under a key or on a subject.
pub trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// Whether the record may be on this subject.
    fn belongs_on(&self, names: &Names, subject: &str) -> bool;
}

/// Implements [`Record`] for records that say nothing of where they belong.
macro_rules! belongs_anywhere {
    ($($record:ty),*) => {
        $(impl Record for $record {
            fn belongs_on(&self, _: &Names, _: &str) -> bool {
                true
            }
        })*
    };
}

belongs_anywhere!(AppRecord, LeaseRecord, MeshEvent, MeshRecord, NoticePosition);

impl Record for Ledger {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        is_ledger_of(self.app.as_ref(), names, subject)
    }
}

impl Record for LedgerWrite {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        is_ledger_of(self.app.as_ref(), names, subject)
    }
}

/// Ledgers of earlier releases do not name their app.
fn is_ledger_of(app: Option<&AppName>, names: &Names, subject: &str) -> bool {
    app.is_none_or(|app| names.key_of(StreamKind::Ledger, subject) == app.as_str())
}

impl Record for AgentRecord {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::Agents, subject) == self.agent.as_str()
    }
}

impl Record for TickRecord {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::Ticks, subject) == self.app.as_str()
    }
}

impl Record for RunSummary {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::History, subject) == self.app.as_str()
    }
}

impl Record for NoticeRecord {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::Notices, subject) == self.app.as_str()
    }
}

impl Record for Command {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::Commands, subject) == self.app.as_str()
    }
}

impl Record for Order {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        names.key_of(StreamKind::Orders, subject) == self.agent.as_str()
    }
}

/// An agent may write only on subjects that end with its own name, so this is what keeps it from reporting for another
/// one.
impl Record for AttemptReport {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        let address = names.parse_result(subject);
        address.is_ok_and(|address| address == AttemptAddress::of(&self.attempt, &self.agent))
    }
}

impl Record for LogBatch {
    fn belongs_on(&self, names: &Names, subject: &str) -> bool {
        let address = names.parse_log(subject);
        address.is_ok_and(|address| address == AttemptAddress::of(&self.attempt, &self.agent))
    }
}
