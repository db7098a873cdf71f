//! The one function that decides: ledger and input in, ledger and actions out.
//!
//! Every decision has the same three steps: instants that fell due are folded, then the input, then whatever follows from
//! the new state (a run that ended goes to the history, the next one starts, replicas are placed, overdue orders are sent
//! again). The caller records the returned ledger **before** it carries out the actions; folding the same input twice
//! changes nothing the second time.
//!
//! The order of inputs matters in two places. Revisions of the app that are at hand come first, because any other input
//! decides the instants up to now under the revision that the ledger has. Messages about attempts come in the order of
//! their stream, because each run remembers one sequence up to which it has seen them.

mod admission;
mod app;
mod clock;
mod command;
mod ending;
mod notices;
mod orders;
mod placing;
mod progress;
mod report;
mod silence;
#[cfg(test)]
mod tests;
mod wake;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rand::Rng;

pub use self::wake::wake_at;
use crate::{
    fleet::{Fleet, LoadChange},
    history::RunSummary,
    id::{Epoch, RequestId},
    ledger::Ledger,
    message::{AgentRecord, AttemptReport, Command, Order},
    name::{AgentName, AppName},
    spec::AppSpec,
    timing::Timing,
};

/// What a decision may look at besides the ledger and the input.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub app: &'a AppName,
    /// Its spec at the revision that the ledger has folded; `None` if it is removed or not valid.
    pub spec: Option<&'a Arc<AppSpec>>,
    /// The agents.
    pub fleet: &'a Fleet,
    /// The server's clock, as the leader knows it.
    pub now: Timestamp,
    /// When the leader noticed what is due: now, or earlier where so much is due that some of it has to wait for its turn.
    pub noticed: Timestamp,
    /// The leader's tenure.
    pub tenure: Tenure,
    /// Every message of the results stream up to this sequence has been an input.
    pub results_through: u64,
    /// Periods and deadlines.
    pub timing: &'a Timing,
    /// Whether instants are decided now.
    pub clock: Clock,
    /// Whether replicas are placed now.
    pub placing: Placing,
}

/// Whether instants are decided now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    Running,
    /// Not yet: results from before the take-over are still being folded, and a run that has ended already must not make
    /// a tick wait.
    CatchingUp,
    /// Not now: the leader does not trust its clock.
    Doubted,
}

/// Whether replicas are placed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    Now,
    /// Another app has waited longer for an agent: this one's turn comes after it.
    InTurn,
}

/// One leader's time in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// Its number.
    pub epoch: Epoch,
    /// When it began, by the server's clock as the leader knows it: instants before it were missed.
    pub since: Timestamp,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A new leader took over: what it finds under way becomes its own.
    TakeOver,
    /// Time passed, or the fleet changed.
    Clock,
    /// A new revision of the app.
    App(AppChange),
    /// Somebody asks for something.
    Command {
        /// Its sequence in the command stream.
        sequence: u64,
        command: &'a Command,
        /// The run that it wants to be retried, if it does, and the history has it.
        retried: Option<&'a RunSummary>,
    },
    /// The command stream will not send this request again.
    CommandConfirmed(RequestId),
    /// Nor any that it held below this sequence: an acknowledgement that nobody heard of is found out so.
    CommandsConfirmed {
        /// The oldest sequence that the stream still holds.
        below: u64,
    },
    /// A message about an attempt of this app.
    Report {
        /// Its sequence in the results stream.
        sequence: u64,
        /// The message.
        report: &'a AttemptReport,
    },
    /// A message of the leader about an attempt was refused: its subject does not end where the ledger has it.
    ReportRefused {
        /// The message that was refused.
        refused: &'a AttemptReport,
        /// The last message on the attempt's subject, with its sequence; `None`: there is none.
        found: Option<(u64, &'a AttemptReport)>,
    },
    /// A heartbeat, after all results that it has seen were folded.
    Heartbeat {
        /// The heartbeat.
        record: &'a AgentRecord,
        /// For how long this leader has seen the name on that machine.
        machine_for: Duration,
    },
    /// The agent is silent, and nothing of it is under way: the checks of protocol rule P3 are done.
    Silent {
        agent: &'a AgentName,
        /// What was folded when its key was read: a claim above is news, and no silence.
        results_through: u64,
    },
    /// Results are about to be purged: the stored ledger must not need them.
    Checkpoint,
    /// A tick message is stored, and with it all before it.
    TickStored {
        number: u64,
        /// Its sequence in the stream.
        sequence: u64,
    },
    /// A history message is stored, and with it all before it.
    HistoryStored {
        number: u64,
        /// Its sequence in the stream.
        sequence: u64,
    },
    /// A notice is stored, and with it all before it.
    NoticeStored {
        number: u64,
        /// Its sequence in the stream.
        sequence: u64,
    },
}

/// A revision of an app.
#[derive(Debug, Clone)]
pub struct AppChange {
    /// The revision in `apps`.
    pub revision: u64,
    /// When it was stored, by the server's clock: no instant before it comes of it.
    pub at: Timestamp,
    /// What it says.
    pub content: AppContent,
}

/// What a revision of an app says.
#[derive(Debug, Clone)]
pub enum AppContent {
    /// A valid app.
    Applied(Arc<AppSpec>),
    /// A file that is not valid (any more).
    Invalid {
        /// The first problem.
        reason: String,
    },
    /// A tombstone.
    Removed,
}

/// What is to be done. Every action is fenced or harmless: it may come late, twice or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Wake an agent up.
    Send(Order),
    /// Store a message on an attempt's subject. It comes back as [`Input::Report`] if it was stored, and
    /// as [`Input::ReportRefused`] if not.
    StoreReport {
        /// The message.
        report: AttemptReport,
        /// Sequence of the subject's last message; 0: none.
        expected: u64,
    },
}

/// Whether the ledger must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Record {
    /// Nothing changed.
    Unchanged,
    /// What changed can be had again from the streams: it goes with the next write.
    WithNext,
    /// It must be stored before anything else is done.
    Due,
}

/// What [`decide`] returns.
#[derive(Debug)]
pub struct Decision {
    /// The new ledger.
    pub ledger: Ledger,
    /// Whether it must be written.
    pub record: Record,
    /// What to do once it is.
    pub actions: Vec<Action>,
    /// What changed in the load of agents.
    pub loads: Vec<LoadChange>,
    /// A replica is due, and no agent fits: ask again when the fleet changes.
    pub unplaced: bool,
}

/// Folds one input into an app's ledger. Returns the new ledger, and the actions that follow once it is stored.
pub fn decide(context: &Context<'_>, ledger: Ledger, input: Input<'_>, random: &mut dyn Rng) -> Decision {
    let mut transition = Transition {
        context,
        spec: context.spec.cloned(),
        ledger,
        random,
        record: Record::Unchanged,
        actions: Vec::new(),
        loads: Vec::new(),
        unplaced: false,
    };
    if context.clock == Clock::Running && !matches!(input, Input::App(_)) {
        transition.fold_due_instants();
    }
    transition.fold(input);
    transition.progress();
    Decision {
        ledger: transition.ledger,
        record: transition.record,
        actions: transition.actions,
        loads: transition.loads,
        unplaced: transition.unplaced,
    }
}

/// A decision in the making.
struct Transition<'a> {
    context: &'a Context<'a>,
    /// The spec that runs start with: the context's, until the input brings a new one.
    spec: Option<Arc<AppSpec>>,
    ledger: Ledger,
    random: &'a mut dyn Rng,
    record: Record,
    actions: Vec<Action>,
    loads: Vec<LoadChange>,
    unplaced: bool,
}

impl Transition<'_> {
    fn fold(&mut self, input: Input<'_>) {
        match input {
            Input::TakeOver => self.take_over(),
            Input::Clock => {}
            Input::App(change) => self.fold_app(change),
            Input::Command { sequence, command, retried } => self.fold_command(sequence, command, retried),
            Input::CommandConfirmed(request) => self.confirm_commands(|handled| handled.request == request),
            Input::CommandsConfirmed { below } => self.confirm_commands(|handled| handled.sequence < below),
            Input::Report { sequence, report } => self.fold_report(sequence, report),
            Input::ReportRefused { refused, found } => self.fold_refusal(refused, found),
            Input::Heartbeat { record, machine_for } => self.judge_heartbeat(record, machine_for),
            Input::Silent { agent, results_through } => self.judge_silence(agent, results_through),
            Input::Checkpoint => self.checkpoint(),
            Input::TickStored { number, sequence } => {
                self.ledger.ticks.stored(number, sequence);
                self.note(Record::WithNext);
            }
            Input::HistoryStored { number, sequence } => {
                self.ledger.history.stored(number, sequence);
                self.note(Record::WithNext);
            }
            Input::NoticeStored { number, sequence } => {
                self.ledger.notices.stored(number, sequence);
                self.note(Record::WithNext);
            }
        }
    }

    /// A stale leader's write must fail from now on, wherever a write of it could start something.
    fn take_over(&mut self) {
        if !self.ledger.active.is_empty() || !self.ledger.queue.is_empty() {
            self.note(Record::Due);
        }
    }

    /// Says of every active run how far its results are folded, and has that stored.
    fn checkpoint(&mut self) {
        for run in &mut self.ledger.active {
            if run.results_through < self.context.results_through {
                run.results_through = self.context.results_through;
                self.record = Record::Due;
            }
        }
    }

    fn note(&mut self, record: Record) {
        self.record = self.record.max(record);
    }
}
