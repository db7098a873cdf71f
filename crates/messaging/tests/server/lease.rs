use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tickmesh_core::{ledger::Ledger, message::SCHEMA};
use tickmesh_messaging::{
    Cas, Error, LeaseKeeper, LeaseRecord, Mesh, SchedulerCard, SchedulerRole, StreamKind, Tenure, lease::StreamMarks,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::support::*;

/// One term. Short, so that the tests are; the keeper takes no other notice of it.
const TTL: Duration = Duration::from_millis(800);
/// One that nobody waits for unless he must.
const LONG_TTL: Duration = Duration::from_secs(6);

fn keeper(mesh: &Mesh, process: &str) -> LeaseKeeper {
    LeaseKeeper::new(mesh, process, "host", TTL)
}

async fn acquire(mesh: &Mesh, process: &str) -> Tenure {
    within("the lease", keeper(mesh, process).acquire()).await.unwrap()
}

async fn acquire_for(mesh: &Mesh, process: &str, ttl: Duration) -> Tenure {
    within("the lease", LeaseKeeper::new(mesh, process, "host", ttl).acquire()).await.unwrap()
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

/// Marks that claim more of the ledgers than there is.
async fn too_high(mesh: &Mesh) -> StreamMarks {
    let mut marks = mesh.stream_marks().await.unwrap();
    marks.get_mut("ledger").unwrap().last_sequence = 42;
    marks
}

#[tokio::test]
async fn nobody_leads_on_streams_that_lost_data() {
    let (server, mesh) = mesh().await;
    let tenure = acquire(&mesh, "first").await;
    tenure.note_streams(&tenure.seen(), too_high(&mesh).await).unwrap();
    let noted = async || {
        let record = mesh.lease().read("leader").await.unwrap().unwrap().value;
        record.streams.get("ledger").is_some_and(|mark| mark.last_sequence == 42)
    };
    within("the note", async { while !noted().await {} }).await;
    tenure.release().await;
    let standby = connect(&server, "mesh").await;
    let error = within("the refusal", keeper(&standby, "second").acquire()).await.unwrap_err();
    let told = "stored data was lost: stream `ledger` ends at sequence 0, but a scheduler has seen 42";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn a_scheduler_remembers_what_a_restored_lease_does_not() {
    let (server, mesh) = mesh().await;
    let keeper = keeper(&mesh, "first");
    let tenure = within("the lease", keeper.acquire()).await.unwrap();
    tenure.note_streams(&tenure.seen(), too_high(&mesh).await).unwrap();
    assert!(
        tenure.note_streams(&tenure.seen(), mesh.stream_marks().await.unwrap()).is_err(),
        "a loss is never noted as the new truth"
    );
    drop(tenure);
    // The lease as it was before the note.
    let other = connect(&server, "mesh").await;
    let restored = within("the lease", async {
        loop {
            let entry = other.lease().read("leader").await.unwrap().unwrap();
            let record = LeaseRecord { released: true, streams: StreamMarks::new(), ..entry.value.next() };
            if let Cas::Stored { .. } = other.lease().compare_and_set("leader", &record, entry.sequence).await.unwrap()
            {
                return;
            }
        }
    });
    restored.await;
    let error = within("the refusal", keeper.acquire()).await.unwrap_err();
    assert!(matches!(error, Error::StateLost(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_written_while_somebody_looks_is_no_loss() {
    let (_server, mesh) = mesh().await;
    let tenure = within("the lease", keeper(&mesh, "first").acquire()).await.unwrap();
    let seen = tenure.seen();
    let found = mesh.stream_marks().await.unwrap();
    // The leader writes a ledger before it has read the answer.
    tenure.saw(StreamKind::Ledger, found["ledger"].last_sequence + 21);
    assert_eq!(tenure.note_streams(&seen, found.clone()), Ok(()));
    assert!(tenure.note_streams(&tenure.seen(), found).is_err(), "the next look would have to find it");
}

#[tokio::test]
async fn nobody_leads_where_there_are_ledgers_and_no_lease() {
    let (_server, mesh) = mesh().await;
    let ledger = Ledger::new(1, Timestamp::UNIX_EPOCH);
    stored(mesh.ledgers().compare_and_set("nightly", &ledger, 0).await.unwrap());
    let error = within("the refusal", keeper(&mesh, "first").acquire()).await.unwrap_err();
    assert_eq!(error.to_string(), "stored data was lost: stream `ledger` has messages, but the lease is gone");
}

/// A holder that answers, as a scheduler does, until the returned task is aborted.
async fn answering(mesh: &Mesh, id: &str) -> JoinHandle<()> {
    let card = SchedulerCard {
        schema: SCHEMA,
        id: id.to_owned(),
        host: "host".to_owned(),
        version: "0".to_owned(),
        role: SchedulerRole::StandingBy,
        since: Timestamp::UNIX_EPOCH,
    };
    let ((_, shown), (wish, _)) = (watch::channel(card), tokio::sync::mpsc::channel(1));
    tokio::spawn(mesh.schedulers().answer(shown, wish).await.unwrap())
}

/// How long after the end of the first holder's connection a standby has the lease, if `answers` says whether the first one
/// had answered.
async fn taken_after(answers: bool) -> Duration {
    let (server, _mesh) = mesh().await;
    let (first, second) = (connect(&server, "mesh").await, connect(&server, "mesh").await);
    let answer = if answers { Some(answering(&first, "first").await) } else { None };
    let tenure = acquire_for(&first, "first", LONG_TTL).await;
    let standby = tokio::spawn(async move { acquire_for(&second, "second", LONG_TTL).await });
    // Long enough for the standby's connection to count as settled, and for the holder to be heard.
    sleep(Duration::from_millis(2_600)).await;
    let killed = Instant::now();
    drop(tenure);
    drop(answer.inspect(JoinHandle::abort));
    first.close().await;
    within("the standby's lease", standby).await.unwrap();
    killed.elapsed()
}

#[tokio::test]
async fn the_lease_of_a_holder_that_is_gone_is_taken_long_before_it_runs_out() {
    let took = taken_after(true).await;
    assert!(took < LONG_TTL / 2, "{took:?}");
}

#[tokio::test]
async fn the_lease_of_a_holder_that_never_answered_runs_out() {
    let took = taken_after(false).await;
    assert!(took > LONG_TTL / 2, "{took:?}");
}
