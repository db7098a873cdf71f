//! The streams of a mesh: made, checked, brought up to date.

use std::time::Duration;

use async_nats::jetstream::stream;
use futures_util::{StreamExt, TryStreamExt};
use tickmesh_core::{
    message::{LogBatch, MeshEvent},
    name::ServiceName,
};
use tickmesh_messaging::{Cas, Error, ForAgent, LogFilter, LogNews, Provisioning, RunSelector, Start, StreamKind};
use tickmesh_testkit::nats::Server;

use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn all_who_provision_get_the_same_mesh() {
    let server = Server::start();
    let (one, two) = (connect(&server, "mesh").await, connect(&server, "mesh").await);
    let settings = Provisioning::default();
    let (first, second) = tokio::join!(one.provision(&settings), two.provision(&settings));
    let id = first.unwrap();
    assert_eq!(second.unwrap(), id);
    assert_eq!(one.provision(&settings).await.unwrap(), id);
    assert_eq!(two.open().await.unwrap(), id);
}

#[tokio::test]
async fn a_mesh_outlives_its_server_and_takes_new_settings() {
    let (mut server, mesh) = mesh().await;
    let id = mesh.open().await.unwrap();
    let sequence = stored(mesh.apps().compare_and_set("a", &record("me"), 0).await.unwrap());
    server.restart();
    let mesh = connect(&server, "mesh").await;
    let settings = Provisioning { log_age: Duration::from_secs(30), ..Provisioning::default() };
    assert_eq!(mesh.provision(&settings).await.unwrap(), id);
    assert_eq!(mesh.apps().read("a").await.unwrap().unwrap().sequence, sequence);
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut logs = raw.get_stream("mesh_logs").await.unwrap();
    assert_eq!(logs.info().await.unwrap().config.max_age, Duration::from_secs(30));
}

#[tokio::test]
async fn a_mesh_that_nobody_made_is_not_there() {
    let (server, _mesh) = mesh().await;
    let other = connect(&server, "other").await;
    let error = other.open().await.unwrap_err();
    assert!(matches!(error, Error::NotProvisioned { .. }), "{error:?}");
    assert_eq!(error.to_string(), "there is no mesh `other` on this NATS");
    let error = other.apps().read("a").await.unwrap_err();
    assert!(matches!(error, Error::StreamGone { .. }), "{error:?}");
}

#[tokio::test]
async fn the_clock_that_stamps_entries_can_be_asked() {
    let (_server, mesh) = mesh().await;
    let before = mesh.apps().clock().await.unwrap();
    stored(mesh.apps().compare_and_set("a", &record("me"), 0).await.unwrap());
    let entry = mesh.apps().read("a").await.unwrap().unwrap();
    let after = mesh.apps().clock().await.unwrap();
    assert!(before <= entry.at && entry.at <= after, "{before} {} {after}", entry.at);
}

#[tokio::test]
async fn buckets_are_what_nats_tools_take_for_buckets() {
    let (server, mesh) = mesh().await;
    stored(mesh.apps().compare_and_set("a", &record("me"), 0).await.unwrap());
    let raw = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for (bucket, history) in [("mesh_apps", 10), ("mesh_ledger", 1), ("mesh_lease", 1), ("mesh_agents", 1)] {
        let status = raw.get_key_value(bucket).await.unwrap().status().await.unwrap();
        assert_eq!((status.history(), status.max_age()), (history, Duration::ZERO), "{bucket}");
    }
    let body = raw.get_key_value("mesh_apps").await.unwrap().get("a").await.unwrap().unwrap();
    assert_eq!(body, serde_json::to_vec(&record("me")).unwrap());
}

#[tokio::test]
async fn two_meshes_on_one_server_do_not_see_each_other() {
    let (server, mesh) = mesh().await;
    let other = connect(&server, "mesh-2").await;
    let id = other.provision(&Provisioning::default()).await.unwrap();
    assert_ne!(id, mesh.open().await.unwrap());

    stored(mesh.apps().compare_and_set("a", &record("one"), 0).await.unwrap());
    stored(mesh.results().append(&claim(1, 0), 0).await.unwrap());
    mesh.orders().send(&order("host-1", 0)).await.unwrap();
    mesh.commands().send(&command(1)).await.unwrap();

    assert!(other.apps().list().await.unwrap().is_empty());
    assert_eq!(other.results().last_sequence().await.unwrap(), 0);
    let mut orders = other.orders().follow(&agent("host-1")).await.unwrap();
    let mut commands = other.commands().receive().await.unwrap();
    stored(other.apps().compare_and_set("a", &record("two"), 0).await.unwrap());
    other.orders().send(&order("host-1", 2)).await.unwrap();
    other.commands().send(&command(2)).await.unwrap();
    assert_eq!(next_order("the order", &mut orders).await, order("host-1", 2));
    assert_eq!(next("the command", &mut commands).await.command, command(2));
    assert_eq!(mesh.apps().read("a").await.unwrap().unwrap().value, record("one"));
}

#[tokio::test]
async fn an_agent_that_subscribes_late_sees_its_orders_and_no_others() {
    let (_server, mesh) = mesh().await;
    mesh.orders().send(&order("host-1", 1)).await.unwrap();
    mesh.orders().send(&order("host-2", 2)).await.unwrap();
    mesh.orders().send(&order("host-1", 3)).await.unwrap();
    let mut orders = mesh.orders().follow(&agent("host-1")).await.unwrap();
    assert_eq!(next_order("the first order", &mut orders).await, order("host-1", 1));
    assert_eq!(next_order("the second order", &mut orders).await, order("host-1", 3));
    mesh.orders().send(&order("host-1", 4)).await.unwrap();
    assert_eq!(next_order("the third order", &mut orders).await, order("host-1", 4));
}

#[tokio::test]
async fn results_are_purged_below_a_sequence() {
    let (_server, mesh) = mesh().await;
    let results = mesh.results();
    for run in 1..=3 {
        stored(results.append(&claim(run, 0), 0).await.unwrap());
    }
    let mut end = claim(3, 0);
    end.event = tickmesh_core::message::AttemptEvent::Cancelled { exit_code: None };
    stored(results.append(&end, 3).await.unwrap());
    for nothing in [0, 1] {
        results.purge_below(nothing).await.unwrap();
        assert_eq!(results.of_run(&app("nightly"), attempt(1, 0).token()).await.unwrap().len(), 1, "{nothing}");
    }
    results.purge_below(3).await.unwrap();

    let run = |run| attempt(run, 0).token();
    assert!(results.of_run(&app("nightly"), run(1)).await.unwrap().is_empty());
    let kept = results.of_run(&app("nightly"), run(3)).await.unwrap();
    assert_eq!(kept.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(results.last_of(&attempt(1, 0), &agent("host-1")).await.unwrap(), None);
    assert_eq!(results.last_of(&attempt(3, 0), &agent("host-1")).await.unwrap().unwrap().value, end);
    assert_eq!(results.last_sequence().await.unwrap(), 4);

    results.purge_below(5).await.unwrap();
    let mut changes = results.follow(0).await.unwrap();
    let change = next("the end", &mut changes).await;
    assert!(matches!(change, tickmesh_messaging::Change::SnapshotEnd { last_sequence: 4 }), "{change:?}");
    assert!(matches!(results.append(&claim(9, 0), 0).await.unwrap(), Cas::Stored { sequence: 5 }));
}

async fn read_logs(mesh: &tickmesh_messaging::Mesh, filter: LogFilter) -> Vec<LogBatch> {
    let batches = mesh.logs().read(filter).await.unwrap();
    within("the end of the output", batches.try_collect()).await.unwrap()
}

#[tokio::test]
async fn output_is_read_to_its_end_as_far_as_it_is_asked_for() {
    let (_server, mesh) = mesh().await;
    let all = [batch(1, 0, 0), batch(1, 1, 0), batch(2, 0, 0), batch(2, 0, 1)];
    for batch in &all {
        mesh.logs().publish(batch).await.unwrap();
    }
    let whole_app = LogFilter::of_app(app("nightly"));
    let service = |name: &str| Some(ServiceName::new(name).unwrap());
    let by_number = LogFilter { run: Some(RunSelector::Number(2)), ..whole_app.clone() };
    let by_token = LogFilter { run: Some(RunSelector::Token(attempt(1, 0).token())), ..whole_app.clone() };
    let one_replica = LogFilter { service: service("db.backup"), replica: Some(1), ..whole_app.clone() };
    assert_eq!(read_logs(&mesh, whole_app.clone()).await, all);
    assert_eq!(read_logs(&mesh, by_number).await, all[2..]);
    assert_eq!(read_logs(&mesh, by_token).await, all[..2]);
    assert_eq!(read_logs(&mesh, one_replica).await, all[1..2]);
    assert_eq!(read_logs(&mesh, LogFilter { service: service("web"), ..whole_app.clone() }).await, []);
    assert_eq!(read_logs(&mesh, LogFilter::of_app(app("other"))).await, []);

    let one_replica = LogFilter { replica: Some(1), ..whole_app };
    let last = async || mesh.logs().last_sequence(&one_replica).await.unwrap();
    assert_eq!(last().await, 2);
    let mut live = mesh.logs().follow(one_replica.clone()).await.unwrap();
    let news = |sequence, batch: &LogBatch| LogNews::Batch { sequence, batch: Box::new(batch.clone()) };
    assert_eq!(next("stored output", &mut live).await, news(2, &all[1]));
    assert_eq!(next("the end of what is stored", &mut live).await, LogNews::CaughtUp);
    mesh.logs().publish(&batch(3, 1, 0)).await.unwrap();
    assert_eq!(next("new output", &mut live).await, news(5, &batch(3, 1, 0)));
    assert_eq!(last().await, 5);
}

#[tokio::test]
async fn events_are_kept_for_monitors() {
    let (_server, mesh) = mesh().await;
    let joined = MeshEvent::AgentJoined { agent: agent("host-1") };
    mesh.events().publish(&joined).await;
    let mut events = mesh.events().follow(Start::All).await.unwrap();
    let entry = next("the event", &mut events).await;
    assert_eq!((entry.key.as_str(), entry.value), ("mesh.mesh.agent-joined", joined));
}

#[tokio::test]
async fn marks_are_those_of_the_streams_and_outlast_the_server() {
    let (mut server, mesh) = mesh().await;
    stored(mesh.apps().compare_and_set("a", &record("me"), 0).await.unwrap());
    let marks = mesh.stream_marks().await.unwrap();
    let last = |kind: StreamKind| marks.get(kind.as_str()).map(|mark| mark.last_sequence);
    assert_eq!((last(StreamKind::Apps), last(StreamKind::Ledger)), (Some(1), Some(0)));
    server.restart();
    let again = within("the marks", async {
        loop {
            if let Ok(marks) = mesh.stream_marks().await {
                return marks;
            }
        }
    });
    assert_eq!(again.await, marks);
}

#[tokio::test]
async fn a_stream_that_would_lose_messages_is_refused_by_name_and_setting() {
    let (server, mesh) = mesh().await;
    mesh.check_streams().await.unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let name = mesh.names().stream(StreamKind::History);
    let mut config = context.get_stream(&name).await.unwrap().cached_info().config.clone();
    config.max_age = Duration::from_secs(3_600);
    context.update_stream(config).await.unwrap();
    assert_eq!(
        mesh.check_streams().await.unwrap_err().to_string(),
        "stream `mesh_history` has max_age 3600s, and must have 0ns: change it with `nats stream edit`"
    );
}

#[tokio::test]
async fn orders_are_heard_also_after_the_server_has_lost_some() {
    let (mut server, mesh) = mesh().await;
    server.stop();
    let copy = server.copy_store();
    server.restart();
    let orders = mesh.orders();
    let mut heard = within("the orders", async {
        loop {
            if let Ok(heard) = orders.follow(&agent("host-1")).await {
                return heard;
            }
        }
    })
    .await;
    within("an order", orders.send(&order("host-1", 0))).await.unwrap();
    assert_eq!(next_order("an order", &mut heard).await, order("host-1", 0));
    server.stop();
    server.restore(&copy);
    server.restart();
    // The leader says again and again what is still wanted, and so is heard as soon as the reader is back.
    let again = within("an order", async {
        loop {
            if orders.send(&order("host-1", 1)).await.is_ok()
                && let Ok(item) = timeout(Duration::from_millis(200), heard.next()).await
                && let ForAgent::Order(order) = item.unwrap().unwrap()
            {
                return *order;
            }
        }
    });
    assert_eq!(again.await, order("host-1", 1));
}

/// Buckets of commit a7154bc took roll-ups, by which one message removes all others; nobody leads on those any more. It had no
/// stream of notices: whoever looks at such a mesh finds nothing wrong with that.
#[tokio::test]
async fn mesh_of_an_earlier_release_is_brought_up_to_date() {
    let (server, mesh) = mesh().await;
    let sequence = stored(mesh.apps().compare_and_set("a", &record("me"), 0).await.unwrap());
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    for bucket in ["meta", "lease", "apps", "ledger", "agents"] {
        let found = context.get_stream(format!("KV_mesh_{bucket}")).await.unwrap().cached_info().config.clone();
        context.update_stream(stream::Config { allow_rollup: true, ..found }).await.unwrap();
    }
    assert!(matches!(mesh.check_streams().await.unwrap_err(), Error::ForeignSetting { .. }));
    context.delete_stream("mesh_notices").await.unwrap();
    assert_eq!(mesh.stream_states().await.unwrap().len(), StreamKind::ALL.len() - 1);
    assert!(mesh.unreadable().await.unwrap().is_empty());
    mesh.bring_up_to_date().await.unwrap();
    mesh.check_streams().await.unwrap();
    assert_eq!(mesh.notices().last_sequence().await.unwrap(), 0);
    assert_eq!(mesh.apps().read("a").await.unwrap().unwrap().sequence, sequence);
}
