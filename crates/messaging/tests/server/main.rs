//! The crate against a real `nats-server`, one for each test.

// The lint's exception for tests covers test functions, not their helpers.
#![allow(clippy::unwrap_used)]

mod commands;
mod compare_and_set;
mod connect;
mod damage;
mod edits;
mod follow;
mod isolation;
mod login;
mod room;
mod streams;
mod support;
