//! What becomes of instants, runs and containers when parts of the mesh are killed, frozen, cut off or given old data, by the
//! hundred. Real processes are hit, and judged from outside:
//!
//! ```text
//!   row --play--> stage (NATS, schedulers, agents) <--inject-- fault
//!                    |
//!                    v
//!   tail (ticks, orders, history)   lives (journal or Docker's events)   instants (counted here)
//!                    `--------------------- judge ----------------------------'
//!                                             v
//!                                          figures --> table
//! ```

pub mod events;
mod inject;
pub mod instants;
pub mod judge;
pub mod lives;
mod overlap;
mod play;
mod poison;
mod restored;
pub mod rows;
mod stage;
mod table;
pub mod tail;

use std::{fmt, time::Duration};

use tickmesh_core::timing::Timing;

pub use self::{
    play::{Figures, play},
    table::{json, markdown},
};
use crate::world::timing;

/// How fast the clocks of the protocol run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// As in production.
    Production,
    /// Five times as fast, with a lease of 2 s. When an instant counts as late is left alone: a busy machine is no outage.
    Fast,
}

impl Clocks {
    pub const ALL: [Self; 2] = [Self::Production, Self::Fast];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Fast => "fast",
        }
    }

    /// The periods and deadlines.
    pub fn timing(self) -> Timing {
        match self {
            Self::Production => Timing::default(),
            Self::Fast => Timing { late_after: Timing::default().late_after, ..timing() },
        }
    }
}

/// What runs the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// One in memory, which keeps a journal, and is never slow.
    #[default]
    Fake,
    /// Docker, which tells its events.
    Docker,
}

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nats {
    /// One.
    Single,
    /// Three, with a copy of everything on each.
    Cluster,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the scheduler that leads.
    LeaderKilled,
    /// SIGTERM to it.
    LeaderTerminated,
    /// SIGSTOP, and SIGCONT after that long.
    LeaderFrozen(Duration),
    /// It is cut off from NATS for that long.
    LeaderCut(Duration),
    /// An agent is cut off from NATS for that long.
    AgentCut(Duration),
    /// `kill -9` of all schedulers and servers at once. They are started again.
    ControlPlaneKilled,
    /// The only server stops in order, and is started again.
    ServerRestarted,
    /// `kill -9` of the node that leads a stream, each time another one. It is started again.
    StreamLeaderKilled,
    /// `kill -9` of a node that leads no stream. It is started again.
    FollowerKilled,
    /// `kill -9` of two nodes, which are gone for that long.
    TwoNodesKilled(Duration),
    Nothing,
    /// Something that nobody can read is stored, each time in the place of another kind of record.
    RecordPoisoned,
    /// The only server is killed, and goes on from a copy of its data that was made that long before.
    OldCopyRestored(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaderKilled => formatter.write_str("leader killed (-9)"),
            Self::LeaderTerminated => formatter.write_str("leader terminated (SIGTERM)"),
            Self::LeaderFrozen(time) => write!(formatter, "leader frozen (SIGSTOP) for {time:?}"),
            Self::LeaderCut(time) => write!(formatter, "leader cut off from NATS for {time:?}"),
            Self::AgentCut(time) => write!(formatter, "agent cut off from NATS for {time:?}"),
            Self::ControlPlaneKilled => formatter.write_str("all schedulers and NATS killed (-9)"),
            Self::ServerRestarted => formatter.write_str("NATS restarted (SIGTERM)"),
            Self::StreamLeaderKilled => formatter.write_str("a stream's leader of three NATS nodes killed (-9)"),
            Self::FollowerKilled => formatter.write_str("one of three NATS nodes that leads nothing killed (-9)"),
            Self::TwoNodesKilled(time) => write!(formatter, "two of three NATS nodes killed (-9), back after {time:?}"),
            Self::Nothing => formatter.write_str("nothing"),
            Self::RecordPoisoned => formatter.write_str("garbage in the place of a record"),
            Self::OldCopyRestored(time) => write!(formatter, "NATS goes on from a copy of its data, {time:?} old"),
        }
    }
}

/// One row of the table: a fault, how often, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What happens.
    pub fault: Fault,
    /// How often.
    pub times: usize,
    /// The servers.
    pub nats: Nats,
    /// What runs the containers.
    pub engine: Engine,
    /// Apps, each with one replica.
    pub apps: usize,
    /// Seconds between two instants of an app.
    pub period: i64,
    /// How long a container runs.
    pub run_time: Duration,
    /// How fast the clocks of the protocol run.
    pub clocks: Clocks,
    /// How far ahead the wall clock of every second scheduler is.
    pub ahead: Duration,
}

impl Row {
    /// A fault on one server and engines in memory, at production's speed.
    pub fn new(fault: Fault, times: usize) -> Self {
        let (nats, engine, clocks) = (Nats::Single, Engine::Fake, Clocks::Production);
        let (run_time, ahead) = (Duration::from_millis(200), Duration::ZERO);
        Self { fault, times, nats, engine, apps: 10, period: 1, run_time, clocks, ahead }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.fault)?;
        match self.engine {
            Engine::Fake => Ok(()),
            Engine::Docker => formatter.write_str(", with Docker"),
        }?;
        match self.clocks {
            Clocks::Production => Ok(()),
            Clocks::Fast => formatter.write_str(", deadlines five times as short"),
        }?;
        if self.ahead.is_zero() { Ok(()) } else { write!(formatter, ", clocks of schedulers {:?} apart", self.ahead) }
    }
}
