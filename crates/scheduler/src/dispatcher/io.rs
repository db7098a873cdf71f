//! What a leader can react to, as a closed list, and what comes of it.

use jiff::Timestamp;
use tickmesh_core::{
    decide::AppContent,
    history::RunSummary,
    id::{AttemptId, Epoch, RequestId},
    ledger::Ledger,
    message::{AgentRecord, AttemptReport, Command},
    name::{AgentName, AppName},
};
use tickmesh_messaging::{Cas, StreamKind};

use super::frozen::UnreadableLedger;
use crate::effect::Effect;

/// A change of the state that every scheduler keeps in memory.
#[derive(Debug, Clone)]
pub enum StateChange {
    /// A ledger was written, by whomever.
    Ledger {
        app: AppName,
        /// Its revision.
        revision: u64,
        ledger: Result<Box<Ledger>, UnreadableLedger>,
    },
    /// An agent's key was written, by the agent.
    Agent {
        /// Its revision.
        revision: u64,
        /// When it was stored, by the server's clock.
        at: Timestamp,
        /// The heartbeat.
        record: Box<AgentRecord>,
    },
    /// An agent's key was written, and it is no heartbeat that can be read. The agent writes over it.
    UnreadableAgent {
        agent: AgentName,
        /// The revision of its key.
        revision: u64,
    },
    /// A revision of an app was stored.
    App {
        app: AppName,
        /// Its revision.
        revision: u64,
        /// When it was stored, by the server's clock.
        at: Timestamp,
        /// What it says.
        content: AppContent,
    },
}

/// Something that the dispatcher is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The state changed. First everything that is stored is told: ledgers, then the last heartbeat of
    /// every agent, then the revisions of apps that still matter, oldest first.
    Changed(StateChange),
    /// A ledger was written, by whomever.
    LedgerSeen {
        app: AppName,
        /// Its revision.
        revision: u64,
        /// The tenure of the writer.
        epoch: Epoch,
    },
    /// The stored ledger of an app cannot be read.
    LedgerUnreadable {
        app: AppName,
        /// Its revision.
        revision: u64,
        problem: UnreadableLedger,
    },
    /// All that was stored has been told: the tenure begins.
    Loaded {
        /// Last sequence of the results stream.
        results_end: u64,
    },
    /// A message about an attempt.
    ReportSeen {
        /// Its sequence in the results stream.
        sequence: u64,
        /// The message, or `None` if it cannot be read.
        report: Option<Box<AttemptReport>>,
    },
    /// A leader's message about an attempt was refused.
    ReportRefused {
        /// The message.
        refused: Box<AttemptReport>,
        /// The last message on the attempt's subject, with its sequence; `None`: there is none.
        found: Option<(u64, Box<AttemptReport>)>,
    },
    /// A command was delivered, maybe not for the first time.
    CommandSeen {
        /// Its sequence in the command stream.
        sequence: u64,
        command: Box<Command>,
    },
    /// The command stream holds nothing below this sequence any more.
    CommandsBegin { sequence: u64 },
    /// Results are about to be purged.
    Checkpoint,
    /// [`Effect::WriteLedger`] was done.
    LedgerWritten {
        app: AppName,
        /// The new revision.
        revision: u64,
    },
    /// [`Effect::WriteLedger`] found a revision of another writer.
    LedgerRefused { app: AppName },
    /// [`Effect::PublishTick`] was done.
    TickStored {
        app: AppName,
        /// Number of the subject's last message: all up to that one are stored.
        number: u64,
        sequence: u64,
    },
    /// [`Effect::PublishHistory`] was done.
    HistoryStored {
        app: AppName,
        /// Number of the subject's last message: all up to that one are stored.
        number: u64,
        sequence: u64,
    },
    /// [`Effect::PublishNotice`] was done.
    NoticeStored {
        app: AppName,
        /// Number of the subject's last message: all up to that one are stored.
        number: u64,
        sequence: u64,
    },
    /// [`Effect::ConfirmCommand`] was done.
    CommandConfirmed {
        app: AppName,
        /// The request.
        request: RequestId,
    },
    /// Answer to [`Effect::ReadResultsEnd`].
    ResultsEnd {
        /// The agent that it was asked for.
        agent: AgentName,
        /// Last sequence of the results stream.
        sequence: u64,
    },
    /// Answer to [`Effect::ReadAgent`].
    AgentRead {
        agent: AgentName,
        /// Revision of its key now.
        revision: u64,
    },
    /// Answer to [`Effect::ReadLedger`].
    LedgerRead {
        app: AppName,
        /// Tenure of the stored ledger's writer; `None`: there is no ledger.
        epoch: Option<Epoch>,
        /// The attempt that it was asked for.
        attempt: Box<AttemptId>,
        /// The agent that holds it.
        agent: AgentName,
    },
    /// Answer to [`Effect::ReadSummary`].
    SummaryRead {
        app: AppName,
        /// The command that it was asked for.
        request: RequestId,
        /// The summary; `None`: the history does not have it.
        summary: Option<Box<RunSummary>>,
    },
    /// An effect can never be done.
    Failed {
        /// What, and why.
        reason: String,
    },
    /// Time passed.
    Woken,
    /// The leader's wall clock cannot be what it says: no instant is decided by it.
    ClockDoubted,
    /// The leader's wall clock is right again.
    ClockTrusted,
}

impl StateChange {
    /// Returns how far the change shows a durable stream to be.
    pub(crate) fn progress(&self) -> Option<(StreamKind, u64)> {
        match self {
            Self::Ledger { revision, .. } => Some((StreamKind::Ledger, *revision)),
            Self::App { revision, .. } => Some((StreamKind::Apps, *revision)),
            Self::Agent { .. } | Self::UnreadableAgent { .. } => None,
        }
    }
}

impl Event {
    /// Returns what the answer to a leader's message about an attempt has to tell. A message that was stored
    /// comes back with the stream.
    pub fn of_answer(report: AttemptReport, answer: Cas<AttemptReport>) -> Option<Self> {
        match answer {
            Cas::Stored { .. } => None,
            Cas::Refused { current } => {
                let found = current.map(|entry| (entry.sequence, Box::new(entry.value)));
                Some(Self::ReportRefused { refused: Box::new(report), found })
            }
        }
    }

    /// Returns how far the event shows a durable stream to be.
    pub(crate) fn progress(&self) -> Option<(StreamKind, u64)> {
        match self {
            Self::Changed(change) => change.progress(),
            Self::LedgerSeen { revision, .. }
            | Self::LedgerUnreadable { revision, .. }
            | Self::LedgerWritten { revision, .. } => Some((StreamKind::Ledger, *revision)),
            Self::ReportSeen { sequence, .. } => Some((StreamKind::Results, *sequence)),
            Self::HistoryStored { sequence, .. } => Some((StreamKind::History, *sequence)),
            Self::Loaded { .. }
            | Self::ReportRefused { .. }
            | Self::CommandSeen { .. }
            | Self::CommandsBegin { .. }
            | Self::Checkpoint
            | Self::LedgerRefused { .. }
            | Self::TickStored { .. }
            | Self::NoticeStored { .. }
            | Self::CommandConfirmed { .. }
            | Self::ResultsEnd { .. }
            | Self::AgentRead { .. }
            | Self::LedgerRead { .. }
            | Self::SummaryRead { .. }
            | Self::Failed { .. }
            | Self::Woken
            | Self::ClockDoubted
            | Self::ClockTrusted => None,
        }
    }
}

/// What follows from an event.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Effects to begin, as their priorities allow.
    pub effects: Vec<Effect>,
    /// Apps whose ledger write, if it still waits, becomes urgent: now somebody waits for it.
    pub hastened: Vec<AppName>,
}

/// Another scheduler writes, or an effect can never be done: what this tenure has in memory cannot be
/// relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Conflict {
    /// What was seen.
    pub reason: String,
}
