//! Agents: what they offer, what is bound to them, and whether they are heard.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tickmesh_core::{
    fleet::{AgentView as Placeable, Fleet, Load, Readiness, Traits},
    ledger::Ledger,
    message::{AgentRecord, EngineTrouble},
    timing::Timing,
};
use tickmesh_messaging::{Entry, UnreadableRecord};

use super::Tone;
use crate::when;

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// Whether it takes attempts.
    pub state: AgentState,
    /// Containers that may run at once.
    pub slots: u32,
    /// Attempts bound to it.
    pub slots_used: u32,
    /// Cores, in thousandths.
    pub cpu_millis: u64,
    /// Cores reserved by what is bound to it, in thousandths.
    pub cpu_millis_reserved: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Memory reserved by what is bound to it, in bytes.
    pub memory_bytes_reserved: u64,
    /// GPUs that containers may have, if the agent says how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// GPUs that what is bound to it has asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_reserved: Option<u32>,
    /// Version of the container engine.
    pub engine: String,
    /// What is wrong with the container engine, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_trouble: Option<EngineTrouble>,
    /// Name of the host.
    pub host: String,
    /// Version of tickmesh.
    pub version: String,
    /// Build of tickmesh: the version and, as far as it is known, the commit.
    pub build: String,
    /// The last heartbeat, by the server's clock.
    pub heartbeat_at: Timestamp,
    /// Labels for constraints.
    pub labels: BTreeMap<String, String>,
}

/// Whether an agent takes attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    Ready,
    /// It finishes what it has.
    Draining,
    /// It was stopped in order.
    Stopped,
    /// It has not been heard of late.
    Silent,
    /// Its container engine does not answer: it takes nothing.
    NoEngine,
    /// Its deadlines would let a container run beside its replacement.
    UnsafeTiming,
    /// Its key cannot be read. An agent that lives writes over it within seconds.
    Unreadable,
}

/// All agents, by name.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct AgentsView(pub Vec<AgentView>);

impl AgentsView {
    /// The agents, with what the ledgers bind to them.
    pub fn new(agents: &[Entry<AgentRecord>], ledgers: &[Entry<Ledger>], now: Timestamp) -> Self {
        Self::of(agents, ledgers.iter().map(|entry| &entry.value), now)
    }

    /// The agents, for a caller that has the ledgers.
    pub fn of<'a>(
        agents: &[Entry<AgentRecord>],
        ledgers: impl IntoIterator<Item = &'a Ledger>,
        now: Timestamp,
    ) -> Self {
        let fleet = fleet(agents, ledgers, now);
        let known = agents.iter().filter(|agent| !agent.value.forgotten);
        let mut views: Vec<AgentView> =
            known.map(|agent| AgentView::new(agent, fleet.load(&agent.value.agent), now)).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        Self(views)
    }
}

/// The fleet, as near to the leader's view of it as one look at the stores can get.
pub fn fleet<'a>(
    agents: &[Entry<AgentRecord>],
    ledgers: impl IntoIterator<Item = &'a Ledger>,
    now: Timestamp,
) -> Fleet {
    let mut fleet = Fleet::default();
    for agent in agents.iter().filter(|agent| !agent.value.forgotten) {
        let AgentRecord { agent: name, capacity, .. } = &agent.value;
        let readiness = AgentState::of(agent, now).readiness();
        let view = Placeable { readiness, capacity: *capacity, traits: Traits::of(&agent.value).into() };
        fleet.see(name, Some(view));
    }
    for ledger in ledgers {
        fleet.bind_all(ledger);
    }
    fleet
}

impl AgentState {
    fn of(entry: &Entry<AgentRecord>, now: Timestamp) -> Self {
        let (record, timing) = (&entry.value, Timing::default());
        let deadline = Duration::from_millis(record.fence_ms.saturating_add(record.kill_margin_ms));
        if record.stopped {
            Self::Stopped
        } else if when::between(entry.at, now) >= timing.stale {
            Self::Silent
        } else if deadline >= timing.lost {
            Self::UnsafeTiming
        } else if record.lasting_trouble().is_some() {
            Self::NoEngine
        } else if record.draining {
            Self::Draining
        } else {
            Self::Ready
        }
    }

    fn readiness(self) -> Readiness {
        match self {
            Self::Ready => Readiness::Ready,
            Self::Draining => Readiness::Draining,
            Self::Stopped | Self::Silent | Self::Unreadable => Readiness::Silent,
            Self::NoEngine => Readiness::NoEngine,
            Self::UnsafeTiming => Readiness::UnsafeTiming,
        }
    }

    /// In words, and how to take it.
    pub fn text(self) -> (&'static str, Tone) {
        match self {
            Self::Ready => ("ready", Tone::Good),
            Self::Draining => ("draining", Tone::Unsure),
            Self::Stopped => ("stopped", Tone::Dim),
            Self::Silent => ("silent", Tone::Bad),
            Self::NoEngine => ("no engine", Tone::Bad),
            Self::UnsafeTiming => ("unsafe timing", Tone::Bad),
            Self::Unreadable => ("unreadable", Tone::Bad),
        }
    }
}

impl AgentView {
    fn new(entry: &Entry<AgentRecord>, load: Load, now: Timestamp) -> Self {
        let record = &entry.value;
        Self {
            name: record.agent.to_string(),
            state: AgentState::of(entry, now),
            slots: record.capacity.slots,
            slots_used: load.slots,
            cpu_millis: record.capacity.cpu_millis,
            cpu_millis_reserved: load.cpu_millis,
            memory_bytes: record.capacity.memory_bytes,
            memory_bytes_reserved: load.memory_bytes,
            gpus: record.capacity.gpus,
            gpus_reserved: record.capacity.gpus.map(|gpus| load.gpus.taken_of(gpus)),
            engine: record.engine.clone(),
            engine_trouble: record.engine_trouble.clone(),
            host: record.host.clone(),
            version: record.version.clone(),
            build: record.build.shown_with(&record.version),
            heartbeat_at: entry.at,
            labels: record.labels.clone(),
        }
    }

    /// An agent whose key cannot be read: no more is known of it than its name.
    pub fn unreadable(record: &UnreadableRecord) -> Self {
        Self {
            name: record.key.clone(),
            state: AgentState::Unreadable,
            slots: 0,
            slots_used: 0,
            cpu_millis: 0,
            cpu_millis_reserved: 0,
            memory_bytes: 0,
            memory_bytes_reserved: 0,
            gpus: None,
            gpus_reserved: None,
            engine: "-".to_owned(),
            engine_trouble: None,
            host: "-".to_owned(),
            version: "-".to_owned(),
            build: "-".to_owned(),
            heartbeat_at: record.at,
            labels: BTreeMap::new(),
        }
    }

    /// What is wrong with its engine, and since when: for people who ask why nothing is placed there.
    pub fn trouble_text(&self, now: Timestamp) -> Option<String> {
        let EngineTrouble { since, reason, .. } = self.engine_trouble.as_ref()?;
        Some(format!("no answer since {}: {reason}", when::relative(*since, now)))
    }

    /// GPUs as `TAKEN/OFFERED`; `None`: the agent does not say how many it has.
    pub fn gpus_text(&self) -> Option<String> {
        Some(format!("{}/{}", self.gpus_reserved.unwrap_or_default(), self.gpus?))
    }

    /// Its labels, as they are given.
    pub fn labels_text(&self) -> String {
        self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }
}
