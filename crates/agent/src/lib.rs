//! The agent: the process on a Docker host that runs attempts.
//!
//! ```text
//!   orders ----> roster (pure) ----> executor ----> results (claims, ends), engine (containers), logs
//!                  ^   |                |
//!                  |   |                +-- each effect is a task; its answer is an event on one channel --+
//!                  |   +-- held attempts --> heartbeat --> agents                                          |
//!                  +---------------------------------------------------------------------------------------+
//! ```
//!
//! Decisions are in pure modules ([`attempt`], [`roster`], [`adopt`], [`policy`]): a simulator can drive them with the same
//! events that Docker and NATS produce here. An attempt is claimed before a container exists and its end is stored before it
//! is forgotten, so whatever crashes, the next process and the leader can tell what happened.

pub mod adopt;
pub mod attempt;
pub mod container;
pub mod engine;
pub mod labels;
pub mod policy;
pub mod roster;

#[cfg(test)]
mod fixture;
