use std::{
    collections::BTreeMap,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tickmesh_messaging::{Error, LeaseKeeper, Mesh, Tenure};
use tokio::time::timeout;

use crate::support::*;

/// One term. Short, so that the tests are; the keeper takes no other notice of it.
const TTL: Duration = Duration::from_millis(800);

fn keeper(mesh: &Mesh, process: &str) -> LeaseKeeper {
    LeaseKeeper::new(mesh, process, "host", TTL)
}

async fn acquire(mesh: &Mesh, process: &str) -> Tenure {
    within("the lease", keeper(mesh, process).acquire()).await.unwrap()
}

async fn holder(mesh: &Mesh) -> String {
    mesh.lease().read("leader").await.unwrap().unwrap().value.holder
}

#[tokio::test]
async fn a_lease_that_nobody_ever_had_is_taken_at_once() {
    let (_server, mesh) = mesh().await;
    let begin = Instant::now();
    let tenure = acquire(&mesh, "first").await;
    assert!(begin.elapsed() < TTL, "{:?}", begin.elapsed());
    assert!(tenure.is_trusted());
    assert_eq!((tenure.epoch().0, holder(&mesh).await.as_str()), (1, "first"));
}

#[tokio::test]
async fn a_standby_waits_while_the_holder_renews_and_takes_over_when_it_stops() {
    let (server, mesh) = mesh().await;
    let first = acquire(&mesh, "first").await;
    let standby = connect(&server, "mesh").await;
    let mut waiting = tokio::spawn(async move { (acquire(&standby, "second").await, standby) });
    let early = timeout(TTL * 3, &mut waiting).await;
    assert!(early.is_err(), "the standby took a lease that was renewed");
    assert!(first.is_trusted());
    let epoch = first.epoch();
    drop(first);
    let begin = Instant::now();
    let (second, standby) = within("the take-over", waiting).await.unwrap();
    // The last renewal was at most a quarter of a term ago, so at least half a term must pass.
    assert!(begin.elapsed() > TTL / 2, "{:?}", begin.elapsed());
    assert!(second.epoch() > epoch && second.is_trusted());
    assert_eq!(holder(&standby).await, "second");
}

#[tokio::test]
async fn a_released_lease_is_taken_at_once() {
    let (server, mesh) = mesh().await;
    let first = acquire(&mesh, "first").await;
    let standby = connect(&server, "mesh").await;
    let mut waiting = tokio::spawn(async move { acquire(&standby, "second").await });
    assert!(timeout(TTL * 2, &mut waiting).await.is_err(), "the standby took a lease that was renewed");
    let begin = Instant::now();
    first.release().await;
    let second = within("the take-over", waiting).await.unwrap();
    assert!(begin.elapsed() < TTL / 2, "{:?}", begin.elapsed());
    assert!(second.is_trusted());
}

#[tokio::test]
async fn a_lease_is_renewed_for_many_terms() {
    let (_server, mesh) = mesh().await;
    let tenure = acquire(&mesh, "first").await;
    assert!(timeout(TTL * 4, tenure.lost()).await.is_err(), "lost without a rival");
    assert!(tenure.is_trusted());
    let renewals = mesh.lease().read("leader").await.unwrap().unwrap().value.renewal;
    assert!((9..=18).contains(&renewals), "{renewals} renewals in four terms");
}

/// Leads in a thread whose runtime stands still between the two messages, like a process that was stopped and continued.
fn stalled_leader(url: String) -> (mpsc::Sender<()>, mpsc::Receiver<Observed>) {
    let (go_on, wait) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mesh = Mesh::connect(&options(&url, "mesh")).await.unwrap();
            let tenure = acquire(&mesh, "stalled").await;
            tell.send(Observed { epoch: tenure.epoch().0, trusted: tenure.is_trusted() }).unwrap();
            wait.recv().unwrap();
            tell.send(Observed { epoch: tenure.epoch().0, trusted: tenure.is_trusted() }).unwrap();
            within("the loss", tenure.lost()).await;
            tell.send(Observed { epoch: tenure.epoch().0, trusted: tenure.is_trusted() }).unwrap();
        });
    });
    (go_on, told)
}

#[derive(Debug)]
struct Observed {
    epoch: u64,
    trusted: bool,
}

#[tokio::test]
async fn a_stalled_holder_distrusts_its_lease_at_once_and_finds_that_it_lost_it() {
    let (server, mesh) = mesh().await;
    let (go_on, told) = stalled_leader(server.url());
    let observe = move || told.recv_timeout(Duration::from_secs(30)).expect("the stalled leader tells what it sees");
    let before = observe();
    assert!(before.trusted);
    let second = acquire(&mesh, "second").await;
    assert!(second.epoch().0 > before.epoch);
    go_on.send(()).unwrap();
    assert!(!observe().trusted, "trusted a lease that somebody else has");
    assert!(!observe().trusted, "trusted a lease that it knows to have lost");
    assert!(second.is_trusted());
}

#[tokio::test]
async fn a_holder_distrusts_its_lease_while_the_server_is_away_and_keeps_it_when_nobody_took_it() {
    let (mut server, mesh) = mesh().await;
    let tenure = acquire(&mesh, "first").await;
    server.kill();
    within("distrust", until(|| !tenure.is_trusted())).await;
    server.restart();
    within("trust", until(|| tenure.is_trusted())).await;
    assert_eq!(holder(&mesh).await, "first");
}

#[tokio::test]
async fn a_candidate_that_begins_while_the_server_is_away_waits_for_it() {
    let (mut server, mesh) = mesh().await;
    let first = acquire(&mesh, "first").await;
    let epoch = first.epoch();
    server.kill();
    within("the release to be given up", first.release()).await;
    let mut waiting = tokio::spawn(async move { (acquire(&mesh, "second").await, mesh) });
    // More than one request goes unanswered.
    assert!(timeout(REQUEST_TIMEOUT * 2, &mut waiting).await.is_err(), "nobody can have a lease without a server");
    server.restart();
    let (second, mesh) = within("the lease", waiting).await.unwrap();
    assert!(second.epoch() > epoch && second.is_trusted());
    assert_eq!(holder(&mesh).await, "second");
}

/// Looks every few milliseconds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn of_many_candidates_one_leads_at_a_time() {
    let (server, _mesh) = mesh().await;
    let (tell, mut told) = tokio::sync::mpsc::channel(1);
    for number in 0..5 {
        let (mesh, tell) = (connect(&server, "mesh").await, tell.clone());
        tokio::spawn(async move {
            let tenure = acquire(&mesh, &format!("process {number}")).await;
            // An error means that the test is over.
            let _over = tell.send(tenure).await;
        });
    }
    let mut epoch = 0;
    for _ in 0..5 {
        let tenure = within("a leader", told.recv()).await.unwrap();
        assert!(tenure.epoch().0 > epoch, "epochs only go up");
        epoch = tenure.epoch().0;
        assert!(timeout(TTL * 2, told.recv()).await.is_err(), "two lead at a time");
        assert!(tenure.is_trusted());
        tenure.release().await;
    }
}

#[tokio::test]
async fn nobody_leads_on_streams_that_lost_data() {
    let (server, mesh) = mesh().await;
    let tenure = acquire(&mesh, "first").await;
    tenure.note_sequences(BTreeMap::from([("ledger".to_owned(), 42)]));
    let noted = async || {
        let record = mesh.lease().read("leader").await.unwrap().unwrap().value;
        record.last_sequences.get("ledger") == Some(&42)
    };
    within("the note", async { while !noted().await {} }).await;
    tenure.release().await;
    let standby = connect(&server, "mesh").await;
    let error = within("the refusal", keeper(&standby, "second").acquire()).await.unwrap_err();
    assert!(matches!(error, Error::StateLost { recorded: 42, found: 0, .. }), "{error:?}");
}
