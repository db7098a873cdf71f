//! What a compose file asks for, after validation: plain data that everything downstream trusts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    name::{AppName, ServiceName},
    schedule::Schedule,
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

/// An app: what is scheduled, and what a run of it is.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// The app's name.
    pub name: AppName,
    /// When it runs; `None`: by hand only.
    pub schedule: Option<Schedule>,
    /// Most ticks that may wait while a run is active.
    pub queue_limit: u32,
    /// What a run consists of.
    pub run: Arc<RunSpec>,
}

/// What one run consists of. Pinned in the ledger when the run starts: an edit never changes an active run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The services, in the order of the file.
    pub services: Vec<ServiceSpec>,
}

impl RunSpec {
    /// Replicas of all services.
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
    /// The container of each replica.
    pub container: ContainerSpec,
}

/// How often, and how long after a failure, a replica is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub count: u32,
    /// Pause before the first retry, in milliseconds.
    pub delay_ms: u64,
    /// Each further pause is this many times the one before.
    pub factor: u32,
    /// Longest pause, in milliseconds.
    pub delay_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { count: 3, delay_ms: 1_000, factor: 2, delay_ms_max: 60_000 }
    }
}

/// Which containers are removed after their end (label `remove_containers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum RemoveContainers {
    /// Those that exited with 0.
    #[default]
    RemoveFinished,
    /// Everything else.
    RemoveFailed,
    /// All.
    RemoveAll,
    /// None.
    RemoveNone,
}

impl RemoveContainers {
    /// Every value, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::RemoveFinished, Self::RemoveFailed, Self::RemoveAll, Self::RemoveNone];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoveFinished => "remove-finished",
            Self::RemoveFailed => "remove-failed",
            Self::RemoveAll => "remove-all",
            Self::RemoveNone => "remove-none",
        }
    }

    /// The value that a label spells.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }

    /// Whether a container whose attempt ended so is removed.
    pub fn removes(self, succeeded: bool) -> bool {
        match self {
            Self::RemoveFinished => succeeded,
            Self::RemoveFailed => !succeeded,
            Self::RemoveAll => true,
            Self::RemoveNone => false,
        }
    }
}

/// Default of [`ContainerSpec::stop_grace`]: docker's own.
pub const STOP_GRACE_DEFAULT: Duration = Duration::from_secs(10);

/// A container as the compose file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Image reference.
    pub image: String,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The service's labels as written, passed on to the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Working directory in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// User, and group after a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Memory limit and reservation, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processor limit and reservation, in thousandths of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Relative processor weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Network mode: bridge, none, host ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// Mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Signal that asks the container to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Time between that signal and SIGKILL.
    pub stop_grace: Duration,
}

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// What is mounted.
    pub source: VolumeSource,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeSource {
    /// A path of the Docker host; the agent must allow it.
    HostPath(String),
    /// A volume of the engine.
    Named(String),
    /// A new volume that goes with the container.
    Anonymous,
}
