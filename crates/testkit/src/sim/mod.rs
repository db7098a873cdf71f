//! A simulated mesh: several schedulers, agents and guards of production on a simulated network and simulated engines, and
//! checkers that believe none of them.
//!
//! ```text
//!   people --> net (streams, compare-and-set, losses, delays) <--> schedulers: Candidate, Hold, Leader, Publication
//!                |    ^                                            (tickmesh_messaging::lease, tickmesh_scheduler)
//!                |    `-----------------------------------------> agents: AgentCore, AttemptTable, State (tickmesh_agent)
//!                |                                                    |
//!                v                                                    v
//!             witness <---------------- engines (containers) <--------+
//! ```
//!
//! Time jumps to the next thing on the agenda; every process has clocks of its own. All chance comes from the seed, so a seed
//! is a history, and replays exactly. The checkers judge from what the engines did, from what people asked for and their own
//! arithmetic on instants. When the faults stop, everything must come to an end.

mod agenda;
mod checkers;
mod clock;
mod context;
mod damage;
mod event;
mod fault_injection;
mod fault_profile;
mod faults;
mod forgery;
mod generators;
mod host;
mod net;
mod operators;
mod process_table;
mod reference_schedules;
mod releases;
mod restoration;
mod scheduler;
mod settle;
mod sick_host;
mod wishes;
mod world;
mod wrong_clock;

use std::time::Duration;

use anyhow::Context as _;

pub use self::faults::{Fault, Summary};
use self::world::World;

/// Fewest inputs that leaders get before the faults stop.
pub const INPUTS_MIN: u64 = 200;
/// Fewest faults before they stop.
pub const FAULTS_MIN: u64 = 5;
/// Shortest history: long enough for an agent to be lost and to come back.
const LEAST: Duration = Duration::from_secs(90);

/// Plays the history of `seed`, and says what happened in it, or which guarantee was broken.
pub fn run(seed: u64) -> anyhow::Result<Summary> {
    let mut world = World::new(seed).context("failed to make a world")?;
    world.drive(INPUTS_MIN, FAULTS_MIN, LEAST).with_context(|| world.story())?;
    world.settle().with_context(|| world.story())?;
    Ok(world.summary())
}
