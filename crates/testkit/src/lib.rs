//! What the tests of tickmesh share. A dev-dependency only: nothing here is in the program.

pub mod core_driver;
pub mod nats;
pub mod wait;
