//! How an agent is set up.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tickmesh_core::{build::Build, message::Capacity, name::AgentName, timing::Timing};
use tokio::sync::watch;

use crate::{
    default_limits::DefaultLimits, engine::EngineInfo, figures::Figures, guard_process, host::Host, policy::HostPolicy,
};

/// Default of [`Config::slots`], for each core. Batch jobs wait for disks and networks more than they compute; a job that
/// does compute says so with a reservation, and then the leader counts cores, not slots.
const SLOTS_PER_CORE: u32 = 4;
/// Default of [`Config::start_limit`], for each core: measured, more starts at once only queue inside the engine.
const STARTS_PER_CORE: u32 = 2;
/// Default of [`Config::log_bytes_max`].
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Default of [`Config::clean_interval`].
const CLEAN_INTERVAL: Duration = Duration::from_secs(60);

/// Settings of one agent.
#[derive(Debug, Clone)]
pub struct Config {
    /// The agent's name: one name, one process (protocol rule P10).
    pub agent: AgentName,
    /// Build of this program.
    pub build: Build,
    /// Labels that constraints ask for.
    pub labels: BTreeMap<String, String>,
    /// Attempts that may be held at once; `None`: 4 for each core.
    pub slots: Option<u32>,
    /// GPUs that containers may have; `None`: the leader does not count them.
    pub gpus: Option<u32>,
    /// Containers that may be created and started at once; `None`: 2 for each core.
    pub start_limit: Option<u32>,
    /// What containers may do on this host.
    pub policy: HostPolicy,
    /// Limits of containers whose file sets none.
    pub default_limits: DefaultLimits,
    /// Periods and deadlines of the mesh.
    pub timing: Timing,
    /// Folder of the lock files that keep two agents of one name apart.
    pub lock_dir: PathBuf,
    /// Output kept of one attempt, in bytes: most of it from the beginning, the rest from the end. What lies between is left out,
    /// and counted.
    pub log_bytes_max: usize,
    /// How often the agent looks for containers that can go.
    pub clean_interval: Duration,
    /// How a guard is started. `None`: nobody ends the containers of an agent that is cut off or dead, and two containers of one
    /// replica can run at the same time. For tests that are about something else.
    pub guard: Option<guard_process::Program>,
    /// Folder of what belongs to guards: the same for every process of the agent.
    pub guard_dir: PathBuf,
    pub host: Host,
    /// Where the process shows what it knows of itself.
    pub figures: Option<watch::Sender<Figures>>,
}

impl Config {
    /// The defaults.
    pub fn new(agent: AgentName, host: Host, lock_dir: PathBuf) -> Self {
        Self {
            agent,
            build: Build::default(),
            labels: BTreeMap::new(),
            slots: None,
            gpus: None,
            start_limit: None,
            policy: HostPolicy::default(),
            default_limits: DefaultLimits::default(),
            timing: Timing::default(),
            guard_dir: lock_dir.clone(),
            lock_dir,
            log_bytes_max: LOG_BYTES_MAX,
            clean_interval: CLEAN_INTERVAL,
            guard: None,
            host,
            figures: None,
        }
    }

    /// What the host offers, as the leader is told.
    pub(crate) fn capacity(&self, engine: &EngineInfo) -> Capacity {
        Capacity {
            slots: self.slots.unwrap_or(engine.cores.saturating_mul(SLOTS_PER_CORE)),
            cpu_millis: u64::from(engine.cores) * 1_000,
            memory_bytes: engine.memory_bytes,
            gpus: self.gpus,
        }
    }

    /// Containers that may be brought up at once: never none.
    pub(crate) fn starts_at_once(&self, engine: &EngineInfo) -> usize {
        let starts = self.start_limit.unwrap_or(engine.cores.saturating_mul(STARTS_PER_CORE));
        usize::try_from(starts).unwrap_or(usize::MAX).max(1)
    }
}
