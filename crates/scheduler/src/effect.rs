//! Everything that a scheduler can do to the world, as one closed list from the decision to the wire.

use tickmesh_core::{
    decide::Action,
    history::RunSummary,
    id::{AttemptId, RequestId, RunNumber},
    ledger::Ledger,
    message::{MeshEvent, TickRecord},
    name::{AgentName, AppName},
};

/// How soon an effect begins beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// An agent or a person waits for the effect: an order, an answer, or a record that precedes one.
    Urgent,
    /// The effect follows from what has happened already, and lets urgent ones pass.
    Background,
}

/// Something that a scheduler asks for. Each effect is done at least once, in any order, for as long
/// as the tenure lasts. All of them are fenced or harmless when they happen twice.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Carry out an action of the core. A report that is refused was overtaken by another message of
    /// the attempt, which comes as an event.
    Act(Action),
    /// Write a ledger, if it still has this revision.
    WriteLedger {
        /// The app.
        app: AppName,
        /// The ledger.
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
    /// Ask where the command stream begins.
    ReadCommandsBegin,
    /// Remove the results below a sequence.
    PurgeResults {
        /// The sequence.
        below: u64,
    },
    /// Tell the world.
    Announce(MeshEvent),
}

impl Effect {
    /// How soon the effect begins beside others.
    pub fn priority(&self) -> Priority {
        match self {
            Self::WriteLedger { priority, .. } => *priority,
            Self::PublishTick { .. } | Self::PublishHistory { .. } => Priority::Background,
            Self::Act(_)
            | Self::ConfirmCommand { .. }
            | Self::ReadResultsEnd { .. }
            | Self::ReadAgent { .. }
            | Self::ReadLedger { .. }
            | Self::ReadSummary { .. }
            | Self::ReadCommandsBegin
            | Self::PurgeResults { .. }
            | Self::Announce(_) => Priority::Urgent,
        }
    }
}
