//! Everything that a scheduler can do to the world, as one closed list from the decision to the wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tickmesh_core::{
    agent_wish::{AgentWish, WishAnswer},
    decide::Action,
    history::RunSummary,
    id::{AttemptId, MeshId, RequestId, RunNumber},
    ledger::Ledger,
    message::{MeshEvent, NoticeRecord, TickRecord},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{LeaseRecord, SchedulerRole, StreamKind};

/// How soon an effect begins beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The scheduler itself depends on the effect. It is neither queued nor counted.
    Immediate,
    /// An agent or a person waits for the effect: an order, an answer, or a record that precedes one.
    Urgent,
    /// The effect follows from what has happened already, and lets urgent ones pass.
    Background,
}

/// A stream that is followed: each message once, in order, until the effects are abandoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Ledgers, whole: the last of each app, then every change.
    Ledgers,
    /// Who writes ledgers, after a sequence. Replaces [`Source::Ledgers`].
    LedgerWrites {
        /// The sequence.
        after: u64,
    },
    /// Heartbeats: the last of each agent, then every change.
    Agents,
    /// Revisions of apps, oldest first.
    Apps {
        /// The revision that the ledger of each app has folded. Earlier ones are not even read.
        folded: BTreeMap<AppName, u64>,
    },
    /// The lease: its last record, then every change.
    Lease,
    /// Messages about attempts, after a sequence.
    Results {
        /// The sequence.
        after: u64,
    },
    /// Commands. The scheduler that received commands before does not receive them any more.
    Commands,
}

/// Tells the wishes apart that one process was asked to carry out.
pub type WishId = u64;

/// A wish about an agent, as a process was asked to carry it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its number.
    pub id: WishId,
    pub agent: AgentName,
    /// What is wished of it.
    pub wish: AgentWish,
}

/// Something that a scheduler asks for. An effect of a leader is done at least once, in any order, for as
/// long as its tenure lasts: all of these are fenced or harmless when they happen twice. One of the
/// process itself is tried once, and its answer says what came of it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Read the identity of the mesh.
    OpenMesh,
    /// Look which streams of the mesh are not there.
    FindStreams,
    /// Make these streams of the mesh, and no others. The mesh keeps this identity.
    MakeMissingStreams {
        /// The identity that this process knows.
        mesh: MeshId,
        /// The streams.
        missing: BTreeSet<StreamKind>,
    },
    /// Look whether all streams are there, with the settings that they must have.
    CheckStreams,
    /// Read the lease, from its stream's leader.
    ReadLease,
    /// Write the lease, if it still has this revision; 0: if there is none.
    WriteLease {
        /// The record.
        record: Box<LeaseRecord>,
        /// The revision that it replaces.
        expected: u64,
    },
    /// Ask the holder of the lease for a sign of life.
    AskHolder {
        /// The id of its process.
        holder: String,
    },
    /// Ask whether another scheduler stands by whose clock is not in doubt.
    SeekSuccessor,
    /// Read where the durable streams stand.
    ReadMarks,
    /// Read where the ledgers, heartbeats and apps end.
    ReadEnds,
    /// Read where the results end: those up to there are from before the take-over.
    ReadCatchUpEnd,
    /// Read the server's clock.
    ReadClock,
    /// Follow a stream and report what it holds.
    Follow(Source),
    /// Show others what this scheduler does.
    ShowRole(SchedulerRole),
    /// Give up every effect under way but writes of the lease, and follow nothing any more. What has been
    /// sent may yet take effect; no answers come.
    Abandon,
    /// The process has stopped.
    End,
    /// Carry out an action of the core. A report that is refused was overtaken by another message of
    /// the attempt, which comes as an event.
    Act(Action),
    /// Write a ledger, if it still has this revision.
    WriteLedger {
        app: AppName,
        ledger: Box<Ledger>,
        /// The revision that it replaces; 0: none.
        expected: u64,
        /// Whether orders or answers wait for it.
        priority: Priority,
    },
    /// Publish a tick message.
    PublishTick {
        /// The message.
        tick: TickRecord,
        /// The subject's last sequence as far as known.
        expected: u64,
    },
    /// Publish a history message.
    PublishHistory {
        /// The message.
        summary: Box<RunSummary>,
        /// The subject's last sequence as far as known.
        expected: u64,
    },
    /// Publish a notice.
    PublishNotice {
        /// The notice.
        notice: Box<NoticeRecord>,
        /// The subject's last sequence as far as known.
        expected: u64,
    },
    /// Tell the command stream that a request is done.
    ConfirmCommand {
        app: AppName,
        /// The request.
        request: RequestId,
    },
    /// Read the last sequence of the results stream now, from its leader.
    ReadResultsEnd {
        /// The agent that is asked for.
        agent: AgentName,
    },
    /// Read an agent's key now, from its stream's leader.
    ReadAgent { agent: AgentName },
    /// Read an app's ledger now, from its stream's leader.
    ReadLedger {
        app: AppName,
        /// An attempt of it that the agent holds, and the leader does not know.
        attempt: Box<AttemptId>,
        agent: AgentName,
    },
    /// Read the summary of a run from the history.
    ReadSummary {
        app: AppName,
        /// The command that wants it to be retried.
        request: RequestId,
        /// The run.
        run: RunNumber,
    },
    /// Ask where the command stream begins.
    ReadCommandsBegin,
    /// Remove the results below a sequence.
    PurgeResults {
        /// The sequence.
        below: u64,
    },
    /// Carry out a wish about an agent, once: see [`tickmesh_core::agent_wish`].
    CarryOutWish {
        wish: Wish,
        /// From this uptime on the agent's key is read for it no more: another leader may have granted
        /// another wish.
        trusted_until: Duration,
    },
    /// Answer whoever has a wish about an agent.
    AnswerWish {
        /// The wish.
        id: WishId,
        answer: WishAnswer,
    },
    /// Publish an event of the mesh.
    Announce(MeshEvent),
}

impl Effect {
    /// How soon the effect begins beside others.
    pub fn priority(&self) -> Priority {
        match self {
            Self::WriteLedger { priority, .. } => *priority,
            Self::OpenMesh
            | Self::FindStreams
            | Self::MakeMissingStreams { .. }
            | Self::CheckStreams
            | Self::ReadLease
            | Self::WriteLease { .. }
            | Self::AskHolder { .. }
            | Self::SeekSuccessor
            | Self::ReadMarks
            | Self::ReadEnds
            | Self::ReadCatchUpEnd
            | Self::ReadClock
            | Self::Follow(_)
            | Self::ShowRole(_)
            | Self::AnswerWish { .. }
            | Self::Abandon
            | Self::End => Priority::Immediate,
            Self::PublishTick { .. } | Self::PublishHistory { .. } | Self::PublishNotice { .. } => Priority::Background,
            Self::Act(_)
            | Self::ConfirmCommand { .. }
            | Self::ReadResultsEnd { .. }
            | Self::ReadAgent { .. }
            | Self::ReadLedger { .. }
            | Self::ReadSummary { .. }
            | Self::ReadCommandsBegin
            | Self::PurgeResults { .. }
            | Self::CarryOutWish { .. }
            | Self::Announce(_) => Priority::Urgent,
        }
    }
}
