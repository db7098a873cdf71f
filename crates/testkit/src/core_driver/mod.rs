//! A seeded driver of the pure core: one app, one leader that crashes between any two steps, a few agents that lie, stall
//! and die, and checkers that believe none of them.
//!
//! ```text
//!   chance --> world --+--> leader: decide -> record -> act      (tickmesh_core::decide, the code under test)
//!                      +--> agents: claim -> container -> end    (a model of protocol "Life")
//!                      +--> bus:    results, ticks, history, commands, apps, ledger: compare-and-set, as NATS has it
//!                                     |
//!                                     v
//!                      checkers: G1 one run at a time   G2 every instant once   G3 the queue's bound   G4 replicas
//! ```
//!
//! The checkers judge from what the simulated engine and the streams saw, and from their own arithmetic on instants; they
//! never ask the core. When the faults stop, everything must come to an end (G6). One seed is one history: the same seed
//! replays it step by step.

mod agent;
mod almanac;
mod bus;
mod checkers;
mod climate;
mod faults;
mod leader;
mod makers;
mod mischief;
mod settle;
mod subject;
mod world;

use anyhow::Context as _;

pub use self::faults::{Fault, Summary};
use self::world::World;

/// Fewest inputs that the core gets before the faults stop.
pub const INPUTS_MIN: u64 = 200;

/// Drives the core through the history of `seed`, and says what happened in it, or which guarantee it broke.
pub fn run(seed: u64) -> anyhow::Result<Summary> {
    let mut world = World::new(seed).context("failed to apply the app for the first time")?;
    world.drive(INPUTS_MIN).with_context(|| world.story())?;
    world.settle().with_context(|| world.story())?;
    Ok(world.summary())
}
