//! The durable record of one app: what has been decided, and what is under way. Written only by the leader, by
//! compare-and-set, before anything that it says is acted on.

mod bounds;
mod carry_over;
mod counters;
mod index;
mod limits;
mod outbox;
mod reasons;
mod rebuilt;
mod recovery;
mod refusal;
mod replica;
mod retained;
mod run;
mod service;
mod stored;
mod told;
mod waiting;

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    carry_over::CarryOver,
    counters::{Counters, RequestCounters},
    limits::{
        HISTORY_PENDING_MAX, LEDGER_BYTES_MAX, NOTICES_PENDING_MAX, QUEUE_BY_HAND_BYTES_MAX, RUN_BYTES_MAX,
        TICKS_PENDING_MAX, run_bytes,
    },
    outbox::Outbox,
    reasons::REASON_BYTES_MAX,
    recovery::{NUMBERS_AHEAD, Published, Remains, orphans},
    replica::{Claim, OpenAttempt, Progress, Replica, ReplicaState},
    retained::{RETAINED_BYTES_MAX, RetainedValues},
    run::{ActiveRun, NewRun},
    service::{Phase, ReplicaPlace, ServiceRun, StopReason},
    told::{Told, ToldDrops},
    waiting::Waiting,
};
pub use crate::cause::{Cause, Origin};
use crate::{
    history::RunSummary,
    id::{Epoch, RequestId, RunNumber},
    message::{DropReason, NoticeRecord, SCHEMA, SkipReason, TickRecord},
    name::AppName,
    spec::is_default,
};

/// Requests that a ledger remembers. With this many unconfirmed no further command of the app is folded (rule P13).
pub const REQUESTS_MAX: usize = 64;
/// Runs that are kept with their results.
pub const HISTORY_RUNS: usize = 10;

/// The durable record of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Schema version.
    pub schema: u32,
    /// Which write this is: tells a writer whose acknowledgement was lost that the stored one is its own.
    pub write: WriteStamp,
    /// The app, once the ledger was written by a release that notes it: a ledger under another app's key is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Revision of the app in `apps` that is folded in.
    #[serde(deserialize_with = "bounds::number")]
    pub app_revision: u64,
    /// What that revision says of the app.
    pub standing: Standing,
    /// Revision of the newest tombstone: commands from before it are refused.
    #[serde(deserialize_with = "bounds::number")]
    pub tombstone_revision: u64,
    /// Every instant up to and including this one is decided.
    pub decided_through: Timestamp,
    /// Set while the app is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// What the label `paused` of the last applied file says: it acts when it changes.
    #[serde(default)]
    pub pause_label: bool,
    /// Number of the last run that was started; kept when the app is removed, so that numbers never come back.
    #[serde(deserialize_with = "bounds::number")]
    pub last_run: RunNumber,
    /// Runs that have not ended.
    pub active: Vec<ActiveRun>,
    /// What waits for them, oldest first.
    pub queue: VecDeque<Waiting>,
    /// What became of every instant and every manual run.
    #[serde(serialize_with = "counters::without_zeros")]
    pub counters: Counters,
    /// The last requests, with what became of them.
    pub requests: VecDeque<HandledRequest>,
    /// Tick messages.
    pub ticks: Outbox<TickRecord>,
    /// History messages.
    pub history: Outbox<RunSummary>,
    /// Notices.
    #[serde(default, skip_serializing_if = "Outbox::is_unused")]
    pub notices: Outbox<NoticeRecord>,
    /// What people know, and have to be told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub told: Told,
    /// Outcomes of the last runs, oldest first, for lists: the labels of [`crate::outcome::Outcome`].
    pub recent: VecDeque<RecentRun>,
    /// Values that the last runs were started with, oldest first, for their retries.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub retained: VecDeque<RetainedValues>,
}

/// Identifies one write of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct WriteStamp {
    /// Tenure of the writer.
    pub epoch: Epoch,
    /// Counts the writes of that tenure.
    #[serde(deserialize_with = "bounds::number")]
    pub number: u64,
}

/// Of a stored ledger who wrote it, for those who need nothing else: the rest of the record is skipped, not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerWrite {
    pub write: WriteStamp,
    /// The app, if the ledger names it.
    #[serde(default)]
    pub app: Option<AppName>,
}

/// What the folded revision of `apps` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// A valid app.
    Applied,
    /// The stored file is not valid any more; nothing new is decided.
    Invalid {
        /// The first problem.
        reason: String,
    },
    /// A tombstone.
    Removed,
}

/// No instants are decided, and nothing that waits is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who asked, for people.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandledRequest {
    /// The request.
    pub request: RequestId,
    /// Its sequence in the command stream.
    pub sequence: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// The stream knows that it is done: it will not come again.
    pub confirmed: bool,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// A run began.
    Started {
        /// Its number.
        run: RunNumber,
    },
    /// A run waits.
    Enqueued {
        /// Runs that wait now, this one included.
        waiting: u32,
    },
    /// No run comes of it.
    Dropped { reason: DropReason },
    /// No run was wanted.
    Skipped { reason: SkipReason },
    /// The app is paused.
    Paused,
    /// The app goes on.
    Resumed {
        /// Instants that passed meanwhile, and were skipped.
        skipped: u64,
    },
    /// Nothing waits any more.
    Flushed {
        /// Runs that waited.
        waiting: u32,
    },
    /// These runs are being stopped.
    Stopping {
        /// Their numbers.
        runs: Vec<RunNumber>,
    },
    /// It was refused.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// A finished run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentRun {
    /// Its number.
    pub run: RunNumber,
    /// How it ended, as [`crate::outcome::Outcome::label`] has it.
    pub outcome: String,
    pub finished_at: Timestamp,
}

impl Ledger {
    /// The ledger of an app that is applied for the first time: nothing before `applied_at` is decided, or ever will be.
    pub fn new(app_revision: u64, applied_at: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            write: WriteStamp::default(),
            app: None,
            app_revision,
            standing: Standing::Applied,
            tombstone_revision: 0,
            decided_through: applied_at,
            pause: None,
            pause_label: false,
            last_run: 0,
            active: Vec::new(),
            queue: VecDeque::new(),
            counters: Counters::default(),
            requests: VecDeque::new(),
            ticks: Outbox::default(),
            history: Outbox::default(),
            notices: Outbox::default(),
            told: Told::default(),
            recent: VecDeque::new(),
            retained: VecDeque::new(),
        }
    }

    /// Whether another request may be folded (protocol rule P13): unconfirmed ones must stay in the ring.
    pub fn has_room_for_request(&self) -> bool {
        self.requests.len() < REQUESTS_MAX || self.requests.iter().any(|handled| handled.confirmed)
    }

    /// State as people see it.
    pub fn state(&self) -> State {
        if self.active.iter().any(|run| *run.phase() == Phase::Running) {
            return State::Running;
        }
        if !self.active.is_empty() {
            return State::Stopping;
        }
        match self.standing {
            Standing::Applied if self.pause.is_some() => State::Paused,
            Standing::Applied => State::Waiting,
            Standing::Invalid { .. } => State::Invalid,
            Standing::Removed => State::Removed,
        }
    }
}

/// State of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing runs; the next instant will.
    Waiting,
    /// A run is active.
    Running,
    /// Runs are active, and wait for an agent: none that is there takes what is next. Only whoever knows the agents can tell.
    Pending,
    /// A run is being stopped.
    Stopping,
    /// Nothing runs, and nothing will before it is resumed.
    Paused,
    /// The stored file is not valid.
    Invalid,
    /// The stored ledger cannot be read: nothing is decided about the app until somebody has mended it.
    Unreadable,
    /// The app was removed.
    Removed,
}

impl State {
    /// One word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Pending => "pending",
            Self::Stopping => "stopping",
            Self::Paused => "paused",
            Self::Invalid => "invalid",
            Self::Unreadable => "unreadable",
            Self::Removed => "removed",
        }
    }
}
