//! What tests of several crates share: real servers.

pub mod nats;
