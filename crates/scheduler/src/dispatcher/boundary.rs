//! What the dispatcher is told, and what it asks for. Two closed lists: everything that a leader can react to, and
//! everything that it can do to the world.

use std::time::Duration;

use jiff::Timestamp;
use tickmesh_core::{
    decide::AppContent,
    history::RunSummary,
    id::{AttemptId, Epoch, RequestId, RunNumber},
    ledger::Ledger,
    message::{AgentRecord, AttemptReport, Command, MeshEvent, Order, TickRecord},
    name::{AgentName, AppName},
};

/// Now, on both clocks of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock: what schedules are about.
    pub wall: Timestamp,
    /// Time since some fixed moment, suspend included: what silence is measured with.
    pub uptime: Duration,
}

/// Something that the dispatcher is told.
#[derive(Debug)]
pub enum Event {
    /// A ledger, as it was stored when the tenure began.
    LedgerLoaded {
        /// The app.
        app: AppName,
        /// Its revision.
        revision: u64,
        /// The ledger.
        ledger: Box<Ledger>,
    },
    /// A ledger was written, by whomever.
    LedgerSeen {
        /// The app.
        app: AppName,
        /// Its revision.
        revision: u64,
        /// The tenure of the writer.
        epoch: Epoch,
    },
    /// A revision of an app: first all that are stored, in order, later each new one.
    AppSeen {
        /// The app.
        app: AppName,
        /// Its revision.
        revision: u64,
        /// When it was stored, by the server's clock.
        at: Timestamp,
        /// What it says.
        content: AppContent,
    },
    /// A heartbeat: first the last of every agent, later each new one.
    AgentSeen {
        /// Its revision.
        revision: u64,
        /// When it was stored, by the server's clock.
        at: Timestamp,
        /// The heartbeat.
        record: Box<AgentRecord>,
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
    /// A command was delivered, maybe not for the first time.
    CommandSeen {
        /// Its sequence in the command stream.
        sequence: u64,
        /// The command.
        command: Box<Command>,
    },
    /// The command stream holds nothing below this sequence any more.
    CommandsBegin {
        /// The sequence.
        sequence: u64,
    },
    /// Results are about to be purged.
    Checkpoint,
    /// [`Effect::WriteLedger`] was done.
    LedgerWritten {
        /// The app.
        app: AppName,
        /// The new revision.
        revision: u64,
    },
    /// [`Effect::WriteLedger`] found a revision of another writer.
    LedgerRefused {
        /// The app.
        app: AppName,
    },
    /// [`Effect::PublishTick`] was done.
    TickStored {
        /// The app.
        app: AppName,
        /// Number of the subject's last message: all up to that one are stored.
        number: u64,
        /// Its sequence.
        sequence: u64,
    },
    /// [`Effect::PublishHistory`] was done.
    HistoryStored {
        /// The app.
        app: AppName,
        /// Number of the subject's last message: all up to that one are stored.
        number: u64,
        /// Its sequence.
        sequence: u64,
    },
    /// [`Effect::ConfirmCommand`] was done.
    CommandConfirmed {
        /// The app.
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
        /// The agent.
        agent: AgentName,
        /// Revision of its key now.
        revision: u64,
    },
    /// Answer to [`Effect::ReadLedger`].
    LedgerRead {
        /// The app.
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
        /// The app.
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

/// Whether somebody waits for an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// An agent or a person does: it is an order, an answer, or what must be recorded before one.
    AtOnce,
    /// It follows from what has happened already: it may let the others pass.
    InTurn,
}

/// Something that the dispatcher asks for. Each is done at least once, in any order, as long as the tenure lasts.
#[derive(Debug)]
pub enum Effect {
    /// Write a ledger, if it still has this revision.
    WriteLedger {
        /// The app.
        app: AppName,
        /// The ledger.
        ledger: Box<Ledger>,
        /// The revision that it replaces; 0: none.
        expected: u64,
        /// Whether orders or answers wait for it.
        haste: Haste,
    },
    /// Let the write of an app's ledger that is asked for already wait for no others: somebody waits for what comes after it.
    HastenWrite {
        /// The app.
        app: AppName,
    },
    /// Send an order.
    Send(Order),
    /// Store a message on an attempt's subject, if its last sequence is still this. A refusal is not an error: the message
    /// that was faster comes as an event.
    StoreReport {
        /// The message.
        report: AttemptReport,
        /// The subject's last sequence; 0: none.
        expected: u64,
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
    /// Tell the command stream that a request is done.
    ConfirmCommand {
        /// The app.
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
    ReadAgent {
        /// The agent.
        agent: AgentName,
    },
    /// Read an app's ledger now, from its stream's leader.
    ReadLedger {
        /// The app.
        app: AppName,
        /// An attempt of it that the agent holds, and the leader does not know.
        attempt: Box<AttemptId>,
        /// The agent.
        agent: AgentName,
    },
    /// Read the summary of a run from the history.
    ReadSummary {
        /// The app.
        app: AppName,
        /// The command that wants it to be retried.
        request: RequestId,
        /// The run.
        run: RunNumber,
    },
    /// Tell the world.
    Announce(MeshEvent),
    /// Another writer is at work: nothing that this tenure knows can be relied on.
    EndTenure {
        /// What was seen.
        reason: String,
    },
}

impl Effect {
    /// Whether somebody waits for it.
    pub fn haste(&self) -> Haste {
        match self {
            Self::WriteLedger { haste, .. } => *haste,
            Self::PublishTick { .. } | Self::PublishHistory { .. } => Haste::InTurn,
            Self::HastenWrite { .. }
            | Self::Send(_)
            | Self::StoreReport { .. }
            | Self::ConfirmCommand { .. }
            | Self::ReadResultsEnd { .. }
            | Self::ReadAgent { .. }
            | Self::ReadLedger { .. }
            | Self::ReadSummary { .. }
            | Self::Announce(_)
            | Self::EndTenure { .. } => Haste::AtOnce,
        }
    }
}
