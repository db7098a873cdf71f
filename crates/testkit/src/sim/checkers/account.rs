//! G2 and G3: every instant of a schedule is decided exactly once, and no admission makes more wait than may. The count of
//! instants is the reference schedules' own; only the sums come from the ledger, as `show` would print them.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_core::{
    ledger::{Counters, Ledger, Origin, RequestCounters},
    name::AppName,
    spec::QUEUE_LIMIT_MAX,
};

use super::runs::Editions;
use crate::sim::{generators::Edition, reference_schedules::Rhythm};

/// Ways to split the instants between two schedules that are tried: an edit counts from the moment of its storing, or from as
/// far as the old schedule was decided by then, which only the leader knows.
const SPLITS_MAX: usize = 20_000;

/// What the last stored ledger of an app said.
#[derive(Debug, Default)]
pub(super) struct Account {
    last: Option<Entry>,
    /// Run numbers that were never given out: after a loss they are moved ahead.
    skipped: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    revision: u64,
    through: Timestamp,
    decided: u64,
    waiting: usize,
    queue_limit: usize,
    last_run: u64,
}

impl Account {
    pub(super) fn decided(&self) -> u64 {
        self.last.map_or(0, |last| last.decided)
    }

    /// Begins at a ledger with which people go on after a loss.
    pub(super) fn begin_at(ledger: &Ledger) -> Self {
        let skipped = ledger.last_run - runs_started(&ledger.counters);
        // The file that it was made with may be lost, so its limit is not known.
        Self { last: Some(Entry::of(ledger, QUEUE_LIMIT_MAX as usize)), skipped }
    }

    /// Checks a ledger that was stored.
    pub(super) fn follow(&mut self, app: &AppName, ledger: &Ledger, editions: &Editions) -> anyhow::Result<()> {
        balance(ledger, self.skipped).with_context(|| format!("G2, sums of {:?}", ledger.counters))?;
        let before = self.last.map_or_else(|| first(app, ledger, editions), Ok)?;
        ensure!(ledger.app_revision >= before.revision, "G7: an older file came back");
        ensure!(ledger.decided_through >= before.through, "G2: decided time went back");
        ensure!(ledger.last_run >= before.last_run, "G5: run numbers came back");
        let new: Vec<_> = editions.between(app, before.revision, ledger.app_revision).collect();
        let old = editions.at(app, before.revision).and_then(|edition| edition.rhythm);
        let decided = ledger.counters.decided.checked_sub(before.decided).context("G2: instants were undecided")?;
        let span = Span { through: before.through, end: ledger.decided_through, decided };
        ensure!(span.fits(old, &new, &mut 0), "G2: {decided} instants in ({}, {}]", span.through, span.end);
        self.check_queue(before, ledger, &new)?;
        let limit = new.last().map_or(before.queue_limit, |(_, edition)| queue_limit(edition));
        self.last = Some(Entry::of(ledger, limit));
        Ok(())
    }

    fn check_queue(
        &self,
        before: Entry,
        ledger: &Ledger,
        new: &[&(Timestamp, std::sync::Arc<Edition>)],
    ) -> anyhow::Result<()> {
        let limits = new.iter().map(|(_, edition)| queue_limit(edition)).chain([before.queue_limit]);
        let limit = limits.max().unwrap_or(0).max(before.waiting);
        ensure!(ledger.queue.len() <= limit, "G3: {} wait, where {limit} may", ledger.queue.len());
        Ok(())
    }
}

impl Entry {
    fn of(ledger: &Ledger, queue_limit: usize) -> Self {
        Self {
            revision: ledger.app_revision,
            through: ledger.decided_through,
            decided: ledger.counters.decided,
            waiting: ledger.queue.len(),
            queue_limit,
            last_run: ledger.last_run,
        }
    }
}

/// An app whose first ledger this is: nothing before its first file is decided.
fn first(app: &AppName, ledger: &Ledger, editions: &Editions) -> anyhow::Result<Entry> {
    let (at, _) = editions.between(app, 0, ledger.app_revision).next().context("nobody applied it")?;
    Ok(Entry { revision: 0, through: *at, decided: 0, waiting: 0, queue_limit: 0, last_run: 0 })
}

/// Most that may wait; of a run that takes the place of another one waits.
fn queue_limit(edition: &Edition) -> usize {
    edition.spec.as_ref().map_or(QUEUE_LIMIT_MAX as usize, |spec| spec.queue_limit.max(1) as usize)
}

/// Time that was decided between two writes of a ledger.
#[derive(Debug, Clone, Copy)]
struct Span {
    through: Timestamp,
    end: Timestamp,
    decided: u64,
}

impl Span {
    /// Whether the number of decided instants fits the schedules that were in force.
    fn fits(
        self,
        old: Option<&'static Rhythm>,
        new: &[&(Timestamp, std::sync::Arc<Edition>)],
        tried: &mut usize,
    ) -> bool {
        let count = |end: Timestamp| old.map_or(0, |rhythm| rhythm.count(self.through, end));
        let Some(((at, edition), rest)) = new.split_first() else { return count(self.end) == self.decided };
        let mut begin = (*at).max(self.through);
        while begin <= self.end {
            *tried += 1;
            if *tried > SPLITS_MAX {
                // Beyond what can be told apart.
                return true;
            }
            if let Some(left) = self.decided.checked_sub(count(begin)) {
                let later = Self { through: begin, end: self.end, decided: left };
                if later.fits(edition.rhythm, rest, tried) {
                    return true;
                }
            }
            let Some(next) = old.and_then(|rhythm| rhythm.next_after(begin)) else { return false };
            begin = next;
        }
        false
    }
}

/// Runs that were ever started, as the counters say.
fn runs_started(counters: &Counters) -> u64 {
    let by_people = [counters.manual, counters.retry].map(|counters| counters.started + counters.started_later);
    counters.started + counters.started_later + by_people.iter().sum::<u64>()
}

fn balance(ledger: &Ledger, skipped: u64) -> anyhow::Result<()> {
    let Counters { decided, started, enqueued, dropped, skipped: left_out, coalesced, .. } = ledger.counters;
    let Counters { started_later, expired, flushed, replaced, manual, retry, .. } = ledger.counters;
    let waiting = |origin| ledger.queue.iter().filter(|waiting| waiting.cause.origin() == origin).count() as u64;
    ensure!(decided == started + enqueued + dropped + left_out + coalesced, "instants are missing");
    let ticks = waiting(Origin::Tick);
    ensure!(enqueued == started_later + expired + flushed + replaced + ticks, "{ticks} ticks wait");
    check_requests(manual, waiting(Origin::Manual)).context("runs by hand")?;
    check_requests(retry, waiting(Origin::Retry)).context("retries")?;
    let runs = runs_started(&ledger.counters);
    ensure!(
        runs + skipped == ledger.last_run,
        "G5: {runs} runs were started, and the last one has the number {}",
        ledger.last_run
    );
    Ok(())
}

fn check_requests(counters: RequestCounters, waiting: u64) -> anyhow::Result<()> {
    let RequestCounters { enqueued, started_later, flushed, replaced, .. } = counters;
    ensure!(enqueued == started_later + flushed + replaced + waiting, "{waiting} wait");
    Ok(())
}
