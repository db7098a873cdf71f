//! The agent: the process on a Docker host that runs attempts. [`run`] is the way in.
//!
//! ```text
//!   orders -------> core (pure) ----> executor ----> results (claims, ends), agents (heartbeats), engine (containers), logs
//!                  ^  attempt table      |
//!                  |                     +-- each effect is a task; its answer is an event on one channel --+
//!                  +----------------------------------------------------------------------------------------+
//! ```
//!
//! Decisions are in pure modules ([`agent_core`] with [`attempt_table`], [`attempt`] and [`adopt`]; [`guard`], [`clean`], [`policy`]): a
//! simulator drives them with the same events that Docker and NATS produce here. An attempt is claimed before a container exists and its end is
//! stored before it is forgotten, so whatever crashes, the next process and the leader can tell what happened.

pub mod adopt;
mod agent;
pub mod agent_core;
pub mod attempt;
pub mod attempt_table;
mod backoff;
pub mod clean;
mod clock;
mod config;
pub mod container;
pub mod default_limits;
pub mod engine;
mod error;
mod executor;
pub mod figures;
pub mod guard;
pub mod guard_process;
mod host;
pub mod labels;
mod lock;
mod orders;
pub mod output;
pub mod ownership;
pub mod policy;
pub mod prune;
mod system;

pub use self::{
    agent::run,
    config::Config,
    error::Error,
    host::{Error as HostError, Host},
};

#[cfg(test)]
mod fixture;
