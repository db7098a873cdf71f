//! The world of a story: one app, its ledger, a fleet, a clock and a results stream that gives each message the next
//! sequence.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

use super::{
    super::{AppChange, AppContent, Clock, Context, Decision, Input, Placing, Tenure, decide, wake_at},
    answer::Answer,
};
use crate::{
    build::Build,
    fleet::{AgentView, Fleet, Readiness},
    history::RunSummary,
    id::{AttemptId, Epoch, Nonce, RequestId},
    ledger::{Ledger, OpenAttempt, ReplicaState, Verdict},
    message::{
        Admission, AgentRecord, AttemptEvent, AttemptReport, Capacity, Command, CommandKind, EngineStock, MachineId,
        Revoker, RunRequest, SCHEMA, TickRecord,
    },
    name::{AgentName, AppName, ServiceName},
    schedule::Schedule,
    spec::{AppSpec, ContainerSpec, RetryPolicy, RunSpec, ServiceSpec},
    timing::Timing,
};

/// 2026-01-01T00:00:00Z, a multiple of every period used here.
const START: i64 = 1_767_225_600;

/// `seconds` after the app was applied.
pub(super) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(START) * 1_000_000_000 + (seconds * 1e9) as i128).unwrap()
}

pub(super) fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

pub(super) fn machine(agent: &AgentName) -> MachineId {
    MachineId(format!("machine-of-{agent}"))
}

/// One service `s1`; every retry comes after exactly one second, or half of it.
pub(super) fn service(scale: u32, retry_count: u32) -> ServiceSpec {
    let environment = [("A".to_owned(), "file".to_owned())].into();
    let container = ContainerSpec { environment, ..ContainerSpec::new("busybox") };
    ServiceSpec {
        scale,
        retry: RetryPolicy { count: retry_count, delay_ms: 1_000, factor: 1, delay_ms_max: 1_000 },
        ..ServiceSpec::new(ServiceName::new("s1").unwrap(), container)
    }
}

/// A service of that name that begins when these have succeeded.
pub(super) fn service_after(name: &str, depends: &[&str]) -> ServiceSpec {
    let depends = depends.iter().map(|name| ServiceName::new(*name).unwrap()).collect();
    ServiceSpec { name: ServiceName::new(name).unwrap(), depends, ..service(1, 0) }
}

/// An app that is due as `expression` says, with the default queue of three.
pub(super) fn app(expression: &str, services: Vec<ServiceSpec>) -> AppSpec {
    let schedule = Schedule::parse(expression, "Asia/Shanghai", &TimeZoneDatabase::bundled()).unwrap();
    AppSpec { schedule: Some(schedule), ..unscheduled(services) }
}

/// An app that runs by hand only.
pub(super) fn unscheduled(services: Vec<ServiceSpec>) -> AppSpec {
    AppSpec::new(AppName::new("nightly").unwrap(), RunSpec::new(services))
}

/// An app with one replica, due every ten seconds, never retried.
pub(super) fn every_ten_seconds() -> AppSpec {
    app("@every 10s", vec![service(1, 0)])
}

pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) fleet: Fleet,
    pub(super) now: Timestamp,
    /// When what is due was noticed, if not just now.
    pub(super) noticed: Option<Timestamp>,
    pub(super) tenure: Tenure,
    pub(super) timing: Timing,
    /// Whether instants are decided.
    pub(super) clock: Clock,
    /// Sequence of the last message of the results stream.
    pub(super) sequence: u64,
    spec: Option<Arc<AppSpec>>,
    /// Summaries that the history stream has.
    published: Vec<RunSummary>,
    random: StdRng,
    requests: u64,
}

impl World {
    /// The app is applied at second 0. Three agents with ten slots each, `a1` to `a3`.
    pub(super) fn new(spec: AppSpec) -> Self {
        let mut world = Self {
            ledger: Ledger::new(1, at(0.0)),
            fleet: Fleet::default(),
            now: at(0.0),
            noticed: None,
            tenure: Tenure { epoch: Epoch(1), since: at(0.0) },
            timing: Timing::default(),
            clock: Clock::Running,
            sequence: 100,
            spec: Some(Arc::new(spec)),
            published: Vec::new(),
            random: StdRng::seed_from_u64(7),
            requests: 0,
        };
        for name in ["a1", "a2", "a3"] {
            world.set_agent(name, Readiness::Ready, 10);
        }
        world
    }

    pub(super) fn set_agent(&mut self, name: &str, readiness: Readiness, slots: u32) {
        let capacity = Capacity { slots, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None };
        self.fleet.see(&agent(name), Some(AgentView { readiness, capacity, traits: Arc::default() }));
    }

    pub(super) fn decide(&mut self, input: Input<'_>) -> Answer {
        let context = Context {
            app: &AppName::new("nightly").unwrap(),
            spec: self.spec.as_ref(),
            fleet: &self.fleet,
            now: self.now,
            noticed: self.noticed.unwrap_or(self.now),
            tenure: self.tenure,
            results_through: self.sequence,
            timing: &self.timing,
            clock: self.clock,
            placing: Placing::Now,
        };
        let Decision { ledger, record, actions, loads, unplaced } =
            decide(&context, self.ledger.clone(), input, &mut self.random);
        for change in &loads {
            self.fleet.apply(change);
        }
        self.ledger = ledger;
        self.check_balance();
        Answer { record, actions, unplaced }
    }

    /// Guarantee G2, after every decision of every story.
    fn check_balance(&self) {
        assert!(self.ledger.is_balanced(), "{:?}", self.ledger.counters);
    }

    /// Moves the clock to `seconds` after the start, and folds that.
    pub(super) fn clock(&mut self, seconds: f64) -> Answer {
        self.now = at(seconds);
        self.decide(Input::Clock)
    }

    /// A new leader takes over now.
    pub(super) fn take_over(&mut self) -> Answer {
        self.tenure = Tenure { epoch: Epoch(self.tenure.epoch.0 + 1), since: self.now };
        self.decide(Input::TakeOver)
    }

    /// A revision of the app, stored at `seconds`.
    pub(super) fn change(&mut self, seconds: f64, content: AppContent) -> Answer {
        let revision = self.ledger.app_revision + 1;
        let spec = match &content {
            AppContent::Applied(spec) => Some(spec.clone()),
            AppContent::Invalid { .. } | AppContent::Removed => None,
        };
        let answer = self.decide(Input::App(AppChange { revision, at: at(seconds), content }));
        self.spec = spec;
        answer
    }

    pub(super) fn apply(&mut self, seconds: f64, spec: AppSpec) -> Answer {
        self.change(seconds, AppContent::Applied(Arc::new(spec)))
    }

    pub(super) fn remove(&mut self, seconds: f64) -> Answer {
        self.change(seconds, AppContent::Removed)
    }

    /// A command of somebody who saw the app's present revision.
    pub(super) fn command(&mut self, kind: CommandKind) -> Command {
        self.requests += 1;
        Command {
            schema: SCHEMA,
            request: RequestId(Uuid::from_u128(u128::from(self.requests))),
            app: AppName::new("nightly").unwrap(),
            app_revision: self.ledger.app_revision,
            by: "ann@desk".to_owned(),
            at: self.now,
            kind,
        }
    }

    /// Somebody runs the app; what became of it.
    pub(super) fn run(&mut self) -> Verdict {
        let command = self.command(CommandKind::Run(RunRequest::default()));
        self.decide(Input::Command { sequence: 1, command: &command, retried: None });
        self.ledger.requests.back().unwrap().verdict.clone()
    }

    /// Somebody asks for something; what became of it.
    pub(super) fn ask(&mut self, kind: CommandKind) -> Verdict {
        let command = self.command(kind);
        let wanted = |summary: &&RunSummary| command.kind == CommandKind::Retry { run: summary.run };
        let retried = self.published.iter().find(wanted).cloned();
        self.decide(Input::Command { sequence: 1, command: &command, retried: retried.as_ref() });
        self.ledger.requests.back().unwrap().verdict.clone()
    }

    /// All that waits in the outboxes is published.
    pub(super) fn publish(&mut self) {
        self.published.extend(self.ledger.history.pending.iter().cloned());
        let (ticks, history) = (self.ledger.ticks.last_number, self.ledger.history.last_number);
        self.decide(Input::TickStored { number: ticks, sequence: ticks });
        self.decide(Input::HistoryStored { number: history, sequence: history });
    }

    /// The summary of the last run that ended.
    pub(super) fn last_summary(&self) -> &RunSummary {
        self.ledger.history.pending.back().unwrap()
    }

    /// Outcomes of the replicas of the last run that ended, as words.
    pub(super) fn last_outcomes(&self) -> Vec<&'static str> {
        self.last_summary().replicas.iter().map(|replica| replica.outcome.label()).collect()
    }

    /// The open attempt of a service with one replica.
    #[track_caller]
    pub(super) fn open_of(&self, service: &str) -> AttemptId {
        let open = self.open().into_iter().map(|(id, _)| id).find(|id| id.service.as_str() == service);
        open.unwrap_or_else(|| panic!("{service} has no open attempt"))
    }

    /// Services with an open attempt.
    pub(super) fn open_services(&self) -> Vec<String> {
        self.open().into_iter().map(|(id, _)| id.service.to_string()).collect()
    }

    /// Claims the only open attempt of a service and ends it.
    #[track_caller]
    pub(super) fn finish_service(&mut self, service: &str, exit_code: i64) -> Answer {
        let attempt = self.open_of(service);
        self.claim(&attempt);
        self.exit(&attempt, exit_code)
    }

    /// Somebody cancels what is active.
    pub(super) fn cancel(&mut self) -> Answer {
        let command = self.command(CommandKind::Cancel { run: None, force: false });
        self.decide(Input::Command { sequence: 1, command: &command, retried: None })
    }

    /// All open attempts.
    pub(super) fn open(&self) -> Vec<(AttemptId, OpenAttempt)> {
        let app = AppName::new("nightly").unwrap();
        let open = |run: &crate::ledger::ActiveRun| {
            run.open_attempts(&app).map(|(id, open)| (id, open.clone())).collect::<Vec<_>>()
        };
        self.ledger.active.iter().flat_map(open).collect()
    }

    /// The open attempt, if there is exactly one.
    #[track_caller]
    pub(super) fn only_open(&self) -> AttemptId {
        let open = self.open();
        assert_eq!(open.len(), 1, "{open:?}");
        open[0].0.clone()
    }

    /// State of the replica with this index of the first service of the first active run.
    pub(super) fn replica(&self, index: usize) -> &ReplicaState {
        &self.ledger.active[0].services()[0].replicas[index].state
    }

    /// A message about an attempt, of the agent that it is bound to.
    pub(super) fn report(&mut self, attempt: &AttemptId, event: AttemptEvent) -> Answer {
        let bound = self.open().into_iter().find(|(id, _)| id == attempt);
        let by = bound.expect("the attempt is open").1.agent;
        self.report_by(attempt, by, event)
    }

    /// A message about an attempt, of whoever.
    pub(super) fn report_by(&mut self, attempt: &AttemptId, by: AgentName, event: AttemptEvent) -> Answer {
        self.sequence += 1;
        self.report_at(self.sequence, attempt, by, event)
    }

    /// A message about an attempt as it stands at `sequence` of the stream.
    pub(super) fn report_at(
        &mut self,
        sequence: u64,
        attempt: &AttemptId,
        by: AgentName,
        event: AttemptEvent,
    ) -> Answer {
        let report = AttemptReport { schema: SCHEMA, attempt: attempt.clone(), agent: by, at: self.now, event };
        self.decide(Input::Report { sequence, report: &report })
    }

    pub(super) fn claim(&mut self, attempt: &AttemptId) -> Answer {
        let bound = self.open().into_iter().find(|(id, _)| id == attempt);
        self.report(attempt, claimed(&bound.expect("the attempt is open").1.agent))
    }

    pub(super) fn exit(&mut self, attempt: &AttemptId, exit_code: i64) -> Answer {
        self.report(attempt, exited(exit_code))
    }

    /// Claims the only open attempt and ends it.
    pub(super) fn finish(&mut self, exit_code: i64) -> Answer {
        let attempt = self.only_open();
        self.claim(&attempt);
        self.exit(&attempt, exit_code)
    }

    /// A heartbeat that has seen all results, and holds these.
    pub(super) fn heartbeat(&self, name: &str, held: &[AttemptId]) -> AgentRecord {
        AgentRecord {
            schema: SCHEMA,
            agent: agent(name),
            process: Nonce(Uuid::from_u128(1)),
            number: 1,
            machine: machine(&agent(name)),
            boot: String::new(),
            host: name.to_owned(),
            version: String::new(),
            build: Build::default(),
            engine: String::new(),
            engine_trouble: None,
            at: self.now,
            labels: Default::default(),
            capacity: Capacity { slots: 10, cpu_millis: 4_000, memory_bytes: 1 << 30, gpus: None },
            policy: None,
            stock: EngineStock::default(),
            draining: false,
            drain_by: None,
            stopped: false,
            forgotten: false,
            results_seen: self.sequence,
            held: held.iter().cloned().collect::<BTreeSet<_>>(),
            preparing: Vec::new(),
            fence_ms: 45_000,
            kill_margin_ms: 10_000,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        wake_at(&self.ledger, self.spec.as_deref(), &self.timing, self.tenure, self.now)
    }

    /// The tick messages that are not known to be stored.
    pub(super) fn ticks(&self) -> Vec<TickRecord> {
        self.ledger.ticks.pending.iter().cloned().collect()
    }

    /// What became of the last instant.
    pub(super) fn last_admission(&self) -> Admission {
        self.ledger.ticks.pending.back().unwrap().admission.clone()
    }
}

pub(super) fn claimed(by: &AgentName) -> AttemptEvent {
    AttemptEvent::Claimed { nonce: Nonce(Uuid::from_u128(9)), machine: machine(by) }
}

pub(super) fn exited(exit_code: i64) -> AttemptEvent {
    AttemptEvent::Exited { exit_code, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

pub(super) fn revoked(by: Revoker) -> AttemptEvent {
    AttemptEvent::Revoked { by, reason: "test".to_owned() }
}
