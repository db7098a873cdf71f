//! What a compose file asks for, after validation: plain data that everything downstream trusts.

mod about;
mod access;
mod affinity;
mod constraint;
mod container;
mod gpu;
mod limits;
mod mount;
mod naming;
mod needs;
mod network;
mod notify;
mod policy;
mod requirements;
mod rights;
mod stored_run;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::access::NO_NEW_PRIVILEGES;
pub use self::{
    about::About,
    access::{CAPABILITY_OF_PRIORITY, HostAccess},
    affinity::{Affinity, ZoneSpread},
    constraint::{Attribute, Constraint, Operator},
    container::{ContainerSpec, PullPolicy, STOP_GRACE_DEFAULT},
    gpu::{DeviceRequest, RequestedDevices},
    limits::{Amount, Limits, Ulimit},
    mount::{MountOptions, Propagation, Relabel, VOLUME_DRIVER_LOCAL, Volume, VolumeDriver, VolumeSource},
    naming::Naming,
    needs::HostNeed,
    network::{NetworkSpec, is_built_in},
    notify::{NotifyChoice, Topic},
    policy::{Misfire, OnDisconnect, OnLost, OnOom, Overlap, RemoveContainers, RetryPolicy},
    requirements::Requirements,
    rights::{Device, Ipc, Rights},
    stored_run::StoredRun,
};
use crate::{
    interning::Interned,
    name::{AppName, ServiceName},
    schedule::Schedule,
    time,
};

/// Most replicas of one service.
pub const SCALE_MAX: u32 = 1_000;
/// Most replicas of one run, all services together: keeps the ledger of a run below its size limit.
pub const REPLICAS_MAX: u32 = 2_000;
/// Most retries of one replica.
pub const RETRY_COUNT_MAX: u32 = 100;
/// Most waiting ticks an app may ask for.
pub const QUEUE_LIMIT_MAX: u32 = 100;
/// A replica that was lost this often fails.
pub const LOSSES_MAX: u32 = 3;
/// Default of `queue_limit`: the original's bound.
pub const QUEUE_LIMIT_DEFAULT: u32 = 3;
/// Most runs of an app that `overlap: allow` lets be active at once. One ledger holds them all, each decision looks at all
/// of them, and when they end together their summaries wait together.
pub const ACTIVE_RUNS_MAX: u32 = 20;
/// Default of `max_active`.
pub const ACTIVE_RUNS_DEFAULT: u32 = 10;

/// An app: what is scheduled, and what a run of it is.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// The app's name.
    pub name: AppName,
    /// When it runs; `None`: by hand only.
    pub schedule: Option<Schedule>,
    /// What becomes of a tick that finds a run active.
    pub overlap: Overlap,
    /// Most ticks that may wait.
    pub queue_limit: u32,
    /// What becomes of missed instants.
    pub misfire: Misfire,
    /// A tick that could not start a run this long after it was due is given up.
    pub start_deadline: Option<Duration>,
    /// Instants fall due up to this much later, each app's by the same: see [`AppSpec::offset`].
    pub jitter: Duration,
    /// People are told when no run has succeeded for this long.
    pub expect_success: Option<Duration>,
    /// People are told when a run goes on for longer.
    pub warn_after: Option<Duration>,
    /// Who is told of what.
    pub notify: NotifyChoice,
    /// The file wants the app paused. Acts when it differs from what the last applied file wanted.
    pub paused: bool,
    /// What people say of it.
    pub about: About,
    /// What a run consists of.
    pub run: StoredRun,
}

/// What one run consists of. Pinned in the ledger when the run starts: an edit never changes an active run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The services, in the order of the file.
    pub services: Vec<ServiceSpec>,
    /// A run that lasts longer is stopped, and nothing of it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What becomes of containers on a host that is cut off.
    #[serde(default)]
    pub on_disconnect: OnDisconnect,
    /// What becomes of a replica whose attempt was lost.
    #[serde(default)]
    pub on_lost: OnLost,
}

impl RunSpec {
    /// A run of these services, with every default.
    pub fn new(services: Vec<ServiceSpec>) -> Self {
        Self { services, timeout: None, on_disconnect: OnDisconnect::default(), on_lost: OnLost::default() }
    }

    /// Replicas of all services; a global one counts as one, until a run of it begins.
    pub fn replica_count(&self) -> u32 {
        self.services.iter().map(|service| service.scale).sum()
    }

    /// The service of that name.
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceSpec> {
        self.services.iter().find(|service| service.name == *name)
    }
}

/// One service: how many replicas, how they are retried, and the container each of them is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// The service's name.
    pub name: ServiceName,
    /// Number of replicas of a run, from 1.
    pub scale: u32,
    /// What happens after an attempt failed.
    pub retry: RetryPolicy,
    /// Which containers are removed after their end.
    pub remove_containers: RemoveContainers,
    /// Services of the same app that must have succeeded before this one begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<ServiceName>,
    /// A container that runs longer is stopped; that counts as a failure, and is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// One replica on each agent that matches when the run starts, instead of `scale` replicas.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub global: bool,
    /// What an agent must be to run a replica: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// Where other replicas of the run must be, or must not be: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affinities: Vec<Affinity>,
    /// How widely the replicas are spread; `None`: as agents are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<ZoneSpread>,
    /// Whether a container of which a process was killed for want of memory may succeed.
    #[serde(default, skip_serializing_if = "OnOom::is_default")]
    pub oom: OnOom,
    /// The container of each replica.
    pub container: ContainerSpec,
}

impl ServiceSpec {
    /// Whether one replica decides about where the next one may go.
    pub fn minds_neighbours(&self) -> bool {
        !self.affinities.is_empty() || self.spread.is_some()
    }

    /// One replica of a container, with every default.
    pub fn new(name: ServiceName, container: ContainerSpec) -> Self {
        Self {
            name,
            scale: 1,
            retry: RetryPolicy::default(),
            remove_containers: RemoveContainers::default(),
            depends: Vec::new(),
            attempt_timeout: None,
            global: false,
            constraints: Vec::new(),
            affinities: Vec::new(),
            spread: None,
            oom: OnOom::default(),
            container,
        }
    }
}

impl AppSpec {
    /// An app that runs by hand only, with every default.
    pub fn new(name: AppName, run: impl Into<StoredRun>) -> Self {
        Self {
            name,
            schedule: None,
            overlap: Overlap::default(),
            queue_limit: QUEUE_LIMIT_DEFAULT,
            misfire: Misfire::default(),
            start_deadline: None,
            jitter: Duration::ZERO,
            expect_success: None,
            warn_after: None,
            notify: NotifyChoice::default(),
            paused: false,
            about: About::default(),
            run: run.into(),
        }
    }

    /// What a run consists of.
    pub fn run(&self) -> Arc<RunSpec> {
        self.run.get()
    }

    /// Returns an equal spec that is small in memory: it shares what other apps have, too.
    #[must_use]
    pub fn packed(self, shared: &mut Interned) -> Self {
        Self {
            schedule: self.schedule.map(|it| it.shared(&mut shared.schedules)),
            run: self.run.packed(shared),
            ..self
        }
    }

    /// How much later than its schedule says every instant of this app falls due: below [`AppSpec::jitter`], in
    /// milliseconds, and the same for ever, so that apps of one schedule spread out and each keeps its period.
    pub fn offset(&self) -> Duration {
        let span = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        match span {
            0 => Duration::ZERO,
            _ => Duration::from_millis(stable_hash(self.name.as_str()) % span),
        }
    }

    /// When the app falls due first after this moment: an instant of its schedule, and its offset.
    pub fn due_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let instant = self.schedule.as_ref()?.next_after(time::before(moment, self.offset()))?;
        Some(time::after(instant, self.offset()))
    }
}

/// Whether a setting is as it is where the file says nothing. What is stored leaves it out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// FNV-1a with 64 bits: the same in every release, on every host.
fn stable_hash(text: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    text.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str, jitter: Duration) -> AppSpec {
        AppSpec { jitter, ..AppSpec::new(AppName::new(name).unwrap(), RunSpec::new(Vec::new())) }
    }

    #[test]
    fn apps_of_one_jitter_spread_over_all_of_it() {
        let jitter = Duration::from_secs(10);
        let mut seconds: Vec<u64> =
            (0..200).map(|app_number| app(&format!("app-{app_number}"), jitter).offset().as_secs()).collect();
        seconds.sort_unstable();
        seconds.dedup();
        assert_eq!(seconds, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn an_app_without_jitter_is_due_when_its_schedule_says() {
        assert_eq!(app("nightly", Duration::ZERO).offset(), Duration::ZERO);
    }

    #[test]
    fn an_app_falls_due_its_offset_after_each_instant() {
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        let schedule = Some(Schedule::parse("0 * * * * *", "UTC", &zones).unwrap());
        let spec = AppSpec { schedule, ..app("nightly", Duration::from_secs(60)) };
        let due: Vec<String> = std::iter::successors(spec.due_after(Timestamp::UNIX_EPOCH), |due| spec.due_after(*due))
            .take(2)
            .map(|due| due.to_string())
            .collect();
        assert_eq!(due, ["1970-01-01T00:00:29.258Z", "1970-01-01T00:01:29.258Z"]);
        assert_eq!(app("nightly", Duration::ZERO).due_after(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn an_offset_never_changes() {
        assert_eq!(app("nightly", Duration::from_secs(60)).offset(), OFFSET_OF_NIGHTLY);
    }

    /// Stored ledgers count on it: instants decided under another offset would be decided again, or never.
    const OFFSET_OF_NIGHTLY: Duration = Duration::from_millis(29_258);
}
