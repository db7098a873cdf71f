//! Apps, commands and names of a history. A new label or command is one line of [`LABELS`] or [`COMMANDS`].

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use jiff::tz::TimeZoneDatabase;
use rand::{RngExt as _, rngs::StdRng};
use tickmesh_core::{
    decide::AppContent,
    id::RunNumber,
    ledger::{RUN_BYTES_MAX, run_bytes},
    message::{CommandKind, RunRequest},
    name::{AppName, ServiceName},
    schedule::Schedule,
    spec::{
        AppSpec, Attribute, Constraint, ContainerSpec, Misfire, MountOptions, OnDisconnect, OnLost, Operator, Overlap,
        RemoveContainers, RetryPolicy, RunSpec, ServiceSpec, Volume, VolumeSource,
    },
};

use super::{
    context::SimContext,
    faults::Fault,
    operators::Hosts,
    reference_schedules::{RHYTHMS, Rhythm},
};

/// The rhythms' schedules, read once: thousands of histories use them.
static SCHEDULES: LazyLock<Vec<Schedule>> = LazyLock::new(|| {
    let zones = TimeZoneDatabase::bundled();
    let read = |rhythm: &Rhythm| Schedule::parse(rhythm.expression, "Asia/Shanghai", &zones);
    RHYTHMS.iter().map(read).collect::<Result<_, _>>().expect("the reference_schedules's expressions are valid")
});

/// A revision of an app as somebody stores it, and what the checkers need to know of it.
#[derive(Debug)]
pub(super) struct Edition {
    /// No other edition has it: its containers carry it in their image.
    pub(super) number: u64,
    pub(super) app: AppName,
    pub(super) content: AppContent,
    pub(super) spec: Option<Arc<AppSpec>>,
    pub(super) rhythm: Option<&'static Rhythm>,
}

impl PartialEq for Edition {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// What a label is given to: an app, its run, and each of its services.
type Label = fn(&mut AppSpec, &mut RunSpec, &mut StdRng);

/// Labels, each given to one in so many apps.
const LABELS: &[(u32, Label)] = &[
    (2, |app, _, random| app.queue_limit = [0, 1, 5][random.random_range(0..3)]),
    (5, |app, _, _| app.overlap = Overlap::Skip),
    (4, |app, _, _| app.overlap = Overlap::Replace),
    (6, |app, _, random| app.overlap = Overlap::Allow { max_active: random.random_range(1..4) }),
    (5, |app, _, _| app.misfire = Misfire::Skip),
    (6, |app, _, random| app.start_deadline = Some(seconds(random, 2..20))),
    (8, |app, _, _| app.jitter = Duration::from_millis(900)),
    (12, |app, _, _| app.paused = true),
    (5, |_, run, random| run.timeout = Some(seconds(random, 4..30))),
    (6, |_, run, _| run.on_disconnect = OnDisconnect::Continue),
    (5, |_, run, _| run.on_lost = OnLost::Fail),
    (40, |_, run, _| fill(run)),
    (4, |_, run, random| some_service(run, random).attempt_timeout = Some(seconds(random, 2..10))),
    (8, |_, run, random| some_service(run, random).global = true),
    (6, |_, run, random| some_service(run, random).constraints = vec![zone(Operator::Is)]),
    (8, |_, run, random| some_service(run, random).constraints = vec![zone(Operator::IsNot)]),
    (3, |_, run, random| mount(some_service(run, random))),
    (3, |_, run, random| some_service(run, random).container.memory_bytes = Some(1 << 28)),
    (3, |_, run, random| {
        some_service(run, random).remove_containers = RemoveContainers::ALL[random.random_range(0..4)]
    }),
    (2, |_, run, _| depend_in_a_row(run)),
];

/// What a person looks at before a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// The last run that the history has.
    pub(super) last_run: RunNumber,
}

/// What somebody with that view asks for.
type Request = fn(View, &mut StdRng) -> CommandKind;

/// Commands, with their weight.
const COMMANDS: &[(u32, Request)] = &[
    (9, |_, random| CommandKind::Run(request(random))),
    (3, |_, _| CommandKind::Cancel { run: None, force: false }),
    (1, |view, random| CommandKind::Cancel { run: Some(near(view, random)), force: false }),
    (1, |_, _| CommandKind::Cancel { run: None, force: true }),
    (3, |view, random| CommandKind::Retry { run: near(view, random) }),
    (1, |_, _| CommandKind::Pause),
    (2, |_, _| CommandKind::Resume),
    (1, |_, _| CommandKind::Flush),
];

/// What people are told of every app: both happen in most histories.
const WARN_AFTER: Duration = Duration::from_secs(8);
const EXPECT_SUCCESS: Duration = Duration::from_secs(40);

/// An app of some services with one of the rhythms, or none.
pub(super) fn edition(number: u64, app: &AppName, rhythm: Option<usize>, hosts: Hosts, random: &mut StdRng) -> Edition {
    let names: &[&str] =
        [&["s1"][..], &["s1", "s2.db"], &["s1", "s2.db", "s3"]][[0, 0, 1, 1, 2][random.random_range(0..5)]];
    let mut run = RunSpec::new(names.iter().map(|name| service(name, number, random)).collect());
    let mut spec = AppSpec::new(app.clone(), RunSpec::new(Vec::new()));
    for (odds, label) in LABELS {
        if random.random_ratio(1, *odds) {
            label(&mut spec, &mut run, random);
        }
    }
    for service in &mut run.services {
        if run.timeout.is_some() || service.attempt_timeout.is_some() {
            service.container.image.push_str(MAY_HANG);
        }
    }
    if hosts == Hosts::Contested {
        run.on_disconnect = OnDisconnect::Stop;
    }
    spec.schedule = rhythm.map(|index| SCHEDULES[index].clone());
    (spec.warn_after, spec.expect_success) = (Some(WARN_AFTER), Some(EXPECT_SUCCESS));
    spec.run = run.into();
    let spec = Arc::new(spec);
    let rhythm = rhythm.map(|index| &RHYTHMS[index]);
    Edition { number, app: app.clone(), content: AppContent::Applied(spec.clone()), spec: Some(spec), rhythm }
}

/// A file that is not valid, or a tombstone.
pub(super) fn without_spec(number: u64, app: &AppName, content: AppContent) -> Edition {
    Edition { number, app: app.clone(), content, spec: None, rhythm: None }
}

pub(super) fn command(view: View, random: &mut StdRng) -> CommandKind {
    let total: u32 = COMMANDS.iter().map(|(weight, _)| weight).sum();
    let mut left = random.random_range(0..total);
    for (weight, make) in COMMANDS {
        if left < *weight {
            return make(view, random);
        }
        left -= weight;
    }
    CommandKind::Run(RunRequest::default())
}

fn service(name: &str, edition: u64, random: &mut StdRng) -> ServiceSpec {
    let scale = [1, 1, 1, 2, 2, 3, 5][random.random_range(0..7)];
    let retry = RetryPolicy { count: random.random_range(0..=3), delay_ms: 400, factor: 2, delay_ms_max: 2_000 };
    let container = ContainerSpec::new(format!("{IMAGE}{edition}"));
    let remove_containers = RemoveContainers::RemoveAll;
    ServiceSpec { scale, retry, remove_containers, ..ServiceSpec::new(service_name(name), container) }
}

fn service_name(name: &str) -> ServiceName {
    ServiceName::new(name).expect("a valid name")
}

/// What some hosts allow, with everything below.
pub(super) const HOST_PATH: &str = "/srv";
/// Image of every container, but for the number of its edition.
const IMAGE: &str = "busybox:e";
/// Ends the image of containers that something else stops if they do not end.
const MAY_HANG: &str = "-may-hang";

/// The edition that an image names.
pub(super) fn edition_of(image: &str) -> Option<u64> {
    image.strip_prefix(IMAGE)?.trim_end_matches(MAY_HANG).split('-').next()?.parse().ok()
}

/// How long a container runs, and how it exits. `None`: for ever.
pub(super) fn container_life(image: &str, context: &mut SimContext) -> (Option<Duration>, i64) {
    let failed = context.mishap(Fault::ContainerFailed);
    let code = if failed { [1, 1, 2, 137, 143][context.random.random_range(0..5)] } else { 0 };
    let lasts_ms = match context.random.random_range(0..20) {
        0..10 => context.random.random_range(50..2_000),
        10..16 => context.random.random_range(1_000..10_000),
        16..19 => context.random.random_range(5_000..60_000),
        _ if image.ends_with(MAY_HANG) => return (None, code),
        _ => context.random.random_range(30_000..90_000),
    };
    (Some(Duration::from_millis(lasts_ms)), code)
}

fn some_service<'a>(run: &'a mut RunSpec, random: &mut StdRng) -> &'a mut ServiceSpec {
    let which = random.random_range(0..run.services.len());
    &mut run.services[which]
}

/// A path that some hosts allow. With a constraint, nobody might.
fn mount(service: &mut ServiceSpec) {
    if service.constraints.is_empty() {
        let source = VolumeSource::HostPath(format!("{HOST_PATH}/data"));
        service.container.volumes.push(Volume {
            source,
            target: "/data".to_owned(),
            read_only: false,
            options: MountOptions::default(),
        });
    }
}

fn depend_in_a_row(run: &mut RunSpec) {
    let names: Vec<ServiceName> = run.services.iter().map(|service| service.name.clone()).collect();
    for (service, before) in run.services.iter_mut().skip(1).zip(names) {
        service.depends = vec![before];
    }
}

/// As large as a ledger takes, so that the next run has no room beside a summary that is not published.
fn fill(run: &mut RunSpec) {
    let room = RUN_BYTES_MAX.saturating_sub(run_bytes(run) + 2_000);
    run.services[0].container.environment.insert("FILL".to_owned(), "x".repeat(room));
}

fn zone(operator: Operator) -> Constraint {
    Constraint { attribute: Attribute::Label("zone".to_owned()), operator, values: vec!["a".to_owned()] }
}

fn request(random: &mut StdRng) -> RunRequest {
    if random.random_ratio(2, 3) {
        return RunRequest::default();
    }
    RunRequest { environment: [("DEBUG".to_owned(), "1".to_owned())].into(), arguments: Vec::new() }
}

fn near(view: View, random: &mut StdRng) -> RunNumber {
    (view.last_run + 1).saturating_sub(random.random_range(0..3))
}

fn seconds(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_secs(random.random_range(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_names_its_edition() {
        assert_eq!(edition_of("busybox:e17"), Some(17));
        assert_eq!(edition_of("busybox:e17-may-hang"), Some(17));
        assert_eq!(edition_of("postgres"), None);
    }
}
