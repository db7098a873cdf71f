//! Which streams of a mesh are there, and what follows for those who would make the others.
//!
//! A store that comes back empty may only wait for its restore. Whoever fills it with new streams makes the restore fail, and
//! what agents report into those streams is gone with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{mesh::DURABLE_STREAMS, names::StreamKind, schedulers::SchedulerCard};

/// Which streams of a mesh are there, and which are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamsThere {
    /// Streams that are there, and the sequence of the last message that each ever had.
    pub found: BTreeMap<StreamKind, u64>,
    /// Streams that are not there.
    pub missing: BTreeSet<StreamKind>,
}

impl StreamsThere {
    /// Whether some stream has ever had a message: half-made streams have not.
    pub fn were_used(&self) -> bool {
        self.found.values().any(|last_sequence| *last_sequence > 0)
    }
}

/// Whether the store of a mesh is lost that is known to have had all its streams. A single stream that was removed is no lost
/// store, and neither are streams that only carry what is said again. A restore that puts back one stream after the other
/// looks lost until the last one but one.
pub fn is_store_lost(missing: &BTreeSet<StreamKind>) -> bool {
    // A mesh that an earlier release made has no notices.
    let missing: Vec<_> = missing.iter().filter(|kind| **kind != StreamKind::Notices).collect();
    missing.len() > 1 && DURABLE_STREAMS.iter().any(|kind| missing.contains(&kind))
}

/// What a process may do that finds no mesh, or not all of it, and would make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founding {
    /// The mesh is there, but for a stream at most that its schedulers make anew.
    Exists,
    /// There was never a mesh, as far as anybody can tell: it may be made.
    Make,
    /// Somebody answers who knows a mesh, and has not said yet what became of it.
    Ask,
    /// The mesh was there, and its store is lost.
    Lost,
}

/// Judges what may be made, by what is there and by the schedulers that answer.
pub fn founding(has_identity: bool, streams: &StreamsThere, cards: &[SchedulerCard]) -> Founding {
    if has_identity {
        return if is_store_lost(&streams.missing) { Founding::Lost } else { Founding::Exists };
    }
    if streams.were_used() || cards.iter().any(|card| card.role.store_lost().is_some()) {
        Founding::Lost
    } else if cards.is_empty() {
        Founding::Make
    } else {
        Founding::Ask
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tickmesh_core::{build::Build, message::SCHEMA};

    use super::*;
    use crate::schedulers::{SchedulerRole, StoreLost};

    #[track_caller]
    fn check_lost(missing: &[StreamKind], is_lost: bool) {
        assert_eq!(is_store_lost(&missing.iter().copied().collect()), is_lost, "{missing:?}");
    }

    #[test]
    fn several_streams_with_a_durable_one_are_a_lost_store() {
        use StreamKind::{History, Ledger, Logs, Meta, Orders};
        check_lost(&[], false);
        check_lost(&[Ledger], false);
        check_lost(&[Ledger, StreamKind::Notices], false);
        check_lost(&[Orders, Logs, Meta], false);
        check_lost(&[Ledger, Orders], true);
        check_lost(&[History, Meta], true);
        check_lost(&StreamKind::ALL, true);
    }

    fn card(role: SchedulerRole) -> SchedulerCard {
        let (id, host, version) = ("p1".to_owned(), "h1".to_owned(), "1.2".to_owned());
        SchedulerCard { schema: SCHEMA, id, host, version, build: Build::default(), role, since: Timestamp::UNIX_EPOCH }
    }

    /// What may be done where these streams are missing, and the others ended at that sequence.
    #[track_caller]
    fn check(has_identity: bool, missing: &[StreamKind], ended: u64, roles: &[SchedulerRole], expected: Founding) {
        let missing: BTreeSet<_> = missing.iter().copied().collect();
        let found = StreamKind::ALL.into_iter().filter(|kind| !missing.contains(kind)).map(|kind| (kind, ended));
        let streams = StreamsThere { found: found.collect(), missing };
        let cards: Vec<_> = roles.iter().cloned().map(card).collect();
        assert_eq!(founding(has_identity, &streams, &cards), expected);
    }

    #[test]
    fn mesh_is_made_only_where_nobody_knows_of_one() {
        use Founding::{Ask, Exists, Lost, Make};
        let lost = SchedulerRole::Refusing {
            reason: "the store is lost".to_owned(),
            data_lost: true,
            acceptance: 0,
            store: Some(StoreLost { mesh: None, missing: Vec::new() }),
        };
        let all = &StreamKind::ALL;
        check(true, &[], 9, &[], Exists);
        check(true, &[StreamKind::Ledger], 9, &[SchedulerRole::StandingBy { doubt: None }], Exists);
        check(true, &[StreamKind::Ledger, StreamKind::Apps], 9, &[], Lost);
        check(false, all, 0, &[], Make);
        check(false, all, 0, &[SchedulerRole::Preparing], Ask);
        check(false, all, 0, &[SchedulerRole::Preparing, lost], Lost);
        // Somebody made these and never came to the last one.
        check(false, &[StreamKind::Logs, StreamKind::Meta], 0, &[], Make);
        // A restore has put these back.
        check(false, &[StreamKind::Logs, StreamKind::Meta], 9, &[], Lost);
    }
}
