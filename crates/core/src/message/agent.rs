//! An agent's heartbeat, on its key in the bucket `agents`: who it is, what it is good for, and what it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EngineStock, SCHEMA};
use crate::{
    build::Build,
    id::{AttemptId, Nonce},
    name::AgentName,
    policy::HostPolicy,
};

/// Between the id of a machine and that of its engine.
const ENGINE_SEPARATOR: char = '/';

/// Identity of a host: its machine id and, after a slash, the id of its container engine if that is known. Copied virtual
/// machines share the first, and often not the second. Two agents of one name on two machines are two agents.
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
    /// Returns the identity of this machine with a container engine on it. An empty id is unknown.
    #[must_use]
    pub fn with_engine(&self, engine: &str) -> Self {
        if engine.is_empty() { self.clone() } else { Self(format!("{self}{ENGINE_SEPARATOR}{engine}")) }
    }

    /// Returns an identity of its own for a host that has this one in common with another host: it is longer, and the
    /// same for the rest of the boot. Of two that may be one host, the longer one is the greater.
    #[must_use]
    pub fn of_copy(&self, boot: &str, process: Nonce) -> Self {
        let own = if boot.is_empty() { process.to_string() } else { boot.to_owned() };
        self.with_engine(&own)
    }

    /// Returns whether both may be one host: as far as both ids are known, they are equal.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let is_part = |short: &Self, long: &Self| {
            long.0.strip_prefix(&short.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(ENGINE_SEPARATOR))
        };
        is_part(self, other) || is_part(other, self)
    }

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
    pub memory_bytes: u64,
    /// GPUs that containers may have. `None`: nobody tells, and then they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
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
    pub attempt: AttemptId,
    /// What it waits for.
    pub awaited: Awaited,
}

/// Why an agent's engine is no good at present, as its heartbeats tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineTrouble {
    /// When the engine answered last, by the clock of the host.
    pub since: Timestamp,
    /// What came instead of an answer, for people: at most [`ENGINE_REASON_CHARS_MAX`] characters.
    pub reason: String,
    /// The trouble has lasted for [`Timing::no_engine`](crate::timing::Timing::no_engine): the agent takes nothing, and
    /// gives back every attempt whose container it has not asked the engine to start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lasting: bool,
}

/// Longest [`EngineTrouble::reason`]: it is in every heartbeat while the trouble lasts.
pub const ENGINE_REASON_CHARS_MAX: usize = 200;

/// Most that a heartbeat says of attempts without a container. Few wait at once, unless a large run begins on a small host; then
/// these stand for the others, and 256 of 300 bytes at most do not weigh beside all the attempts that are held.
pub const PREPARING_MAX: usize = 256;

/// An agent's heartbeat: its key in the bucket `agents`, each written by compare-and-set on the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Schema version.
    pub schema: u32,
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
    /// Build of the program. Agents from before builds had names do not say it.
    #[serde(default, skip_serializing_if = "Build::is_unknown")]
    pub build: Build,
    /// Version of the container engine.
    pub engine: String,
    /// What is wrong with the container engine. Agents of earlier releases do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_trouble: Option<EngineTrouble>,
    /// Clock of the host.
    pub at: Timestamp,
    /// Labels for constraints.
    pub labels: BTreeMap<String, String>,
    /// What the host offers.
    pub capacity: Capacity,
    /// What the host lets containers have. `None`: the agent does not tell (it is of an earlier release, or its list is too
    /// long), and what it refuses is known only once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<HostPolicy>,
    /// What the engine has.
    #[serde(default, skip_serializing_if = "EngineStock::is_untold")]
    pub stock: EngineStock,
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
    /// A heartbeat of an agent of which nothing is known but its name: its key was damaged.
    pub fn unknown(agent: AgentName, process: Nonce, at: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            agent,
            process,
            number: 0,
            machine: MachineId(String::new()),
            boot: String::new(),
            host: String::new(),
            version: String::new(),
            build: Build::default(),
            engine: String::new(),
            engine_trouble: None,
            at,
            labels: BTreeMap::new(),
            capacity: Capacity { slots: 0, cpu_millis: 0, memory_bytes: 0, gpus: None },
            policy: None,
            stock: EngineStock::default(),
            draining: false,
            drain_by: None,
            stopped: false,
            forgotten: false,
            results_seen: 0,
            held: BTreeSet::new(),
            preparing: Vec::new(),
            fence_ms: 0,
            kill_margin_ms: 0,
        }
    }

    /// Returns the trouble with the engine, if it has lasted so long that the agent takes nothing.
    pub fn lasting_trouble(&self) -> Option<&EngineTrouble> {
        self.engine_trouble.as_ref().filter(|trouble| trouble.lasting)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json_size::encoded_bytes, message::STOCK_BYTES_MAX, policy::POLICY_BYTES_MAX};

    #[track_caller]
    fn check(one: &str, other: &str, is_same: bool) {
        let id = |text: &str| MachineId(text.to_owned());
        assert_eq!(id(one).is_same_as(&id(other)), is_same, "{one} {other}");
        assert_eq!(id(other).is_same_as(&id(one)), is_same, "{other} {one}");
    }

    #[test]
    fn machines_are_told_apart_by_what_both_say() {
        check("m", "m", true);
        check("m", "m/e", true);
        check("m/e", "m/e", true);
        check("m/e", "m/f", false);
        check("m", "m2/e", false);
        check("m", "n", false);
    }

    #[test]
    fn an_engine_without_an_id_leaves_the_machine_as_it_is() {
        let machine = MachineId("m".to_owned());
        assert_eq!(machine.with_engine(""), machine);
        assert_eq!(machine.with_engine("e"), MachineId("m/e".to_owned()));
    }

    fn names(count: usize, prefix: &str) -> BTreeSet<String> {
        (0..count).map(|index| format!("{prefix}-{index}")).collect()
    }

    /// A host with a few stacks: four paths, a right, six networks and ten volumes.
    fn usual() -> AgentRecord {
        let agent = AgentName::new("docker-host-17").unwrap();
        let policy = HostPolicy {
            host_paths: ["/srv/data", "/srv/backup", "/var/log/jobs", "/etc/ssl/certs"].map(Into::into).into(),
            capabilities: ["NET_ADMIN".to_owned()].into(),
            ..HostPolicy::default()
        };
        let stock = EngineStock { networks: Some(names(6, "stack_net")), volumes: Some(names(10, "stack_data")) };
        let record = AgentRecord::unknown(agent, Nonce::from_random([7; 16]), Timestamp::UNIX_EPOCH);
        AgentRecord { policy: Some(policy), stock, ..record }
    }

    /// docs/evidence/scale.md says what heartbeats cost: this is where its numbers come from.
    #[test]
    fn what_a_heartbeat_says_of_its_host_is_small_and_has_a_limit() {
        let before = AgentRecord { policy: None, stock: EngineStock::default(), ..usual() };
        let strict = AgentRecord { policy: Some(HostPolicy::default()), ..before.clone() };
        let [before, strict, usual] = [before, strict, usual()].map(|record| encoded_bytes(&record));
        assert_eq!((strict - before, usual - before), (12, 383));
        assert_eq!(POLICY_BYTES_MAX + 2 * STOCK_BYTES_MAX, 12 * 1024);
    }
}
