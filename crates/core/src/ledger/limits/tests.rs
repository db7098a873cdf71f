//! The largest instance of every part, measured; and the largest ledger, made of them.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::{
    end_notes::EndNotes,
    history::{ReplicaSummary, RequestSummary},
    id::{Epoch, RequestId, RunUid},
    json_size::{shortened, text_bytes},
    ledger::{
        CarryOver, Cause, Claim, Counters, HISTORY_RUNS, HandledRequest, NewRun, OpenAttempt, Outbox, Pause, Progress,
        RecentRun, Replica, ReplicaPlace, ReplicaState, RequestCounters, ServiceRun, Standing, StopReason, Told,
        ToldDrops, Verdict, WriteStamp,
        bounds::{ATTEMPTS_MAX, ATTEMPTS_USED_MAX},
    },
    message::{Admission, AppNotice, DropReason, MachineDigest, NoticeRecord, RunRequest, SCHEMA, TickRecord},
    name::{AgentName, AppName, NAME_LENGTH_MAX, ServiceName},
    outcome::{LostReason, Outcome},
    spec::{ACTIVE_RUNS_MAX, ContainerSpec, LOSSES_MAX, RETRY_COUNT_MAX, SCALE_MAX, ServiceSpec},
};

const LATEST: Timestamp = Timestamp::MAX;

fn name() -> String {
    "n".repeat(NAME_LENGTH_MAX)
}

fn app() -> AppName {
    AppName::new(name()).unwrap()
}

fn agent() -> AgentName {
    AgentName::new(name()).unwrap()
}

fn service_name(index: usize) -> ServiceName {
    ServiceName::new(format!("{index:x<NAME_LENGTH_MAX$}")).unwrap()
}

fn by() -> String {
    "b".repeat(crate::message::BY_BYTES_MAX)
}

fn request_id() -> RequestId {
    RequestId::from_random([255; 16])
}

fn reason(bytes_max: usize) -> String {
    // Escapes, and characters of several bytes: what is counted is what is stored.
    let reason = shortened(&("\"\u{1}天".to_owned() + &"x".repeat(300)), bytes_max);
    assert_eq!(text_bytes(&reason), bytes_max);
    reason
}

fn could_not_start(bytes_max: usize) -> Outcome {
    Outcome::CouldNotStart { reason: reason(bytes_max) }
}

/// The largest outcomes of a replica whose reason is short.
fn outcomes() -> [Outcome; 8] {
    [
        Outcome::Succeeded,
        Outcome::failed(i64::from(i32::MIN)),
        Outcome::Failed { exit_code: 137, out_of_memory: true },
        Outcome::TimedOut,
        Outcome::Lost { reason: LostReason::ContainerRemoved },
        Outcome::Cancelled,
        could_not_start(REASON_SHORT_BYTES_MAX),
        Outcome::Skipped { dependency: service_name(0) },
    ]
}

/// Where a replica that ended so was: what is skipped was nowhere.
fn agent_after(outcome: &Outcome) -> Option<AgentName> {
    (!matches!(outcome, Outcome::Skipped { .. })).then(agent)
}

/// The largest replica in every state.
fn states() -> Vec<ReplicaState> {
    let open = |progress| ReplicaState::Open(OpenAttempt { agent: agent(), progress, sent_at: Some(LATEST) });
    let claim = Claim { sequence: u64::MAX, machine: MachineDigest(u32::MAX) };
    let mut states = vec![
        ReplicaState::Pending { not_before: LATEST, avoid: Some(agent()) },
        open(Progress::Ordered { at: LATEST }),
        open(Progress::Claimed(claim)),
    ];
    states.extend(outcomes().map(|outcome| ReplicaState::Ended { agent: agent_after(&outcome), outcome }));
    states
}

/// All that can be said of such an end.
fn notes_of(state: &ReplicaState) -> EndNotes {
    match state {
        ReplicaState::Ended { outcome, .. } => notes_after(outcome),
        ReplicaState::Pending { .. } | ReplicaState::Open(_) => EndNotes::default(),
    }
}

fn notes_after(outcome: &Outcome) -> EndNotes {
    match outcome {
        Outcome::Succeeded | Outcome::Failed { .. } | Outcome::TimedOut => {
            outcome.notes_beside(EndNotes { oom_killed: true, unhealthy: true })
        }
        Outcome::Lost { .. } | Outcome::Cancelled | Outcome::CouldNotStart { .. } | Outcome::Skipped { .. } => {
            EndNotes::default()
        }
    }
}

fn replica(state: ReplicaState) -> Replica {
    let notes = notes_of(&state);
    Replica { last_attempt: ATTEMPTS_MAX, failures: RETRY_COUNT_MAX + 1, losses: LOSSES_MAX, notes, state }
}

fn replica_summary(service: usize, index: u32, outcome: Outcome) -> ReplicaSummary {
    let (service, agent) = (service_name(service), agent_after(&outcome));
    let notes = notes_after(&outcome);
    ReplicaSummary { service, replica: index, attempts: u32::MAX, outcome, notes, agent }
}

fn cause() -> Cause {
    Cause::Manual { by: by(), request: request_id() }
}

fn summary(replicas: Vec<ReplicaSummary>) -> RunSummary {
    RunSummary {
        schema: SCHEMA,
        number: u64::MAX,
        app: app(),
        run: u64::MAX,
        uid: RunUid::from_random([255; 16]),
        cause: cause(),
        scheduled_at: Some(LATEST),
        started_at: LATEST,
        finished_at: LATEST,
        outcome: could_not_start(REASON_BYTES_MAX),
        request: RequestSummary::default(),
        replicas,
    }
}

fn tick() -> TickRecord {
    TickRecord {
        schema: SCHEMA,
        number: u64::MAX,
        app: app(),
        scheduled_at: LATEST,
        decided_at: LATEST,
        admission: Admission::Drop { reason: DropReason::QueueTooLarge },
        coalesced: u64::MAX,
    }
}

/// The largest notices.
fn notices() -> Vec<NoticeRecord> {
    let (run, reason) = (u64::MAX, reason(REASON_BYTES_MAX));
    let notice = |notice| NoticeRecord { schema: SCHEMA, number: u64::MAX, app: app(), at: LATEST, notice };
    let mut notices: Vec<AppNotice> = vec![
        AppNotice::Recovered { run, failures: u32::MAX },
        AppNotice::Pending { run, since: LATEST, reason: reason.clone() },
        AppNotice::Placed { run },
        AppNotice::Overdue { since: LATEST, expect_success_ms: u64::MAX },
        AppNotice::OnTime { run: Some(run) },
        AppNotice::Long { run, started_at: LATEST, warn_after_ms: u64::MAX },
        AppNotice::Dropped { tick: run, scheduled_at: LATEST, reason: DropReason::QueueTooLarge, ticks: u64::MAX },
        AppNotice::Invalid { reason },
        AppNotice::Valid,
    ];
    for outcome in outcomes().into_iter().chain([could_not_start(REASON_BYTES_MAX)]) {
        notices.push(AppNotice::Failed { run, outcome: outcome.clone(), failures: u32::MAX });
        notices.push(AppNotice::LongOver { run, outcome });
    }
    notices.into_iter().map(notice).collect()
}

fn largest_notice() -> NoticeRecord {
    notices().into_iter().max_by_key(encoded_bytes).unwrap()
}

fn waiting_tick() -> Waiting {
    Waiting {
        cause: Cause::CatchUp { missed: u64::MAX },
        scheduled_at: Some(LATEST),
        enqueued_at: LATEST,
        request: RunRequest::default(),
        carried: CarryOver::default(),
    }
}

/// A run by hand with the largest request.
fn waiting_by_hand() -> Waiting {
    Waiting { cause: cause(), scheduled_at: None, request: largest_request(), ..waiting_tick() }
}

fn largest_request() -> RunRequest {
    let arguments = vec![String::new(); (ARGUMENTS_BYTES_MAX - "[]".len()) / r#""","#.len()];
    let value = "v".repeat(ENVIRONMENT_BYTES_MAX - r#"{"A":""}"#.len());
    let request = RunRequest { environment: [("A".to_owned(), value)].into(), arguments };
    assert_eq!(request.check(), Ok(()));
    request
}

fn handled() -> HandledRequest {
    let verdict = Verdict::Refused { reason: reason(REASON_BYTES_MAX) };
    HandledRequest { request: request_id(), sequence: u64::MAX, verdict, confirmed: false }
}

fn spec_of(scales: &[u32], image: String) -> RunSpec {
    let service = |(index, scale): (usize, &u32)| ServiceSpec {
        scale: *scale,
        ..ServiceSpec::new(service_name(index), ContainerSpec::new(if index == 0 { image.as_str() } else { "" }))
    };
    RunSpec::new(scales.iter().enumerate().map(service).collect())
}

/// A spec of these scales that is as large as `run_bytes_max` lets it be.
fn spec(scales: &[u32], run_bytes_max: usize) -> Arc<RunSpec> {
    let smallest = run_bytes(&spec_of(scales, String::new()));
    let spec = spec_of(scales, "i".repeat(run_bytes_max - smallest));
    assert_eq!(run_bytes(&spec), run_bytes_max);
    Arc::new(spec)
}

fn active(spec: Arc<RunSpec>, state: &ReplicaState) -> ActiveRun {
    let mut run = running(spec, &replica(state.clone()));
    run.stop(StopReason::Cancelled { by: by() });
    run.ask_to_end(LATEST);
    run.attempts_used = ATTEMPTS_USED_MAX;
    set_all(&mut run, &replica(state.clone()));
    run
}

fn running(spec: Arc<RunSpec>, replica: &Replica) -> ActiveRun {
    let waiting = Waiting { cause: cause(), scheduled_at: Some(LATEST), request: largest_request(), ..waiting_tick() };
    let uid = RunUid::from_random([255; 16]);
    let (number, started_at, results_through) = (u64::MAX, LATEST, u64::MAX);
    let mut run = ActiveRun::begin(NewRun { number, uid, waiting, started_at, spec, results_through });
    set_all(&mut run, replica);
    run
}

fn set_all(run: &mut ActiveRun, replica: &Replica) {
    for place in places(run) {
        run.change(place, |it| *it = replica.clone());
    }
}

fn places(run: &ActiveRun) -> Vec<ReplicaPlace> {
    let service = |(service, run): (u32, &ServiceRun)| {
        (0..run.replicas.len() as u32).map(move |replica| ReplicaPlace { service, replica })
    };
    (0..).zip(run.services()).flat_map(service).collect()
}

/// A ledger without anything that has a limit of its own.
fn head() -> Ledger {
    let (most, write) = (u64::MAX, WriteStamp { epoch: Epoch(u64::MAX), number: u64::MAX });
    let requests = RequestCounters {
        started: most,
        enqueued: most,
        dropped: most,
        skipped: most,
        started_later: most,
        flushed: most,
        replaced: most,
    };
    let recent =
        RecentRun { run: most, outcome: could_not_start(REASON_BYTES_MAX).label().to_owned(), finished_at: LATEST };
    Ledger {
        write,
        app_revision: most,
        standing: Standing::Invalid { reason: reason(REASON_BYTES_MAX) },
        tombstone_revision: most,
        last_run: most,
        counters: Counters {
            decided: most,
            started: most,
            enqueued: most,
            dropped: most,
            skipped: most,
            coalesced: most,
            started_later: most,
            expired: most,
            flushed: most,
            replaced: most,
            manual: requests,
            retry: requests,
        },
        pause: Some(Pause { by: by(), since: LATEST }),
        pause_label: false,
        ticks: Outbox { last_number: most, last_sequence: most, given_up: most, pending: [].into() },
        history: Outbox { last_number: most, last_sequence: most, given_up: most, pending: [].into() },
        notices: Outbox { last_number: most, last_sequence: most, given_up: most, pending: [].into() },
        told: Told {
            failures: u32::MAX,
            waits_since: Some(LATEST),
            pending: Some(most),
            long: vec![most; ACTIVE_RUNS_MAX as usize],
            dropped: Some(ToldDrops { at: LATEST, untold: most, scheduled_at: LATEST }),
            invalid: true,
            overdue: true,
            expected_since: Some(LATEST),
        },
        recent: vec![recent; HISTORY_RUNS].into(),
        ..Ledger::new(most, LATEST)
    }
}

/// All that has a limit of its own, but for the run and the summaries, at that limit.
fn full() -> Ledger {
    let mut ledger = Ledger {
        ticks: Outbox { pending: vec![tick(); TICKS_PENDING_MAX].into(), ..head().ticks },
        notices: Outbox { pending: vec![largest_notice(); NOTICES_PENDING_MAX].into(), ..head().notices },
        requests: vec![handled(); REQUESTS_MAX].into(),
        ..head()
    };
    while ledger.queue.len() < QUEUE_LIMIT_MAX as usize {
        let by_hand = waiting_by_hand();
        let fits = ledger.has_room_in_queue(&by_hand);
        ledger.queue.push_back(if fits { by_hand } else { waiting_tick() });
    }
    ledger
}

#[track_caller]
fn check_part(part: &str, bytes: usize, limit: usize) {
    println!("{part}: {bytes} of {limit} bytes");
    assert!(bytes <= limit, "{part} takes {bytes} bytes, more than {limit}");
}

#[test]
fn no_part_is_larger_than_it_may_be() {
    for state in states() {
        check_part(&format!("{state:?}"), encoded_bytes(&replica(state)) + 1, REPLICA_BYTES_MAX);
    }
    let empty = encoded_bytes(&summary(vec![]));
    check_part("the head of a summary", empty + 1, SUMMARY_HEAD_BYTES_MAX);
    let one = |outcome| summary(vec![replica_summary(0, 0, outcome)]);
    for outcome in outcomes() {
        let bytes = encoded_bytes(&one(outcome)) - empty + 1;
        check_part("a service and a replica of a summary", bytes, SERVICE_BYTES_MAX + REPLICA_BYTES_MAX);
    }
    let service = ServiceRun { name: service_name(0), agents: None, replicas: vec![] };
    check_part("the head of a service", encoded_bytes(&service) + 1, SERVICE_BYTES_MAX);
    let run = active(Arc::new(RunSpec::new(vec![])), &states()[0]);
    let limit = ACTIVE_HEAD_BYTES_MAX + RUN_REQUEST_BYTES_MAX;
    check_part("the head of a run", encoded_bytes(&run), limit);
    check_part("a request", encoded_bytes(&largest_request()), RUN_REQUEST_BYTES_MAX);
    check_part("a tick message", encoded_bytes(&tick()) + 1, TICK_BYTES_MAX);
    for notice in notices() {
        check_part(&format!("{notice:?}"), encoded_bytes(&notice) + 1, NOTICE_BYTES_MAX);
    }
    check_part("a tick in the queue", waiting_bytes(&waiting_tick()), WAITING_TICK_BYTES_MAX);
    check_part("a request", encoded_bytes(&handled()) + 1, REQUEST_BYTES_MAX);
    check_part("the head of a ledger", encoded_bytes(&head()), HEAD_BYTES_MAX);
}

#[track_caller]
fn check_ledger(what: &str, ledger: &Ledger) {
    let bytes = encoded_bytes(ledger);
    println!("{what}: {bytes} of {LEDGER_BYTES_MAX} bytes");
    assert!(bytes <= LEDGER_BYTES_MAX, "{what}: {bytes} bytes");
}

fn name_of(scales: &[u32]) -> String {
    format!("{} x {} replicas", scales.len(), scales[0])
}

/// Scales of runs: the most replicas, the most services, and the least of both.
const SCALES: [&[u32]; 3] = [&[SCALE_MAX, REPLICAS_MAX - SCALE_MAX], &[5; 200], &[1]];

#[test]
fn the_largest_run_fits_beside_everything_else_whatever_it_does() {
    for scales in SCALES {
        for state in states() {
            let mut run = active(spec(scales, RUN_BYTES_MAX), &state);
            if let ReplicaState::Ended { outcome: Outcome::CouldNotStart { .. }, .. } = &state {
                set_all(&mut run, &replica(ReplicaState::Pending { not_before: LATEST, avoid: None }));
                end_one_by_one(&mut run);
            }
            let ledger = Ledger { active: vec![run], ..full() };
            check_ledger(&format!("{}, {state:?}", name_of(scales)), &ledger);
        }
    }
}

/// The values that finished runs were started with take what the active run leaves, and no more.
#[test]
fn values_of_finished_runs_fit_beside_the_largest_run() {
    for (room, kept) in [(0, 0), (18_000, 1), (44_000, 3)] {
        let run = active(spec(&[1], RUN_BYTES_MAX - room), &states()[0]);
        let mut ledger = Ledger { active: vec![run], ..full() };
        for _ in 0..HISTORY_RUNS {
            ledger.retain_values(u64::MAX, largest_request().environment);
        }
        ledger.trim_retained();
        assert_eq!(ledger.retained.len(), kept, "{room}");
        check_ledger(&format!("{kept} values"), &ledger);
    }
}

/// Each replica could not start, and has as long a reason as it may.
fn end_one_by_one(run: &mut ActiveRun) {
    for place in places(run) {
        let outcome = could_not_start(run.reason_bytes_max());
        let ended = ReplicaState::Ended { outcome, agent: Some(agent()) };
        run.change(place, |it| *it = replica(ended));
    }
}

fn summary_of(run: &ActiveRun) -> RunSummary {
    let services = run.services().iter().enumerate();
    let replicas = services.flat_map(|(service, it)| {
        (0..).zip(&it.replicas).map(move |(index, replica)| {
            let ReplicaState::Ended { outcome, .. } = &replica.state else { panic!("{replica:?}") };
            replica_summary(service, index, outcome.clone())
        })
    });
    summary(replicas.collect())
}

/// Runs of these scales, each with its largest spec: one after the other ends while nothing is published, until the next
/// one has to wait.
#[track_caller]
fn check_unpublished(scales: &[u32], run_bytes_max: usize, summaries: usize) {
    let mut ledger = full();
    let spec = spec(scales, run_bytes_max);
    while ledger.has_room_for_run(&spec.clone().into()) {
        let mut run = active(spec.clone(), &ReplicaState::Pending { not_before: LATEST, avoid: None });
        end_one_by_one(&mut run);
        ledger.active = vec![run.clone()];
        check_ledger(&format!("{} beside {} summaries", name_of(scales), ledger.history.pending.len()), &ledger);
        ledger.active.clear();
        ledger.history.pending.push_back(summary_of(&run));
        check_ledger(&format!("{} summaries of {}", ledger.history.pending.len(), name_of(scales)), &ledger);
    }
    assert_eq!(ledger.history.pending.len(), summaries);
}

#[test]
fn runs_wait_while_summaries_that_are_not_published_take_their_room() {
    let largest = RUN_BYTES_MAX;
    for scales in SCALES {
        check_unpublished(scales, largest, 1);
    }
    check_unpublished(&[100], 64 * 1024, 15);
    check_unpublished(&[1], 2 * 1024, HISTORY_PENDING_MAX);
}

#[test]
fn the_largest_run_beside_as_many_summaries_as_may_wait_fits() {
    for scales in [&[1_900][..], &[5; 200], &[1]] {
        let mut small = active(Arc::new(spec_of(&[1], String::new())), &states()[0]);
        end_one_by_one(&mut small);
        let mut ledger = full();
        ledger.history.pending = vec![summary_of(&small); HISTORY_PENDING_MAX - 1].into();
        let taken: usize = ledger.history.pending.iter().map(summary_bytes).sum();
        let spec = spec(scales, RUN_BYTES_MAX - taken);
        assert!(ledger.has_room_for_run(&spec.clone().into()));
        let mut run = active(spec, &states()[0]);
        end_one_by_one(&mut run);
        ledger.active = vec![run];
        check_ledger(&format!("{} beside all summaries", name_of(scales)), &ledger);
    }
}

#[test]
fn a_run_of_two_thousand_replicas_is_stored_in_short() {
    let state = |progress| {
        ReplicaState::Open(OpenAttempt { agent: AgentName::new("host-1").unwrap(), progress, sent_at: None })
    };
    let claim = Claim { sequence: 4_711_000, machine: MachineDigest(u32::MAX) };
    let run = |state| {
        let spec = spec_of(SCALES[0], "registry.aliyuncs.com/jimmycmh/busybox:latest".to_owned());
        running(Arc::new(spec), &Replica { last_attempt: 1, failures: 0, losses: 0, notes: EndNotes::default(), state })
    };
    let ordered = run(state(Progress::Ordered { at: "2026-01-01T00:00:00Z".parse().unwrap() }));
    let claimed = run(state(Progress::Claimed(claim)));
    for (what, run) in [("ordered", ordered), ("claimed", claimed)] {
        let ledger = Ledger { active: vec![run], ..Ledger::new(1, LATEST) };
        check_ledger(&format!("2,000 replicas {what} on agents with short names"), &ledger);
        assert!(encoded_bytes(&ledger) < 150_000);
    }
}

#[track_caller]
fn check_survives(state: &ReplicaState, expected: &Replica) {
    let stored = serde_json::to_string(&replica(state.clone())).unwrap();
    assert_eq!(serde_json::from_str::<Replica>(&stored).unwrap(), *expected, "{stored}");
}

#[test]
fn a_replica_is_read_as_it_was_to_the_millisecond() {
    for state in states() {
        let mut expected = replica(state.clone());
        match &mut expected.state {
            ReplicaState::Pending { .. } => {}
            ReplicaState::Open(open) => open.sent_at = None,
            ReplicaState::Ended { .. } => (expected.failures, expected.losses) = (0, 0),
        }
        check_survives(&state, &expected);
    }
    let pending = |moment: &str| ReplicaState::Pending { not_before: moment.parse().unwrap(), avoid: None };
    let expected = replica(pending("2026-01-01T00:00:00.123Z"));
    check_survives(&pending("2026-01-01T00:00:00.123456789Z"), &expected);
}

#[test]
fn a_stored_replica_that_makes_no_sense_is_refused() {
    for stored in [
        "{}",
        r#"{"attempt": 1, "agent": "a"}"#,
        r#"{"attempt": 1, "agent": "a", "ordered_at": 1, "outcome": "succeeded"}"#,
        r#"{"attempt": 1, "agent": "a", "claim": 1}"#,
        r#"{"attempt": 1, "claim": 1, "machine": 1}"#,
        r#"{"attempt": 4294967295, "not_before": 0}"#,
        r#"{"attempt": 1, "losses": 4294967295, "not_before": 0}"#,
    ] {
        assert!(serde_json::from_str::<Replica>(stored).is_err(), "{stored}");
    }
}
