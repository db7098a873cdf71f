//! Records as bytes: what is written, what can be read, and what an unreadable one is called.

mod recorded;

use proptest::{collection::vec, prelude::*};
use tickmesh_core::{
    ledger::{LEDGER_BYTES_MAX, Ledger},
    message::{AgentRecord, MeshEvent},
};

use super::*;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: u32,
    text: String,
}

#[track_caller]
fn check_unreadable(body: &str, message: &str) {
    assert_eq!(decode::<Record>(body.as_bytes()).unwrap_err().to_string(), message, "{body}");
}

#[test]
fn what_cannot_be_understood_says_why() {
    check_unreadable(
        r#"{"schema": 99, "text": "", "new": 1}"#,
        "schema 99 is newer than 1, the newest that this release knows",
    );
    check_unreadable(r#"{"schema": 1}"#, "not a valid record");
    check_unreadable("[]", "not a valid record");
    check_unreadable("{", "not a valid record");
    check_unreadable("", "the record was deleted by another program");
}

#[test]
fn records_begin_with_their_schema() {
    let record = Record { schema: SCHEMA, text: String::new() };
    assert!(serde_json::to_vec(&record).unwrap().starts_with(BEGINNING));
}

#[track_caller]
fn check_place(body: &str, message: &str, problem: &str) {
    let error = decode::<AgentRecord>(body.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), message, "{body}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with(problem), "{source}");
}

#[test]
fn the_field_that_cannot_be_read_is_named() {
    check_place(r#"{"schema": "1"}"#, "not a valid record: field `schema`", "invalid type: string \"1\", expected u32");
    check_place(r#"{"schema": 1, "agent": "a b"}"#, "not a valid record: field `agent`", "");
    let held = r#"{"schema": 1, "held": [{"app": "a", "run": -1}]}"#;
    check_place(held, "not a valid record: field `held[0].run`", "invalid value: integer `-1`, expected u64");
    check_place(r#"{"schema": 1}"#, "not a valid record", "missing field `agent`");
}

#[test]
fn an_error_quotes_only_the_beginning_of_what_it_found() {
    let body = format!(r#"{{"schema": "{}"}}"#, "x".repeat(100_000));
    let error = decode::<Record>(body.as_bytes()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.len() <= QUOTED_CHARS_MAX && source.contains("xxx"), "{source}");
}

#[test]
fn what_is_larger_than_anything_we_store_is_not_even_read() {
    let record = |bytes: usize| {
        let mut body = serde_json::to_vec(&Record { schema: SCHEMA, text: String::new() }).unwrap();
        body.resize(bytes, b' ');
        decode::<Record>(&body)
    };
    assert!(record(BODY_BYTES_MAX).is_ok());
    assert!(matches!(record(BODY_BYTES_MAX + 1), Err(Unreadable::TooLarge { .. })));
}

#[test]
fn depth_is_passed_over_or_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let depth = 100_000;
        let deep = format!("{}null{}", open.repeat(depth), close.repeat(depth));
        let unknown = format!(r#"{{"schema": 1, "text": "", "added": {deep}}}"#);
        assert!(decode::<Record>(unknown.as_bytes()).is_ok(), "{open}");
        // What tells a variant is looked for in all of it, so all of it is kept for a while.
        let tagged = format!(r#"{{"schema": 1, "event": {{"added": {deep}, "event": "agent_lost"}}}}"#);
        assert!(matches!(decode::<Tagged>(tagged.as_bytes()), Err(Unreadable::Json { .. })), "{open}");
    }
}

#[derive(Debug, Deserialize)]
struct Tagged {
    #[expect(dead_code, reason = "only whether it can be read is looked at")]
    event: MeshEvent,
}

proptest! {
    #[test]
    fn whatever_is_stored_is_read_or_refused(body in vec(any::<u8>(), 0..200)) {
        let _ = decode::<AgentRecord>(&body);
        let _ = decode::<Ledger>(&body);
    }
}

#[test]
fn fields_that_a_later_release_added_are_ignored() {
    let record: Record = decode(br#"{"schema": 1, "text": "a", "added": 7}"#).unwrap();
    assert_eq!(record.text, "a");
}

#[test]
fn a_ledger_that_is_too_large_is_not_sent() {
    let record = Record { schema: SCHEMA, text: "x".repeat(LEDGER_BYTES_MAX) };
    assert!(encode(StreamKind::Apps, "app", &record).is_ok());
    let error = encode(StreamKind::Ledger, "app", &record).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: LEDGER_BYTES_MAX, .. }), "{error}");
}
