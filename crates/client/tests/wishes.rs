//! What comes of wishes about agents: asked of stand-ins for a leader, on a real server.

// The lint's exception for tests covers test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tickmesh_client::agents::{Wished, ask};
use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    message::{AgentRecord, MeshEvent},
    name::AgentName,
    timing::Timing,
};
use tickmesh_messaging::{Cas, Mesh, WishRequest};
use tickmesh_testkit::{
    leader::{StandIn, of_release_before},
    nats::Server,
    records,
};

const LOST: Duration = Duration::from_secs(60);

/// A mesh with an agent, which has stopped with nothing left. Returns what is on its key, at sequence 1.
async fn mesh(server: &Server) -> (Mesh, AgentRecord) {
    let mesh = server.mesh("mesh").await;
    let record = AgentRecord { stopped: true, ..records::heartbeat(std::iter::empty()).value };
    let stored = mesh.agents().compare_and_set(record.agent.as_str(), &record, 0).await.unwrap();
    assert_eq!(stored, Cas::Stored { sequence: 1 });
    (mesh, record)
}

async fn key(mesh: &Mesh, agent: &AgentName) -> (u64, AgentRecord) {
    let entry = mesh.agents().read(agent.as_str()).await.unwrap().unwrap();
    (entry.sequence, entry.value)
}

async fn events(mesh: &Mesh) -> Vec<MeshEvent> {
    mesh.events().list().await.unwrap().into_iter().map(|entry| entry.value).collect()
}

#[tokio::test]
async fn without_a_leader_nothing_is_changed() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    let error = ask(&mesh, &record.agent, AgentWish::Forget).await.unwrap_err().to_string();
    assert!(error.starts_with("no scheduler has led for 8 s, and agent `host-1` is as it was: start one"), "{error}");
    assert_eq!(key(&mesh, &record.agent).await, (1, record));
}

#[tokio::test]
async fn the_leader_writes_what_is_wished() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    let _leader = StandIn::lead(&mesh).await;
    let granted = |sequence| Wished::Granted { sequence, stopped: true, held: 0 };
    let wished = async |wish| ask(&mesh, &record.agent, wish).await.unwrap();
    assert_eq!(wished(AgentWish::drain(None)).await, granted(2));
    assert_eq!(key(&mesh, &record.agent).await, (2, AgentRecord { draining: true, ..record.clone() }));
    assert_eq!(wished(AgentWish::Undrain).await, granted(3));
    assert_eq!(key(&mesh, &record.agent).await, (3, record.clone()));
    assert_eq!(wished(AgentWish::Forget).await, granted(4));
    assert_eq!(key(&mesh, &record.agent).await, (4, record.clone().into_forgotten(0)));
    assert_eq!(events(&mesh).await, [MeshEvent::AgentForgotten { agent: record.agent.clone() }]);
    for wish in [AgentWish::Undrain, AgentWish::Forget] {
        assert_eq!(wished(wish).await, Wished::UnknownAgent, "it is forgotten");
    }
    let nobody = AgentName::new("nobody").unwrap();
    assert_eq!(ask(&mesh, &nobody, AgentWish::drain(None)).await.unwrap(), Wished::UnknownAgent);
}

#[tokio::test]
async fn a_lost_answer_makes_nobody_unknown() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let _leader = StandIn::handle(&mesh, move |mesh: Mesh, request: WishRequest| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            // The first one is told by a leader that is deposed, the answer to the second one is lost.
            let answer = match number {
                0 => WishAnswer::NotLeading,
                _ => mesh.carry_out_wish(&request.agent, request.wish, LOST, || true).await,
            };
            if number != 1 {
                request.reply.send(&answer).await;
            }
        }
    })
    .await;
    let wished = ask(&mesh, &record.agent, AgentWish::Forget).await.unwrap();
    assert!(matches!(wished, Wished::Granted { .. }), "{wished:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert!(key(&mesh, &record.agent).await.1.forgotten);
}

#[tokio::test]
async fn who_is_never_answered_is_told_that_nobody_knows() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    let _leader = StandIn::handle(&mesh, |_: Mesh, request: WishRequest| async move { drop(request) }).await;
    let error = ask(&mesh, &record.agent, AgentWish::Undrain).await.unwrap_err().to_string();
    let beginning = "failed to ask the leader about agent `host-1` for 8 s: the leader did not answer within 2 s";
    assert!(error.starts_with(beginning) && error.contains("asking again does no harm"), "{error}");
}

#[tokio::test]
async fn wishes_that_find_no_place_are_asked_for_again() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    // Far more at once than a scheduler takes.
    let _leader = StandIn::lead(&mesh).await;
    let wished = (0..100).map(|_| ask(&mesh, &record.agent, AgentWish::Undrain));
    for wished in futures_util::future::join_all(wished).await {
        assert!(matches!(wished.unwrap(), Wished::Granted { .. }));
    }
}

/// To be removed with the fallback that it tests.
#[tokio::test]
async fn a_leader_of_the_release_before_leaves_the_key_to_who_asks() {
    let server = Server::start();
    let (mesh, record) = mesh(&server).await;
    let _leader = of_release_before(&server.url(), "mesh").await;
    let wished = ask(&mesh, &record.agent, AgentWish::drain(Some(Timing::default().lost))).await.unwrap();
    assert_eq!(wished, Wished::Granted { sequence: 2, stopped: true, held: 0 });
    let (_, drained) = key(&mesh, &record.agent).await;
    assert!(drained.draining && drained.drain_by.is_some(), "{drained:?}");
    ask(&mesh, &record.agent, AgentWish::Forget).await.unwrap();
    assert!(key(&mesh, &record.agent).await.1.forgotten);
    assert_eq!(events(&mesh).await, [MeshEvent::AgentForgotten { agent: record.agent }]);
}
