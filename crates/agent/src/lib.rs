//! The agent: the process on a Docker host that runs attempts. [`run`] is the way in.
//!
//! ```text
//!   orders ----> roster (pure) ----> executor ----> results (claims, ends), engine (containers), logs
//!                  ^   |                |
//!                  |   |                +-- each effect is a task; its answer is an event on one channel --+
//!                  |   +-- held attempts --> heartbeat --> agents                                          |
//!                  +---------------------------------------------------------------------------------------+
//! ```
//!
//! Decisions are in pure modules ([`attempt`], [`roster`], [`clean`], [`policy`], and [`adopt::decide_adoption`]): a simulator can
//! drive them with the same events that Docker and NATS produce here. An attempt is claimed before a container exists and
//! its end is stored before it is forgotten, so whatever crashes, the next process and the leader can tell what happened.

pub mod adopt;
mod agent;
pub mod attempt;
mod backoff;
pub mod clean;
mod clock;
mod config;
pub mod container;
mod depose;
pub mod engine;
mod error;
mod executor;
mod heartbeat;
mod host;
pub mod labels;
pub mod output;
pub mod policy;
pub mod roster;

pub use self::{
    agent::run,
    config::Config,
    error::Error,
    host::{Error as HostError, Host},
};

#[cfg(test)]
mod fixture;
