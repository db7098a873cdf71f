//! What an agent process is told, and what it asks for. Two closed lists: everything that it can react to, and everything
//! that it can do to the world.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{
    id::{AttemptId, Nonce},
    message::{AgentRecord, AttemptEvent, MeshEvent, Order, PullProgress},
};

use crate::{
    attempt::{self, LastReport},
    engine::{self, ContainerId, ContainerView},
    error::Error,
    guard,
    roster::Task,
};

/// Now, on both clocks of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since the host's boot, suspend included: what everything is decided by.
    pub uptime: Duration,
    /// Wall clock: only shown to people.
    pub wall: Timestamp,
}

/// The agent's key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its revision.
    pub revision: u64,
    /// The last heartbeat, or that with somebody's wish in it.
    pub record: Box<AgentRecord>,
}

/// Something that the agent process is told.
#[derive(Debug)]
pub enum Event {
    /// Answer to [`Effect::LockName`].
    NameLocked,
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
    /// Answer to [`Effect::FollowOrders`].
    OrdersFollowed,
    /// An order came. Only while [`super::Conduct::takes_orders`]; others are dropped, and the leader repeats them.
    Order {
        /// The order.
        order: Box<Order>,
        /// A fresh one, for the claim that may come of it (protocol rule P7).
        nonce: Nonce,
    },
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
    /// Something happened to an attempt: answer to [`Effect::Attempt`].
    Attempt {
        /// The attempt.
        attempt: AttemptId,
        /// What.
        event: attempt::Event,
    },
    /// The pull of an image has come this far: now and then while attempts wait for one, for people who ask.
    PullMoved {
        /// The image.
        image: String,
        /// How far.
        progress: PullProgress,
    },
    /// A container that nobody needs any more, or ever did: answer to [`Effect::Clean`], any number of times.
    Leftover {
        /// Its attempt.
        attempt: AttemptId,
        /// The container.
        container: ContainerId,
    },
    /// Answer to [`Effect::RemoveOwn`].
    OwnRemoved,
    /// The other answer to [`Effect::RemoveOwn`].
    OwnNotRemoved(engine::Error),
    /// Answer to [`Effect::TellEnd`], whatever came of it.
    EndTold,
    /// The process is to stop, and to leave its containers to the next one.
    Shutdown,
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
    ReadReport {
        /// The attempt.
        attempt: AttemptId,
    },
    /// Begin to read orders, however long that takes. Answer: `OrdersFollowed`, then orders.
    FollowOrders,
    /// Read the last sequence of the results stream, from its leader. Answer: `ResultsEnd`, `HeartbeatUnanswered`.
    ReadResultsEnd,
    /// Write the agent's key, if it still has this revision. Answer: `KeyWritten`, `KeyRefused`, `HeartbeatUnanswered`.
    WriteKey {
        /// The heartbeat.
        record: Box<AgentRecord>,
        /// The revision that it replaces; 0: none.
        expected: u64,
    },
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
    RemoveOwn {
        /// The container.
        container: ContainerId,
    },
    /// Try once to store the end of an attempt of this process. Answer: `EndTold`.
    TellEnd {
        /// The attempt.
        attempt: AttemptId,
        /// Its claim.
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
            Self::NameLocked => "name-locked",
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
            Self::ResultsEnd { .. } => "results-end",
            Self::KeyWritten { .. } => "key-written",
            Self::KeyRefused { .. } => "key-refused",
            Self::HeartbeatUnanswered => "heartbeat-unanswered",
            Self::Attempt { .. } => "attempt",
            Self::PullMoved { .. } => "pull-moved",
            Self::Leftover { .. } => "leftover",
            Self::OwnRemoved => "own-removed",
            Self::OwnNotRemoved(_) => "own-not-removed",
            Self::EndTold => "end-told",
            Self::Shutdown => "shutdown",
            Self::Failed(_) => "failed",
            Self::Woken => "woken",
        }
    }
}
