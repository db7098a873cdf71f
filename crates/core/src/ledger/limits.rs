//! Why a ledger always fits into one message.
//!
//! A ledger that has grown too large can never be written again: its app would stand still for ever. So each part has a
//! limit, kept where the part grows, and the limits add up to [`LEDGER_BYTES_MAX`] (checked by the compiler, below).
//!
//! | part | limit | kept by |
//! |---|---|---|
//! | the spec and the replicas of the active run, and the replicas of finished runs whose summaries wait to be published | [`RUN_BYTES_MAX`] | [`Ledger::has_room_for_run`] before a run starts; a file whose run alone exceeds it is not valid |
//! | reasons in them | 32 of a run long, the others short | [`ActiveRun::reason_bytes_max`] |
//! | what else a summary has | [`HISTORY_PENDING_MAX`] summaries | [`Ledger::has_room_for_run`] |
//! | what else the active run has | one is active; one request; those of further runs (`overlap: allow`) count as the first part | [`crate::message::Command::check`] |
//! | the queue | `queue_limit` at most 100; runs by hand 24 KiB together | admission, [`Ledger::has_room_in_queue`] |
//! | tick messages, notices | [`TICKS_PENDING_MAX`], [`NOTICES_PENDING_MAX`] | [`super::Outbox::keep_newest`] |
//! | requests | [`REQUESTS_MAX`], with a reason that is shortened | the ring |
//! | values that finished runs were started with | what the first row leaves, and [`super::RETAINED_BYTES_MAX`] | [`Ledger::trim_retained`], after every decision |
//!
//! A run that does not fit yet waits in the queue until summaries are published, a matter of milliseconds unless NATS
//! takes writes of ledgers and none of summaries; where the queue is full, or may have nothing in it, its tick is dropped and
//! counted as such. No result is ever given up to make room.

use super::{
    ActiveRun, Ledger, REQUESTS_MAX, Waiting,
    reasons::{REASON_BYTES_MAX, REASON_SHORT_BYTES_MAX, REASONS_LONG_MAX},
    refusal::REFUSALS_MAX,
    stored::REPLICA_BYTES_MAX,
};
use crate::{
    cause::Origin,
    history::{RequestSummary, RunSummary},
    json_size::encoded_bytes,
    message::{ARGUMENTS_BYTES_MAX, ENVIRONMENT_BYTES_MAX, RunRequest},
    name::AgentName,
    spec::{QUEUE_LIMIT_MAX, REPLICAS_MAX, RunSpec, StoredRun},
};

/// Largest encoded ledger, in bytes: half of what a NATS server takes in one message by default.
pub const LEDGER_BYTES_MAX: usize = 512 * 1024;

/// Summaries that may wait to be published before the next run starts: half a minute of runs at a period of one second.
pub const HISTORY_PENDING_MAX: usize = 24;
/// Tick messages that may wait to be published, above half a minute of them at a period of one second. Their stream keeps the
/// last 10 of an app, so those before are of interest only to who watches at that moment.
pub const TICKS_PENDING_MAX: usize = 40;
/// Notices that may wait to be published. NATS takes the ledger that has them, so that they wait for milliseconds.
pub const NOTICES_PENDING_MAX: usize = 10;
/// Most that the runs by hand in the queue may take together.
pub const QUEUE_BY_HAND_BYTES_MAX: usize = 24 * 1024;

/// Names, numbers, counters, standing and the list of recent outcomes.
const HEAD_BYTES_MAX: usize = 3_980;
/// An active run without its spec, its replicas and what a person asked to be different.
const ACTIVE_HEAD_BYTES_MAX: usize = 800 + REFUSALS_MAX * REFUSAL_BYTES_MAX;
/// The refusal of a service by one agent.
const REFUSAL_BYTES_MAX: usize = 100;
/// What a person asked to be different in one run.
const RUN_REQUEST_BYTES_MAX: usize = 64 + ENVIRONMENT_BYTES_MAX + ARGUMENTS_BYTES_MAX;
/// A summary without its replicas.
const SUMMARY_HEAD_BYTES_MAX: usize = 800;
/// A service of a run without its replicas.
const SERVICE_BYTES_MAX: usize = 96;
/// A tick message.
const TICK_BYTES_MAX: usize = 304;
/// A notice.
const NOTICE_BYTES_MAX: usize = 560;
/// A tick in the queue.
const WAITING_TICK_BYTES_MAX: usize = 160;
/// A request in the ring.
const REQUEST_BYTES_MAX: usize = 348;

/// Everything but specs and replicas.
const FRAME_BYTES_MAX: usize = HEAD_BYTES_MAX
    + ACTIVE_HEAD_BYTES_MAX
    + RUN_REQUEST_BYTES_MAX
    + HISTORY_PENDING_MAX * SUMMARY_HEAD_BYTES_MAX
    + TICKS_PENDING_MAX * TICK_BYTES_MAX
    + NOTICES_PENDING_MAX * NOTICE_BYTES_MAX
    + QUEUE_LIMIT_MAX as usize * WAITING_TICK_BYTES_MAX
    + QUEUE_BY_HAND_BYTES_MAX
    + REQUESTS_MAX * REQUEST_BYTES_MAX;

/// Most that the spec and the replicas of one run may take, from its start to the moment at which its summary is known to
/// be published.
pub const RUN_BYTES_MAX: usize = LEDGER_BYTES_MAX - FRAME_BYTES_MAX;

// The largest run that is allowed leaves room for a spec that is worth its name.
const _: () = assert!(replicas_bytes(1, REPLICAS_MAX as usize) + 40 * 1024 <= RUN_BYTES_MAX);

/// Most that a run of this spec ever takes in a ledger.
pub fn run_bytes(spec: &RunSpec) -> usize {
    encoded_bytes(spec).saturating_add(replicas_bytes(spec.services.len(), spec.replica_count() as usize))
}

/// Most that so many replicas take, of an active run or in a summary.
const fn replicas_bytes(services: usize, replicas: usize) -> usize {
    let reasons_long = if replicas < REASONS_LONG_MAX { replicas } else { REASONS_LONG_MAX };
    services * SERVICE_BYTES_MAX
        + replicas * REPLICA_BYTES_MAX
        + reasons_long * (REASON_BYTES_MAX - REASON_SHORT_BYTES_MAX)
}

fn summary_bytes(summary: &RunSummary) -> usize {
    let services = summary.replicas.chunk_by(|one, next| one.service == next.service).count();
    let request: &RequestSummary = &summary.request;
    let request_bytes = if request.is_empty() { 0 } else { encoded_bytes(request) };
    replicas_bytes(services, summary.replicas.len()) + request_bytes
}

fn request_bytes(request: &RunRequest) -> usize {
    if request.is_empty() { 0 } else { encoded_bytes(request) }
}

/// What an agent of a global service takes in the list of them.
fn pinned_bytes(agent: &AgentName) -> usize {
    agent.as_str().len() + r#""",""#.len()
}

/// Most that an active run, and later its summary, ever takes.
fn active_bytes(run: &ActiveRun) -> usize {
    let replicas: usize = run.services().iter().map(|service| service.replicas.len()).sum();
    let pinned: usize = run.services().iter().flat_map(|service| &service.agents).flatten().map(pinned_bytes).sum();
    ACTIVE_HEAD_BYTES_MAX
        + encoded_bytes(&*run.spec)
        + replicas_bytes(run.services().len(), replicas)
        + pinned
        + request_bytes(&run.request)
}

impl Ledger {
    /// Whether a run of this spec may start: it fits beside the active runs and the summaries that wait, whatever becomes of
    /// it, and so does its own summary. Where there are none there is room for every valid app.
    pub fn has_room_for_run(&self, run: &StoredRun) -> bool {
        if self.active.is_empty() && self.history.pending.is_empty() {
            return true;
        }
        // Each active run becomes a summary.
        self.history.pending.len() + self.active.len() < HISTORY_PENDING_MAX
            && self.taken_bytes().saturating_add(run_bytes(&run.get())) <= RUN_BYTES_MAX
    }

    /// Whether a global service of an active run may have a replica on each of these agents, beside everything that there is.
    pub fn has_room_for_agents(&self, agents: &[AgentName]) -> bool {
        let replicas: usize = self.active.iter().map(|run| run.replicas().count()).sum();
        let names: usize = agents.iter().map(pinned_bytes).sum();
        replicas + agents.len() <= REPLICAS_MAX as usize
            && self.taken_bytes() + names + replicas_bytes(0, agents.len()) <= RUN_BYTES_MAX
    }

    /// What active runs and unpublished summaries take at most, beyond what there is always room for.
    pub(super) fn taken_bytes(&self) -> usize {
        let summaries: usize = self.history.pending.iter().map(summary_bytes).sum();
        let active: usize = self.active.iter().map(active_bytes).sum();
        summaries + active
    }

    /// Whether the queue may take this besides what it has. A tick always fits.
    pub fn has_room_in_queue(&self, waiting: &Waiting) -> bool {
        let by_hand = self.queue.iter().filter(|waiting| is_by_hand(waiting));
        let taken: usize = by_hand.map(waiting_bytes).sum();
        !is_by_hand(waiting) || taken + waiting_bytes(waiting) <= QUEUE_BY_HAND_BYTES_MAX
    }
}

fn is_by_hand(waiting: &Waiting) -> bool {
    match waiting.cause.origin() {
        Origin::Manual | Origin::Retry => true,
        Origin::Tick => false,
    }
}

fn waiting_bytes(waiting: &Waiting) -> usize {
    encoded_bytes(waiting) + ",".len()
}

impl ActiveRun {
    /// Longest reason that the next replica of this run may end with.
    pub fn reason_bytes_max(&self) -> usize {
        if self.long_reasons() < REASONS_LONG_MAX { REASON_BYTES_MAX } else { REASON_SHORT_BYTES_MAX }
    }
}

#[cfg(test)]
mod tests;
