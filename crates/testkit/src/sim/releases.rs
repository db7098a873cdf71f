//! Schedulers of the release before. They run the same code, for only that is at hand, but they neither see nor write the
//! fields that their release does not have: what a newer one added to a record is gone once they have written it.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::net::{Record, Stored};

/// Fields of a ledger that the release before does not have; `*` stands for each element of a list. `attempts_used` of an
/// active run is not among them: without it, numbers of attempts that a loss of data has used up are given out again, and
/// nobody can mend that in a program that is built already (docs/how-to/upgrade.md says so).
const LEDGER: [&[&str]; 6] =
    [&["app"], &["retained"], &["notices"], &["told"], &["active", "*", "end_asked_at"], &["active", "*", "refusals"]];
/// Fields of a heartbeat that the release before does not have.
const HEARTBEAT: [&[&str]; 3] = [&["engine_trouble"], &["policy"], &["stock"]];
/// Fields of a command that the release before does not have.
const COMMAND: [&[&str]; 1] = [&["kind", "force"]];

/// What the release before sees of a record, and writes of it.
pub(in crate::sim) fn as_before(record: &Record) -> Record {
    match record {
        Record::Ledger(ledger) => Record::Ledger(Arc::new(without(&**ledger, &LEDGER))),
        Record::Command(command) => Record::Command(Arc::new(without(&**command, &COMMAND))),
        Record::Agent(record) => Record::Agent(Arc::new(without(&**record, &HEARTBEAT))),
        Record::Lease(_)
        | Record::App(_)
        | Record::Order(_)
        | Record::Report(_)
        | Record::Tick(_)
        | Record::History(_)
        | Record::Notice(_)
        | Record::Unreadable(_) => record.clone(),
    }
}

/// What the release before sees of a stored record.
pub(in crate::sim) fn seen_before(stored: &Stored) -> Stored {
    Stored { record: as_before(&stored.record), ..stored.clone() }
}

fn without<T: Serialize + DeserializeOwned>(record: &T, fields: &[&[&str]]) -> T {
    let mut value = serde_json::to_value(record).expect("a record has a JSON form");
    fields.iter().for_each(|path| remove(&mut value, path));
    serde_json::from_value(value).expect("a record can do without a field that was added")
}

fn remove(value: &mut Value, path: &[&str]) {
    match (path, value) {
        ([field], Value::Object(fields)) => {
            fields.remove(*field);
        }
        (["*", rest @ ..], Value::Array(elements)) => elements.iter_mut().for_each(|element| remove(element, rest)),
        ([field, rest @ ..], Value::Object(fields)) => {
            if let Some(inner) = fields.get_mut(*field) {
                remove(inner, rest);
            }
        }
        (_, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tickmesh_core::{
        id::RequestId,
        ledger::{Cause, Ledger, ReplicaState, WriteStamp},
        message::{AgentRecord, Command, CommandKind, EngineStock, EngineTrouble, SCHEMA},
        outcome::Outcome,
        policy::HostPolicy,
    };

    use super::*;
    use crate::records;

    /// Or else what is left out has another name, and nobody leaves it out.
    #[test]
    fn every_field_of_the_lists_is_one_that_is_stored() {
        let mut ledger = serde_json::to_value(records::ledger(vec![records::active(
            1,
            Cause::Schedule,
            vec![ReplicaState::Ended { outcome: Outcome::Succeeded, agent: None }],
        )]))
        .unwrap();
        let plain = ledger.clone();
        ledger["app"] = json!("nightly");
        ledger["retained"] = json!([{"run": 1, "environment": {"A": "b"}}]);
        ledger["notices"] = json!({"last_number": 7, "last_sequence": 9, "given_up": 0, "pending": []});
        ledger["told"] = json!({"failures": 2, "invalid": true});
        ledger["active"][0]["end_asked_at"] = json!("2026-11-22T01:30:00Z");
        ledger["active"][0]["refusals"] = json!([{"service": 0, "agent": "h1"}]);
        let full: Ledger = serde_json::from_value(ledger.clone()).unwrap();
        assert_eq!(serde_json::to_value(&full).unwrap(), ledger, "each of them is stored");
        assert_eq!(serde_json::to_value(without(&full, &LEDGER)).unwrap(), plain);
        assert_eq!(without(&full, &LEDGER).write, WriteStamp::default());

        let plain = records::heartbeat(std::iter::empty()).value;
        let full = AgentRecord {
            engine_trouble: Some(EngineTrouble { since: records::now(), reason: String::new(), lasting: true }),
            policy: Some(HostPolicy::default()),
            stock: EngineStock { networks: Some([].into()), volumes: None },
            ..plain.clone()
        };
        assert_eq!(without(&full, &HEARTBEAT), plain);

        let command = |force| Command {
            schema: SCHEMA,
            request: RequestId::from_random([1; 16]),
            app: records::app(),
            app_revision: 1,
            by: "me".to_owned(),
            at: records::now(),
            kind: CommandKind::Cancel { run: None, force },
        };
        assert_eq!(without(&command(true), &COMMAND), command(false));
    }
}
