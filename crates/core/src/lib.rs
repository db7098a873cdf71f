//! The rules of tickmesh as pure code.
//!
//! Nothing here reads a clock, a file, the environment or the network: time and randomness come in as arguments, and what
//! should happen goes out as data. So every rule can be tested by a table, and every history replayed.

pub mod agent_wish;
pub mod build;
pub mod cause;
pub mod compose;
pub mod decide;
pub mod end_notes;
pub mod fleet;
pub mod histogram;
pub mod history;
pub mod id;
pub mod interning;
pub mod json_size;
pub mod ledger;
pub mod message;
pub mod name;
pub mod outcome;
pub mod placement;
pub mod policy;
mod pool;
pub mod quantity;
pub mod retry;
pub mod schedule;
pub mod spec;
pub mod time;
pub mod timing;
