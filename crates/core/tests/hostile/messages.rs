//! Messages that say anything at all: they are read or refused, and what is read can be written and read again.

use std::{fmt::Debug, time::Duration};

use jiff::Timestamp;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use tickmesh_core::{
    build::Build,
    end_notes::EndNotes,
    history::{ReplicaSummary, RequestSummary, RunSummary},
    id::{AttemptId, Epoch, Nonce, RequestId, RunUid},
    ledger::Cause,
    message::{
        Admission, AgentRecord, AppRecord, AppSource, AttemptEvent, AttemptReport, Awaited, Capacity, Command,
        CommandKind, EngineStock, EngineTrouble, LogBatch, LogBytes, LogChunk, LogExtent, LogGap, LogMark, LogMarks,
        LogStream, MachineId, MeshEvent, Order, OrderKind, Preparation, PullProgress, RunRequest, SCHEMA, StartOrder,
        TickRecord,
    },
    name::{AgentName, AppName, ServiceName},
    outcome::{LostReason, Outcome},
    policy::{Grant, HostPolicy},
    spec::{ContainerSpec, MountOptions, OnDisconnect, RemoveContainers, Volume, VolumeSource},
};
use uuid::Uuid;

use crate::mutation::{Mutation, mutated, mutations};

fn app() -> AppName {
    AppName::new("nightly").unwrap()
}

fn agent() -> AgentName {
    AgentName::new("host-1").unwrap()
}

fn service() -> ServiceName {
    ServiceName::new("s.1").unwrap()
}

fn at() -> Timestamp {
    "2026-01-01T00:00:00.25Z".parse().unwrap()
}

fn attempt() -> AttemptId {
    AttemptId { app: app(), run: 42, uid: RunUid::from_random([9; 16]), service: service(), replica: 3, attempt: 1 }
}

fn request() -> RunRequest {
    RunRequest { environment: [("A".to_owned(), "b".to_owned())].into(), arguments: vec!["-v".to_owned()] }
}

fn heartbeat() -> AgentRecord {
    AgentRecord {
        schema: SCHEMA,
        agent: agent(),
        process: Nonce::from_random([1; 16]),
        number: 7,
        machine: MachineId("machine-1".to_owned()),
        boot: "boot-1".to_owned(),
        host: "host".to_owned(),
        version: "1".to_owned(),
        build: Build::default(),
        engine: "29".to_owned(),
        engine_trouble: Some(EngineTrouble { since: at(), reason: "denied".to_owned(), lasting: true }),
        at: at(),
        labels: [("disk".to_owned(), "ssd".to_owned())].into(),
        capacity: Capacity { slots: 4, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None },
        policy: Some(HostPolicy {
            host_paths: vec!["/srv".into()],
            grants: Grant::ALL.into(),
            ..HostPolicy::default()
        }),
        stock: EngineStock { networks: Some(["backend".to_owned()].into()), volumes: Some([].into()) },
        draining: false,
        drain_by: Some(Timestamp::UNIX_EPOCH),
        forgotten: true,
        stopped: false,
        results_seen: 40,
        held: [attempt()].into(),
        preparing: vec![Preparation {
            attempt: attempt(),
            awaited: Awaited::Pulling(PullProgress { done_bytes: 1, total_bytes: 40_000_000 }),
        }],
        fence_ms: 45_000,
        kill_margin_ms: 10_000,
    }
}

fn order() -> Order {
    let volume = Volume {
        source: VolumeSource::Anonymous,
        target: "/data".to_owned(),
        read_only: true,
        options: MountOptions::default(),
    };
    let start = StartOrder {
        container: ContainerSpec { volumes: vec![volume], ..ContainerSpec::new("busybox") },
        remove_containers: RemoveContainers::RemoveFinished,
        attempt_timeout: Some(Duration::from_millis(1_500)),
        on_disconnect: OnDisconnect::Continue,
        replicas: 5,
        scheduled_at: Some(at()),
        cause: Cause::Schedule,
    };
    Order {
        schema: SCHEMA,
        epoch: Epoch(7),
        agent: agent(),
        attempt: attempt(),
        kind: OrderKind::Start(Box::new(start)),
    }
}

fn reports() -> Vec<AttemptReport> {
    let exited = AttemptEvent::Exited {
        exit_code: 3,
        oom_killed: true,
        unhealthy: false,
        started_at: Some(at()),
        finished_at: Some(at()),
    };
    let claimed =
        AttemptEvent::Claimed { nonce: Nonce::from_random([1; 16]), machine: MachineId("machine-1".to_owned()) };
    let could_not_start = AttemptEvent::CouldNotStart { reason: "no".to_owned(), permanent: true };
    [
        claimed,
        exited,
        could_not_start,
        AttemptEvent::TimedOut { exit_code: Some(137), notes: EndNotes { oom_killed: true, unhealthy: false } },
    ]
    .map(|event| AttemptReport { schema: SCHEMA, attempt: attempt(), agent: agent(), at: at(), event })
    .into()
}

fn command() -> Command {
    Command {
        schema: SCHEMA,
        request: RequestId(Uuid::from_u128(5)),
        app: app(),
        app_revision: 3,
        by: "ann@desk".to_owned(),
        at: at(),
        kind: CommandKind::Run(request()),
    }
}

fn tick() -> TickRecord {
    TickRecord {
        schema: SCHEMA,
        number: 9,
        app: app(),
        scheduled_at: at(),
        decided_at: at(),
        admission: Admission::Start { run: 42 },
        coalesced: 2,
    }
}

fn summary() -> RunSummary {
    let lost = Outcome::Lost { reason: LostReason::AgentSilent };
    let replica = ReplicaSummary {
        service: service(),
        replica: 0,
        attempts: 2,
        outcome: lost.clone(),
        notes: EndNotes { oom_killed: true, unhealthy: true },
        agent: Some(agent()),
    };
    RunSummary {
        schema: SCHEMA,
        number: 4,
        app: app(),
        run: 42,
        uid: RunUid::from_random([9; 16]),
        cause: Cause::CatchUp { missed: 3 },
        scheduled_at: Some(at()),
        started_at: at(),
        finished_at: at(),
        outcome: lost,
        request: RequestSummary::of(&request()),
        replicas: vec![replica],
    }
}

fn output() -> LogBatch {
    let chunk = |bytes: &[u8]| LogChunk { at: at(), stream: LogStream::Stdout, output: LogBytes::new(bytes) };
    LogBatch {
        schema: SCHEMA,
        attempt: attempt(),
        agent: agent(),
        number: 0,
        gap: Some(LogGap { bytes: 7, lines: 1, extent: LogExtent::AtLeast }),
        chunks: vec![chunk(b"text\n"), chunk(b"\xff\xfe")],
        dropped_bytes: 7,
        held_back: true,
        marks: LogMarks { stdout: Some(LogMark { at: at(), bytes: 7 }), stderr: None },
        last: true,
    }
}

fn applied() -> AppRecord {
    let source = AppSource {
        compose: "services: {}".to_owned(),
        file_name: "app.yml".to_owned(),
        variables: [("TAG".to_owned(), "1".to_owned())].into(),
        env_files: [("job.env".to_owned(), "A=1".to_owned())].into(),
        timezone: "Asia/Shanghai".to_owned(),
        dialect: tickmesh_core::compose::DIALECT_FIRST,
        project: Default::default(),
    };
    AppRecord { schema: SCHEMA, by: "ann@desk".to_owned(), number: None, source: Some(source) }
}

/// Reads a damaged record, and `look`s at it as its readers do.
fn check<T>(record: &T, mutations: &[Mutation], look: impl Fn(&T)) -> Result<(), TestCaseError>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let whole = serde_json::to_vec(record).unwrap();
    prop_assert_eq!(&serde_json::from_slice::<T>(&whole).unwrap(), record);
    let Ok(read) = serde_json::from_slice::<T>(&mutated(record, mutations)) else { return Ok(()) };
    look(&read);
    let written = serde_json::to_vec(&read).unwrap();
    prop_assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), read);
    Ok(())
}

/// Reads a record whose bytes are damaged: cut short, overwritten, or continued.
fn check_bytes<T: Serialize + DeserializeOwned>(record: &T, place: prop::sample::Index, bytes: &[u8]) {
    let whole = serde_json::to_vec(record).unwrap();
    let (before, after) = whole.split_at(place.index(whole.len()));
    let overwritten = [before, bytes, after.get(bytes.len()..).unwrap_or_default()].concat();
    for damaged in [before.to_vec(), overwritten, [before, bytes, after].concat()] {
        let _ = serde_json::from_slice::<T>(&damaged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_message_is_read_or_refused(mutations in mutations()) {
        check(&heartbeat(), &mutations, |record| drop((record.machine.digest(), record.agent.to_string())))?;
        check(&order(), &mutations, |order| drop(order.attempt.token().to_string()))?;
        for report in reports() {
            check(&report, &mutations, |report| drop((report.event.is_terminal(), report.attempt.to_string())))?;
        }
        check(&command(), &mutations, |command| drop(command.check()))?;
        check(&tick(), &mutations, |_| {})?;
        check(&summary(), &mutations, |summary| drop((summary.outcome.to_string(), summary.cause.label())))?;
        check(&output(), &mutations, |batch| drop(batch.chunks.iter().map(|chunk| chunk.output.bytes()).collect::<Vec<_>>()))?;
        check(&applied(), &mutations, |_| {})?;
        let joined = MeshEvent::LeaderChanged { leader: "a".to_owned(), host: "b".to_owned(), epoch: Epoch(1) };
        check(&joined, &mutations, |event| assert!(!event.kind().is_empty()))?;
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(place in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..8)) {
        check_bytes(&heartbeat(), place, &bytes);
        check_bytes(&order(), place, &bytes);
        reports().iter().for_each(|report| check_bytes(report, place, &bytes));
        check_bytes(&command(), place, &bytes);
        check_bytes(&tick(), place, &bytes);
        check_bytes(&summary(), place, &bytes);
        check_bytes(&output(), place, &bytes);
        check_bytes(&applied(), place, &bytes);
    }
}
