//! The output of a container, on its way to the stream `logs`: its head as it comes, its tail when it has ended.
//!
//! Trouble with output never delays an attempt, and a container that writes without end disturbs nobody else. So the pump holds
//! at most one batch, and reads no further from the engine while that batch is not stored; it has a NATS connection of its own;
//! and of an attempt it stores no more than an [`Allowance`]:
//!
//! - **The head** (3 of 4 MiB) is stored as it comes. When it is full, a batch says that what follows is **held back**, and the
//!   agent stops reading: following a fast writer would keep agent and engine busy for minutes after its end (a line costs about 20
//!   microseconds; 1 GiB of 80 bytes each has 13 million), and nothing of it would be kept.
//! - **The tail** (1 MiB) is read from the engine when the container has ended, and stored behind a statement of the
//!   gap. The agent counts a gap of up to 16 MiB or 100,000 lines, and then knows it exactly. Of a larger one it says how much it has
//!   counted, and "at least", and reads the tail backwards. So the cost of any output is bounded: some five seconds, once.
//!
//! Nothing is in memory between the two, so it makes no difference which agent process reads the tail: that the output is held back
//! is in the stored batches. A tail in the making takes some 2 MiB (of lines of one byte, 50), and
//! [`TAILS_AT_ONCE`] of them are made at a time.
//!
//! Batches are stored at least once, and a repeat has the same number. Each says how far the output of each stream is stored
//! ([`LogMarks`](tickmesh_core::message::LogMarks)); `reread` goes on exactly there. If the engine does not have that place any more, output
//! was lost meanwhile, and a gap of unknown size says so.

mod batcher;
mod newest;
mod pump;
mod reread;
mod tail;

pub use self::{
    batcher::{Batcher, Phase, Progress},
    pump::Pump,
};

/// Tails that an agent may have in memory at once, however many attempts end in the same second: some 8 MiB.
pub const TAILS_AT_ONCE: usize = 4;
/// The tail gets this part of what is kept: most of what went wrong is said at the end, most of what explains it at the beginning,
/// and only the beginning can be watched while it is written.
const TAIL_SHARE: usize = 4;

/// How much is kept of the output of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes that are stored as they come.
    pub head_bytes: usize,
    /// Bytes that are stored at the end, of those which follow.
    pub tail_bytes: usize,
}

impl Allowance {
    /// Keeps `bytes` in all.
    pub fn of(bytes: usize) -> Self {
        let tail_bytes = bytes / TAIL_SHARE;
        Self { head_bytes: bytes - tail_bytes, tail_bytes }
    }
}
