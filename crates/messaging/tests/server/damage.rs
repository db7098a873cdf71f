//! Records that cannot be read, of every kind on every subject: lists show the rest and name them, readers go on, and whoever
//! alone writes on a subject writes over them.

use bytes::Bytes;
use tickmesh_core::{
    ledger::Ledger,
    message::{AgentRecord, AttemptEvent, MeshEvent, Revoker},
};
use tickmesh_messaging::{Cas, Change, Current, Edit, Error, LEASE_KEY, LeaseRecord, Mesh, Start, StreamKind};
use tickmesh_testkit::records;

use crate::support::*;

/// What others may store in the place of a record, and a record that belongs elsewhere.
fn bodies() -> Vec<Bytes> {
    let misplaced = serde_json::to_vec(&records::heartbeat(std::iter::empty()).value).unwrap();
    records::damaged().into_iter().chain([misplaced]).map(Bytes::from).collect()
}

/// Somebody else, who can write what he likes.
struct Stranger(async_nats::jetstream::Context);

impl Stranger {
    async fn of(server: &tickmesh_testkit::nats::Server) -> Self {
        Self(async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap()))
    }

    async fn publish(&self, subject: &str, body: Bytes) -> u64 {
        self.0.publish(subject.to_owned(), body).await.unwrap().await.unwrap().sequence
    }
}

fn heartbeat(name: &str) -> AgentRecord {
    AgentRecord { agent: agent(name), ..records::heartbeat(std::iter::empty()).value }
}

#[tokio::test]
async fn a_list_names_what_cannot_be_read_and_shows_the_rest() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    stored(mesh.agents().compare_and_set("good", &heartbeat("good"), 0).await.unwrap());
    stored(mesh.ledgers().compare_and_set("good", &records::ledger(vec![]), 0).await.unwrap());
    stored(mesh.apps().compare_and_set("good", &record("me"), 0).await.unwrap());
    stored(mesh.ticks().append(&app("nightly"), &tick(1), 0).await.unwrap());
    mesh.events().publish(&MeshEvent::AgentForgotten { agent: agent("good") }).await;
    for body in bodies() {
        for subject in
            ["$KV.mesh_agents.bad", "$KV.mesh_ledger.bad", "$KV.mesh_apps.bad", "mesh.tick.nightly", "mesh.mesh.x"]
        {
            stranger.publish(subject, body.clone()).await;
        }
        let (agents, ledgers, ticks) = (
            mesh.agents().list().await.unwrap(),
            mesh.ledgers().list().await.unwrap(),
            mesh.ticks().list().await.unwrap(),
        );
        assert_eq!((agents.len(), ledgers.len(), ticks.len()), (1, 1, 1), "{body:?}");
        assert_eq!((agents.unreadable[0].key.as_str(), ledgers.unreadable[0].key.as_str()), ("bad", "bad"));
        assert_eq!(ticks.unreadable.last().unwrap().key, "nightly");
        assert_eq!(mesh.events().list().await.unwrap().len(), 1);
        assert_eq!(mesh.ticks().newest(&app("nightly")).await.unwrap().unwrap().value.number, 1, "{body:?}");
        let named = mesh.unreadable().await.unwrap();
        for kind in [StreamKind::Agents, StreamKind::Ledger, StreamKind::Ticks, StreamKind::Mesh] {
            assert!(named.iter().any(|record| record.stream == kind), "{kind:?} of {body:?}");
        }
    }
    let skipped: u64 = mesh.skipped().map(|(_, count)| count).sum();
    assert!(skipped >= bodies().len() as u64 * 8, "only {skipped} are counted");
}

#[tokio::test]
async fn the_owner_of_a_key_writes_over_what_cannot_be_read() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    let mut beat = heartbeat("host-7");
    let mut revision = stored(mesh.agents().compare_and_set("host-7", &beat, 0).await.unwrap());
    let mut lease = LeaseRecord::first("p1", "h1", None);
    let mut lease_revision = stored(mesh.lease().compare_and_set(LEASE_KEY, &lease, 0).await.unwrap());
    for body in bodies() {
        stranger.publish("$KV.mesh_agents.host-7", body.clone()).await;
        beat.number += 1;
        let error = mesh.agents().compare_and_set("host-7", &beat, revision).await.unwrap_err();
        let in_the_way = error.unreadable_at().unwrap_or_else(|| panic!("{error:?} after {body:?}"));
        revision = stored(mesh.agents().compare_and_set("host-7", &beat, in_the_way).await.unwrap());
        // A heartbeat is misplaced under another agent's key, and no lease at all.
        stranger.publish("$KV.mesh_lease.leader", body.clone()).await;
        lease = lease.next();
        let error = mesh.lease().compare_and_set(LEASE_KEY, &lease, lease_revision).await.unwrap_err();
        let in_the_way = error.unreadable_at().unwrap_or_else(|| panic!("{error:?} after {body:?}"));
        lease_revision = stored(mesh.lease().compare_and_set(LEASE_KEY, &lease, in_the_way).await.unwrap());
    }
}

#[tokio::test]
async fn numbered_messages_are_stored_on_top_of_what_cannot_be_read() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    let (ticks, nightly) = (mesh.ticks(), app("nightly"));
    let mut last = stored(ticks.append(&nightly, &tick(1), 0).await.unwrap());
    for (number, body) in (2..).zip(bodies()) {
        stranger.publish("mesh.tick.nightly", body.clone()).await;
        // Who builds on something older is told what can be read, and not what cannot.
        match ticks.append(&nightly, &tick(99), 0).await.unwrap() {
            Cas::Refused { current: Some(current) } => {
                assert_eq!((current.value.number, current.sequence), (number - 1, last))
            }
            other => panic!("{other:?} after {body:?}"),
        }
        last = stored(ticks.append(&nightly, &tick(number), last).await.unwrap());
    }
    // More than the stream keeps of a subject: then nothing that can be read is left to build on.
    for _ in 0..10 {
        stranger.publish("mesh.tick.nightly", "garbage".into()).await;
    }
    let refused = ticks.append(&nightly, &tick(50), last).await.unwrap();
    assert!(matches!(refused, Cas::Refused { current: None }), "{refused:?}");
    stored(ticks.append(&nightly, &tick(50), 0).await.unwrap());
}

#[tokio::test]
async fn of_agent_and_leader_one_wins_whatever_else_is_on_the_subject() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    let results = mesh.results();
    for (run, body) in (1..).zip(bodies()) {
        let claim = claim(run, 0);
        let subject = mesh.names().result(&claim.attempt, &claim.agent);
        stranger.publish(&subject, body.clone()).await;
        let claimed = stored(results.append(&claim, 0).await.unwrap());
        stranger.publish(&subject, body.clone()).await;
        let mut revoked = claim.clone();
        revoked.event = AttemptEvent::Revoked { by: Revoker::Leader, reason: "nobody took it".to_owned() };
        match results.append(&revoked, 0).await.unwrap() {
            Cas::Refused { current: Some(current) } => assert_eq!(current.value, claim, "{body:?}"),
            other => panic!("{other:?} after {body:?}"),
        }
        let last = results.last_of(&claim.attempt, &claim.agent).await.unwrap().unwrap();
        assert_eq!(last.sequence, claimed);
        let mut ended = claim.clone();
        ended.event = AttemptEvent::Exited {
            exit_code: 0,
            oom_killed: false,
            unhealthy: false,
            started_at: None,
            finished_at: None,
        };
        stored(results.append(&ended, claimed).await.unwrap());
    }
}

#[tokio::test]
async fn followers_and_commands_go_past_what_cannot_be_read() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    let mut commands = mesh.commands().receive().await.unwrap();
    let mut orders = mesh.orders().follow(&agent("host-1")).await.unwrap();
    let mut ticks = mesh.ticks().follow(None, Start::All).await.unwrap();
    let mut ledgers = mesh.ledgers().follow().await.unwrap();
    assert!(matches!(next("the end", &mut ledgers).await, Change::SnapshotEnd { .. }));
    for (number, body) in (1..).zip(bodies()) {
        for subject in ["mesh.command.nightly", "mesh.order.host-1", "mesh.tick.nightly", "$KV.mesh_ledger.bad"] {
            stranger.publish(subject, body.clone()).await;
        }
        let sent = command(number);
        mesh.commands().send(&sent).await.unwrap();
        let delivery = next("the command", &mut commands).await;
        assert_eq!(delivery.command, sent, "{body:?}");
        delivery.confirm().await.unwrap();
        let stop = order("host-1", u32::from(number));
        mesh.orders().send(&stop).await.unwrap();
        assert_eq!(next_order("the order", &mut orders).await, stop, "{body:?}");
        let last = mesh.ticks().newest(&app("nightly")).await.unwrap().map_or(0, |last| last.sequence);
        stored(mesh.ticks().append(&app("nightly"), &tick(number.into()), last).await.unwrap());
        assert_eq!(next("the tick", &mut ticks).await.value.number, u64::from(number), "{body:?}");
        let change = next("the ledger", &mut ledgers).await;
        assert!(matches!(change, Change::Unreadable { .. }), "{change:?}");
    }
}

#[tokio::test]
async fn an_edit_replaces_a_damaged_file_and_no_later_release() {
    let (server, mesh) = mesh().await;
    let (stranger, edits) = (Stranger::of(&server).await, mesh.edits());
    let revision = stranger.publish("$KV.mesh_apps.nightly", "garbage".into()).await;
    let current = edits.current(&app("nightly")).await.unwrap();
    assert!(matches!(current, Current::Damaged { revision: found } if found == revision), "{current:?}");
    let edit = edits.write(&app("nightly"), &record("me"), &current).await.unwrap();
    assert!(matches!(edit, Edit::Stored { .. }), "{edit:?}");
    stranger.publish("$KV.mesh_apps.nightly", r#"{"schema":2}"#.into()).await;
    let error = edits.current(&app("nightly")).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
}

#[tokio::test]
async fn the_identity_of_a_mesh_is_written_anew() {
    let (server, mesh) = mesh().await;
    let (stranger, id) = (Stranger::of(&server).await, mesh.open().await.unwrap());
    for body in bodies() {
        stranger.publish("$KV.mesh_meta.mesh", body).await;
        mesh.open().await.unwrap_err();
        mesh.keep_identity(id).await.unwrap();
        assert_eq!(mesh.open().await.unwrap(), id);
    }
}

#[tokio::test]
async fn no_message_takes_others_with_it() {
    let (server, mesh) = mesh().await;
    let stranger = Stranger::of(&server).await;
    let keep = async |mesh: &Mesh| {
        let ledger: Ledger = records::ledger(vec![]);
        stored(mesh.ledgers().compare_and_set("nightly", &ledger, 0).await.unwrap());
    };
    keep(&mesh).await;
    for kind in StreamKind::ALL {
        let subject = mesh.names().subjects(kind).replace('>', "rollup");
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Rollup", "all");
        let sent = stranger.0.publish_with_headers(subject, headers, "x".into()).await.unwrap();
        sent.await.unwrap_err();
    }
    assert_eq!(mesh.ledgers().list().await.unwrap().len(), 1);
}
