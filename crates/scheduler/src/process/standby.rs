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
use crate::dispatcher::{Event, StateChange, UnreadableLedger};

/// What a standby knows.
#[derive(Debug, Default)]
pub(super) struct StandbyCopy {
    ledgers: BTreeMap<AppName, StoredLedger>,
    agents: BTreeMap<AgentName, Heartbeat>,
    apps: BTreeMap<AppName, StoredApp>,
    through: Ends,
}

#[derive(Debug)]
struct StoredLedger {
    revision: u64,
    ledger: Result<Box<Ledger>, UnreadableLedger>,
}

/// The last word on an agent's key.
#[derive(Debug)]
enum Heartbeat {
    Record { revision: u64, at: Timestamp, record: Box<AgentRecord> },
    Unreadable { revision: u64 },
}

/// An app's revisions.
#[derive(Debug)]
struct StoredApp {
    /// The newest one that was read.
    newest: u64,
    /// Those that can still matter, oldest first.
    kept: Vec<Revision>,
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
                if let (Some(stored), Ok(ledger)) = (self.apps.get_mut(&app), &ledger) {
                    forget_old(&mut stored.kept, ledger.app_revision);
                }
                self.ledgers.insert(app, StoredLedger { revision, ledger });
            }
            StateChange::Agent { revision, at, record } => {
                self.passed(StreamKind::Agents, revision);
                self.agents.insert(record.agent.clone(), Heartbeat::Record { revision, at, record });
            }
            StateChange::UnreadableAgent { agent, revision } => {
                self.passed(StreamKind::Agents, revision);
                self.agents.insert(agent, Heartbeat::Unreadable { revision });
            }
            StateChange::App { app, revision, at, content } => {
                self.passed(StreamKind::Apps, revision);
                // Mostly there is one, and room for four is what a vector begins with.
                let first = || StoredApp { newest: 0, kept: Vec::with_capacity(1) };
                let stored = self.apps.entry(app).or_insert_with(first);
                stored.newest = revision.max(stored.newest);
                stored.kept.push(Revision { revision, at, content });
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
        let folded = |stored: &StoredLedger| stored.ledger.as_ref().ok().map(|ledger| ledger.app_revision);
        self.ledgers.iter().filter_map(|(app, stored)| Some((app.clone(), folded(stored)?))).collect()
    }

    /// Returns the apps whose ledgers had folded these revisions, although there is no record of one of them or of a later one.
    /// Removed apps have one that says so. `folded` must be from before the apps were read: then they were stored by then.
    pub(super) fn apps_lost(&self, folded: &BTreeMap<AppName, u64>) -> Vec<AppName> {
        let newest = |app: &AppName| self.apps.get(app).map_or(0, |stored| stored.newest);
        folded.iter().filter(|(app, revision)| newest(app) < **revision).map(|(app, _)| app.clone()).collect()
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
    apps: btree_map::IntoIter<AppName, StoredApp>,
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
            self.revisions = self.apps.next().map(|(app, stored)| (app, stored.kept.into_iter()));
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
        if let Some((agent, heartbeat)) = self.agents.next() {
            return Some(Event::Changed(match heartbeat {
                Heartbeat::Record { revision, at, record } => StateChange::Agent { revision, at, record },
                Heartbeat::Unreadable { revision } => StateChange::UnreadableAgent { agent, revision },
            }));
        }
        self.next_revision().map(Event::Changed).or_else(|| self.later.pop_front().map(seen))
    }
}

/// What a change is for a dispatcher that has been told of all ledgers: it is the one who writes them.
pub(super) fn seen(change: StateChange) -> Event {
    match change {
        StateChange::Ledger { app, revision, ledger: Ok(ledger) } => {
            Event::LedgerSeen { app, revision, epoch: ledger.write.epoch }
        }
        StateChange::Ledger { app, revision, ledger: Err(problem) } => {
            Event::LedgerUnreadable { app, revision, problem }
        }
        StateChange::Agent { .. } | StateChange::UnreadableAgent { .. } | StateChange::App { .. } => {
            Event::Changed(change)
        }
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

    /// The revisions of an app that are stored, one that its ledger had folded when they were read, and whether that is a loss.
    #[track_caller]
    fn check_lost(stored: &[u64], folded: u64, is_lost: bool) {
        let (mut copy, app) = (StandbyCopy::default(), AppName::new("nightly").unwrap());
        for revision in stored {
            let (app, at) = (app.clone(), Timestamp::UNIX_EPOCH);
            copy.change(StateChange::App { app, revision: *revision, at, content: AppContent::Removed });
        }
        let ledger = |revision| Ok(Box::new(Ledger::new(revision, Timestamp::UNIX_EPOCH)));
        // The leader has folded a later revision meanwhile, which has not come yet.
        copy.change(StateChange::Ledger { app: app.clone(), revision: 7, ledger: ledger(99) });
        let lost = copy.apps_lost(&[(app.clone(), folded)].into());
        assert_eq!(lost, if is_lost { vec![app] } else { vec![] });
    }

    #[test]
    fn an_app_that_was_folded_and_is_gone_is_lost() {
        check_lost(&[], 0, false);
        check_lost(&[], 5, true);
        check_lost(&[2, 4], 5, true);
        check_lost(&[2, 5], 5, false);
        check_lost(&[9], 5, false);
    }
}
