//! Ledgers and apps for the tests of what is made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use tickmesh_core::{
    build::Build,
    compose::{self, ComposeFile, TIMEZONE_DEFAULT},
    end_notes::EndNotes,
    history::{ReplicaSummary, RequestSummary, RunSummary},
    id::{AttemptId, Nonce, RequestId, RunNumber, RunUid},
    ledger::{ActiveRun, CarryOver, Cause, Ledger, NewRun, ReplicaPlace, ReplicaState, Waiting},
    message::{
        AgentRecord, AppRecord, AppSource, AttemptEvent, AttemptReport, Capacity, EngineStock, LogBatch, LogBytes,
        LogChunk, LogMarks, LogStream, MachineId, Preparation, RunRequest, SCHEMA,
    },
    name::{AgentName, AppName, ServiceName},
    outcome::Outcome,
    spec::RunSpec,
};
use tickmesh_messaging::Entry;

/// Three replicas at half past two.
pub const COMPOSE: &str = r#"
version: "2"
labels: {aliyun.schedule: "0 30 2 * * *"}
services: {s1: {image: busybox, labels: {aliyun.scale: "3"}}}
"#;

/// The moment of all tests.
///
/// # Panics
///
/// Never.
pub fn now() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().expect("a timestamp")
}

/// Its name.
///
/// # Panics
///
/// Never.
pub fn app() -> AppName {
    AppName::new("nightly").expect("a name")
}

/// The only agent.
///
/// # Panics
///
/// Never.
pub fn agent() -> AgentName {
    AgentName::new("host-1").expect("a name")
}

/// What somebody asked for.
pub fn request() -> RequestId {
    RequestId::from_random([7; 16])
}

/// What is stored of an app; `None`: a tombstone.
pub fn record(compose: Option<&str>, revision: u64) -> Entry<AppRecord> {
    let source = compose.map(|compose| AppSource {
        compose: compose.to_owned(),
        file_name: "nightly.yml".to_owned(),
        variables: BTreeMap::new(),
        env_files: BTreeMap::new(),
        timezone: TIMEZONE_DEFAULT.to_owned(),
        dialect: compose::DIALECT_FIRST,
        project: Default::default(),
    });
    let value = AppRecord { schema: SCHEMA, by: "me@here".to_owned(), number: None, source };
    Entry { key: app().to_string(), sequence: revision, at: now(), value }
}

/// What [`COMPOSE`] says of a run.
pub fn run_spec() -> Arc<RunSpec> {
    run_spec_of(COMPOSE)
}

fn run_spec_of(text: &str) -> Arc<RunSpec> {
    let variables = BTreeMap::new();
    let file = ComposeFile {
        dialect: compose::Dialect::PRESENT,
        app: &app(),
        file_name: "nightly.yml",
        text,
        variables: &variables,
        env_files: &variables,
        timezone_default: TIMEZONE_DEFAULT,
    };
    compose::read(&file, &TimeZoneDatabase::bundled()).spec.expect("a valid file").run()
}

/// An active run whose replicas do this.
pub fn active(number: RunNumber, cause: Cause, states: Vec<ReplicaState>) -> ActiveRun {
    let mut spec = RunSpec::clone(&run_spec());
    spec.services[0].scale = states.len() as u32;
    let mut run = begun(number, cause, Arc::new(spec));
    for (replica, state) in (0..).zip(states) {
        run.change(ReplicaPlace { service: 0, replica }, |it| (it.last_attempt, it.state) = (1, state));
    }
    run
}

/// A run of this file that has just begun.
pub fn active_of(text: &str) -> ActiveRun {
    begun(1, Cause::Schedule, run_spec_of(text))
}

fn begun(number: RunNumber, cause: Cause, spec: Arc<RunSpec>) -> ActiveRun {
    let waiting = Waiting {
        cause,
        scheduled_at: None,
        enqueued_at: now(),
        request: RunRequest::default(),
        carried: CarryOver::default(),
    };
    ActiveRun::begin(NewRun {
        number,
        uid: RunUid::from_random([1; 16]),
        waiting,
        started_at: now(),
        spec,
        results_through: 0,
    })
}

/// A replica that ended so on [`agent`].
pub fn ended(outcome: Outcome) -> ReplicaState {
    ReplicaState::Ended { outcome, agent: Some(agent()) }
}

/// A replica that wants an agent.
pub fn pending() -> ReplicaState {
    ReplicaState::Pending { not_before: now(), avoid: None }
}

/// Somebody asked for it.
pub fn manual() -> Cause {
    Cause::Manual { by: "me@here".to_owned(), request: request() }
}

/// A ledger of these runs.
pub fn ledger(active: Vec<ActiveRun>) -> Ledger {
    Ledger { active, ..Ledger::new(1, now()) }
}

/// A run that ended so, with one replica for each outcome.
pub fn summary(number: RunNumber, cause: Cause, outcomes: &[Outcome]) -> RunSummary {
    let replica = |(replica, outcome): (u32, &Outcome)| ReplicaSummary {
        service: ServiceName::new("s1").expect("a name"),
        replica,
        attempts: 1,
        outcome: outcome.clone(),
        notes: EndNotes::default(),
        agent: Some(agent()),
    };
    RunSummary {
        schema: SCHEMA,
        number,
        app: app(),
        run: number,
        uid: RunUid::from_random([1; 16]),
        cause,
        scheduled_at: None,
        started_at: now(),
        finished_at: now(),
        outcome: Outcome::of_all(outcomes),
        request: RequestSummary::default(),
        replicas: (0..).zip(outcomes).map(replica).collect(),
    }
}

/// A message about the first attempt of a replica of [`active`].
pub fn report(replica: u32, event: AttemptEvent) -> AttemptReport {
    let attempt = AttemptId {
        app: app(),
        run: 1,
        uid: RunUid::from_random([1; 16]),
        service: ServiceName::new("s1").expect("a name"),
        replica,
        attempt: 1,
    };
    AttemptReport { schema: SCHEMA, attempt, agent: agent(), at: now(), event }
}

/// What [`agent`] said last.
pub fn heartbeat(preparing: impl Iterator<Item = Preparation>) -> Entry<AgentRecord> {
    let value = AgentRecord {
        schema: SCHEMA,
        agent: agent(),
        process: Nonce::from_random([1; 16]),
        number: 1,
        machine: MachineId("machine-1".to_owned()),
        boot: String::new(),
        host: "host".to_owned(),
        version: "1".to_owned(),
        build: Build::default(),
        engine: "29".to_owned(),
        engine_trouble: None,
        at: now(),
        labels: BTreeMap::new(),
        capacity: Capacity { slots: 4, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None },
        policy: None,
        stock: EngineStock::default(),
        draining: false,
        drain_by: None,
        stopped: false,
        forgotten: false,
        results_seen: 0,
        held: BTreeSet::new(),
        preparing: preparing.collect(),
        fence_ms: 45_000,
        kill_margin_ms: 10_000,
    };
    Entry { key: agent().to_string(), sequence: 1, at: now(), value }
}

/// What the first attempt of the first replica of run 1 wrote, as its `number`th batch (from 0).
pub fn output(number: u64, text: &str) -> LogBatch {
    let chunk = LogChunk { at: now(), stream: LogStream::Stdout, output: LogBytes::new(text.as_bytes()) };
    LogBatch {
        schema: SCHEMA,
        attempt: report(0, AttemptEvent::Cancelled { exit_code: None }).attempt,
        agent: agent(),
        number,
        gap: None,
        chunks: vec![chunk],
        dropped_bytes: 0,
        held_back: false,
        marks: LogMarks::default(),
        last: false,
    }
}

/// Bodies that are no record of any kind: nothing, garbage, half a record, those of other schemas, one of 1 MB.
pub fn damaged() -> Vec<Vec<u8>> {
    let texts = ["", "garbage", r#"{"schema":1,"#, r#"{"schema":2}"#, r#"{"schema":0}"#, "null"];
    texts.map(|text| text.as_bytes().to_vec()).into_iter().chain([vec![b'x'; 1_000_000]]).collect()
}
