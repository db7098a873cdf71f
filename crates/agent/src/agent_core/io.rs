//! What an agent process is told, and what it asks for. Two closed lists: everything that it can react to, and everything
//! that it can do to the world.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, Epoch, Nonce},
    message::{AgentRecord, AttemptEvent, EngineStock, MachineId, MeshEvent, Order, PullProgress},
};

use crate::{
    attempt::{self, LastReport},
    attempt_table::Task,
    engine::{self, ContainerId, ContainerView},
    error::Error,
    guard,
};

/// Now, on both clocks of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since the host's boot, suspend included: what everything is decided by, but for this.
    pub uptime: Duration,
    /// Wall clock: shown to people, and nothing is started before its instant by it.
    pub wall: Timestamp,
}

/// The agent's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its revision.
    pub revision: u64,
    /// The last heartbeat, or that with somebody's wish in it; `None`: it is damaged.
    pub record: Option<Box<AgentRecord>>,
}

/// What stops together with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Only the process: its containers go on for the next one.
    OfProcess,
    /// The whole host. Its containers end anyway, and run elsewhere the sooner that is known.
    OfHost,
}

/// The lease as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseSeen {
    /// Its revision; 0 if nobody has held it yet.
    pub revision: u64,
    /// The newest tenure that there can be: one that this lease would begin.
    pub newest: Epoch,
}

/// Something that the agent process is told.
#[derive(Debug)]
pub enum Event {
    /// Answer to [`Effect::LockName`].
    NameLocked {
        /// The last processes on this host whose heartbeats were stored under the name, as far as the host knows them.
        remembered: Vec<Nonce>,
    },
    /// Answer to [`Effect::ReadKey`].
    KeyRead {
        /// What is there, if anything.
        current: Option<KeyState>,
    },
    /// The other answer to [`Effect::ReadKey`]: nobody could tell.
    KeyUnread,
    /// Answer to [`Effect::StartGuard`]: it listens, and has answered nothing yet.
    GuardReady,
    /// The guard died, or does not listen any more. None of its answers comes after this.
    GuardLost,
    /// Answer to [`Effect::AskGuard`].
    GuardAnswered(guard::Answer),
    /// Answer to [`Effect::List`].
    Listed {
        /// Every container of the list. One that is left out would be declared lost while it runs.
        containers: Vec<ContainerView>,
    },
    /// The other answer to [`Effect::List`].
    Unlisted(engine::Error),
    /// Answer to [`Effect::ReadReport`].
    ReportRead {
        /// The last message, if there is one.
        last: Option<LastReport>,
    },
    /// Answer to [`Effect::FollowOrders`]; and again whenever they are followed anew, before the first order that comes of it.
    OrdersFollowed,
    /// An order came. Only while [`super::AgentCore::takes_orders`]; others are dropped, and the leader repeats them.
    Order {
        order: Box<Order>,
        /// A fresh one, for the claim that may come of it (protocol rule P7).
        nonce: Nonce,
    },
    /// Answer to [`Effect::ReadLease`].
    LeaseRead(LeaseSeen),
    /// Answer to [`Effect::ReadResultsEnd`].
    ResultsEnd {
        /// Sequence of the last report that was ever stored.
        sequence: u64,
    },
    /// Answer to [`Effect::WriteKey`]: it is known to be stored.
    KeyWritten {
        /// The new revision.
        revision: u64,
    },
    /// Answer to [`Effect::WriteKey`]: another writer's record was read back.
    KeyRefused {
        /// What is there, if anything.
        current: Option<KeyState>,
    },
    /// The other answer to [`Effect::ReadResultsEnd`] and [`Effect::WriteKey`]: nobody knows.
    HeartbeatUnanswered,
    /// Answer to [`Effect::ProbeEngine`].
    EngineAnswered {
        /// What it has.
        stock: Box<EngineStock>,
    },
    /// The other answer to [`Effect::ProbeEngine`]: the engine did not answer in time, or says that it is no good.
    EngineSilent(engine::Error),
    /// Something happened to an attempt: answer to [`Effect::Attempt`].
    Attempt { attempt: AttemptId, event: attempt::Event },
    /// The pull of an image has come this far: now and then while attempts wait for one, for people who ask.
    PullMoved {
        image: String,
        /// How far.
        progress: PullProgress,
    },
    /// A container that nobody needs any more, or ever did: answer to [`Effect::Clean`], any number of times.
    Leftover { attempt: AttemptId, container: ContainerId },
    /// Answer to [`Effect::RemoveOwn`].
    OwnRemoved,
    /// The other answer to [`Effect::RemoveOwn`].
    OwnNotRemoved(engine::Error),
    /// Answer to [`Effect::TellEnd`], whatever came of it.
    EndTold,
    /// The process is to stop.
    Shutdown(Shutdown),
    /// Something can never be done.
    Failed(Error),
    /// Time passed.
    Woken,
}

/// Something that the agent process asks for. Each is done once, or not at all where the process dies first; each answer
/// comes once.
#[derive(Debug)]
pub enum Effect {
    /// Take the lock of the agent's name on this host, for the life of the process. Answer: `NameLocked`, `Failed`.
    LockName,
    /// Make claims under this id of the host from now on. No answer.
    GoBy { machine: MachineId },
    /// Keep on this host, for the next processes, that this one has the name. No answer.
    Remember {
        /// This process.
        process: Nonce,
    },
    /// Read the agent's key, from its stream's leader. Answer: `KeyRead`, `KeyUnread`.
    ReadKey,
    /// Find the guard that an earlier process left, or start one, however long that takes. Answer: `GuardReady`, later
    /// `GuardLost`.
    StartGuard,
    /// Tell the guard that a heartbeat was acknowledged. What it is told and asked comes to it in order.
    FeedGuard {
        /// When the heartbeat was sent, as uptime of the host.
        sent_at: Duration,
    },
    /// Ask the guard. Answer: `GuardAnswered`, `GuardLost`.
    AskGuard(guard::Question),
    /// Tell the guard that it is not needed any more. The process ends after that. No answer.
    DismissGuard,
    /// List all containers of this agent, whatever their state. Answer: `Listed`, `Unlisted`.
    List,
    /// Read the last message on the attempt's subject, from its stream's leader, however long that takes. Answer: `ReportRead`.
    ReadReport { attempt: AttemptId },
    /// Begin to read orders, however long that takes. Answer: `OrdersFollowed`, then orders; `OrdersFollowed` once more for
    /// each connection that was lost.
    FollowOrders,
    /// Read the lease, from its stream's leader, however long that takes. Answer: `LeaseRead`.
    ReadLease,
    /// Read the last sequence of the results stream, from its leader. Answer: `ResultsEnd`, `HeartbeatUnanswered`.
    ReadResultsEnd,
    /// Write the agent's key, if it still has this revision. Answer: `KeyWritten`, `KeyRefused`, `HeartbeatUnanswered`.
    WriteKey {
        /// The heartbeat.
        record: Box<AgentRecord>,
        /// The revision that it replaces; 0: none.
        expected: u64,
    },
    /// See whether the engine answers, and whether it could run anything. Answer: `EngineAnswered`, `EngineSilent`, within less
    /// than [`tickmesh_core::timing::Timing::no_engine`].
    ProbeEngine,
    /// Do something for an attempt. Answer: `Attempt`, as [`attempt::Effect`] says.
    Attempt(Task),
    /// Give up all effects for attempts that are under way. What has been sent may yet take effect; no answers come.
    Abandon,
    /// Look for containers that can go. Answer: `Leftover`.
    Clean {
        /// Attempts whose containers are left alone.
        held: BTreeSet<AttemptId>,
    },
    /// Kill and remove a container of a claim of this process. Answer: `OwnRemoved`, `OwnNotRemoved`.
    RemoveOwn { container: ContainerId },
    /// Try once to store the end of an attempt of this process. Answer: `EndTold`.
    TellEnd {
        attempt: AttemptId,
        claim_sequence: u64,
        /// Its end.
        event: AttemptEvent,
    },
    /// Tell the world.
    Announce(MeshEvent),
    /// The process ends.
    End(Result<(), Error>),
}

impl Event {
    /// One word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NameLocked { .. } => "name-locked",
            Self::KeyRead { .. } => "key-read",
            Self::KeyUnread => "key-unread",
            Self::GuardReady => "guard-ready",
            Self::GuardLost => "guard-lost",
            Self::GuardAnswered(_) => "guard-answered",
            Self::Listed { .. } => "listed",
            Self::Unlisted(_) => "unlisted",
            Self::ReportRead { .. } => "report-read",
            Self::OrdersFollowed => "orders-followed",
            Self::Order { .. } => "order",
            Self::LeaseRead(_) => "lease-read",
            Self::ResultsEnd { .. } => "results-end",
            Self::KeyWritten { .. } => "key-written",
            Self::KeyRefused { .. } => "key-refused",
            Self::HeartbeatUnanswered => "heartbeat-unanswered",
            Self::EngineAnswered { .. } => "engine-answered",
            Self::EngineSilent(_) => "engine-silent",
            Self::Attempt { .. } => "attempt",
            Self::PullMoved { .. } => "pull-moved",
            Self::Leftover { .. } => "leftover",
            Self::OwnRemoved => "own-removed",
            Self::OwnNotRemoved(_) => "own-not-removed",
            Self::EndTold => "end-told",
            Self::Shutdown(_) => "shutdown",
            Self::Failed(_) => "failed",
            Self::Woken => "woken",
        }
    }
}
