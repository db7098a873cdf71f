//! G2 and G3: every instant of the schedule is decided exactly once, and no admission makes more wait than may. The count
//! is the almanac's own; only the sums come from the ledger.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use tickmesh_core::{
    decide::Tenure,
    ledger::{Ledger, Verdict},
    message::{Admission, TickRecord},
    time,
};

use super::super::almanac::Rhythm;

/// What is known of an app's instants up to now. Goes with the ledger: what a crash takes back, it takes back here too.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Account {
    rhythm: Option<&'static Rhythm>,
    /// When this rhythm began to count.
    begin: Timestamp,
    /// Instants of the rhythms before it.
    closed: u64,
}

/// A decision, as the checker sees it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Seen<'a> {
    pub(in super::super) before: &'a Ledger,
    pub(in super::super) after: &'a Ledger,
    /// Up to when it had to decide.
    pub(in super::super) through: Through,
    /// Most that may wait, under the revision of before.
    pub(in super::super) queue_limit: usize,
    pub(in super::super) now: Timestamp,
    pub(in super::super) tenure: Tenure,
    pub(in super::super) late_after: Duration,
}

/// Up to when a decision had to decide every instant.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Through {
    /// Up to now, as any input but a revision of the app asks for.
    Now,
    /// Up to the moment of a new revision, from which on another rhythm counts.
    Edit(Timestamp, Option<&'static Rhythm>),
    /// No further: the revision was folded before.
    Nothing,
}

impl Account {
    pub(in super::super) fn new(begin: Timestamp) -> Self {
        Self { rhythm: None, begin, closed: 0 }
    }

    /// Checks a decision, and follows it.
    pub(in super::super) fn follow(&mut self, seen: &Seen<'_>) -> anyhow::Result<()> {
        balance(seen.after).with_context(|| format!("G2, sums of {:?}", seen.after.counters))?;
        self.check_ticks(seen).context("G2, tick messages")?;
        check_queue(seen).context("G3")?;
        match seen.through {
            Through::Nothing => Ok(()),
            Through::Now => self.check_complete(seen.after, seen.now),
            Through::Edit(at, rhythm) => {
                let begin = at.max(seen.before.decided_through);
                ensure!(seen.after.decided_through == begin, "G2: the edit of {at} counts from another moment");
                self.closed += self.count(self.begin, begin);
                (self.rhythm, self.begin) = (rhythm, begin);
                Ok(())
            }
        }?;
        let expect = self.closed + self.count(self.begin, seen.after.decided_through);
        let decided = seen.after.counters.decided;
        ensure!(decided == expect, "G2: {decided} instants were decided, and there were {expect}");
        Ok(())
    }

    fn count(&self, after: Timestamp, through: Timestamp) -> u64 {
        self.rhythm.map_or(0, |rhythm| rhythm.count(after, through))
    }

    fn check_complete(&self, after: &Ledger, now: Timestamp) -> anyhow::Result<()> {
        let left = self.count(after.decided_through.max(self.begin), now);
        ensure!(left == 0, "G2: {left} instants up to {now} were left undecided");
        Ok(())
    }

    /// The new tick messages tile the time since the last decision, instant by instant.
    fn check_ticks(&self, seen: &Seen<'_>) -> anyhow::Result<()> {
        let mut through = seen.before.decided_through;
        let first_on_time = time::before(seen.now, seen.late_after).max(seen.tenure.since);
        for (index, tick) in new_ticks(seen).enumerate() {
            let rhythm = self.rhythm.context("a tick without a schedule")?;
            ensure!(rhythm.is_due(tick.scheduled_at), "{} is no instant of {}", tick.scheduled_at, rhythm.expression);
            let instants = rhythm.count(through, tick.scheduled_at);
            ensure!(instants == tick.coalesced + 1, "{instants} instants, of which {tick:?}");
            let missed = tick.scheduled_at < first_on_time;
            ensure!(index == 0 || !missed, "several ticks of missed instants");
            ensure!(missed || tick.coalesced == 0, "instants that were not missed were coalesced");
            through = tick.scheduled_at;
        }
        Ok(())
    }
}

fn new_ticks<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a TickRecord> {
    let known = seen.before.ticks.last_number;
    let is_decision = |tick: &&TickRecord| !matches!(tick.admission, Admission::Discard { .. });
    seen.after.ticks.pending.iter().filter(move |tick| tick.number > known).filter(is_decision)
}

fn balance(ledger: &Ledger) -> anyhow::Result<()> {
    ensure!(ledger.is_balanced(), "{:?}", ledger.queue);
    let (counters, manual) = (&ledger.counters, &ledger.counters.manual);
    let runs = counters.started + counters.started_later + manual.started + manual.started_later;
    ensure!(runs == ledger.last_run, "the last run has the number {}", ledger.last_run);
    Ok(())
}

fn check_queue(seen: &Seen<'_>) -> anyhow::Result<()> {
    let (before, after, limit) = (seen.before.queue.len(), seen.after.queue.len(), seen.queue_limit);
    ensure!(after <= before.max(limit), "{after} wait, where {limit} may");
    let by_hand = seen.after.requests.back().filter(|_| seen.after.requests.len() != seen.before.requests.len());
    let enqueued = new_ticks(seen).filter_map(|tick| match tick.admission {
        Admission::Enqueue { waiting } => Some(waiting),
        Admission::Start { .. } | Admission::Drop { .. } | Admission::Skip { .. } | Admission::Discard { .. } => None,
    });
    let enqueued = enqueued.chain(by_hand.and_then(|handled| match handled.verdict {
        Verdict::Enqueued { waiting } => Some(waiting),
        Verdict::Started { .. }
        | Verdict::Dropped { .. }
        | Verdict::Skipped { .. }
        | Verdict::Paused
        | Verdict::Resumed { .. }
        | Verdict::Flushed { .. }
        | Verdict::Stopping { .. }
        | Verdict::Refused { .. } => None,
    }));
    let waiting: Vec<u32> = enqueued.collect();
    ensure!(waiting.iter().all(|waiting| *waiting as usize <= limit), "{waiting:?} waited, where {limit} may");
    let dropped = new_ticks(seen).any(|tick| matches!(tick.admission, Admission::Drop { .. }));
    ensure!(!dropped || before + waiting.len() >= limit, "a tick was dropped with {before} waiting");
    Ok(())
}
