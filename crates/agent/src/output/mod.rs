//! The output of a container, on its way to the stream `logs`.
//!
//! [`Batcher`] is the pure part: it packs lines into batches, numbers them and holds the cap. [`Pump`] drives it. Trouble with
//! output never delays an attempt: the pump holds at most one batch, and reads no further from the engine while that batch
//! is not stored. It has a NATS connection of its own, so that a chatty container does not delay a heartbeat either.
//!
//! Batches are stored at least once, and a repeat has the same number. After a restart of the agent the numbers and the
//! output go on behind the last batch that is stored. Lines that the engine got out of order around that very moment, one on
//! each stream, may be missing then; nothing is repeated.

mod batcher;
mod pump;

pub use self::{
    batcher::{Batcher, Progress},
    pump::Pump,
};
