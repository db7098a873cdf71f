//! How the event of a report is stored. An attempt that was given back is stored as one that its agent revoked, with a mark
//! beside it: the release before passes over the mark, places the replica anew, and counts nothing, which is what is meant.
//! Under a name of its own that release could not read the message, and would take the attempt for lost.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AttemptEvent, Revoker};

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(flatten)]
    event: AttemptEvent,
    /// The agent had claimed the attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    returned: bool,
}

pub(super) fn serialize<S: Serializer>(event: &AttemptEvent, serializer: S) -> Result<S::Ok, S::Error> {
    match event {
        AttemptEvent::Returned { reason } => {
            let event = AttemptEvent::Revoked { by: Revoker::Agent, reason: reason.clone() };
            Wire { event, returned: true }.serialize(serializer)
        }
        AttemptEvent::Claimed { .. }
        | AttemptEvent::Revoked { .. }
        | AttemptEvent::Cancelled { .. }
        | AttemptEvent::Exited { .. }
        | AttemptEvent::TimedOut { .. }
        | AttemptEvent::CouldNotStart { .. }
        | AttemptEvent::Lost { .. } => event.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AttemptEvent, D::Error> {
    let Wire { event, returned } = Wire::deserialize(deserializer)?;
    match event {
        AttemptEvent::Revoked { by: Revoker::Agent, reason } if returned => Ok(AttemptEvent::Returned { reason }),
        event => Ok(event),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        #[serde(with = "super")]
        event: AttemptEvent,
    }

    #[track_caller]
    fn check(event: AttemptEvent, stored: serde_json::Value) {
        let holder = Holder { event };
        assert_eq!(serde_json::to_value(&holder).unwrap(), json!({ "event": stored }));
        assert_eq!(serde_json::from_value::<Holder>(json!({ "event": stored })).unwrap(), holder);
    }

    #[test]
    fn returned_attempt_is_stored_as_one_that_its_agent_revoked() {
        let reason = || "no answer".to_owned();
        let revoked = json!({"event": "revoked", "by": "agent", "reason": "no answer"});
        check(AttemptEvent::Revoked { by: Revoker::Agent, reason: reason() }, revoked.clone());
        let mut returned = revoked.clone();
        returned["returned"] = json!(true);
        check(AttemptEvent::Returned { reason: reason() }, returned.clone());
        // The release before reads the event alone.
        let before: AttemptEvent = serde_json::from_value(returned).unwrap();
        assert_eq!(before, AttemptEvent::Revoked { by: Revoker::Agent, reason: reason() });
    }

    #[test]
    fn other_events_are_stored_as_they_were() {
        check(AttemptEvent::Cancelled { exit_code: None }, json!({"event": "cancelled", "exit_code": null}));
        let exited = AttemptEvent::Exited {
            exit_code: -1,
            oom_killed: true,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
        let stored =
            json!({"event": "exited", "exit_code": -1, "oom_killed": true, "started_at": null, "finished_at": null});
        check(exited, stored);
    }
}
