//! What became of every instant and of every run that somebody asked for.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};

use super::{Ledger, bounds};
use crate::{cause::Origin, message::DiscardReason};

/// What became of every instant: `decided = started + enqueued + dropped + skipped + coalesced` and
/// `enqueued = started_later + expired + flushed + replaced + waiting` hold after every decision (guarantee G2). Runs that
/// people ask for have counters of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Instants decided.
    #[serde(deserialize_with = "bounds::number")]
    pub decided: u64,
    /// Instants that started a run at once.
    #[serde(deserialize_with = "bounds::number")]
    pub started: u64,
    /// Instants that had to wait.
    #[serde(deserialize_with = "bounds::number")]
    pub enqueued: u64,
    /// Instants that found the queue full.
    #[serde(deserialize_with = "bounds::number")]
    pub dropped: u64,
    /// Instants of which no run was wanted: the app was paused, a run was active, they were missed, or came too late.
    #[serde(deserialize_with = "bounds::number")]
    pub skipped: u64,
    /// Missed instants folded into a later one.
    #[serde(deserialize_with = "bounds::number")]
    pub coalesced: u64,
    /// Enqueued instants that started a run in the end.
    #[serde(deserialize_with = "bounds::number")]
    pub started_later: u64,
    /// Enqueued instants that waited for longer than they may.
    #[serde(deserialize_with = "bounds::number")]
    pub expired: u64,
    /// Enqueued instants thrown away by hand, or with the app.
    #[serde(deserialize_with = "bounds::number")]
    pub flushed: u64,
    /// Enqueued instants whose place a newer one took.
    #[serde(deserialize_with = "bounds::number")]
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
    #[serde(deserialize_with = "bounds::number")]
    pub started: u64,
    /// Had to wait.
    #[serde(deserialize_with = "bounds::number")]
    pub enqueued: u64,
    /// Found the queue full.
    #[serde(deserialize_with = "bounds::number")]
    pub dropped: u64,
    /// Found a run active that must not be overlapped.
    #[serde(deserialize_with = "bounds::number")]
    pub skipped: u64,
    /// Waited, and started in the end.
    #[serde(deserialize_with = "bounds::number")]
    pub started_later: u64,
    /// Waited, and were thrown away by hand, or with the app.
    #[serde(deserialize_with = "bounds::number")]
    pub flushed: u64,
    /// Waited until a newer one took their place.
    #[serde(deserialize_with = "bounds::number")]
    pub replaced: u64,
}

/// Counters as a ledger has them: those that are zero are left out. Most are, for ever, and all of them are a quarter of a ledger.
pub(super) fn without_zeros<S: Serializer>(counters: &Counters, serializer: S) -> Result<S::Ok, S::Error> {
    let Counters { decided, started, enqueued, dropped, skipped, coalesced, .. } = *counters;
    let Counters { started_later, expired, flushed, replaced, manual, retry, .. } = *counters;
    let counts = [
        ("decided", decided),
        ("started", started),
        ("enqueued", enqueued),
        ("dropped", dropped),
        ("skipped", skipped),
        ("coalesced", coalesced),
        ("started_later", started_later),
        ("expired", expired),
        ("flushed", flushed),
        ("replaced", replaced),
    ];
    let mut map = serializer.serialize_map(None)?;
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        map.serialize_entry(name, &count)?;
    }
    let requests = [("manual", manual), ("retry", retry)];
    for (name, requests) in requests.into_iter().filter(|(_, requests)| *requests != RequestCounters::default()) {
        map.serialize_entry(name, &requests)?;
    }
    map.end()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Stored(#[serde(serialize_with = "without_zeros")] Counters);

    fn requests(first: u64) -> RequestCounters {
        RequestCounters {
            started: first,
            enqueued: first + 1,
            dropped: first + 2,
            skipped: first + 3,
            started_later: first + 4,
            flushed: first + 5,
            replaced: first + 6,
        }
    }

    #[test]
    fn what_is_left_out_is_zero_and_nothing_else_is() {
        let all = Counters {
            decided: 1,
            started: 2,
            enqueued: 3,
            dropped: 4,
            skipped: 5,
            coalesced: 6,
            started_later: 7,
            expired: 8,
            flushed: 9,
            replaced: 10,
            manual: requests(11),
            retry: requests(18),
        };
        let stored = serde_json::to_value(Stored(all)).unwrap();
        assert_eq!(serde_json::from_value::<Counters>(stored).unwrap(), all);
        let some = Counters { decided: 3, coalesced: 2, started: 1, ..Counters::default() };
        let stored = serde_json::to_string(&Stored(some)).unwrap();
        assert_eq!(stored, r#"{"decided":3,"started":1,"coalesced":2}"#);
        assert_eq!(serde_json::from_str::<Counters>(&stored).unwrap(), some);
    }
}
