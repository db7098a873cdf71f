//! Specs, commands and names of a history.

use std::sync::{Arc, LazyLock};

use jiff::{Timestamp, tz::TimeZoneDatabase};
use rand::{Rng, RngExt as _, rngs::StdRng};
use tickmesh_core::{
    decide::{AppChange, AppContent},
    id::RequestId,
    ledger::{RUN_BYTES_MAX, run_bytes},
    message::{Command, CommandKind, RunRequest, SCHEMA},
    name::{AgentName, AppName, ServiceName},
    schedule::Schedule,
    spec::{AppSpec, ContainerSpec, RemoveContainers, RetryPolicy, RunSpec, ServiceSpec},
};

use super::almanac::{RHYTHMS, Rhythm};

/// The rhythms' schedules, read once: thousands of histories use them.
static SCHEDULES: LazyLock<Vec<Schedule>> = LazyLock::new(|| {
    let zones = TimeZoneDatabase::bundled();
    let read = |rhythm: &Rhythm| Schedule::parse(rhythm.expression, "Asia/Shanghai", &zones);
    RHYTHMS.iter().map(read).collect::<Result<_, _>>().expect("the almanac's expressions are valid")
});

/// The one app of a history.
pub(super) static APP: LazyLock<AppName> = LazyLock::new(|| AppName::new("nightly").expect("a valid name"));

/// A revision of the app, and what the checkers need to know of it.
#[derive(Debug, Clone)]
pub(super) struct Revision {
    pub(super) change: AppChange,
    pub(super) spec: Option<Arc<AppSpec>>,
    pub(super) rhythm: Option<&'static Rhythm>,
}

impl Revision {
    /// An app with one of the rhythms, or none, of some services.
    pub(super) fn applied(revision: u64, at: Timestamp, rhythm: Option<usize>, random: &mut StdRng) -> Self {
        let names: &[&str] = if random.random_ratio(1, 3) { &["s1", "s2.db"] } else { &["s1"] };
        let spec = Arc::new(AppSpec {
            schedule: rhythm.map(|index| SCHEDULES[index].clone()),
            queue_limit: [3, 3, 0, 1, 5][random.random_range(0..5)],
            ..AppSpec::new(APP.clone(), run(names, random))
        });
        let content = AppContent::Applied(spec.clone());
        let rhythm = rhythm.map(|index| &RHYTHMS[index]);
        Self { change: AppChange { revision, at, content }, spec: Some(spec), rhythm }
    }

    /// A file that is not valid, or a tombstone.
    pub(super) fn without_spec(revision: u64, at: Timestamp, content: AppContent) -> Self {
        Self { change: AppChange { revision, at, content }, spec: None, rhythm: None }
    }
}

/// Once in a while as large as a ledger takes, so that the next run has no room beside a summary that is not published.
fn run(names: &[&str], random: &mut StdRng) -> RunSpec {
    let mut run = RunSpec::new(names.iter().map(|name| service(name, random)).collect());
    if random.random_ratio(1, 10) {
        let room = RUN_BYTES_MAX - run_bytes(&run);
        run.services[0].container.image.push_str(&"x".repeat(room));
    }
    run
}

fn service(name: &str, random: &mut StdRng) -> ServiceSpec {
    let name = ServiceName::new(name).expect("a valid name");
    let memory_bytes = random.random_ratio(1, 3).then_some(1 << 20);
    ServiceSpec {
        scale: random.random_range(1..=3),
        retry: RetryPolicy { count: random.random_range(0..=3), delay_ms: 400, factor: 2, delay_ms_max: 2_000 },
        remove_containers: RemoveContainers::RemoveAll,
        ..ServiceSpec::new(name, ContainerSpec { memory_bytes, ..ContainerSpec::new("busybox") })
    }
}

/// A command of somebody who saw this revision of the app.
pub(super) fn command(app_revision: u64, last_run: u64, at: Timestamp, random: &mut StdRng) -> Command {
    let kind = match random.random_range(0..10) {
        0..7 => CommandKind::Run(RunRequest::default()),
        7..9 => CommandKind::Cancel { run: None },
        _ => CommandKind::Cancel { run: Some(last_run.saturating_sub(random.random_range(0..2))) },
    };
    let request = RequestId::from_random(bytes(random));
    Command { schema: SCHEMA, request, app: APP.clone(), app_revision, by: "ann@desk".to_owned(), at, kind }
}

pub(super) fn bytes(random: &mut StdRng) -> [u8; 16] {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    bytes
}

pub(super) fn agent_name(index: usize) -> AgentName {
    AgentName::new(format!("a{index}")).expect("a valid name")
}
