//! What a decision costs: it is linear in what changed, not in what exists. Measured in processor time of the thread, small
//! against large in the same run, so that neither the machine nor its other work decides.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use rustix::time::{ClockId, clock_gettime};
use tickmesh_core::{
    build::Build,
    decide::{Clock, Context, Input, Placing, Tenure, decide, wake_at},
    fleet::{AgentView, Fleet, Readiness},
    id::{AttemptId, Epoch, Nonce, RequestId},
    ledger::Ledger,
    message::{
        AgentRecord, AttemptEvent, AttemptReport, Capacity, Command, CommandKind, EngineStock, MachineId, RunRequest,
        SCHEMA,
    },
    name::{AgentName, AppName, ServiceName},
    schedule::Schedule,
    spec::{AppSpec, ContainerSpec, RunSpec, ServiceSpec},
    timing::Timing,
};
use uuid::Uuid;

/// Rounds of each measurement, small and large in turn; the fastest counts. Beside other work the caches are never warm for a while:
/// then more rounds are made until one was undisturbed. What really costs more does so in every round.
const ROUNDS: u32 = 20;
const ROUNDS_MAX: u32 = 2_000;
const SMALL: u32 = 20;
const LARGE: u32 = 2_000;
const AGENTS: u32 = 50;

fn app() -> AppName {
    AppName::new("nightly").expect("a valid name")
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("valid")
}

fn agent(number: u32) -> AgentName {
    AgentName::new(format!("host-{number}")).expect("valid")
}

/// An app with an active run of so many replicas, all of them ordered.
struct World {
    spec: Arc<AppSpec>,
    fleet: Fleet,
    ledger: Ledger,
    timing: Timing,
    now: Timestamp,
    sequence: u64,
    random: StdRng,
}

impl World {
    fn new(spec: AppSpec) -> Self {
        let capacity = Capacity { slots: LARGE, cpu_millis: 64_000, memory_bytes: 1 << 40, gpus: None };
        let view = || AgentView { readiness: Readiness::Ready, capacity, traits: Default::default() };
        let mut fleet = Fleet::default();
        fleet.see_all((0..AGENTS).map(|it| (agent(it), view())).collect());
        Self {
            spec: Arc::new(spec),
            fleet,
            ledger: Ledger::new(1, start()),
            timing: Timing::default(),
            now: start(),
            sequence: 0,
            random: StdRng::seed_from_u64(1),
        }
    }

    fn with_run(replicas: u32) -> Self {
        let service = |number: u32, scale| ServiceSpec {
            scale,
            ..ServiceSpec::new(ServiceName::new(format!("s{number}")).expect("valid"), ContainerSpec::new("busybox"))
        };
        let services = vec![service(0, replicas / 2), service(1, replicas / 2)];
        let mut world = Self::new(AppSpec::new(app(), RunSpec::new(services)));
        let command = Command {
            schema: SCHEMA,
            request: RequestId(Uuid::from_u128(1)),
            app: app(),
            app_revision: 1,
            by: "ann@desk".to_owned(),
            at: start(),
            kind: CommandKind::Run(RunRequest::default()),
        };
        world.decide(Input::Command { sequence: 1, command: &command, retried: None });
        assert_eq!(world.open().len(), replicas as usize);
        world
    }

    fn decide(&mut self, input: Input<'_>) {
        let context = Context {
            app: &app(),
            spec: Some(&self.spec),
            fleet: &self.fleet,
            now: self.now,
            noticed: self.now,
            tenure: self.tenure(),
            results_through: self.sequence,
            timing: &self.timing,
            clock: Clock::Running,
            placing: Placing::Now,
        };
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(1, start()));
        let decision = decide(&context, ledger, input, &mut self.random);
        self.ledger = decision.ledger;
        decision.loads.iter().for_each(|change| self.fleet.apply(change));
    }

    fn tenure(&self) -> Tenure {
        Tenure { epoch: Epoch(1), since: start() }
    }

    fn open(&self) -> Vec<(AttemptId, AgentName)> {
        let run = &self.ledger.active[0];
        run.open_attempts(&app()).map(|(id, open)| (id, open.agent.clone())).collect()
    }

    fn report(&mut self, attempt: &AttemptId, agent: &AgentName, event: AttemptEvent) {
        self.sequence += 1;
        let (attempt, agent) = (attempt.clone(), agent.clone());
        let report = AttemptReport { schema: SCHEMA, attempt, agent, at: self.now, event };
        self.decide(Input::Report { sequence: self.sequence, report: &report });
    }

    fn heartbeat(&mut self, agent: &AgentName) {
        let record = AgentRecord {
            schema: SCHEMA,
            agent: agent.clone(),
            process: Nonce(Uuid::from_u128(1)),
            number: 1,
            machine: machine(),
            boot: String::new(),
            host: String::new(),
            version: String::new(),
            build: Build::default(),
            engine: String::new(),
            engine_trouble: None,
            at: self.now,
            labels: Default::default(),
            capacity: Capacity { slots: 1, cpu_millis: 1, memory_bytes: 1, gpus: None },
            policy: None,
            stock: EngineStock::default(),
            draining: false,
            drain_by: None,
            stopped: false,
            forgotten: false,
            results_seen: 0,
            held: Default::default(),
            preparing: Vec::new(),
            fence_ms: 45_000,
            kill_margin_ms: 10_000,
        };
        self.decide(Input::Heartbeat { record: &record, machine_for: Duration::ZERO });
    }
}

fn machine() -> MachineId {
    MachineId("machine".to_owned())
}

fn claimed() -> AttemptEvent {
    AttemptEvent::Claimed { nonce: Nonce(Uuid::from_u128(2)), machine: machine() }
}

fn exited() -> AttemptEvent {
    AttemptEvent::Exited { exit_code: 0, oom_killed: false, unhealthy: false, started_at: None, finished_at: None }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).expect("valid"), u32::try_from(now.tv_nsec).expect("valid"))
}

/// The time that the inputs about one of some attempts take on average, in a run of so many replicas.
fn measure(replicas: u32, inputs: impl Fn(&mut World, &[(AttemptId, AgentName)])) -> Duration {
    let mut world = World::with_run(replicas);
    let attempts: Vec<_> = world.open().into_iter().take(SMALL as usize - 2).collect();
    let began = cpu_time();
    inputs(&mut world, &attempts);
    (cpu_time() - began) / (SMALL - 2)
}

/// In a run that is a hundred times as large the inputs may cost `ratio_max` times as much: trees are deeper and caches
/// colder. A decision that looks at every replica once, and does no more with it, exceeds that.
#[track_caller]
fn check(what: &str, ratio_max: f64, inputs: impl Fn(&mut World, &[(AttemptId, AgentName)])) {
    let (mut small, mut large) = (Duration::MAX, Duration::MAX);
    let mut ratio = f64::MAX;
    for round in 1..=ROUNDS_MAX {
        small = small.min(measure(SMALL, &inputs));
        large = large.min(measure(LARGE, &inputs));
        ratio = large.as_secs_f64() / small.as_secs_f64();
        if round >= ROUNDS && ratio < ratio_max {
            break;
        }
    }
    assert!(ratio < ratio_max, "{what}: {small:?} with {SMALL} replicas, {large:?} with {LARGE}");
}

#[test]
fn a_message_about_one_attempt_costs_the_same_in_a_large_run() {
    check("a claim and an end", 2.3, |world, attempts| {
        for (attempt, agent) in attempts {
            world.report(attempt, agent, claimed());
            world.report(attempt, agent, exited());
        }
    });
}

#[test]
fn a_look_at_the_clock_costs_the_same_in_a_large_run() {
    check("twenty looks at the clock", 1.35, |world, attempts| {
        for _ in 0..attempts.len() * 20 {
            world.now = tickmesh_core::time::after(world.now, Duration::from_millis(1));
            world.decide(Input::Clock);
            let spec = Some(&*world.spec);
            assert!(wake_at(&world.ledger, spec, &world.timing, world.tenure(), world.now).is_some());
        }
    });
}

#[test]
fn a_heartbeat_costs_what_its_agent_has_and_not_what_the_others_have() {
    check("twenty heartbeats of an agent without attempts", 1.35, |world, attempts| {
        for _ in 0..attempts.len() * 20 {
            world.heartbeat(&agent(AGENTS));
        }
    });
}

#[test]
fn thirty_days_of_a_per_second_schedule_cost_no_more_than_a_day_does() {
    let schedule = Schedule::parse("* * * * * *", "Asia/Shanghai", &TimeZoneDatabase::bundled()).expect("valid");
    let services = vec![ServiceSpec::new(ServiceName::new("s1").expect("valid"), ContainerSpec::new("busybox"))];
    let spec = AppSpec { schedule: Some(schedule), ..AppSpec::new(app(), RunSpec::new(services)) };
    let mut world = World::new(spec);
    world.now = tickmesh_core::time::after(start(), Duration::from_secs(30 * 86_400));
    let began = cpu_time();
    world.decide(Input::Clock);
    let took = cpu_time() - began;
    println!("30 days of a per-second schedule: {took:?}");
    assert_eq!(world.ledger.counters.decided, 30 * 86_400);
    // One instant after the other they take more than a second.
    assert!(took < Duration::from_millis(50), "{took:?}");
}
