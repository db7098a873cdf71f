//! The scheduler.

pub mod dispatcher;
