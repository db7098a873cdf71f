//! The page, the HTTP API and the metrics of a mesh.
//!
//! ```text
//!   streams --follow (live)--> model (memory) --> pages (HTML), api (JSON), metrics
//!   forms, POST ----------------------------------> requests to the leader
//! ```
//!
//! It reads what is stored, and asks the leader for what somebody wants; it decides nothing, and no part of the mesh needs it. Everything
//! that lists many apps comes from memory; what is about one app or run is read when somebody looks.

mod actions;
mod api;
mod app;
mod assets;
mod config;
mod connections;
mod deadline;
mod edits;
mod error;
mod exposition;
mod guard;
mod live;
mod metrics;
mod model;
mod output;
mod pages;
mod problem;
mod router;
mod server;
mod stacks;
mod stream;

pub use self::{
    config::{BIND_DEFAULT, Config},
    error::Error,
    exposition::{Exposition, MetricsServer},
    server::Server,
};
