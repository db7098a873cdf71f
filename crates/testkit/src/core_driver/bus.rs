//! What lies between the leader and the agents: streams and the store, the clock, chance, and the witnesses of it all.

use std::time::Duration;

use jiff::Timestamp;
use rand::{RngExt as _, rngs::StdRng};
use tickmesh_core::{
    decide::AppContent,
    history::RunSummary,
    ledger::Ledger,
    message::{AttemptReport, Command, TickRecord},
    time,
    timing::Timing,
};

use super::{
    checkers::{Account, Published, Witness},
    faults::{Fault, Summary},
    makers::{Revision, bytes},
    subject::{Refused, Results, Subject},
};

/// Whether things go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Rough,
    Calm,
}

/// The stored ledger, and what the checkers know of it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) revision: u64,
    pub(super) ledger: Ledger,
    pub(super) account: Account,
}

/// A message of the work queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: Command,
    pub(super) delivered: bool,
    pub(super) acknowledged: bool,
}

#[derive(Debug)]
pub(super) struct Bus {
    pub(super) random: StdRng,
    pub(super) now: Timestamp,
    pub(super) timing: Timing,
    pub(super) weather: Weather,
    /// One container in so many is removed by hand: in some histories replicas are lost again and again.
    pub(super) loss_odds: u32,
    pub(super) results: Results,
    pub(super) ticks: Subject<TickRecord>,
    pub(super) history: Subject<RunSummary>,
    pub(super) apps: Vec<Revision>,
    pub(super) commands: Vec<Entry>,
    pub(super) stored: Stored,
    pub(super) witness: Witness,
    pub(super) summary: Summary,
}

impl Bus {
    pub(super) fn new(random: StdRng, now: Timestamp) -> Self {
        Self {
            random,
            now,
            timing: Timing::default(),
            weather: Weather::Rough,
            loss_odds: 30,
            results: Results::default(),
            ticks: Subject::default(),
            history: Subject::default(),
            apps: Vec::new(),
            commands: Vec::new(),
            stored: Stored { revision: 1, ledger: Ledger::new(0, now), account: Account::new(now) },
            witness: Witness::default(),
            summary: Summary::default(),
        }
    }

    /// True once in `of` times, and never when it is calm.
    pub(super) fn mishap(&mut self, of: u32) -> bool {
        self.weather == Weather::Rough && self.random.random_ratio(1, of)
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *self.summary.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now = time::after(self.now, duration);
    }

    pub(super) fn random_bytes(&mut self) -> [u8; 16] {
        bytes(&mut self.random)
    }

    /// Stores a message about an attempt, if `expected` is the sequence of its subject's last one.
    pub(super) fn report(&mut self, report: AttemptReport, expected: u64) -> anyhow::Result<Result<u64, Refused>> {
        let published = self.results.publish(report.clone(), expected);
        if published.is_ok() {
            self.witness.reported(&report)?;
        }
        Ok(published)
    }

    /// Stores a ledger, if the stored one has the revision that the writer knows.
    pub(super) fn record(&mut self, known: u64, ledger: &Ledger, account: Account) -> anyhow::Result<Option<u64>> {
        if known != self.stored.revision {
            return Ok(None);
        }
        self.witness.recorded(ledger)?;
        self.stored = Stored { revision: known + 1, ledger: ledger.clone(), account };
        Ok(Some(known + 1))
    }

    /// Publishes the first message of an outbox as protocol rule P11 has it; returns what is stored now: a number, and
    /// its sequence.
    pub(super) fn publish_tick(&mut self, tick: &TickRecord, last_sequence: u64) -> anyhow::Result<(u64, u64)> {
        tick.check(&self.ticks.messages)?;
        let (stored, fault) = publish(&mut self.ticks, tick, last_sequence);
        fault.into_iter().for_each(|fault| self.count(fault));
        Ok(stored)
    }

    /// The same for the history.
    pub(super) fn publish_summary(&mut self, summary: &RunSummary, last_sequence: u64) -> anyhow::Result<(u64, u64)> {
        summary.check(&self.history.messages)?;
        self.witness.summed_up(summary)?;
        let (stored, fault) = publish(&mut self.history, summary, last_sequence);
        fault.into_iter().for_each(|fault| self.count(fault));
        Ok(stored)
    }

    /// A revision of the app, by number.
    pub(super) fn revision(&self, number: u64) -> Option<&Revision> {
        self.apps.iter().find(|it| it.change.revision == number)
    }

    /// The oldest revision after this one.
    pub(super) fn revision_after(&self, number: u64) -> Option<&Revision> {
        self.apps.iter().find(|it| it.change.revision > number)
    }

    /// The newest revision.
    pub(super) fn newest_revision(&self) -> u64 {
        self.apps.last().map_or(0, |it| it.change.revision)
    }

    /// The newest tombstone up to this revision.
    pub(super) fn tombstone(&self, through: u64) -> u64 {
        let removed = |it: &&Revision| matches!(it.change.content, AppContent::Removed);
        let known = self.apps.iter().filter(|it| it.change.revision <= through);
        known.filter(removed).map(|it| it.change.revision).max().unwrap_or(0)
    }
}

fn publish<T: Published>(subject: &mut Subject<T>, message: &T, last_sequence: u64) -> ((u64, u64), Option<Fault>) {
    match subject.publish(message.clone(), last_sequence) {
        Ok(sequence) => ((message.number(), sequence), None),
        Err(Refused { last_sequence }) => {
            let there = subject.messages.last().map_or(0, Published::number);
            if there >= message.number() {
                return ((there, last_sequence), Some(Fault::PublishRefused));
            }
            // A lower number is there: ours goes after it. Nobody writes between these two lines.
            let sequence = subject.publish(message.clone(), last_sequence).unwrap_or(last_sequence);
            ((message.number(), sequence), Some(Fault::PublishRefused))
        }
    }
}
