//! A cluster of NATS of which something is amiss: what `doctor` says of it, and that doing what it says mends it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tickmesh_core::name::Namespace;
use tickmesh_messaging::{ConnectOptions, Login, Mesh, Provisioning};
use tickmesh_testkit::nats::{Cluster, NODES};
use tokio::{task::block_in_place, time::sleep};

use crate::{command::Place, part::Part};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whoever asks what is wrong gets an answer within this time.
const DOCTOR_MAX: Duration = Duration::from_secs(10);
/// How long a list may take while one server is cut off.
const LS_MAX: Duration = Duration::from_secs(6);
/// Lists of which each has to come, for each server that is cut off.
const LISTS: usize = 20;
/// Lists at once.
const AT_ONCE: usize = 4;

/// A mesh with a copy on each server.
async fn mesh(cluster: &Cluster) -> Place {
    let options = ConnectOptions {
        url: cluster.urls(),
        login: Login::default(),
        namespace: Namespace::new("tickmesh").unwrap(),
        client_name: "test".to_owned(),
        request_timeout: Duration::from_secs(5),
    };
    let mesh = Mesh::connect(&options).await.unwrap();
    let settings = Provisioning { replicas: NODES, ..Provisioning::default() };
    mesh.provision(&settings).await.unwrap();
    Place::at(cluster.urls())
}

/// What `doctor` finds wrong with what, and what to do about it.
fn wrong(place: &Place) -> Vec<(String, String, String)> {
    let begun = Instant::now();
    let answer = place.run(&["doctor", "-o", "json"]);
    assert!(begun.elapsed() < DOCTOR_MAX, "doctor took {:?}", begun.elapsed());
    let checks: Value = serde_json::from_str(&answer.stdout).unwrap();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let wrong = checks.as_array().unwrap().iter().filter(|check| check["finding"] == "wrong");
    wrong.map(|check| (text(check, "name"), text(check, "text"), text(check, "hint"))).collect()
}

/// Waits until `doctor` finds that wrong, and says what to do about it.
async fn says(place: &Place, said: &str, hint: &str) {
    let is_said = |found: &[(String, String, String)]| {
        found.iter().any(|(_, text, way)| text.contains(said) && way.contains(hint))
    };
    look_until(place, &format!("`{said}` ({hint})"), is_said).await;
}

/// Waits until nothing is wrong with servers and copies any more.
async fn is_mended(place: &Place) {
    let of_store = ["nats", "copies", "storage", "writes", "streams"];
    let is_well =
        |found: &[(String, String, String)]| found.iter().all(|(name, ..)| !of_store.contains(&name.as_str()));
    look_until(place, "a store with which nothing is wrong", is_well).await;
}

async fn look_until(place: &Place, what: &str, is_it: impl Fn(&[(String, String, String)]) -> bool) {
    let begun = Instant::now();
    loop {
        let found = block_in_place(|| wrong(place));
        if is_it(&found) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}: {found:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_down_is_named_and_started() {
    let mut cluster = Cluster::start().await;
    let place = mesh(&cluster).await;
    is_mended(&place).await;
    let address = cluster.node(2).url();
    cluster.node_mut(2).kill();
    says(&place, &format!("server {address} is down"), "start nats-server there").await;
    says(&place, "server n2 ", "look after that server: nats-server must run there").await;
    cluster.node_mut(2).restart();
    is_mended(&place).await;

    cluster.node_mut(1).restart_without_jetstream();
    says(&place, "server n1 (", "start nats-server with --jetstream").await;
    says(&place, "server n1 ", "look after that server").await;
    cluster.node_mut(1).restart();
    is_mended(&place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_too_few_are_started() {
    let mut cluster = Cluster::start().await;
    let place = mesh(&cluster).await;
    let alone = Place::at(cluster.node(0).url());
    cluster.node_mut(1).kill();
    cluster.node_mut(2).kill();
    says(&place, "too few servers are left to elect a leader: n0 (", "start nats-server on those").await;
    says(&alone, "n0 (", "name the others, too (--nats URL,URL)").await;
    cluster.node_mut(0).kill();
    says(&place, "all 3 servers are down", "start nats-server on them").await;
    for node in 0..NODES {
        cluster.node_mut(node).restart();
    }
    is_mended(&place).await;
    is_mended(&alone).await;
}

/// A server that is cut off from its cluster still talks to whoever connects, and knows nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_while_a_server_is_cut_off() {
    let cluster = Cluster::start_with_cables().await;
    let place = mesh(&cluster).await;
    place.write("nightly.yml", "labels: {tickmesh.schedule: \"30 2 * * *\"}\nservices: {s1: {image: busybox}}\n");
    block_in_place(|| place.run(&["apply", "nightly.yml"]).expect(0));
    let _leader = block_in_place(|| Part::start(&place, &["scheduler"], "leading"));
    for node in 0..NODES {
        cluster.isolate(node);
        // The others elect new leaders of what it led; meanwhile a list waits for them.
        let first = block_in_place(|| lists_at_once(&place));
        let mut longest = Duration::ZERO;
        for _ in 0..LISTS / AT_ONCE {
            let took = block_in_place(|| lists_at_once(&place));
            longest = longest.max(took);
        }
        assert!(longest < LS_MAX, "while n{node} is cut off, a list takes {longest:?}; the first one took {first:?}");
        says(&place, &format!("server n{node} ("), "let the servers reach each other").await;
        cluster.rejoin(node);
        cluster.wait_until_ready().await;
        is_mended(&place).await;
    }
}

/// Lists the apps several times at once; returns how long the slowest took.
fn lists_at_once(place: &Place) -> Duration {
    let list = || {
        let begun = Instant::now();
        assert!(place.run(&["ls"]).expect(0).contains("nightly"));
        begun.elapsed()
    };
    std::thread::scope(|scope| {
        let lists: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(list)).collect();
        lists.into_iter().map(|list| list.join().unwrap()).max().unwrap()
    })
}
