//! Why no agent fits a replica, in numbers.

use std::{collections::BTreeMap, fmt};

use super::Wanted;
use crate::{
    fleet::GpuLoad,
    name::AgentName,
    policy::flag,
    quantity::{bytes, count_of_cores},
    spec::{Constraint, HostAccess, Operator},
};

/// Why no agent fits, in numbers: `0 of 3 agents fit: 2 without disk==ssd, 1 without a free slot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFit<'w> {
    wanted: Wanted<'w>,
    /// Agents, by the first thing that is in their way.
    agents: BTreeMap<Obstacle, u32>,
}

/// What keeps a replica from an agent, in the order of the explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It does not meet this constraint of the service, by position.
    Constraint(usize),
    /// Its host does not allow this access, by position.
    NotAllowed(usize),
    /// It has refused the service in this run.
    Refused,
    /// Its engine lacks this network, by position.
    NoNetwork(usize),
    /// Its engine lacks this volume, by position.
    NoVolume(usize),
    /// It has fewer cores than are reserved, however idle it is.
    SmallCpu,
    /// It has less memory than is reserved, however idle it is.
    SmallMemory,
    /// It has fewer GPUs than are asked for, however idle it is.
    FewGpus,
    /// It has fewer cores than the container's limit names.
    SmallForLimit,
    /// It does not have the cores that the container is to run on.
    NoSuchCore,
    /// It has no replica of the services of this affinity, by position.
    NotBeside(usize),
    /// It has a replica of the services of this affinity, by position.
    NotApart(usize),
    /// It is in no zone.
    NoZone,
    /// Its zone has replicas already, and others need some.
    UsedZone,
    /// Its slots are all taken.
    Full,
    /// Others have reserved too many of its cores.
    BusyCpu,
    /// Others have reserved too much of its memory.
    BusyMemory,
    /// Others have its GPUs.
    BusyGpus,
    /// Its container engine does not answer.
    NoEngine,
    /// It finishes what it has.
    Draining,
    /// No heartbeat of late.
    Silent,
    /// Its deadlines are unsafe.
    UnsafeTiming,
}

impl<'w> NoFit<'w> {
    pub(super) fn new(wanted: Wanted<'w>) -> Self {
        Self { wanted, agents: BTreeMap::new() }
    }

    pub(super) fn wanted(&self) -> &Wanted<'w> {
        &self.wanted
    }

    pub(super) fn count(&mut self, obstacle: Obstacle) {
        *self.agents.entry(obstacle).or_default() += 1;
    }
}

impl fmt::Display for NoFit<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agents.is_empty() {
            return formatter.write_str("no agent is known");
        }
        let total = self.agents.values().sum::<u32>();
        let mut obstacles = self.agents.keys();
        if let (Some(only), None) = (obstacles.next(), obstacles.next())
            && let Some((lacks, hint)) = remedy(*only, &self.wanted)
        {
            return write!(formatter, "0 of {total} agents {lacks}: {hint}");
        }
        write!(formatter, "0 of {total} agents fit")?;
        let mut separator = ": ";
        for (obstacle, count) in &self.agents {
            write!(formatter, "{separator}{count} {}", text(*obstacle, &self.wanted))?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Why the one agent that a replica belongs to does not take it: `agent h2 is without a free slot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotThere<'w> {
    pub(super) agent: &'w AgentName,
    pub(super) wanted: Wanted<'w>,
    /// `None`: nobody knows the agent.
    pub(super) obstacle: Option<Obstacle>,
}

impl fmt::Display for NotThere<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.obstacle.map_or_else(|| "not there".to_owned(), |obstacle| text(obstacle, &self.wanted));
        write!(formatter, "its agent {} is {what}", self.agent)
    }
}

/// What agents would have to do or have, and how one of them gets there; `None`: no command of tickmesh or the engine mends it.
fn remedy(obstacle: Obstacle, wanted: &Wanted<'_>) -> Option<(String, String)> {
    match obstacle {
        Obstacle::NotAllowed(position) => {
            let access = wanted.access.get(position)?;
            Some((format!("allow {}", named(access)), format!("start one with {}", flag(access))))
        }
        Obstacle::NoNetwork(position) => {
            let name = wanted.requires.networks.get(position)?;
            Some((format!("have network {name}"), format!("make it with `docker network create {name}`")))
        }
        Obstacle::NoVolume(position) => {
            let name = wanted.requires.volumes.get(position)?;
            Some((format!("have volume {name}"), format!("make it with `docker volume create {name}`")))
        }
        Obstacle::Constraint(_)
        | Obstacle::Refused
        | Obstacle::SmallCpu
        | Obstacle::SmallMemory
        | Obstacle::FewGpus
        | Obstacle::SmallForLimit
        | Obstacle::NoSuchCore
        | Obstacle::NotBeside(_)
        | Obstacle::NotApart(_)
        | Obstacle::NoZone
        | Obstacle::UsedZone
        | Obstacle::Full
        | Obstacle::BusyCpu
        | Obstacle::BusyMemory
        | Obstacle::BusyGpus
        | Obstacle::NoEngine
        | Obstacle::Draining
        | Obstacle::Silent
        | Obstacle::UnsafeTiming => None,
    }
}

/// An access in short: a path says what it is.
fn named(access: &HostAccess) -> String {
    match access {
        HostAccess::Path(path) | HostAccess::Device(path) => path.clone(),
        HostAccess::Capability(_)
        | HostAccess::Priority(_)
        | HostAccess::Network
        | HostAccess::NetworkOfContainer(_)
        | HostAccess::Pid
        | HostAccess::Ipc
        | HostAccess::Users
        | HostAccess::Unconfined(_)
        | HostAccess::Privileged
        | HostAccess::Gpus
        | HostAccess::VolumeDriver(_) => access.to_string(),
    }
}

fn text(obstacle: Obstacle, wanted: &Wanted<'_>) -> String {
    let (cores, memory) = (|| count_of_cores(wanted.load.cpu_millis), || bytes(wanted.load.memory_bytes));
    match obstacle {
        Obstacle::Constraint(position) => wanted.constraints.get(position).map(unmet).unwrap_or_default(),
        Obstacle::NotAllowed(position) => {
            let forbidden = |access| format!("not allowing {} ({})", named(access), flag(access));
            wanted.access.get(position).map(forbidden).unwrap_or_default()
        }
        Obstacle::Refused => "that refused it".to_owned(),
        Obstacle::NoNetwork(position) => lacking("network", &wanted.requires.networks, position),
        Obstacle::NoVolume(position) => lacking("volume", &wanted.requires.volumes, position),
        Obstacle::SmallCpu => format!("too small for {}", cores()),
        Obstacle::SmallMemory => format!("too small for {} of memory", memory()),
        Obstacle::FewGpus => format!("without {}", gpus(wanted.load.gpus)),
        Obstacle::SmallForLimit => format!("too small for a limit of {}", count_of_cores(wanted.needs.cpu_millis)),
        Obstacle::NoSuchCore => format!("without core {} of the cpuset", wanted.needs.last_core.unwrap_or_default()),
        Obstacle::NotBeside(_) | Obstacle::NotApart(_) | Obstacle::NoZone | Obstacle::UsedZone => {
            wanted.neighbours.text(obstacle).unwrap_or_default()
        }
        Obstacle::Full => "without a free slot".to_owned(),
        Obstacle::BusyCpu => format!("without {} left", cores()),
        Obstacle::BusyMemory => format!("without {} of memory left", memory()),
        Obstacle::BusyGpus => format!("without {} left", gpus(wanted.load.gpus)),
        Obstacle::NoEngine => "without an engine that answers".to_owned(),
        Obstacle::Draining => "draining".to_owned(),
        Obstacle::Silent => "silent".to_owned(),
        Obstacle::UnsafeTiming => "with unsafe deadlines".to_owned(),
    }
}

/// GPUs that a replica asks for, as a phrase after `without`.
fn gpus(load: GpuLoad) -> String {
    match load {
        GpuLoad { whole: 0, counted: 1 } | GpuLoad { whole: 1, counted: 0 } => "a GPU".to_owned(),
        GpuLoad { whole: 0, counted } => format!("{counted} GPUs"),
        GpuLoad { .. } => "GPUs for all requests".to_owned(),
    }
}

fn lacking(what: &str, names: &[String], position: usize) -> String {
    format!("without {what} {}", names.get(position).map(String::as_str).unwrap_or_default())
}

fn unmet(constraint: &Constraint) -> String {
    match constraint.operator {
        Operator::Is => format!("without {constraint}"),
        Operator::IsNot => format!("excluded by {constraint}"),
    }
}
