//! Streams that are followed, across outages and gaps, on a real server.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tickmesh_core::{
    ledger::Ledger,
    message::{AppRecord, AttemptReport, TickRecord},
};
use tickmesh_messaging::{Change, Entry, Error, Following, ForAgent, Mesh, Start, Unreadable};
use tickmesh_testkit::proxy::Proxy;

use crate::support::*;

/// A change as a line, so that a test is a list of lines.
async fn app_change(changes: &mut Following<Change<AppRecord>>) -> String {
    match next("a change", changes).await {
        Change::Entry(entry) => format!("{} by {}", entry.key, entry.value.by),
        Change::Unreadable { key, error, .. } => format!("{key} unreadable: {error}"),
        Change::SnapshotEnd { last_sequence } => format!("end at {last_sequence}"),
    }
}

async fn result_change(changes: &mut Following<Change<AttemptReport>>) -> String {
    match next("a report", changes).await {
        Change::Entry(entry) => format!("{} run {}", entry.sequence, entry.value.attempt.run),
        Change::Unreadable { sequence, error, .. } => format!("{sequence} unreadable: {error}"),
        Change::SnapshotEnd { last_sequence } => format!("end at {last_sequence}"),
    }
}

#[tokio::test]
async fn an_empty_bucket_has_an_end_at_once() {
    let (_server, mesh) = mesh().await;
    let mut changes = mesh.apps().follow().await.unwrap();
    assert_eq!(app_change(&mut changes).await, "end at 0");
    assert!(mesh.apps().list().await.unwrap().is_empty());
    stored(mesh.apps().compare_and_set("nightly", &record("me"), 0).await.unwrap());
    assert_eq!(app_change(&mut changes).await, "nightly by me");
}

#[tokio::test]
async fn the_snapshot_has_the_last_record_of_each_key_and_live_changes_follow() {
    let (server, mesh) = mesh().await;
    let apps = mesh.apps();
    let first = stored(apps.compare_and_set("a", &record("old"), 0).await.unwrap());
    stored(apps.compare_and_set("b", &record("b"), 0).await.unwrap());
    stored(apps.compare_and_set("a", &record("new"), first).await.unwrap());
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    raw.publish("$KV.mesh_apps.c", "{".into()).await.unwrap().await.unwrap();

    let mut changes = apps.follow().await.unwrap();
    assert_eq!(app_change(&mut changes).await, "b by b");
    assert_eq!(app_change(&mut changes).await, "a by new");
    assert_eq!(app_change(&mut changes).await, "c unreadable: not a valid record");
    assert_eq!(app_change(&mut changes).await, "end at 4");
    stored(apps.compare_and_set("d", &record("d"), 0).await.unwrap());
    assert_eq!(app_change(&mut changes).await, "d by d");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_every_key_however_often_each_is_written_meanwhile() {
    const LISTS: usize = 200;
    let (_server, mesh) = mesh().await;
    let keys = ["a", "b", "c"];
    for key in keys {
        stored(mesh.apps().compare_and_set(key, &record("me"), 0).await.unwrap());
    }
    let mut writers = tokio::task::JoinSet::new();
    for key in keys {
        let apps = mesh.apps();
        writers.spawn(async move {
            let mut revision = apps.read(key).await.unwrap().unwrap().sequence;
            for number in 0_u64.. {
                revision = stored(apps.compare_and_set(key, &record(number.to_string()), revision).await.unwrap());
            }
        });
    }
    for _ in 0..LISTS {
        let list = within("a list", mesh.apps().list()).await.unwrap();
        let mut found: Vec<_> = list.iter().map(|entry| entry.key.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, keys);
    }
    writers.abort_all();
}

#[tokio::test]
async fn a_key_that_is_new_does_not_stand_for_one_that_was_overwritten() {
    // More than a reader is sent ahead.
    const KEYS: usize = 2_000;
    let (_server, mesh) = mesh().await;
    // Of a ledger only the last revision is stored.
    let ledgers = &mesh.ledgers();
    let write = async |key: &str, revision, expected| {
        stored(ledgers.compare_and_set(key, &Ledger::new(revision, Timestamp::UNIX_EPOCH), expected).await.unwrap())
    };
    let keys: Vec<_> = (0..KEYS).map(|key| key.to_string()).collect();
    let written = futures_util::future::join_all(keys.iter().map(|key| write(key, 1, 0))).await;
    let (last, sequence) = keys.iter().zip(written).max_by_key(|(_, sequence)| *sequence).unwrap();
    let mut changes = ledgers.follow().await.unwrap();
    write("new", 1, 0).await;
    write(last, 2, sequence).await;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        match next("a change", &mut changes).await {
            Change::Entry(entry) => seen.insert(entry.key),
            Change::Unreadable { .. } => unreachable!("all can be read"),
            Change::SnapshotEnd { .. } => break,
        };
    }
    assert!(seen.contains(last), "{} keys", seen.len());
}

/// Farther away than a reader waits before it asks whether there is more.
#[tokio::test]
async fn a_reader_that_is_far_away_is_given_everything() {
    const EACH_WAY: Duration = Duration::from_millis(150);
    // More than a reader is sent ahead.
    const RECORDS: u64 = 300;
    let (server, mesh) = mesh().await;
    let (ledgers, results) = (&mesh.ledgers(), &mesh.results());
    let write = async |number: u64| {
        let ledger = Ledger::new(number, Timestamp::UNIX_EPOCH);
        stored(ledgers.compare_and_set(&number.to_string(), &ledger, 0).await.unwrap());
        stored(results.append(&claim(number, 0), 0).await.unwrap());
    };
    futures_util::future::join_all((1..=RECORDS).map(write)).await;
    let address = server.url().trim_start_matches("nats://").parse().unwrap();
    let proxy = Proxy::far_to(address, EACH_WAY).await;
    let options = options(&format!("nats://{}", proxy.address()), "mesh");
    let far = within("a connection", Mesh::connect(&options)).await.unwrap();

    assert_eq!(within("a list", far.ledgers().list()).await.unwrap().len() as u64, RECORDS);
    assert_eq!(count_of_snapshot(&mut far.ledgers().follow().await.unwrap()).await, RECORDS);
    assert_eq!(count_of_snapshot(&mut far.results().follow(0).await.unwrap()).await, RECORDS);
}

async fn count_of_snapshot<T>(changes: &mut Following<Change<T>>) -> u64 {
    let mut count = 0;
    loop {
        match next("a change", changes).await {
            Change::Entry(_) => count += 1,
            Change::Unreadable { .. } => unreachable!("all can be read"),
            Change::SnapshotEnd { .. } => return count,
        }
    }
}

#[tokio::test]
async fn a_reader_is_caught_up_when_what_it_waited_for_is_removed() {
    let (server, mesh) = mesh().await;
    for key in ["a", "b"] {
        stored(mesh.apps().compare_and_set(key, &record("me"), 0).await.unwrap());
    }
    let mut changes = mesh.apps().follow().await.unwrap();
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = raw.get_stream_no_info("KV_mesh_apps").await.unwrap();
    stream.purge().filter("$KV.mesh_apps.b").await.unwrap();
    // Whether the reader was given it before it was removed is a matter of microseconds; that it has an end is not.
    let mut seen = app_change(&mut changes).await;
    while !seen.starts_with("end") {
        seen = app_change(&mut changes).await;
    }
    assert_eq!(seen, "end at 2");
}

#[tokio::test]
async fn a_deleted_record_is_told_and_can_be_written_over() {
    let (server, mesh) = mesh().await;
    let apps = mesh.apps();
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    raw.publish("$KV.mesh_apps.a", "".into()).await.unwrap().await.unwrap();
    let mut changes = apps.follow().await.unwrap();
    assert_eq!(app_change(&mut changes).await, "a unreadable: the record was deleted by another program");
    stored(apps.compare_and_set("a", &record("me"), 1).await.unwrap());
}

#[tokio::test]
async fn a_reader_misses_nothing_and_repeats_nothing_over_restarts() {
    let (mut server, mesh) = mesh().await;
    let results = mesh.results();
    let mut changes = results.follow(0).await.unwrap();
    let mut seen = Vec::new();
    for round in 0..3 {
        for number in 0..40 {
            stored(within("a write", results.append(&claim(round * 40 + number, 0), 0)).await.unwrap());
        }
        server.restart();
    }
    while seen.len() < 120 {
        if let Change::Entry(entry) = next("a report", &mut changes).await {
            seen.push(entry.sequence);
        }
    }
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_idle_reader_goes_on_after_a_restart() {
    let (mut server, mesh) = mesh().await;
    let mut changes = mesh.apps().follow().await.unwrap();
    let mut orders = mesh.orders().follow(&agent("host-1")).await.unwrap();
    assert_eq!(app_change(&mut changes).await, "end at 0");
    server.restart();
    stored(within("the write", mesh.apps().compare_and_set("a", &record("me"), 0)).await.unwrap());
    within("the order", mesh.orders().send(&order("host-1", 3))).await.unwrap();
    assert_eq!(app_change(&mut changes).await, "a by me");
    assert!(matches!(next("the news", &mut orders).await, ForAgent::Reopened));
    assert_eq!(next_order("the order", &mut orders).await, order("host-1", 3));
}

#[tokio::test]
async fn a_bucket_is_followed_without_repeats_over_a_restart() {
    let (mut server, mesh) = mesh().await;
    let apps = mesh.apps();
    for name in ["a", "b"] {
        stored(apps.compare_and_set(name, &record(name), 0).await.unwrap());
    }
    let mut changes = apps.follow().await.unwrap();
    assert_eq!(app_change(&mut changes).await, "a by a");
    server.restart();
    assert_eq!(app_change(&mut changes).await, "b by b");
    assert_eq!(app_change(&mut changes).await, "end at 2");
    stored(within("the write", apps.compare_and_set("c", &record("c"), 0)).await.unwrap());
    assert_eq!(app_change(&mut changes).await, "c by c");
}

#[tokio::test]
async fn results_are_followed_from_a_sequence() {
    let (_server, mesh) = mesh().await;
    let results = mesh.results();
    for run in 1..=4 {
        stored(results.append(&claim(run, 0), 0).await.unwrap());
    }
    let mut changes = results.follow(2).await.unwrap();
    assert_eq!(result_change(&mut changes).await, "3 run 3");
    assert_eq!(result_change(&mut changes).await, "4 run 4");
    assert_eq!(result_change(&mut changes).await, "end at 4");
    stored(results.append(&claim(5, 0), 0).await.unwrap());
    assert_eq!(result_change(&mut changes).await, "5 run 5");

    let mut up_to_date = results.follow(5).await.unwrap();
    assert_eq!(result_change(&mut up_to_date).await, "end at 5");
    let beyond = results.follow(6).await.err().unwrap();
    assert!(beyond.to_string().contains("stored data was lost"), "{beyond}");
}

#[tokio::test]
async fn a_report_on_the_subject_of_another_attempt_is_not_believed() {
    let (server, mesh) = mesh().await;
    let report = claim(1, 0);
    let body = serde_json::to_vec(&report).unwrap();
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subject = mesh.names().result(&report.attempt, &agent("intruder"));
    raw.publish(subject, body.into()).await.unwrap().await.unwrap();
    let mut changes = mesh.results().follow(0).await.unwrap();
    let change = next("a report", &mut changes).await;
    assert!(matches!(change, Change::Unreadable { error: Unreadable::Misplaced, .. }), "{change:?}");
}

#[tokio::test]
async fn a_journal_keeps_the_last_ten_of_each_app() {
    let (_server, mesh) = mesh().await;
    let ticks = mesh.ticks();
    let mut live = ticks.follow(None, Start::New).await.unwrap();
    let mut sequence = 0;
    for number in 1..=15 {
        sequence = stored(ticks.append(&app("nightly"), &tick(number), sequence).await.unwrap());
        assert_eq!(next("a new tick", &mut live).await.value.number, number);
    }
    let other = stored(ticks.append(&app("other"), &TickRecord { app: app("other"), ..tick(1) }, 0).await.unwrap());
    let numbers = |entries: &[Entry<TickRecord>]| entries.iter().map(|entry| entry.value.number).collect::<Vec<_>>();
    assert_eq!(numbers(&ticks.last(&app("nightly")).await.unwrap()), (6..=15).collect::<Vec<_>>());
    assert_eq!(numbers(&ticks.last(&app("other")).await.unwrap()), [1]);
    assert!(ticks.last(&app("never")).await.unwrap().is_empty());
    let mut all = ticks.follow(Some(&app("nightly")), Start::All).await.unwrap();
    for number in 6..=15 {
        assert_eq!(next("a tick", &mut all).await.value.number, number);
    }
    assert_eq!(next("a tick", &mut live).await.sequence, other);
}

#[tokio::test]
async fn readers_end_when_their_connection_is_closed() {
    let (_server, mesh) = mesh().await;
    let mut changes = mesh.apps().follow().await.unwrap();
    let mut commands = mesh.commands().receive().await.unwrap();
    assert!(matches!(next("the snapshot", &mut changes).await, Change::SnapshotEnd { .. }));
    within("the connection to close", mesh.close()).await;
    let error = within("the end of the changes", changes.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert!(changes.next().await.is_none());
    let error = within("the end of the commands", commands.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert!(commands.next().await.is_none());
}
