//! Records as programs stored them, byte for byte, and what this release reads in them.
//!
//! `tests/recorded/` has a folder for each release: that of a commit, or of the change that is
//! named. The records were taken off a real server on which the program of that release ran jobs,
//! retried, cancelled, paused and drained; of many records of one shape one was kept. They are
//! never changed: whoever breaks the form of a record finds out here.

use serde_json::Value;
use tickmesh_core::{
    history::RunSummary,
    ledger::Ledger,
    message::{AgentRecord, AppRecord, AttemptReport, Command, LogBatch, MeshEvent, NoticeRecord, Order, TickRecord},
};

use super::super::*;
use crate::{lease::LeaseRecord, schedulers::SchedulerCard, topology::MeshRecord};

/// Records of one kind, one a line, with the name of the release.
type Recorded = &'static [(&'static str, &'static str)];
/// Reads a record, and returns what would be stored of it.
type Read = fn(&[u8]) -> Result<Value, Unreadable>;

macro_rules! recorded {
    ($kind:literal) => {
        &[
            ("a7154bc", include_str!(concat!("../../../tests/recorded/a7154bc/", $kind, ".jsonl"))),
            ("builds", include_str!(concat!("../../../tests/recorded/builds/", $kind, ".jsonl"))),
        ]
    };
}

fn read<T: DeserializeOwned + Serialize>(body: &[u8]) -> Result<Value, Unreadable> {
    Ok(serde_json::to_value(decode::<T>(body)?).unwrap())
}

/// Whoever adds a stream records what is in it.
fn of_stream(kind: StreamKind) -> (Recorded, Read) {
    match kind {
        StreamKind::Meta => (recorded!("meta"), read::<MeshRecord>),
        StreamKind::Lease => (recorded!("lease"), read::<LeaseRecord>),
        StreamKind::Apps => (recorded!("app"), read::<AppRecord>),
        StreamKind::Ledger => (recorded!("ledger"), read::<Ledger>),
        StreamKind::Agents => (recorded!("agent"), read::<AgentRecord>),
        StreamKind::Commands => (recorded!("command"), read::<Command>),
        StreamKind::Ticks => (recorded!("tick"), read::<TickRecord>),
        StreamKind::Orders => (recorded!("order"), read::<Order>),
        StreamKind::Results => (recorded!("result"), read::<AttemptReport>),
        StreamKind::History => (recorded!("history"), read::<RunSummary>),
        StreamKind::Notices => {
            const NOTICES: Recorded = &[("notices", include_str!("../../../tests/recorded/notices/notice.jsonl"))];
            (NOTICES, read::<NoticeRecord>)
        }
        StreamKind::Logs => (recorded!("log"), read::<LogBatch>),
        StreamKind::Mesh => (recorded!("event"), read::<MeshEvent>),
    }
}

/// Every record: what it is, its bytes, and who reads it.
fn all() -> Vec<(String, &'static str, Read)> {
    let schedulers: (Recorded, Read) = (recorded!("scheduler"), read::<SchedulerCard>);
    let streams = StreamKind::ALL.into_iter().map(|kind| (format!("{kind:?}"), of_stream(kind)));
    let kinds = streams.chain([("scheduler".to_owned(), schedulers)]);
    let records = kinds.flat_map(|(kind, (recorded, read))| {
        recorded.iter().flat_map(move |(release, lines)| {
            let kind = kind.clone();
            lines.lines().enumerate().map(move |(line, body)| (format!("{release} {kind} {line}"), body, read))
        })
    });
    records.collect()
}

/// What a recorded history message has and must not be stored again: values that people gave to a
/// run. Some wait in a ledger to be published.
fn is_secret(name: &str, path: &str) -> bool {
    let is_summary = name.contains("History") || path.starts_with(".history.pending[");
    is_summary && path.ends_with(".request.environment")
}

/// Checks that all of `recorded` is in `stored`.
fn check_kept(name: &str, path: &str, recorded: &Value, stored: &Value) {
    match recorded {
        Value::Object(fields) => {
            for (field, value) in fields {
                let path = format!("{path}.{field}");
                if is_secret(name, &path) {
                    assert_eq!(stored.get(field), None, "{name}: {path}");
                } else {
                    check_kept(name, &path, value, stored.get(field).unwrap_or(&Value::Null));
                }
            }
        }
        Value::Array(items) => {
            assert_eq!(stored.as_array().map(Vec::len), Some(items.len()), "{name}: {path}");
            for (index, item) in items.iter().enumerate() {
                check_kept(name, &format!("{path}[{index}]"), item, &stored[index]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            assert_eq!(recorded, stored, "{name}: {path}");
        }
    }
}

#[test]
fn recorded_bytes_are_read_and_nothing_of_them_is_lost() {
    let all = all();
    for (name, body, read) in &all {
        let stored = read(body.as_bytes()).unwrap_or_else(|error| panic!("{name}: {}\n{body}", why(&error)));
        check_kept(name, "", &serde_json::from_str(body).unwrap(), &stored);
    }
    let releases =
        ["a7154bc", "builds"].map(|release| all.iter().filter(|(name, ..)| name.starts_with(release)).count());
    assert!(releases.iter().all(|count| *count > StreamKind::ALL.len()), "{releases:?}");
}

/// Adds a field of a later release to every object but to maps, and to those that stand for a variant.
fn with_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let is_map = MAPS.contains(&name.as_str());
                match value {
                    Value::Object(entries) if is_map => entries.values_mut().for_each(with_unknown_fields),
                    Value::Object(_)
                    | Value::Array(_)
                    | Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_) => with_unknown_fields(value),
                }
            }
            let is_variant = fields.len() == 1 && VARIANTS.iter().any(|variant| fields.contains_key(*variant));
            // A duration, whose form is serde's.
            let is_duration = fields.len() == 2 && fields.contains_key("secs");
            if !is_variant && !is_duration {
                fields.insert("added_later".to_owned(), serde_json::json!({"by": ["a", 1]}));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_unknown_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fields whose object has names of other things, not of fields.
const MAPS: [&str; 5] = ["streams", "labels", "variables", "env_files", "environment"];
/// Variants that are stored as an object of one field.
const VARIANTS: [&str; 6] = ["failed", "lost", "could_not_start", "skipped", "cancelled", "text"];

#[test]
fn records_with_fields_of_a_later_release_are_read() {
    for (name, body, read) in all() {
        let mut later: Value = serde_json::from_str(body).unwrap();
        with_unknown_fields(&mut later);
        let later = later.to_string();
        let stored = read(later.as_bytes()).unwrap_or_else(|error| panic!("{name}: {}\n{later}", why(&error)));
        assert_eq!(stored, read(body.as_bytes()).unwrap(), "{name}: what is known means the same");
    }
}

fn why(error: &Unreadable) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}
