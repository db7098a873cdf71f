//! What becomes of a running container when its agent, its guard, its engine or its network fails: each fault, and how long it
//! lasts, judged by what the engines tell of their containers.

mod play;
mod sightings;

use std::{fmt, time::Duration};

use tickmesh_core::{outcome::Outcome, timing::Timing};

pub use self::play::play;
use crate::world::timing;

/// What happens to the host on which a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the agent.
    AgentKilled,
    /// SIGSTOP of the agent.
    AgentStopped,
    /// The network is cut, and the agent is killed and started again, again and again.
    CrashLoopInPartition,
    /// SIGTERM of the agent.
    AgentTerminated,
    /// `kill -9` of the guard and the agent.
    AgentAndGuardKilled,
    /// SIGSTOP of the engine.
    EngineFrozen,
    NetworkCut,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::AgentKilled,
        Self::AgentStopped,
        Self::CrashLoopInPartition,
        Self::AgentTerminated,
        Self::AgentAndGuardKilled,
        Self::EngineFrozen,
        Self::NetworkCut,
    ];

    /// Whether somebody is left who can end the container: where not, it may run beside its replacement (guarantee G8).
    fn leaves_nobody(self) -> bool {
        match self {
            Self::AgentAndGuardKilled => true,
            Self::AgentKilled
            | Self::AgentStopped
            | Self::CrashLoopInPartition
            | Self::AgentTerminated
            | Self::EngineFrozen
            | Self::NetworkCut => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::AgentKilled => "agent killed (-9)",
            Self::AgentStopped => "agent stands still (SIGSTOP)",
            Self::CrashLoopInPartition => "network cut, agent in a crash loop",
            Self::AgentTerminated => "agent terminated (SIGTERM)",
            Self::AgentAndGuardKilled => "agent and guard killed (-9)",
            Self::EngineFrozen => "engine stands still (SIGSTOP)",
            Self::NetworkCut => "network cut",
        })
    }
}

/// When what failed is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Not before the run has ended.
    Never,
    /// After that long, at the speed of production.
    After(Duration),
}

impl Back {
    /// Never; twice before the fence (45 s), between it and the loss (60 s), and after that.
    pub const ALL: [Self; 5] = [Self::Never, Self::seconds(5), Self::seconds(25), Self::seconds(52), Self::seconds(70)];

    const fn seconds(seconds: u64) -> Self {
        Self::After(Duration::from_secs(seconds))
    }

    /// Whether it is back before that much time of production has passed.
    fn is_before(self, moment: Duration) -> bool {
        match self {
            Self::Never => false,
            Self::After(pause) => pause < moment,
        }
    }
}

impl fmt::Display for Back {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => formatter.pad("never"),
            Self::After(pause) => formatter.pad(&format!("after {} s", pause.as_secs())),
        }
    }
}

/// A fault that lasts for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What happens.
    pub fault: Fault,
    /// For how long.
    pub back: Back,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The longest time for which two containers of the replica ran at once.
    pub overlap: Duration,
    /// How the run ended.
    pub outcome: Outcome,
    /// Attempts that were ordered.
    pub attempts: u32,
    /// Containers that started.
    pub containers: u32,
    /// From the fault to the end of the first container, at the speed of the test.
    pub first_ended_after: Option<Duration>,
    /// From the fault to the end of the run, at the speed of the test.
    pub ended_after: Duration,
}

impl Cell {
    /// Every fault for every time.
    pub fn all() -> Vec<Self> {
        Fault::ALL.iter().flat_map(|&fault| Back::ALL.map(|back| Self { fault, back })).collect()
    }

    /// Whether two containers at once are one of the exceptions of guarantee G8.
    pub fn is_excepted(&self) -> bool {
        self.fault.leaves_nobody() && !self.back.is_before(Timing::default().lost)
    }

    /// Whether the container is ended and runs again elsewhere: whatever is back before the fence keeps it. An engine that stands
    /// still keeps it for ever, for its agent goes on to say so.
    pub fn ends_container(&self) -> bool {
        self.fault != Fault::EngineFrozen && !self.back.is_before(Timing::default().fence)
    }
}

/// How much faster than production's the clocks of these tests are.
pub fn speed() -> f64 {
    Timing::default().fence.div_duration_f64(timing().fence)
}

/// The table, with times at the speed of production but for the overlap, which is as it was.
pub fn table(rows: &[(Cell, Measured)]) -> String {
    let mut lines = vec![
        "| fault | back | two containers at once | run | attempts | run ended after |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(rows.iter().map(|(cell, measured)| {
        let Measured { overlap, outcome, attempts, ended_after, .. } = measured;
        let overlap = format!("{} ms{}", overlap.as_millis(), if cell.is_excepted() { " (exception)" } else { "" });
        let seconds = ended_after.mul_f64(speed()).as_secs();
        format!("| {} | {} | {overlap} | {outcome} | {attempts} | {seconds} s |", cell.fault, cell.back)
    }));
    lines.join("\n") + "\n"
}
