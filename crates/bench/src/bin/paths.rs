//! The pure paths that every run takes, each as a function that is not inlined, so that a tool which counts instructions can tell
//! them apart (`make instructions`). Counts do not depend on who else uses the machine.
//!
//! ```text
//! paths [APPS [AGENTS]]
//! ```

#![expect(clippy::print_stdout, reason = "what was done is told")]

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    build::Build,
    compose::{self, ComposeFile},
    decide::{Action, AppContent, Tenure},
    id::{Epoch, Nonce},
    interning::Interned,
    ledger::Ledger,
    message::{AgentRecord, AttemptEvent, AttemptReport, Capacity, EngineStock, MachineId, Order, OrderKind, SCHEMA},
    name::{AgentName, AppName},
    spec::AppSpec,
    timing::Timing,
};
use tickmesh_scheduler::{
    clock::Moment,
    dispatcher::{Dispatcher, Event, StateChange},
    effect::Effect,
};

const APPS: usize = 1_000;
const AGENTS: usize = 20;
/// Slots of an agent: never what a run waits for.
const SLOTS: u32 = 1_000_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| match arguments.next() {
        Some(argument) => argument.parse().with_context(|| format!("`{argument}` is not a number")),
        None => Ok(default),
    };
    let (apps, agents) = (number(APPS)?, number(AGENTS)?);
    let mut mesh = Mesh::new(agents)?;
    mesh.apply(read_files(apps)?);

    mesh.minute_passes()?;
    let writes = mesh.instant_due();
    let ledgers = encode_ledgers(&writes)?;
    decode_ledgers(&ledgers)?;
    let orders = mesh.ledgers_stored(writes);
    encode_orders(&orders)?;
    let stored = mesh.claims_folded(&orders);
    mesh.ledgers_stored(stored);
    let stored = mesh.ends_folded(&orders);
    let rest = mesh.ledgers_stored(stored);
    ensure!(orders.len() == apps && rest.is_empty(), "{} orders for {apps} apps, then {}", orders.len(), rest.len());
    mesh.heartbeats()?;
    println!("{apps} runs on {agents} agents");
    Ok(())
}

/// A ledger to be stored.
struct Write {
    app: AppName,
    ledger: Box<Ledger>,
}

/// A leader whose effects are done at once.
struct Mesh {
    agents: usize,
    dispatcher: Dispatcher,
    moment: Moment,
    revision: u64,
    results: u64,
}

impl Mesh {
    fn new(agents: usize) -> anyhow::Result<Self> {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse()?;
        let moment = Moment { wall, uptime: Duration::from_secs(1) };
        let tenure = Tenure { epoch: Epoch(1), since: wall };
        let dispatcher = Dispatcher::new(tenure, Timing::default(), StdRng::seed_from_u64(1));
        let mut mesh = Self { agents, dispatcher, moment, revision: 0, results: 0 };
        mesh.heartbeats()?;
        mesh.handle(Event::Loaded { results_end: 0 });
        Ok(mesh)
    }

    fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.dispatcher.handle(event, self.moment).expect("nobody else writes").effects
    }

    #[inline(never)]
    fn heartbeats(&mut self) -> anyhow::Result<()> {
        for number in 0..self.agents {
            let record = Box::new(record(number, self.moment.wall)?);
            self.revision += 1;
            self.handle(Event::Changed(StateChange::Agent { revision: self.revision, at: self.moment.wall, record }));
        }
        Ok(())
    }

    fn apply(&mut self, specs: Vec<Arc<AppSpec>>) {
        let mut writes = Vec::new();
        for spec in specs {
            self.revision += 1;
            let (app, content) = (spec.name.clone(), AppContent::Applied(spec));
            let (revision, at) = (self.revision, self.moment.wall);
            writes.extend(writes_of(self.handle(Event::Changed(StateChange::App { app, revision, at, content }))));
        }
        self.ledgers_stored(writes);
    }

    /// A minute passes, in which every agent shows a sign of life.
    fn minute_passes(&mut self) -> anyhow::Result<()> {
        let minute = SignedDuration::from_mins(1);
        self.moment = Moment {
            wall: self.moment.wall.checked_add(minute)?,
            uptime: self.moment.uptime + Duration::try_from(minute)?,
        };
        self.heartbeats()
    }

    /// Every app falls due: decided, placed, and put into a ledger that is to be stored.
    #[inline(never)]
    fn instant_due(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        while self.dispatcher.wake_in(self.moment) == Some(Duration::ZERO) {
            writes.extend(writes_of(self.handle(Event::Woken)));
        }
        writes
    }

    /// Ledgers are stored; returned are the orders that waited for that. What else follows is taken for done.
    #[inline(never)]
    fn ledgers_stored(&mut self, writes: Vec<Write>) -> Vec<Order> {
        let mut orders = Vec::new();
        for Write { app, .. } in writes {
            self.revision += 1;
            let effects = self.handle(Event::LedgerWritten { app, revision: self.revision });
            for effect in effects {
                match effect {
                    Effect::Act(Action::Send(order)) => orders.push(order),
                    Effect::PublishTick { tick, .. } => {
                        self.handle(Event::TickStored { app: tick.app, number: tick.number, sequence: 1 });
                    }
                    Effect::PublishHistory { summary, .. } => {
                        self.handle(Event::HistoryStored { app: summary.app, number: summary.number, sequence: 1 });
                    }
                    Effect::PublishNotice { notice, .. } => {
                        self.handle(Event::NoticeStored { app: notice.app, number: notice.number, sequence: 1 });
                    }
                    _ => {}
                }
            }
        }
        orders
    }

    /// Every agent says that it has taken its order.
    #[inline(never)]
    fn claims_folded(&mut self, orders: &[Order]) -> Vec<Write> {
        let nonce = Nonce::from_random([1; 16]);
        self.folded(orders, |_| AttemptEvent::Claimed { nonce, machine: MachineId("machine".to_owned()) })
    }

    /// Every container exits, and with that every run ends.
    #[inline(never)]
    fn ends_folded(&mut self, orders: &[Order]) -> Vec<Write> {
        self.folded(orders, |at| AttemptEvent::Exited {
            exit_code: 0,
            oom_killed: false,
            unhealthy: false,
            started_at: Some(at),
            finished_at: Some(at),
        })
    }

    fn folded(&mut self, orders: &[Order], event: impl Fn(Timestamp) -> AttemptEvent) -> Vec<Write> {
        let mut writes = Vec::new();
        self.moment.uptime += Duration::from_secs(1);
        for order in orders {
            self.results += 1;
            let (attempt, agent, at) = (order.attempt.clone(), order.agent.clone(), self.moment.wall);
            let report = AttemptReport { schema: SCHEMA, attempt, agent, at, event: event(at) };
            let event = Event::ReportSeen { sequence: self.results, report: Some(Box::new(report)) };
            writes.extend(writes_of(self.handle(event)));
        }
        writes.extend(writes_of(self.handle(Event::Woken)));
        writes
    }
}

fn writes_of(effects: Vec<Effect>) -> impl Iterator<Item = Write> {
    effects.into_iter().filter_map(|effect| match effect {
        Effect::WriteLedger { app, ledger, .. } => Some(Write { app, ledger }),
        _ => None,
    })
}

#[inline(never)]
fn read_files(apps: usize) -> anyhow::Result<Vec<Arc<AppSpec>>> {
    let zones = TimeZoneDatabase::bundled();
    let mut shared = Interned::default();
    (0..apps).map(|number| read(number, &zones, &mut shared)).collect()
}

/// The example of the original service with one replica, due each minute.
fn read(number: usize, zones: &TimeZoneDatabase, shared: &mut Interned) -> anyhow::Result<Arc<AppSpec>> {
    let app = AppName::new(format!("app-{number}"))?;
    let text = "version: \"2\"\nlabels:\n  aliyun.project_type: \"batch\"\n  aliyun.schedule: \"0 * * * * *\"\nservices:\n  s1:\n    \
                image: registry.aliyuncs.com/jimmycmh/busybox:latest\n    labels:\n      aliyun.scale: \"1\"\n      \
                aliyun.retry_count: \"3\"\n      aliyun.remove_containers: \"remove-all\"\n    command: date\n";
    let file = ComposeFile {
        dialect: compose::Dialect::PRESENT,
        app: &app,
        file_name: "docker-compose.yml",
        text,
        variables: &Default::default(),
        env_files: &Default::default(),
        timezone_default: "Asia/Shanghai",
    };
    let reading = compose::read(&file, zones);
    ensure!(reading.spec.is_some(), "{:?}", reading.diagnostics);
    Ok(Arc::new(reading.spec.context("no app")?.packed(shared)))
}

#[inline(never)]
fn encode_ledgers(writes: &[Write]) -> anyhow::Result<Vec<Vec<u8>>> {
    writes.iter().map(|write| Ok(serde_json::to_vec(&write.ledger)?)).collect()
}

#[inline(never)]
fn decode_ledgers(ledgers: &[Vec<u8>]) -> anyhow::Result<()> {
    for ledger in ledgers {
        black_box(serde_json::from_slice::<Ledger>(ledger)?);
    }
    Ok(())
}

#[inline(never)]
fn encode_orders(orders: &[Order]) -> anyhow::Result<()> {
    for order in orders {
        ensure!(matches!(order.kind, OrderKind::Start(_)), "an order to start");
        black_box(serde_json::to_vec(order)?);
    }
    Ok(())
}

fn record(number: usize, at: Timestamp) -> anyhow::Result<AgentRecord> {
    Ok(AgentRecord {
        schema: SCHEMA,
        agent: AgentName::new(format!("agent-{number}"))?,
        process: Nonce::from_random([1; 16]),
        number: 1,
        machine: MachineId("machine".to_owned()),
        boot: String::new(),
        host: format!("host-{number}"),
        version: String::new(),
        build: Build::default(),
        engine: String::new(),
        engine_trouble: None,
        at,
        labels: Default::default(),
        capacity: Capacity { slots: SLOTS, cpu_millis: 64_000, memory_bytes: 1 << 40, gpus: None },
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
    })
}
