//! A standby's copy of the mesh's state: every ledger, every heartbeat, and of each app the revisions from
//! the one in force on. A standby that takes over therefore has nothing to load.

use std::{
    collections::{BTreeMap, VecDeque, btree_map},
    vec,
};

use jiff::Timestamp;
use tickmesh_core::{
    decide::AppContent,
    ledger::Ledger,
    message::AgentRecord,
    name::{AgentName, AppName},
};
use tickmesh_messaging::StreamKind;

use super::io::Ends;
use crate::dispatcher::{Event, StateChange};

/// What a standby knows.
#[derive(Debug, Default)]
pub(super) struct StandbyCopy {
    ledgers: BTreeMap<AppName, StoredLedger>,
    agents: BTreeMap<AgentName, Heartbeat>,
    apps: BTreeMap<AppName, Vec<Revision>>,
    through: Ends,
}

#[derive(Debug)]
struct StoredLedger {
    revision: u64,
    ledger: Box<Ledger>,
}

#[derive(Debug)]
struct Heartbeat {
    revision: u64,
    at: Timestamp,
    record: Box<AgentRecord>,
}

#[derive(Debug)]
struct Revision {
    revision: u64,
    at: Timestamp,
    content: AppContent,
}

impl StandbyCopy {
    /// Takes a change in.
    pub(super) fn change(&mut self, change: StateChange) {
        match change {
            StateChange::Ledger { app, revision, ledger } => {
                self.passed(StreamKind::Ledger, revision);
                if let Some(revisions) = self.apps.get_mut(&app) {
                    forget_old(revisions, ledger.app_revision);
                }
                self.ledgers.insert(app, StoredLedger { revision, ledger });
            }
            StateChange::Agent { revision, at, record } => {
                self.passed(StreamKind::Agents, revision);
                self.agents.insert(record.agent.clone(), Heartbeat { revision, at, record });
            }
            StateChange::App { app, revision, at, content } => {
                self.passed(StreamKind::Apps, revision);
                // Mostly there is one, and room for four is what a vector begins with.
                let revisions = self.apps.entry(app).or_insert_with(|| Vec::with_capacity(1));
                revisions.push(Revision { revision, at, content });
            }
        }
    }

    /// Notes that a stream was read up to a sequence.
    pub(super) fn passed(&mut self, stream: StreamKind, sequence: u64) {
        let through = self.through.entry(stream).or_default();
        *through = sequence.max(*through);
    }

    /// How far a stream was read.
    pub(super) fn through(&self, stream: StreamKind) -> u64 {
        self.through.get(&stream).copied().unwrap_or(0)
    }

    /// Whether everything up to these ends was read.
    pub(super) fn has_reached(&self, ends: &Ends) -> bool {
        ends.iter().all(|(stream, end)| self.through(*stream) >= *end)
    }

    /// The revision that the ledger of each app has folded: earlier ones are over.
    pub(super) fn folded(&self) -> BTreeMap<AppName, u64> {
        self.ledgers.iter().map(|(app, stored)| (app.clone(), stored.ledger.app_revision)).collect()
    }

    /// Gives everything away, in the order in which a dispatcher must be told.
    pub(super) fn tell(self) -> Telling {
        Telling {
            ledgers: self.ledgers.into_iter(),
            agents: self.agents.into_iter(),
            apps: self.apps.into_iter(),
            revisions: None,
            later: VecDeque::new(),
        }
    }
}

/// What a dispatcher is told when a tenure begins: ledgers, then agents, then apps, then what has changed
/// meanwhile.
#[derive(Debug)]
pub(super) struct Telling {
    ledgers: btree_map::IntoIter<AppName, StoredLedger>,
    agents: btree_map::IntoIter<AgentName, Heartbeat>,
    apps: btree_map::IntoIter<AppName, Vec<Revision>>,
    revisions: Option<(AppName, vec::IntoIter<Revision>)>,
    later: VecDeque<StateChange>,
}

impl Telling {
    /// Adds a change that came while others are being told.
    pub(super) fn add(&mut self, change: StateChange) {
        self.later.push_back(change);
    }

    fn next_revision(&mut self) -> Option<StateChange> {
        loop {
            if let Some((app, revisions)) = &mut self.revisions
                && let Some(Revision { revision, at, content }) = revisions.next()
            {
                return Some(StateChange::App { app: app.clone(), revision, at, content });
            }
            self.revisions = self.apps.next().map(|(app, revisions)| (app, revisions.into_iter()));
            self.revisions.as_ref()?;
        }
    }
}

impl Iterator for Telling {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if let Some((app, StoredLedger { revision, ledger })) = self.ledgers.next() {
            return Some(Event::Changed(StateChange::Ledger { app, revision, ledger }));
        }
        if let Some((_, Heartbeat { revision, at, record })) = self.agents.next() {
            return Some(Event::Changed(StateChange::Agent { revision, at, record }));
        }
        self.next_revision().map(Event::Changed).or_else(|| self.later.pop_front().map(seen))
    }
}

/// What a change is for a dispatcher that has been told of all ledgers: it is the one who writes them.
pub(super) fn seen(change: StateChange) -> Event {
    match change {
        StateChange::Ledger { app, revision, ledger } => Event::LedgerSeen { app, revision, epoch: ledger.write.epoch },
        StateChange::Agent { .. } | StateChange::App { .. } => Event::Changed(change),
    }
}

/// Only the revision in force and those after it can still matter.
fn forget_old(revisions: &mut Vec<Revision>, folded: u64) {
    revisions.retain(|revision| revision.revision >= folded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stored: &[u64], folded: u64, kept: &[u64]) {
        let revision =
            |revision: &u64| Revision { revision: *revision, at: Timestamp::UNIX_EPOCH, content: AppContent::Removed };
        let mut revisions: Vec<_> = stored.iter().map(revision).collect();
        forget_old(&mut revisions, folded);
        assert_eq!(revisions.iter().map(|it| it.revision).collect::<Vec<_>>(), kept);
    }

    #[test]
    fn the_revision_in_force_and_all_later_ones_are_kept() {
        check(&[2, 5, 9], 0, &[2, 5, 9]);
        check(&[2, 5, 9], 5, &[5, 9]);
        check(&[2, 5, 9], 9, &[9]);
    }
}
