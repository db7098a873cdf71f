//! The crate against a real `nats-server`, one for each test.

mod commands;
mod compare_and_set;
mod connect;
mod follow;
mod lease;
mod streams;
mod support;
