//! One app in the dispatcher: its ledger in memory, and how far that is recorded.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{
    decide::{Action, Record},
    history::RunSummary,
    id::RequestId,
    ledger::{ActiveRun, Ledger, WriteStamp},
    message::Command,
    name::AppName,
    spec::AppSpec,
};

use super::frozen::Frozen;
use crate::effect::{Effect, Priority};

/// What may be done only when the ledger that it follows from is stored.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    pub(super) actions: Vec<Action>,
    pub(super) confirmations: Vec<RequestId>,
}

impl Consequences {
    /// Urgent if somebody waits for one of them.
    fn priority(&self) -> Priority {
        if self.actions.is_empty() && self.confirmations.is_empty() { Priority::Background } else { Priority::Urgent }
    }

    fn append(&mut self, mut later: Self) {
        self.actions.append(&mut later.actions);
        self.confirmations.append(&mut later.confirmations);
    }
}

/// A write under way.
#[derive(Debug)]
struct Write {
    consequences: Consequences,
    priority: Priority,
    ticks_through: u64,
    history_through: u64,
    notices_through: u64,
    results_needed: Option<u64>,
}

/// What the leader keeps in memory about one app.
#[derive(Debug)]
pub(super) struct AppState {
    pub(super) name: AppName,
    /// The spec at the revision that the ledger has folded.
    pub(super) spec: Option<Arc<AppSpec>>,
    /// The ledger with everything folded in; `None`: the app was never applied.
    pub(super) ledger: Option<Ledger>,
    /// Revision of the stored ledger; 0: none.
    revision: u64,
    /// Results after this sequence are not in the stored ledger; `None`: it has no active run.
    results_needed: Option<u64>,
    /// Something was decided that no write under way contains.
    due: bool,
    /// What follows from it.
    unrecorded: Consequences,
    /// Apart: most apps are at rest.
    write: Option<Box<Write>>,
    written_at: Option<Duration>,
    /// Outbox messages up to these numbers are in the stored ledger, and may be published.
    ticks_recorded: u64,
    history_recorded: u64,
    notices_recorded: u64,
    publishing_tick: bool,
    publishing_history: bool,
    publishing_notice: bool,
    /// Commands that wait for a revision of the app, or for room in the ring of requests.
    pub(super) held: VecDeque<HeldCommand>,
    /// When the clock must be looked at.
    pub(super) wake_at: Option<Timestamp>,
    /// Its place among the apps that wait for an agent.
    pub(super) ticket: Option<Ticket>,
    /// Set while the stored ledger cannot be read.
    pub(super) frozen: Option<Frozen>,
}

/// A command that is not folded yet.
#[derive(Debug)]
pub(super) struct HeldCommand {
    pub(super) sequence: u64,
    pub(super) command: Command,
    /// The run that it wants to be retried.
    pub(super) retried: Retried,
}

/// How far the run that a command wants to be retried is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retried {
    /// Nobody has asked, or has had to.
    Unasked,
    /// The history is being read.
    Asked,
    /// The history was read.
    Read(Option<Box<RunSummary>>),
}

/// Apps that wait for an agent are served in the order of their tickets.
pub(super) type Ticket = u64;

impl AppState {
    pub(super) fn new(name: AppName) -> Self {
        Self {
            name,
            spec: None,
            ledger: None,
            revision: 0,
            results_needed: None,
            due: false,
            unrecorded: Consequences::default(),
            write: None,
            written_at: None,
            ticks_recorded: 0,
            history_recorded: 0,
            notices_recorded: 0,
            publishing_tick: false,
            publishing_history: false,
            publishing_notice: false,
            held: VecDeque::new(),
            wake_at: None,
            ticket: None,
            frozen: None,
        }
    }

    /// The ledger as it was stored when the tenure began: all of it is recorded.
    pub(super) fn load(&mut self, revision: u64, ledger: Ledger) {
        self.revision = revision;
        self.ticks_recorded = ledger.ticks.last_number;
        self.history_recorded = ledger.history.last_number;
        self.notices_recorded = ledger.notices.last_number;
        self.results_needed = results_through(&ledger);
        self.ledger = Some(ledger);
    }

    /// Forgets the ledger: another one is stored now, and cannot be read. What was not recorded never happened. A later
    /// release that wrote it goes on with its attempts when it comes back, and their results are kept for it.
    pub(super) fn freeze(&mut self, frozen: Frozen, by_newer: bool) {
        let needed = if self.ledger.is_some() { self.results_needed_after() } else { Some(0) };
        *self = Self {
            frozen: Some(frozen),
            results_needed: needed.filter(|_| by_newer),
            held: std::mem::take(&mut self.held),
            ticket: self.ticket,
            ..Self::new(self.name.clone())
        };
    }

    /// Revision of the stored ledger.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Results after this sequence are still needed by this app; `None`: none are. What is folded only in memory is
    /// needed by the next leader, and the claim of an open attempt by the compare-and-set that stores its end.
    pub(super) fn results_needed_after(&self) -> Option<u64> {
        let runs = self.ledger.iter().flat_map(|ledger| &ledger.active);
        let claims = runs.flat_map(ActiveRun::claims).map(|claim| claim.sequence.saturating_sub(1));
        claims.chain(self.results_needed).min()
    }

    /// Takes what a decision wants done. Returns what may be done at once, because it waits for no write.
    pub(super) fn take(&mut self, record: Record, consequences: Consequences) -> Consequences {
        self.due |= record == Record::Due;
        if self.due {
            self.unrecorded.append(consequences);
        } else if let Some(write) = &mut self.write {
            write.consequences.append(consequences);
        } else {
            return consequences;
        }
        Consequences::default()
    }

    /// The next write, if one is due, none is under way, and the pace allows it. Orders do not wait for the pace.
    pub(super) fn begin_write(
        &mut self,
        uptime: Duration,
        pace: Duration,
        stamp: impl FnOnce() -> WriteStamp,
    ) -> Option<Effect> {
        if !self.due || self.write.is_some() || self.write_in(uptime, pace) > Duration::ZERO {
            return None;
        }
        let ledger = self.ledger.as_mut()?;
        ledger.write = stamp();
        ledger.app = Some(self.name.clone());
        self.due = false;
        self.written_at = Some(uptime);
        let priority = self.unrecorded.priority();
        self.write = Some(Box::new(Write {
            consequences: std::mem::take(&mut self.unrecorded),
            priority,
            ticks_through: ledger.ticks.last_number,
            history_through: ledger.history.last_number,
            notices_through: ledger.notices.last_number,
            results_needed: results_through(ledger),
        }));
        let (app, ledger, expected) = (self.name.clone(), Box::new(ledger.clone()), self.revision);
        Some(Effect::WriteLedger { app, ledger, expected, priority })
    }

    /// Whether the write under way becomes urgent: nobody had waited for it, and now somebody does.
    pub(super) fn hasten_write(&mut self) -> bool {
        let Some(write) = self.write.as_mut().filter(|write| write.priority == Priority::Background) else {
            return false;
        };
        write.priority = write.consequences.priority().min(self.unrecorded.priority());
        write.priority == Priority::Urgent
    }

    /// How long the next write has to wait for the pace.
    fn write_in(&self, uptime: Duration, pace: Duration) -> Duration {
        let Some(written_at) = self.written_at.filter(|_| self.unrecorded.actions.is_empty()) else {
            return Duration::ZERO;
        };
        (written_at + pace).saturating_sub(uptime)
    }

    /// When a write that waits for the pace should be tried again.
    pub(super) fn paced_until(&self, pace: Duration) -> Option<Duration> {
        let written_at = self.written_at.filter(|_| self.due && self.write.is_none())?;
        Some(written_at + pace)
    }

    /// The write under way is stored: what follows from it may be done.
    pub(super) fn written(&mut self, revision: u64) -> Consequences {
        self.revision = self.revision.max(revision);
        let Some(write) = self.write.take() else { return Consequences::default() };
        self.ticks_recorded = write.ticks_through;
        self.history_recorded = write.history_through;
        self.notices_recorded = write.notices_through;
        self.results_needed = write.results_needed;
        write.consequences
    }

    /// The next messages to publish: one a subject at a time, in order, and only what is recorded.
    pub(super) fn publish(&mut self) -> Vec<Effect> {
        let Some(ledger) = &self.ledger else { return Vec::new() };
        let mut effects = Vec::new();
        if let Some((number, tick)) = ledger.ticks.first()
            && !self.publishing_tick
            && number <= self.ticks_recorded
        {
            self.publishing_tick = true;
            effects.push(Effect::PublishTick { tick: tick.clone(), expected: ledger.ticks.last_sequence });
        }
        if let Some((number, summary)) = ledger.history.first()
            && !self.publishing_history
            && number <= self.history_recorded
        {
            self.publishing_history = true;
            let expected = ledger.history.last_sequence;
            effects.push(Effect::PublishHistory { summary: Box::new(summary.clone()), expected });
        }
        if let Some((number, notice)) = ledger.notices.first()
            && !self.publishing_notice
            && number <= self.notices_recorded
        {
            self.publishing_notice = true;
            let expected = ledger.notices.last_sequence;
            effects.push(Effect::PublishNotice { notice: Box::new(notice.clone()), expected });
        }
        effects
    }

    pub(super) fn tick_published(&mut self) {
        self.publishing_tick = false;
    }

    pub(super) fn history_published(&mut self) {
        self.publishing_history = false;
    }

    pub(super) fn notice_published(&mut self) {
        self.publishing_notice = false;
    }
}

/// How far the results are folded into every active run.
fn results_through(ledger: &Ledger) -> Option<u64> {
    ledger.active.iter().map(|run| run.results_through).min()
}
