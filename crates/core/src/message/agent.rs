use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{AttemptId, Nonce},
    name::AgentName,
};

/// The host's machine id: two agents of one name on two machines are two agents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub String);

impl fmt::Display for MachineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A machine id in short. A ledger holds one for every claim; all it has to do is tell the few machines apart that ever
/// carry one agent's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineDigest(pub u32);

impl MachineId {
    /// The id in short: FNV-1a, which is the same in every release.
    pub fn digest(&self) -> MachineDigest {
        const OFFSET: u32 = 0x811c_9dc5;
        const PRIME: u32 = 0x0100_0193;
        MachineDigest(self.0.bytes().fold(OFFSET, |digest, byte| (digest ^ u32::from(byte)).wrapping_mul(PRIME)))
    }
}

/// Counts the heartbeats of one agent process.
pub type HeartbeatNumber = u64;

/// What a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Containers that may run at once.
    pub slots: u32,
    /// Cores, in thousandths.
    pub cpu_millis: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// How far the pull of an image has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullProgress {
    /// Bytes that have arrived.
    pub done_bytes: u64,
    /// Bytes of all layers whose size the engine has told by now: it grows while the pull begins.
    pub total_bytes: u64,
}

/// What an attempt waits for that is claimed and has no container yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "awaited", rename_all = "snake_case")]
pub enum Awaited {
    /// Its image.
    Pulling(PullProgress),
    /// Its turn to be started.
    Queued,
}

/// An attempt that is claimed and has no container yet, for people who ask why it does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// The attempt.
    pub attempt: AttemptId,
    /// What it waits for.
    pub awaited: Awaited,
}

/// Most that a heartbeat says of attempts without a container. Few wait at once, unless a large run begins on a small host; then
/// these stand for the others, and 256 of 300 bytes at most do not weigh beside all the attempts that are held.
pub const PREPARING_MAX: usize = 256;

/// An agent's heartbeat: its key in the bucket `agents`, each written by compare-and-set on the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Schema version.
    pub schema: u32,
    /// The agent.
    pub agent: AgentName,
    /// The agent process that wrote this.
    pub process: Nonce,
    /// Number of this heartbeat in its process.
    pub number: HeartbeatNumber,
    /// The host.
    pub machine: MachineId,
    /// The host's boot, or empty where the system does not tell.
    pub boot: String,
    /// The host's name, for people.
    pub host: String,
    /// Program version.
    pub version: String,
    /// Version of the container engine.
    pub engine: String,
    /// Clock of the host.
    pub at: Timestamp,
    /// Labels for constraints.
    pub labels: BTreeMap<String, String>,
    /// What the host offers.
    pub capacity: Capacity,
    /// Takes no new attempts.
    pub draining: bool,
    /// When what still runs on a draining agent is stopped, to run elsewhere, by the clock of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_by: Option<Timestamp>,
    /// Set by the last heartbeat of an agent that was stopped in order.
    pub stopped: bool,
    /// Somebody wrote this in the agent's place: its host will not come back, and nothing that it held is waited for. An agent that
    /// does come back writes over it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// Last sequence of the results stream, read **before** [`Self::held`] (protocol rule P1).
    pub results_seen: u64,
    /// Attempts whose end is not stored yet, from before their claim was sent.
    pub held: BTreeSet<AttemptId>,
    /// Those of them that have no container yet, at most [`PREPARING_MAX`]. Nothing is decided by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preparing: Vec<Preparation>,
    /// Milliseconds after which the agent stops its containers without an acknowledged heartbeat.
    pub fence_ms: u64,
    /// Milliseconds that killing them may take.
    pub kill_margin_ms: u64,
}

impl AgentRecord {
    /// What is written in the place of an agent whose host will not come back: it has seen every result up to that sequence, and holds
    /// nothing. Only of an agent that has been silent for as long as it takes to be lost, for what it claims later is not judged by it.
    #[must_use]
    pub fn into_forgotten(self, results_seen: u64) -> Self {
        Self {
            stopped: true,
            forgotten: true,
            draining: false,
            drain_by: None,
            results_seen: results_seen.max(self.results_seen),
            held: BTreeSet::new(),
            preparing: Vec::new(),
            ..self
        }
    }
}
