use serde::{Deserialize, Serialize};

use super::{Ledger, Origin, sane};
use crate::message::DiscardReason;

/// What became of every instant: `decided = started + enqueued + dropped + skipped + coalesced` and
/// `enqueued = started_later + expired + flushed + replaced + waiting` hold after every decision (guarantee G2). Runs that
/// people ask for have counters of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Instants decided.
    #[serde(deserialize_with = "sane::number")]
    pub decided: u64,
    /// Instants that started a run at once.
    #[serde(deserialize_with = "sane::number")]
    pub started: u64,
    /// Instants that had to wait.
    #[serde(deserialize_with = "sane::number")]
    pub enqueued: u64,
    /// Instants that found the queue full.
    #[serde(deserialize_with = "sane::number")]
    pub dropped: u64,
    /// Instants of which no run was wanted: the app was paused, a run was active, they were missed, or came too late.
    #[serde(deserialize_with = "sane::number")]
    pub skipped: u64,
    /// Missed instants folded into a later one.
    #[serde(deserialize_with = "sane::number")]
    pub coalesced: u64,
    /// Enqueued instants that started a run in the end.
    #[serde(deserialize_with = "sane::number")]
    pub started_later: u64,
    /// Enqueued instants that waited for longer than they may.
    #[serde(deserialize_with = "sane::number")]
    pub expired: u64,
    /// Enqueued instants thrown away by hand, or with the app.
    #[serde(deserialize_with = "sane::number")]
    pub flushed: u64,
    /// Enqueued instants whose place a newer one took.
    #[serde(deserialize_with = "sane::number")]
    pub replaced: u64,
    /// Runs that people asked for.
    pub manual: RequestCounters,
    /// Runs that people asked for to do again what had not succeeded.
    pub retry: RequestCounters,
}

/// What became of runs that people asked for. `enqueued = started_later + flushed + replaced + waiting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestCounters {
    /// Started at once.
    #[serde(deserialize_with = "sane::number")]
    pub started: u64,
    /// Had to wait.
    #[serde(deserialize_with = "sane::number")]
    pub enqueued: u64,
    /// Found the queue full.
    #[serde(deserialize_with = "sane::number")]
    pub dropped: u64,
    /// Found a run active that must not be overlapped.
    #[serde(deserialize_with = "sane::number")]
    pub skipped: u64,
    /// Waited, and started in the end.
    #[serde(deserialize_with = "sane::number")]
    pub started_later: u64,
    /// Waited, and were thrown away by hand, or with the app.
    #[serde(deserialize_with = "sane::number")]
    pub flushed: u64,
    /// Waited until a newer one took their place.
    #[serde(deserialize_with = "sane::number")]
    pub replaced: u64,
}

impl Counters {
    /// Counts a run that waited and was started.
    pub fn count_started_later(&mut self, origin: Origin) {
        match origin {
            Origin::Tick => self.started_later += 1,
            Origin::Manual => self.manual.started_later += 1,
            Origin::Retry => self.retry.started_later += 1,
        }
    }

    /// Counts a run that waited and was thrown away.
    pub fn count_discarded(&mut self, origin: Origin, reason: DiscardReason) {
        let requests = match origin {
            Origin::Tick => None,
            Origin::Manual => Some(&mut self.manual),
            Origin::Retry => Some(&mut self.retry),
        };
        let count = match (requests, reason) {
            (Some(requests), DiscardReason::Replaced) => &mut requests.replaced,
            // What people ask for has no deadline.
            (Some(requests), DiscardReason::Flushed | DiscardReason::Expired) => &mut requests.flushed,
            (None, DiscardReason::Expired) => &mut self.expired,
            (None, DiscardReason::Flushed) => &mut self.flushed,
            (None, DiscardReason::Replaced) => &mut self.replaced,
        };
        *count += 1;
    }
}

impl Ledger {
    /// Whether every instant and every run that was asked for is accounted for (guarantee G2).
    pub fn is_balanced(&self) -> bool {
        let Counters { decided, started, enqueued, dropped, skipped, coalesced, .. } = self.counters;
        let Counters { started_later, expired, flushed, replaced, manual, retry, .. } = self.counters;
        let waiting = |origin| self.queue.iter().filter(|waiting| waiting.cause.origin() == origin).count() as u64;
        let requests_balanced = |counters: RequestCounters, origin| {
            counters.enqueued == counters.started_later + counters.flushed + counters.replaced + waiting(origin)
        };
        decided == started + enqueued + dropped + skipped + coalesced
            && enqueued == started_later + expired + flushed + replaced + waiting(Origin::Tick)
            && requests_balanced(manual, Origin::Manual)
            && requests_balanced(retry, Origin::Retry)
    }
}
