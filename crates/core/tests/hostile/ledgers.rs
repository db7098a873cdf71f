//! A decision on a ledger that says anything at all.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use rustix::time::{ClockId, clock_gettime};
use tickmesh_core::{
    decide::{AppChange, AppContent, Clock, Context, Decision, Input, Placing, Tenure, decide, wake_at},
    fleet::{AgentView, Fleet, Readiness},
    id::{AttemptId, Epoch, Nonce, RequestId},
    ledger::Ledger,
    message::{AttemptEvent, AttemptReport, Capacity, Command, CommandKind, MachineId, RunRequest, SCHEMA},
    name::{AgentName, AppName, ServiceName},
    schedule::Schedule,
    spec::{AppSpec, ContainerSpec, RunSpec, ServiceSpec},
    timing::Timing,
};
use uuid::Uuid;

use crate::mutation::{Mutation, mutated, mutations};

/// Processor time that one decision may take. A schedule of every second that nobody decided for two thousand years takes a
/// hundredth of that; a loop over all that a number counts would take for ever.
const DECISION_TIME_MAX: Duration = Duration::from_secs(2);

/// Last sequence of the results stream before the first run.
const RESULTS_THROUGH: u64 = 40;

fn app() -> AppName {
    AppName::new("nightly").unwrap()
}

fn agent(number: u32) -> AgentName {
    AgentName::new(format!("host-{number}")).unwrap()
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + jiff::SignedDuration::from_secs(seconds)
}

/// An app with two services, one after the other, that is due every ten seconds.
fn spec() -> Arc<AppSpec> {
    let service = |name: &str, scale, depends: &[&str]| ServiceSpec {
        scale,
        depends: depends.iter().map(|name| ServiceName::new(*name).unwrap()).collect(),
        attempt_timeout: Some(Duration::from_secs(60)),
        ..ServiceSpec::new(ServiceName::new(name).unwrap(), ContainerSpec::new("busybox"))
    };
    let run = RunSpec {
        timeout: Some(Duration::from_secs(600)),
        ..RunSpec::new(vec![service("s1", 3, &[]), service("s2", 2, &["s1"])])
    };
    let schedule = Schedule::parse("@every 10s", "UTC", &TimeZoneDatabase::bundled()).unwrap();
    Arc::new(AppSpec { schedule: Some(schedule), ..AppSpec::new(app(), run) })
}

fn fleet() -> Fleet {
    let capacity = Capacity { slots: 4, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
    let view = || AgentView { readiness: Readiness::Ready, capacity, traits: Arc::default() };
    let mut fleet = Fleet::default();
    fleet.see_all((0..2).map(|number| (agent(number), view())).collect());
    fleet
}

fn command(number: u128, kind: CommandKind) -> Command {
    let request = RequestId(Uuid::from_u128(number));
    Command { schema: SCHEMA, request, app: app(), app_revision: 1, by: "ann".to_owned(), at: start(), kind }
}

/// A leader that decides on whatever ledger it is given.
struct Leader {
    spec: Arc<AppSpec>,
    fleet: Fleet,
    timing: Timing,
}

impl Leader {
    fn new() -> Self {
        Self { spec: spec(), fleet: fleet(), timing: Timing::default() }
    }

    fn context<'a>(&'a self, name: &'a AppName, now: Timestamp) -> Context<'a> {
        Context {
            app: name,
            spec: Some(&self.spec),
            fleet: &self.fleet,
            now,
            noticed: now,
            tenure: Tenure { epoch: Epoch(3), since: after(30) },
            results_through: RESULTS_THROUGH,
            timing: &self.timing,
            clock: Clock::Running,
            placing: Placing::Now,
        }
    }

    fn decide(&mut self, ledger: Ledger, input: Input<'_>, now: Timestamp) -> Decision {
        let name = app();
        // The same numbers every time: a failing ledger fails again.
        let mut random = StdRng::seed_from_u64(7);
        let decision = decide(&self.context(&name, now), ledger, input, &mut random);
        let tenure = self.context(&name, now).tenure;
        let _ = wake_at(&decision.ledger, Some(&self.spec), &self.timing, tenure, now);
        decision
    }
}

fn report(attempt: &AttemptId, agent: &AgentName, event: AttemptEvent) -> AttemptReport {
    AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent: agent.clone(), at: start(), event }
}

fn claimed() -> AttemptEvent {
    AttemptEvent::Claimed { nonce: Nonce::from_random([1; 16]), machine: MachineId("machine-1".to_owned()) }
}

fn exited(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

/// The attempts that are under way.
fn open(ledger: &Ledger) -> Vec<(AttemptId, AgentName)> {
    let app = app();
    let open = ledger.active.iter().flat_map(|run| run.open_attempts(&app));
    open.map(|(attempt, open)| (attempt, open.agent.clone())).collect()
}

/// A ledger with something in each of its parts: a run under way, ticks and a command that wait, summaries and ticks to publish.
fn whole_ledger() -> Ledger {
    let mut leader = Leader::new();
    let content = AppContent::Applied(leader.spec.clone());
    let change = Input::App(AppChange { revision: 1, at: start(), content });
    let mut ledger = leader.decide(Ledger::new(1, start()), change, start()).ledger;
    let mut sequence = RESULTS_THROUGH;
    for second in [10, 12, 14, 16, 18] {
        ledger = leader.decide(ledger, Input::Clock, after(second)).ledger;
        let open = open(&ledger);
        for (attempt, agent) in &open {
            for event in [claimed(), exited(0)] {
                sequence += 1;
                let report = report(attempt, agent, event);
                ledger = leader.decide(ledger, Input::Report { sequence, report: &report }, after(second)).ledger;
            }
        }
    }
    for second in [20, 30, 40, 50] {
        ledger = leader.decide(ledger, Input::Clock, after(second)).ledger;
    }
    let run = command(5, CommandKind::Run(RunRequest::default()));
    ledger = leader.decide(ledger, Input::Command { sequence: 5, command: &run, retried: None }, after(51)).ledger;
    let (attempt, agent) = open(&ledger).remove(0);
    let report = report(&attempt, &agent, claimed());
    leader.decide(ledger, Input::Report { sequence: sequence + 1, report: &report }, after(52)).ledger
}

#[test]
fn the_ledger_of_these_tests_has_something_in_each_part() {
    let ledger = whole_ledger();
    assert!(!ledger.active.is_empty() && !ledger.queue.is_empty() && !ledger.requests.is_empty());
    assert!(!ledger.history.pending.is_empty() && !ledger.ticks.pending.is_empty() && !ledger.recent.is_empty());
    let stored = serde_json::to_vec(&ledger).unwrap();
    let read: Ledger = serde_json::from_slice(&stored).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), stored);
}

/// Processor time of this thread: what others do on the machine does not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Folds everything that can come into what the bytes say, if they say anything.
fn check(whole: &Ledger, mutations: &[Mutation]) -> Result<(), TestCaseError> {
    let stored = mutated(whole, mutations);
    let Ok(ledger) = serde_json::from_slice::<Ledger>(&stored) else { return Ok(()) };
    let mut leader = Leader::new();
    let run = command(9, CommandKind::Run(RunRequest::default()));
    let cancel = command(10, CommandKind::Cancel { run: Some(2), force: false });
    let force = command(11, CommandKind::Cancel { run: None, force: true });
    let (attempt, agent) = open(whole).remove(0);
    let end = report(&attempt, &agent, exited(0));
    let inputs: Vec<Input<'_>> = vec![
        Input::TakeOver,
        Input::Clock,
        Input::Command { sequence: 9, command: &run, retried: None },
        Input::Command { sequence: 10, command: &cancel, retried: None },
        Input::Report { sequence: RESULTS_THROUGH + 50, report: &end },
        Input::Command { sequence: 11, command: &force, retried: None },
        Input::ReportRefused { refused: &end, found: None },
        Input::ReportRefused { refused: &end, found: Some((7, &end)) },
        Input::Silent { agent: &agent, results_through: RESULTS_THROUGH + 60 },
        Input::Checkpoint,
        Input::TickStored { number: 4, sequence: 4 },
        Input::HistoryStored { number: 1, sequence: 1 },
        Input::CommandConfirmed(RequestId(Uuid::from_u128(5))),
        Input::CommandsConfirmed { below: 100 },
        Input::App(AppChange { revision: 7, at: after(70), content: AppContent::Applied(spec()) }),
        Input::App(AppChange { revision: 8, at: after(71), content: AppContent::Removed }),
    ];
    for input in inputs {
        let before = processor_time();
        let mut next = leader.decide(ledger.clone(), input, after(60)).ledger;
        next = leader.decide(next, Input::Clock, after(3_600)).ledger;
        let taken = processor_time() - before;
        prop_assert!(taken < DECISION_TIME_MAX, "{taken:?}");
        // A ledger that cannot be written, or read again, would freeze its app.
        let stored = serde_json::to_vec(&next).unwrap();
        prop_assert!(serde_json::from_slice::<Ledger>(&stored).is_ok(), "{}", String::from_utf8_lossy(&stored));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_on_a_damaged_ledger_ends(mutations in mutations()) {
        thread_local!(static WHOLE: Ledger = whole_ledger());
        WHOLE.with(|whole| check(whole, &mutations))?;
    }
}
