//! What the tests of tickmesh share. A dev-dependency only: nothing here is in the program.

pub mod browser;
pub mod dockerd;
pub mod leader;
pub mod nats;
pub mod proxy;
pub mod records;
pub mod registry;
pub mod sim;
pub mod wait;
