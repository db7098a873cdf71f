//! Writes that succeed only on the expected revision, on a real server.

use futures_util::future::join_all;
use tickmesh_messaging::{Cas, Error};
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn the_first_write_wins_and_the_second_sees_it() {
    let (_server, mesh) = mesh().await;
    let apps = mesh.apps();
    let sequence = stored(apps.compare_and_set("nightly", &record("first"), 0).await.unwrap());
    let Cas::Refused { current: Some(current) } = apps.compare_and_set("nightly", &record("second"), 0).await.unwrap()
    else {
        panic!("two writers won")
    };
    assert_eq!((current.key.as_str(), current.sequence, current.value.by.as_str()), ("nightly", sequence, "first"));
    assert_eq!(apps.read("nightly").await.unwrap(), Some(current));
    let next = stored(apps.compare_and_set("nightly", &record("second"), sequence).await.unwrap());
    assert!(next > sequence);
}

#[tokio::test]
async fn a_write_on_a_record_that_never_was_is_refused_without_one() {
    let (_server, mesh) = mesh().await;
    let outcome = mesh.apps().compare_and_set("nightly", &record("late"), 7).await.unwrap();
    assert_eq!(outcome, Cas::Refused { current: None });
    assert_eq!(mesh.apps().read("nightly").await.unwrap(), None);
}

#[tokio::test]
async fn the_same_write_again_is_recognised_as_stored() {
    let (_server, mesh) = mesh().await;
    let results = mesh.results();
    let first = stored(results.append(&claim(1, 0), 0).await.unwrap());
    let again = stored(results.append(&claim(1, 0), 0).await.unwrap());
    assert_eq!(first, again);
    assert_eq!(results.last_sequence().await.unwrap(), first, "stored once");
}

#[tokio::test]
async fn of_many_writers_exactly_one_wins() {
    let (server, mesh) = mesh().await;
    let other = connect(&server, "mesh").await;
    let buckets = [mesh.apps(), other.apps()];
    let records: Vec<_> = (0..40).map(|writer| record(format!("writer {writer}"))).collect();
    let writes = records.iter().zip(buckets.iter().cycle());
    let outcomes = join_all(writes.map(|(record, bucket)| bucket.compare_and_set("nightly", record, 0))).await;
    let current = mesh.apps().read("nightly").await.unwrap().unwrap();
    let mut winners = 0;
    for (record, outcome) in records.iter().zip(outcomes) {
        match outcome.unwrap() {
            Cas::Stored { sequence } => {
                winners += 1;
                assert_eq!((sequence, record), (current.sequence, &current.value));
            }
            Cas::Refused { current: seen } => assert_eq!(seen.as_ref(), Some(&current)),
        }
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn thousands_of_writes_at_once_do_not_hang() {
    let (_server, mesh) = mesh().await;
    let apps = mesh.apps();
    let writes = (0..6_000).map(|number| {
        let apps = apps.clone();
        async move { stored(apps.compare_and_set(&format!("app-{number}"), &record("me"), 0).await.unwrap()) }
    });
    let sequences = within("6000 writes", join_all(writes)).await;
    assert_eq!(sequences.iter().max(), Some(&6_000));
}

#[tokio::test]
async fn a_write_whose_first_answer_was_lost_is_stored_once() {
    let (server, mesh) = mesh().await;
    let apps = mesh.apps();
    server.pause();
    let record = record("me");
    let mut write = Box::pin(apps.compare_and_set("nightly", &record, 0));
    // The first try has been given up by then, but the frozen server has it and will store it.
    let early = timeout(REQUEST_TIMEOUT + REQUEST_TIMEOUT / 4, &mut write).await;
    assert!(early.is_err(), "decided by a frozen server: {early:?}");
    server.resume();
    let sequence = stored(within("the write", write).await.unwrap());
    let entries = apps.list().await.unwrap();
    assert_eq!(entries.iter().map(|entry| (entry.sequence, &entry.value)).collect::<Vec<_>>(), [(sequence, &record)]);
    assert_eq!(sequence, 1, "stored once");
}

#[tokio::test]
async fn a_write_survives_a_restart_of_the_server() {
    let (mut server, mesh) = mesh().await;
    let apps = mesh.apps();
    let first = stored(apps.compare_and_set("nightly", &record("first"), 0).await.unwrap());
    server.kill();
    let write = tokio::spawn(async move { apps.compare_and_set("nightly", &record("second"), first).await });
    server.restart();
    assert_eq!(stored(within("the write", write).await.unwrap().unwrap()), first + 1);
    assert_eq!(mesh.apps().read("nightly").await.unwrap().unwrap().value, record("second"));
}

#[tokio::test]
async fn without_a_server_the_outcome_is_unknown_and_the_same_write_can_be_repeated() {
    let (mut server, mesh) = mesh().await;
    let apps = mesh.apps();
    server.kill();
    let error = within("the error", apps.compare_and_set("nightly", &record("me"), 0)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(error.to_string(), "failed to write `$KV.mesh_apps.nightly`");
    server.restart();
    let sequence = stored(within("the write", apps.compare_and_set("nightly", &record("me"), 0)).await.unwrap());
    assert_eq!(apps.read("nightly").await.unwrap().unwrap().sequence, sequence);
}

#[tokio::test]
async fn every_other_call_ends_too_when_the_server_is_frozen() {
    let (server, mesh) = mesh().await;
    server.pause();
    let apps = mesh.apps();
    let orders = mesh.orders();
    let results = mesh.results();
    let (read, list, send, last, follow) = within(
        "five errors",
        Box::pin(async {
            let order = order("host-1", 0);
            tokio::join!(
                apps.read("nightly"),
                apps.list(),
                orders.send(&order),
                results.last_sequence(),
                results.follow(0)
            )
        }),
    )
    .await;
    let errors = [read.unwrap_err(), list.unwrap_err(), send.unwrap_err(), last.unwrap_err(), follow.err().unwrap()];
    for error in errors {
        assert!(error.is_unavailable(), "{error:?}");
    }
    server.resume();
}

#[tokio::test]
async fn a_record_of_a_later_release_is_an_error_that_says_so() {
    let (server, mesh) = mesh().await;
    let apps = mesh.apps();
    let raw = async_nats::connect(server.url()).await.unwrap();
    let jetstream = async_nats::jetstream::new(raw);
    let publish = jetstream.publish("$KV.mesh_apps.nightly", r#"{"schema": 2, "changed": true}"#.into());
    publish.await.unwrap().await.unwrap();
    for error in
        [apps.read("nightly").await.unwrap_err(), apps.compare_and_set("nightly", &record("me"), 0).await.unwrap_err()]
    {
        assert!(matches!(&error, Error::Unreadable { key, sequence: 1, .. } if key == "nightly"), "{error:?}");
    }
}
