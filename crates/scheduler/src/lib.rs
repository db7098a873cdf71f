//! The scheduler: takes the lease, leads a tenure, and when that ends tries again.
//!
//! ```text
//!   follow (streams) --events--> process --effects--> executor (streams)
//!                                   ^                     |
//!                                   `------- answers -----'
//! ```
//!
//! All decisions are in [`process`] and, for a leader, in [`dispatcher`], which do no I/O: the simulator
//! drives the same code. Everything else here moves events and effects.

mod apps;
pub mod clock;
mod config;
mod deliveries;
pub mod dispatcher;
mod driver;
pub mod effect;
mod error;
mod executor;
pub mod figures;
mod follow;
mod patience;
mod presence;
pub mod process;
pub mod publication;

pub use self::{
    config::{Config, Recorder, See, Tap},
    driver::run,
    error::{Error, Failure},
};
