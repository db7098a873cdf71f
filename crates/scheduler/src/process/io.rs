//! What a scheduler process is told. What it asks for is in [`crate::effect`].

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tickmesh_core::{agent_wish::WishAnswer, id::MeshId};
use tickmesh_messaging::{
    Cas, LeaseRecord, StreamKind,
    lease::{Presence, StreamMarks},
};

use super::clock_judge::Reading;
use crate::{
    dispatcher::{self, StateChange},
    effect::{Effect, Priority, Wish, WishId},
    error::Failure,
};

/// What came of an effect that is tried once.
pub type Answer<T> = Result<T, Failure>;

/// Sequences of the last messages of streams.
pub type Ends = BTreeMap<StreamKind, u64>;

/// What became of a write of the lease.
#[derive(Debug, Clone)]
pub struct LeaseWritten {
    /// The number of the record, which tells this write from every other one.
    pub renewal: u64,
    /// What became of it.
    pub answer: Answer<Box<Cas<LeaseRecord>>>,
}

/// Something that a scheduler process is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The state changed.
    Changed(StateChange),
    /// Something else about apps and agents: read from a stream, or the answer to a leader's effect.
    Mesh(dispatcher::Event),
    /// A stream was read up to a sequence, where there was no record that can be read.
    Passed { stream: StreamKind, sequence: u64 },
    /// All that was stored in a stream when this process began to follow it has been told.
    SnapshotEnd {
        stream: StreamKind,
        /// Everything up to this sequence has been told.
        sequence: u64,
    },
    /// A stream cannot be followed any more.
    FollowEnded(Failure),
    /// The lease was written.
    LeaseSeen {
        /// Its revision.
        revision: u64,
        /// What was written.
        record: Box<LeaseRecord>,
    },
    /// What is stored as the lease cannot be read: its holder will write over it.
    LeaseDamaged {
        /// The revision of what is stored.
        revision: u64,
    },
    /// Answer to [`Effect::OpenMesh`] and [`Effect::MakeMissingStreams`].
    MeshFound(Answer<MeshId>),
    /// Answer to [`Effect::FindStreams`]: the streams that are not there.
    StreamsFound(Answer<BTreeSet<StreamKind>>),
    /// Answer to [`Effect::CheckStreams`].
    StreamsChecked(Answer<()>),
    /// Answer to [`Effect::ReadLease`].
    LeaseRead(Answer<Option<Box<LeaseRecord>>>),
    /// Answer to [`Effect::WriteLease`].
    LeaseWritten(LeaseWritten),
    /// Answer to [`Effect::AskHolder`].
    HolderAsked {
        /// Who was asked.
        holder: String,
        /// What was heard.
        presence: Presence,
        /// Counts the connections to NATS of this process: after a new one, nobody is heard for a moment.
        connection: u64,
    },
    /// Answer to [`Effect::ReadMarks`].
    MarksRead(Answer<StreamMarks>),
    /// Answer to [`Effect::ReadEnds`].
    EndsRead(Answer<Ends>),
    /// Answer to [`Effect::ReadCatchUpEnd`].
    CatchUpEndRead(Answer<u64>),
    /// Answer to [`Effect::ReadClock`].
    ClockRead(Answer<Reading>),
    /// Answer to [`Effect::SeekSuccessor`].
    SuccessorSought {
        /// Whether another scheduler stands by that could decide ticks.
        is_there: bool,
    },
    /// Somebody has a wish about an agent.
    AgentWished(Wish),
    /// Answer to [`Effect::CarryOutWish`].
    WishCarriedOut {
        /// The wish.
        id: WishId,
        /// What the leader says to it.
        answer: WishAnswer,
    },
    /// Effects were not begun: the time until which they may was over.
    TooLate,
    /// An effect has ended. Its answer, if it has one, comes next.
    Ended(Priority),
    /// Somebody else is to lead.
    StepDown,
    /// The process is to stop.
    Shutdown,
    /// Time passed.
    Woken,
}

/// What follows from an event.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Effects to begin now, in this order.
    pub effects: Vec<Effect>,
    /// From this uptime on none of them may begin: the lease under which they were decided is too old.
    pub valid_until: Option<Duration>,
}
