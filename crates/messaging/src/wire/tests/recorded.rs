//! Records as programs stored them, byte for byte, and what this release reads in them.
//!
//! `tests/recorded/` has a folder for each release: that of a commit, or of the change that is
//! named. The records were taken off a real server on which the program of that release ran jobs,
//! retried, cancelled, paused and drained; of many records of one shape one was kept. They are
//! never changed: whoever breaks the form of a record finds out here.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::Path};

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
        recorded!($kind, "a7154bc", "builds")
    };
    ($kind:literal, $($release:literal),+) => {
        &[$(($release, include_str!(concat!("../../../tests/recorded/", $release, "/", $kind, ".jsonl")))),+]
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
        StreamKind::Apps => (recorded!("app", "a7154bc", "builds", "stacks"), read::<AppRecord>),
        StreamKind::Ledger => (recorded!("ledger", "a7154bc", "builds", "stacks"), read::<Ledger>),
        StreamKind::Agents => (recorded!("agent", "a7154bc", "builds", "stacks"), read::<AgentRecord>),
        StreamKind::Commands => (recorded!("command", "a7154bc", "builds", "stacks"), read::<Command>),
        StreamKind::Ticks => (recorded!("tick", "a7154bc", "builds", "stacks"), read::<TickRecord>),
        StreamKind::Orders => (recorded!("order", "a7154bc", "builds", "stacks"), read::<Order>),
        StreamKind::Results => (recorded!("result", "a7154bc", "builds", "stacks"), read::<AttemptReport>),
        StreamKind::History => (recorded!("history", "a7154bc", "builds", "stacks"), read::<RunSummary>),
        StreamKind::Notices => (recorded!("notice", "notices", "stacks"), read::<NoticeRecord>),
        StreamKind::Logs => (recorded!("log", "a7154bc", "builds", "stacks"), read::<LogBatch>),
        StreamKind::Mesh => (recorded!("event", "a7154bc", "builds", "stacks"), read::<MeshEvent>),
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
    let releases = ["a7154bc", "builds", "stacks"]
        .map(|release| all.iter().filter(|(name, ..)| name.starts_with(release)).count());
    assert!(releases.iter().all(|count| *count > StreamKind::ALL.len()), "{releases:?}");
}

/// Optional fields of stored records that no recorded one has, and why.
const NOT_RECORDED: [(&str, &str); 5] = [
    ("attempts_used", "after a loss of the store"),
    ("deadline_ms", "of a wish about an agent, which is never stored"),
    ("first", "of a service whose replicas do not begin with 0: none is written so today"),
    ("refusals", "of an agent that does not tell its policy"),
    ("returned", "of an engine that dies within the second between a claim and the start"),
];

/// The fields of records that may be left out, by their names: in the code they follow an attribute that says so.
fn optional_fields(folder: &Path, found: &mut BTreeSet<String>) {
    // These are read from files, and not stored.
    const NOT_STORED: [&str; 2] = ["compose", "tests"];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().and_then(OsStr::to_str).unwrap();
        if path.is_dir() && !NOT_STORED.contains(&name) {
            optional_fields(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && !NOT_STORED.contains(&name) {
            let text = fs::read_to_string(&path).unwrap();
            let mut is_optional = false;
            for line in text.lines().map(str::trim) {
                is_optional |= line.starts_with("#[serde(default");
                if line.starts_with(['#', '/']) {
                    continue;
                }
                let name = line.trim_start_matches("pub ").trim_start_matches("pub(super) ").split_once(':');
                found.extend(name.filter(|_| is_optional).map(|(name, _)| name.to_owned()));
                is_optional = false;
            }
        }
    }
}

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.keys().cloned());
            fields.values().for_each(|value| names(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| names(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Who adds a field to a record takes one with it off a real server.
#[test]
fn every_optional_field_is_in_a_recorded_record() {
    let (mut optional, mut recorded) = (BTreeSet::new(), BTreeSet::new());
    optional_fields(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src"), &mut optional);
    assert!(optional.len() > 100, "{optional:?}");
    all().iter().for_each(|(_, body, _)| names(&serde_json::from_str(body).unwrap(), &mut recorded));
    let missing: Vec<&str> = optional.difference(&recorded).map(String::as_str).collect();
    assert_eq!(missing, NOT_RECORDED.map(|(field, _)| field));
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
const MAPS: [&str; 9] =
    ["streams", "labels", "variables", "env_files", "environment", "files", "ulimits", "sysctls", "options"];
/// Variants that are stored as an object of one field.
const VARIANTS: [&str; 13] = [
    "failed",
    "lost",
    "could_not_start",
    "skipped",
    "cancelled",
    "text",
    "host_path",
    "existing_host_path",
    "named",
    "tmpfs",
    "label",
    "count",
    "at_most",
];

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
