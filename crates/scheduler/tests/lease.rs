//! Schedulers and their lease on a real `nats-server`, one for each test; and a real tenure, replayed.

// The lint's exception for tests covers test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    build::Build,
    fleet::Reservations,
    ledger::Ledger,
    message::{AppRecord, AppSource, SCHEMA},
    name::{AppName, Namespace},
    timing::Timing,
};
use tickmesh_messaging::{
    Cas, ConnectOptions, LeaseRecord, Login, Mesh, Provisioning, SchedulerCard, SchedulerRole, lease::StreamMarks,
};
use tickmesh_scheduler::{
    Config, Recorder,
    clock::{Clock, Moment},
    dispatcher::Batches,
    figures::FigureBoard,
    process::{Event, Process, QueueLimits, Settings},
    run,
};
use tickmesh_testkit::nats::Server;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes longer, not even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long schedulers are listened to.
const ROLL_CALL: Duration = Duration::from_millis(200);
/// A lease of 810 ms, so that the tests are short.
const SHORT: f64 = 0.27;
/// A lease that nobody waits for unless he must: 6 s.
const LONG: f64 = 2.0;

/// A scheduler in this process.
struct Scheduler {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Scheduler {
    async fn start(server: &Server, id: &str, scale: f64) -> Self {
        Self::start_with(server, Config { timing: Timing::default().scaled(scale), ..config(id) }).await
    }

    async fn start_with(server: &Server, config: Config) -> Self {
        let (mesh, shutdown) = (connect(server).await, CancellationToken::new());
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { run(config, mesh, stop).await.unwrap() });
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("the scheduler stops").unwrap();
    }

    /// Ends it as `kill -9` does.
    async fn kill(self) {
        self.task.abort();
        let _cancelled = self.task.await;
    }
}

fn config(id: &str) -> Config {
    Config {
        id: id.to_owned(),
        host: "host".to_owned(),
        build: Build::default(),
        timing: Timing::default(),
        reservations: Reservations::default(),
        zones: TimeZoneDatabase::bundled(),
        clock: Clock::default(),
        role: None,
        tap: None,
        figures: FigureBoard::default(),
        recorder: None,
    }
}

fn options(server: &Server) -> ConnectOptions {
    ConnectOptions {
        url: server.url(),
        login: Login::default(),
        namespace: Namespace::new("mesh").unwrap(),
        client_name: "test".to_owned(),
        request_timeout: Duration::from_millis(1_500),
    }
}

async fn connect(server: &Server) -> Mesh {
    timeout(PATIENCE, Mesh::connect(&options(server))).await.expect("a connection").unwrap()
}

async fn mesh() -> (Server, Mesh) {
    let server = Server::start();
    let mesh = connect(&server).await;
    mesh.provision(&Provisioning::default()).await.unwrap();
    (server, mesh)
}

/// Waits until the schedulers' cards are as wanted, and says how long that took.
async fn until(mesh: &Mesh, what: &str, wanted: impl Fn(&[SchedulerCard]) -> bool) -> Duration {
    let begun = Instant::now();
    let looking = async {
        while !wanted(&mesh.schedulers().roll(ROLL_CALL).await.unwrap_or_default()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} until {what}"));
    begun.elapsed()
}

fn leads(card: &SchedulerCard, id: &str) -> bool {
    card.id == id && matches!(card.role, SchedulerRole::Leading { .. })
}

async fn until_leads(mesh: &Mesh, id: &str) -> Duration {
    until(mesh, &format!("{id} leads"), |cards| cards.iter().any(|card| leads(card, id))).await
}

async fn until_stands_by(mesh: &Mesh, id: &str) {
    let stands_by = |card: &SchedulerCard| card.id == id && card.stands_by();
    until(mesh, &format!("{id} stands by"), |cards| cards.iter().any(stands_by)).await;
}

/// Waits until a scheduler refuses to lead, and says why it does.
async fn refusal(mesh: &Mesh, id: &str) -> String {
    let reason = Mutex::new(String::new());
    let refuses = |card: &SchedulerCard| {
        let SchedulerRole::Refusing { reason: given, data_lost: true, .. } = &card.role else { return false };
        let is_wanted = card.id == id;
        if is_wanted {
            reason.lock().unwrap().clone_from(given);
        }
        is_wanted
    };
    until(mesh, &format!("{id} refuses to lead"), |cards| cards.iter().any(refuses)).await;
    reason.into_inner().unwrap()
}

async fn lease(mesh: &Mesh) -> LeaseRecord {
    mesh.lease().read("leader").await.unwrap().unwrap().value
}

/// Writes the lease as somebody who restores an older copy of it, or makes up a newer one.
async fn write_lease(mesh: &Mesh, change: impl Fn(LeaseRecord) -> LeaseRecord) {
    loop {
        let entry = mesh.lease().read("leader").await.unwrap().unwrap();
        let record = change(entry.value.next());
        if let Cas::Stored { .. } = mesh.lease().compare_and_set("leader", &record, entry.sequence).await.unwrap() {
            return;
        }
    }
}

/// Marks that claim more of the ledgers than there is.
async fn too_high(mesh: &Mesh) -> StreamMarks {
    let mut marks = mesh.stream_marks().await.unwrap();
    marks.get_mut("ledger").unwrap().last_sequence = 42;
    marks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_over_only_when_the_leader_dies() {
    let (server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", SHORT).await;
    until_leads(&mesh, "first").await;
    let second = Scheduler::start(&server, "second", SHORT).await;
    until_stands_by(&mesh, "second").await;
    let before = lease(&mesh).await.renewal;
    sleep(Duration::from_millis(3_240)).await;
    let renewed = lease(&mesh).await;
    assert_eq!(renewed.holder, "first", "the standby took a lease that was renewed");
    assert!((9..=18).contains(&(renewed.renewal - before)), "{} renewals in four terms", renewed.renewal - before);
    first.kill().await;
    until_leads(&mesh, "second").await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_gives_its_lease_back() {
    let (server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", LONG).await;
    until_leads(&mesh, "first").await;
    let second = Scheduler::start(&server, "second", LONG).await;
    until_stands_by(&mesh, "second").await;
    first.stop().await;
    let took = until_leads(&mesh, "second").await;
    assert!(took < Duration::from_secs(3), "{took:?}, and a term is 6 s");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_leaders_lease_is_taken_before_it_runs_out() {
    let (server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", LONG).await;
    until_leads(&mesh, "first").await;
    let second = Scheduler::start(&server, "second", LONG).await;
    until_stands_by(&mesh, "second").await;
    // Long enough for the standby's connection to count as settled, and for the holder to be heard.
    sleep(Duration::from_millis(2_600)).await;
    first.kill().await;
    let took = until_leads(&mesh, "second").await;
    assert!(took < Duration::from_secs(3), "{took:?}, and a term is 6 s");
    second.stop().await;
}

/// What a leader in a thread of its own does.
#[derive(Clone, Copy, Default, PartialEq)]
enum Does {
    #[default]
    GoOn,
    /// Its whole runtime stands still, like a process that was stopped.
    StandStill,
    Stop,
}

/// What it is told to do.
#[derive(Default)]
struct Told {
    does: Mutex<Does>,
    changed: Condvar,
}

impl Told {
    fn tell(&self, does: Does) {
        *self.does.lock().unwrap() = does;
        self.changed.notify_all();
    }

    /// What it does, once it does not stand still.
    fn does(&self) -> Does {
        let does = self.does.lock().unwrap();
        *self.changed.wait_while(does, |does| *does == Does::StandStill).unwrap()
    }
}

fn stalled_leader(server: &Server, told: Arc<Told>) -> thread::JoinHandle<()> {
    let options = options(server);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mesh = Mesh::connect(&options).await.unwrap();
            let stop = CancellationToken::new();
            let obeys = async {
                while told.does() != Does::Stop {
                    sleep(Duration::from_millis(5)).await;
                }
                stop.cancel();
            };
            let config = Config { timing: Timing::default().scaled(SHORT), ..config("stalled") };
            let (ended, ()) = tokio::join!(run(config, mesh, stop.clone()), obeys);
            ended.unwrap();
        });
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_finds_that_it_lost_the_lease() {
    let (server, mesh) = mesh().await;
    let told = Arc::new(Told::default());
    let stalled = stalled_leader(&server, told.clone());
    until_leads(&mesh, "stalled").await;
    told.tell(Does::StandStill);
    let second = Scheduler::start(&server, "second", SHORT).await;
    until_leads(&mesh, "second").await;
    told.tell(Does::GoOn);
    until_stands_by(&mesh, "stalled").await;
    assert_eq!(lease(&mesh).await.holder, "second");
    told.tell(Does::Stop);
    stalled.join().unwrap();
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_wait_for_a_server_that_is_away() {
    let (mut server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", SHORT).await;
    until_leads(&mesh, "first").await;
    let renewal = lease(&mesh).await.renewal;
    server.kill();
    // Longer than a term: by the time the server is back, nobody has a lease.
    sleep(Duration::from_secs(2)).await;
    server.restart();
    until_leads(&mesh, "first").await;
    assert!(lease(&mesh).await.renewal > renewal);
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_schedulers_one_leads_at_a_time() {
    let (server, mesh) = mesh().await;
    let ids: Vec<String> = (0..4).map(|number| format!("process-{number}")).collect();
    let mut running = Vec::new();
    for id in &ids {
        running.push((id.clone(), Scheduler::start(&server, id, SHORT).await));
    }
    while !running.is_empty() {
        until(&mesh, "somebody leads", |cards| cards.iter().any(|card| leads(card, &card.id))).await;
        let cards = mesh.schedulers().roll(ROLL_CALL).await.unwrap();
        let leaders: Vec<&str> =
            cards.iter().filter(|card| leads(card, &card.id)).map(|card| card.id.as_str()).collect();
        let [leader] = leaders[..] else { panic!("{leaders:?} lead") };
        let place = running.iter().position(|(id, _)| id == leader).unwrap();
        running.swap_remove(place).1.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leads_on_streams_that_lost_data() {
    let (server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", SHORT).await;
    until_leads(&mesh, "first").await;
    first.stop().await;
    let marks = too_high(&mesh).await;
    write_lease(&mesh, |record| LeaseRecord { released: true, streams: marks.clone(), ..record }).await;
    let second = Scheduler::start(&server, "second", SHORT).await;
    let reason = refusal(&mesh, "second").await;
    let told = "failed to acquire the lease: stored data was lost: stream `ledger` ends at sequence 0, but a scheduler \
                has seen 42";
    assert_eq!(reason, told);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_remembers_what_a_restored_lease_does_not() {
    let (server, mesh) = mesh().await;
    let first = Scheduler::start(&server, "first", SHORT).await;
    until_leads(&mesh, "first").await;
    let second = Scheduler::start(&server, "second", SHORT).await;
    until_stands_by(&mesh, "second").await;
    first.kill().await;
    // The standby reads a lease that knows of more; then the lease is as it was before that.
    let marks = too_high(&mesh).await;
    write_lease(&mesh, |record| LeaseRecord { streams: marks.clone(), ..record }).await;
    sleep(Duration::from_millis(300)).await;
    write_lease(&mesh, |record| LeaseRecord { released: true, streams: StreamMarks::new(), ..record }).await;
    refusal(&mesh, "second").await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leads_where_there_are_ledgers_and_no_lease() {
    let (server, mesh) = mesh().await;
    let ledger = Ledger::new(1, Timestamp::UNIX_EPOCH);
    mesh.ledgers().compare_and_set("nightly", &ledger, 0).await.unwrap();
    let first = Scheduler::start(&server, "first", SHORT).await;
    let reason = refusal(&mesh, "first").await;
    assert!(reason.ends_with("stream `ledger` has messages, but the lease is gone"), "{reason}");
    first.stop().await;
}

/// What a process was told at which moment, and what it asked for.
type Log = Arc<Mutex<Vec<(Event, Moment, String)>>>;

fn recorder(log: &Log) -> Recorder {
    let log = log.clone();
    let see = move |event: &Event, moment: Moment, effects: &[_]| {
        log.lock().unwrap().push((event.clone(), moment, format!("{effects:?}")));
    };
    Recorder { seed: 7, see: Arc::new(see) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenure_replayed_comes_to_the_same_effects() {
    let (server, mesh) = mesh().await;
    let log = Log::default();
    let timing = Timing::default().scaled(SHORT);
    let first =
        Scheduler::start_with(&server, Config { timing, recorder: Some(recorder(&log)), ..config("first") }).await;
    until_leads(&mesh, "first").await;
    let text = "labels: {aliyun.schedule: \"* * * * * *\"}\nservices: {s1: {image: busybox}}\n";
    let source = AppSource {
        compose: text.to_owned(),
        file_name: "second.yml".to_owned(),
        variables: Default::default(),
        env_files: Default::default(),
        timezone: "UTC".to_owned(),
        dialect: tickmesh_core::compose::DIALECT_FIRST,
        project: Default::default(),
    };
    let record = AppRecord { schema: SCHEMA, by: "me".to_owned(), number: None, source: Some(source) };
    mesh.apps().compare_and_set("second", &record, 0).await.unwrap();
    let app = AppName::new("second").unwrap();
    let ticked = async { while mesh.ticks().last(&app).await.unwrap().len() < 3 {} };
    timeout(PATIENCE, ticked).await.expect("three ticks");
    let card = mesh.schedulers().step_down("first", PATIENCE).await.unwrap();
    assert!(card.is_some(), "the leader is asked to step down");
    until(&mesh, "nobody leads", |cards| cards.iter().all(|card| !leads(card, "first"))).await;
    first.stop().await;

    let settings = Settings {
        id: "first".to_owned(),
        host: "host".to_owned(),
        timing,
        reservations: Reservations::default(),
        batches: Batches::default(),
        queue: QueueLimits::default(),
    };
    let (mut process, _) = Process::begin(settings, StdRng::seed_from_u64(7));
    let log = std::mem::take(&mut *log.lock().unwrap());
    assert!(log.iter().any(|(_, _, effects)| effects.contains("PublishTick")), "nothing happened in the tenure");
    for (number, (event, moment, effects)) in log.into_iter().enumerate() {
        let told = format!("{event:?}");
        let again = process.fold(event, moment).effects;
        assert_eq!(format!("{again:?}"), effects, "event {number}: {told}");
    }
    assert_eq!(process.stage(), "stopped");
}

/// A leader whose clock is wrong is no reason for nothing to be decided while somebody stands by whose clock is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_a_wrong_clock_gives_way_to_a_right_one() {
    let (server, mesh) = mesh().await;
    let wrong = Clock { shift: SignedDuration::from_secs(30) };
    let first = Scheduler::start_with(&server, Config { clock: wrong, ..config("wrong") }).await;
    until_leads(&mesh, "wrong").await;
    let second = Scheduler::start(&server, "right", 1.0).await;
    let took = until_leads(&mesh, "right").await;
    assert!(took < Duration::from_secs(15), "{took:?}");
    let stands_by_in_doubt = |card: &SchedulerCard| card.id == "wrong" && card.stands_by() && !card.could_lead();
    until(&mesh, "the other one stands by, in doubt", |cards| cards.iter().any(stands_by_in_doubt)).await;
    second.stop().await;
    // Nobody else is there: better one that decides no ticks, and all the rest, than none.
    until_leads(&mesh, "wrong").await;
    first.stop().await;
}
