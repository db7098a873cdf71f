//! Every checker fails on a log that breaks its guarantee, and on none that does not.

use jiff::Timestamp;
use tickmesh_core::{
    decide::AppContent,
    end_notes::EndNotes,
    history::{ReplicaSummary, RunSummary},
    id::{Epoch, RunNumber, RunUid},
    ledger::{Cause, Counters},
    message::{Admission, AttemptEvent, MachineId, Order, OrderKind, Revoker, SCHEMA, StartOrder, TickRecord},
    name::{AgentName, ServiceName},
    outcome::{LostReason, Outcome},
    spec::{AppSpec, ContainerSpec, OnLost, Overlap, RetryPolicy, RunSpec, ServiceSpec},
};

use super::*;
use crate::sim::reference_schedules::RHYTHMS;

const APP: &str = "nightly";

/// One thing that happens, to attempts that are named `run.replica.attempt`.
enum Seen {
    Ordered(&'static str),
    Claimed(&'static str),
    /// On host 0, 1 ..
    Started(usize, &'static str),
    Over(&'static str),
    /// Its process ended, with that code.
    Died(&'static str, i64),
    /// The guard killed it.
    Killed(&'static str),
    /// It is reported to have exited.
    Exited(&'static str, i64),
    Lost(&'static str),
    Revoked(&'static str),
    Unguarded(usize),
    Frozen(usize),
    /// Number of the message, run, and the outcomes of its replicas.
    Summed(u64, RunNumber, &'static [Outcome]),
    Tick(u64),
}
use Seen::{Claimed, Died, Exited, Frozen, Killed, Lost, Ordered, Over, Revoked, Started, Summed, Tick, Unguarded};

fn app() -> AppName {
    AppName::new(APP).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    let parts: Vec<u64> = name.split('.').map(|part| part.parse().unwrap()).collect();
    let service = ServiceName::new("s1").unwrap();
    let (replica, attempt) = (parts[1] as u32, parts[2] as u32);
    AttemptId { app: app(), run: parts[0], uid: uid(parts[0]), service, replica, attempt }
}

fn uid(run: RunNumber) -> RunUid {
    RunUid::from_random([run as u8; 16])
}

fn nonce() -> Nonce {
    Nonce::from_random([7; 16])
}

/// An app of one service with two replicas, each retried once; every other thing as it comes.
fn edition(change: impl Fn(&mut AppSpec, &mut RunSpec)) -> Arc<Edition> {
    let retry = RetryPolicy { count: 1, ..RetryPolicy::default() };
    let container = ContainerSpec::new("busybox:e1");
    let service = ServiceSpec { scale: 2, retry, ..ServiceSpec::new(ServiceName::new("s1").unwrap(), container) };
    let mut run = RunSpec::new(vec![service]);
    let mut spec = AppSpec::new(app(), RunSpec::new(Vec::new()));
    change(&mut spec, &mut run);
    spec.run = run.into();
    let (spec, rhythm) = (Arc::new(spec), Some(&RHYTHMS[1]));
    let content = AppContent::Applied(spec.clone());
    Arc::new(Edition { number: 1, app: app(), content, spec: Some(spec), rhythm })
}

fn witness(edition: Arc<Edition>) -> Witness {
    let mut witness = Witness::default();
    witness.stored(APP, &Record::App(edition), 1, at(0)).unwrap();
    witness
}

fn report(name: &str, event: AttemptEvent) -> Record {
    let agent = AgentName::new("a0").unwrap();
    Record::Report(Arc::new(AttemptReport { schema: SCHEMA, attempt: attempt(name), agent, at: at(0), event }))
}

fn order(name: &str) -> Record {
    let (agent, attempt) = (AgentName::new("a0").unwrap(), attempt(name));
    let scheduled_at = Some(at(7 * i64::try_from(attempt.run).unwrap()));
    let start = StartOrder {
        container: ContainerSpec::new("busybox:e1"),
        remove_containers: Default::default(),
        attempt_timeout: None,
        on_disconnect: Default::default(),
        replicas: 2,
        scheduled_at,
        cause: Cause::Schedule,
    };
    let kind = OrderKind::Start(Box::new(start));
    Record::Order(Arc::new(Order { schema: SCHEMA, epoch: Epoch(1), agent, attempt, kind }))
}

fn summary(number: u64, run: RunNumber, outcomes: &[Outcome]) -> Record {
    let replica = |(index, outcome): (usize, &Outcome)| ReplicaSummary {
        service: ServiceName::new("s1").unwrap(),
        replica: index as u32,
        attempts: 9,
        outcome: outcome.clone(),
        notes: EndNotes::default(),
        agent: None,
    };
    Record::History(Arc::new(RunSummary {
        schema: SCHEMA,
        number,
        app: app(),
        run,
        uid: uid(run),
        cause: Cause::Schedule,
        scheduled_at: None,
        started_at: at(0),
        finished_at: at(9),
        request: Default::default(),
        outcome: Outcome::of_all(outcomes),
        replicas: outcomes.iter().enumerate().map(replica).collect(),
    }))
}

fn see(witness: &mut Witness, seen: &Seen) -> anyhow::Result<()> {
    let container = |name: &str| ContainerId(name.to_owned());
    let record = match seen {
        Ordered(name) => order(name),
        Claimed(name) => report(name, AttemptEvent::Claimed { nonce: nonce(), machine: MachineId("m".to_owned()) }),
        Exited(name, exit_code) => {
            let exit_code = *exit_code;
            report(
                name,
                AttemptEvent::Exited {
                    exit_code,
                    oom_killed: false,
                    unhealthy: false,
                    started_at: None,
                    finished_at: None,
                },
            )
        }
        Lost(name) => report(name, AttemptEvent::Lost { reason: LostReason::AgentSilent }),
        Revoked(name) => report(name, AttemptEvent::Revoked { by: Revoker::Leader, reason: "late".to_owned() }),
        Summed(number, run, outcomes) => summary(*number, *run, outcomes),
        Tick(number) => Record::Tick(Arc::new(TickRecord {
            schema: SCHEMA,
            number: *number,
            app: app(),
            scheduled_at: at(2),
            decided_at: at(2),
            admission: Admission::Start { run: 1 },
            coalesced: 0,
        })),
        Started(host, name) => {
            let (container, attempt) = (container(name), attempt(name));
            let sighting = Sighting { host: *host, container: &container, attempt: &attempt, nonce: nonce() };
            return witness.started(&sighting);
        }
        Died(name, code) => {
            witness.exited(&container(name), *code, Ender::Other);
            return Ok(());
        }
        Killed(name) => {
            witness.exited(&container(name), 137, Ender::Guard);
            return Ok(());
        }
        Over(name) => {
            witness.removed(&container(name));
            return Ok(());
        }
        Unguarded(host) => {
            witness.host_seen(*host, Rule::Unguarded);
            return Ok(());
        }
        Frozen(host) => {
            witness.engine_frozen(*host, Duration::ZERO);
            return Ok(());
        }
    };
    witness.stored(APP, &record, 1, at(0))
}

/// All but the last thing are fine; the last one is what `broken` says, or fine as well.
#[track_caller]
fn check_app(edition: Arc<Edition>, log: &[Seen], broken: Option<&str>) {
    let mut witness = witness(edition);
    let (last, before) = log.split_last().unwrap();
    for seen in before {
        see(&mut witness, seen).unwrap();
    }
    let found = see(&mut witness, last).err().map(|error| format!("{error:#}"));
    let fits = match (&found, broken) {
        (Some(found), Some(broken)) => found.contains(broken),
        (found, broken) => found.is_none() && broken.is_none(),
    };
    assert!(fits, "{found:?}, where {broken:?} was expected");
}

#[track_caller]
fn check(log: &[Seen], broken: Option<&str>) {
    check_app(edition(|_, _| {}), log, broken);
}

/// An order, its container's whole life, and what comes after it.
fn after_a_run(name: &'static str, code: i64, then: impl IntoIterator<Item = Seen>) -> Vec<Seen> {
    let life = [Ordered(name), Claimed(name), Started(0, name), Died(name, code), Exited(name, code)];
    life.into_iter().chain(then).collect()
}

#[test]
fn one_run_after_the_other_is_fine() {
    let next = [Ordered("2.0.1"), Claimed("2.0.1"), Started(1, "2.0.1")];
    check(&after_a_run("1.0.1", 0, next), None);
}

#[test]
fn two_runs_at_once_are_found() {
    check(&[Claimed("1.0.1"), Claimed("2.0.1")], Some("G1"));
    let lives = [Claimed("1.0.1"), Started(0, "1.0.1"), Lost("1.0.1"), Claimed("2.0.1")];
    check(&lives, Some("G1"));
    let allowed = edition(|app, _| app.overlap = Overlap::Allow { max_active: 2 });
    check_app(allowed, &[Ordered("1.0.1"), Claimed("1.0.1"), Ordered("2.0.1"), Claimed("2.0.1")], None);
    check(&after_a_run("2.0.1", 0, [Claimed("1.0.1")]), Some("run 2 had begun"));
}

#[test]
fn an_instant_with_two_runs_is_found() {
    let again = |name: &str| {
        let Record::Order(order) = order("1.0.1") else { unreachable!("it is an order") };
        Record::Order(Arc::new(Order { attempt: attempt(name), ..(*order).clone() }))
    };
    let mut witness = witness(edition(|_, _| {}));
    witness.stored(APP, &again("1.0.1"), 1, at(0)).unwrap();
    let found = witness.stored(APP, &again("2.0.1"), 1, at(0)).unwrap_err();
    assert!(format!("{found:#}").contains("two runs"), "{found:#}");
}

#[test]
fn two_containers_of_a_replica_are_found() {
    let lost = [Claimed("1.0.1"), Started(0, "1.0.1"), Lost("1.0.1"), Claimed("1.0.2"), Started(1, "1.0.2")];
    check(&lost, Some("G8: beside that of"));
    check(&[Claimed("1.0.1"), Started(0, "1.0.1"), Claimed("1.1.1"), Started(0, "1.1.1")], None);
    check(&[Claimed("1.0.1"), Started(0, "1.0.1"), Over("1.0.1"), Started(1, "1.0.1")], Some("a second start"));
    check(&[Claimed("1.0.1"), Lost("1.0.1"), Started(0, "1.0.1")], Some("its attempt had ended"));
    check(&[Started(0, "1.0.1")], Some("without a claim"));
}

#[test]
fn what_the_design_excepts_is_counted_and_not_found() {
    let excused = |exception: Seen| {
        [Claimed("1.0.1"), Started(0, "1.0.1"), exception, Lost("1.0.1"), Claimed("1.0.2"), Started(1, "1.0.2")]
    };
    check(&excused(Unguarded(0)), None);
    check(&excused(Frozen(0)), None);
    check(&excused(Unguarded(1)), Some("G8: beside that of"));
}

#[test]
fn ends_that_no_engine_has_seen_are_found() {
    let ended = |last: [Seen; 2]| {
        let life = [Ordered("1.0.1"), Claimed("1.0.1"), Started(0, "1.0.1")];
        life.into_iter().chain(last).collect::<Vec<_>>()
    };
    check(&ended([Died("1.0.1", 1), Exited("1.0.1", 1)]), None);
    check(&ended([Died("1.0.1", 1), Exited("1.0.1", 0)]), Some("its container exited with 1"));
    check(&ended([Killed("1.0.1"), Exited("1.0.1", 137)]), Some("P16"));
    check(&ended([Killed("1.0.1"), Lost("1.0.1")]), None);
    check(&ended([Over("1.0.1"), Exited("1.0.1", 137)]), Some("no container of it has exited"));
    check(&[Claimed("1.0.1"), Exited("1.0.1", 0)], Some("no container of it has exited"));
}

#[test]
fn attempts_that_may_not_be_are_found() {
    check(&after_a_run("1.0.1", 0, [Claimed("1.0.2")]), Some("the replica had succeeded"));
    check(&[Claimed("1.0.1"), Claimed("1.0.2")], Some("attempt 1 has not ended"));
    check(&after_a_run("1.0.1", 1, [Claimed("1.0.3")]), Some("comes after attempt 1"));
    check(&[Ordered("1.2.1"), Revoked("1.2.1")], Some("only 2 replicas"));
    let third = after_a_run("1.0.2", 1, after_a_run("1.0.3", 1, []));
    check(&after_a_run("1.0.1", 1, third), Some("retry_count 1"));
    let fails = edition(|_, run| run.on_lost = OnLost::Fail);
    check_app(fails, &[Ordered("1.0.1"), Claimed("1.0.1"), Lost("1.0.1"), Claimed("1.0.2")], Some("lost attempt"));
}

#[test]
fn summaries_that_do_not_fit_are_found() {
    const SUCCEEDED: Outcome = Outcome::Succeeded;
    const FAILED: Outcome = Outcome::Failed { exit_code: 1, out_of_memory: false };
    let with = |last: Seen| after_a_run("1.0.1", 0, after_a_run("1.1.1", 0, [last]));
    check(&with(Summed(1, 1, &[SUCCEEDED, SUCCEEDED])), None);
    check(&with(Summed(1, 1, &[SUCCEEDED])), Some("replicas [0]"));
    check(&with(Summed(1, 1, &[SUCCEEDED, FAILED])), Some("success was stored: true"));
    check(&with(Summed(2, 1, &[SUCCEEDED, SUCCEEDED])), Some("number 2 comes after 0"));
    check(&[Summed(1, 1, &[FAILED]), Summed(2, 1, &[FAILED])], Some("a second summary"));
    check(&[Tick(1), Tick(3), Tick(3)], Some("it comes after number 3"));
}

/// A ledger that decided so many instants through a second, all of them dropped but for what `change` does.
#[track_caller]
fn check_ledgers(ledgers: &[(i64, u64)], change: fn(&mut Ledger), broken: Option<&str>) {
    let mut witness = witness(edition(|_, _| {}));
    let mut found = Ok(());
    for (through, decided) in ledgers {
        found.as_ref().unwrap_or_else(|error| panic!("too early: {error:#}"));
        let mut ledger = Ledger::new(1, at(*through));
        ledger.counters = Counters { decided: *decided, dropped: *decided, ..Counters::default() };
        change(&mut ledger);
        found = witness.stored(APP, &Record::Ledger(Arc::new(ledger)), 1, at(0));
    }
    let found = found.err().map(|error| format!("{error:#}"));
    assert_eq!(found.is_some(), broken.is_some(), "{found:?}");
    assert!(found.unwrap_or_default().contains(broken.unwrap_or_default()));
}

#[test]
fn instants_that_are_not_accounted_for_are_found() {
    // Due at 7, 14, 21 .. seconds.
    check_ledgers(&[(7, 1), (14, 2)], |_| {}, None);
    check_ledgers(&[(7, 1), (14, 3)], |_| {}, Some("G2: 2 instants"));
    check_ledgers(&[(7, 1), (21, 2)], |_| {}, Some("G2: 1 instants"));
    check_ledgers(&[(14, 2), (7, 2)], |_| {}, Some("decided time went back"));
    check_ledgers(&[(7, 1)], |ledger| ledger.counters.started = 1, Some("instants are missing"));
    check_ledgers(&[(7, 1)], |ledger| ledger.last_run = 1, Some("0 runs were started"));
    check_ledgers(&[(7, 1)], |ledger| ledger.counters.manual.enqueued = 1, Some("runs by hand"));
}
