//! Numbers as a stored ledger may have them. A ledger is written by this program only, but what is stored can be
//! damaged; beyond these limits adding one more would end the process, and every scheduler after it, so such a ledger is refused when
//! it is read, with the field's name.

use serde::{Deserialize, Deserializer, de::Error};

/// Largest count, revision or sequence. Everybody's JSON is exact up to here, and who counts a thousand a second gets here in 285,000
/// years.
pub(super) const NUMBER_MAX: u64 = 1 << 53;
/// Largest number of attempts of one replica, of any kind. A file may ask for a hundred retries, and the third loss is the last.
pub(super) const ATTEMPTS_MAX: u32 = 1 << 31;

/// A number that can be counted on from.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > NUMBER_MAX {
        return Err(D::Error::custom(format!("{number} is beyond what is ever counted")));
    }
    Ok(number)
}

/// Largest attempt number that a run may skip to: half of what a replica may have.
pub(super) const ATTEMPTS_USED_MAX: u32 = ATTEMPTS_MAX / 2;

/// Deserializes the number that the attempts of a run are counted on from.
pub(super) fn attempts_used<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let attempts = u32::deserialize(deserializer)?;
    if attempts > ATTEMPTS_USED_MAX {
        return Err(D::Error::custom(format!("{attempts} attempts are more than any replica has")));
    }
    Ok(attempts)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::Ledger;

    /// Reads a new app's ledger in which the place at `pointer` says `value`.
    #[track_caller]
    fn check(pointer: &str, value: Value, error: Option<&str>) {
        let mut ledger = Ledger::new(1, Timestamp::UNIX_EPOCH);
        // What is zero would be left out.
        (ledger.counters.decided, ledger.counters.manual.enqueued) = (1, 1);
        let mut stored = serde_json::to_value(ledger).unwrap();
        *stored.pointer_mut(pointer).unwrap() = value;
        let read = serde_json::from_value::<Ledger>(stored);
        assert_eq!(read.err().map(|error| error.to_string()).as_deref(), error, "{pointer}");
    }

    #[test]
    fn what_cannot_be_counted_on_from_is_refused() {
        let error = Some("9007199254740993 is beyond what is ever counted");
        let places =
            ["/last_run", "/counters/decided", "/counters/manual/enqueued", "/ticks/last_sequence", "/write/number"];
        for place in places {
            check(place, json!(NUMBER_MAX), None);
            check(place, json!(NUMBER_MAX + 1), error);
        }
    }

    #[test]
    fn more_messages_than_were_ever_numbered_are_refused() {
        let summary = json!({"run": 1, "outcome": "failed", "finished_at": "2026-01-01T00:00:00Z"});
        check("/recent", json!([summary]), None);
        let mut ledger = Ledger::new(1, Timestamp::UNIX_EPOCH);
        ledger.history.last_number = 1;
        let empty = serde_json::to_value(&ledger.history).unwrap();
        check("/history", empty, None);
        let tick = json!({
            "schema": 1, "number": 1, "app": "a", "scheduled_at": "2026-01-01T00:00:00Z",
            "decided_at": "2026-01-01T00:00:00Z", "admission": {"admission": "start", "run": 1}, "coalesced": 0,
        });
        let ticks = |last_number| json!({"last_number": last_number, "last_sequence": 0, "pending": [tick, tick]});
        check("/ticks", ticks(2), None);
        check("/ticks", ticks(1), Some("2 messages wait, and the last one has the number 1"));
    }
}
