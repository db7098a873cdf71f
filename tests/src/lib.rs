//! What the integration tests share: a mesh on a real nats-server, schedulers and agents in this process or as processes of
//! their own, real containers, and a journal that the jobs themselves write. The journal and the engine's own list are the
//! judges, not what tickmesh says of itself.

pub mod capacity;
pub mod chaos;
pub mod children;
pub mod containers;
pub mod engine_faults;
pub mod fake_engine;
pub mod journal;
pub mod matrix;
pub mod rival;
pub mod schedulers;
pub mod stored;
pub mod usage;
pub mod wait;
pub mod world;

pub use self::{children::Child, fake_engine::FakeEngine, journal::Journal, stored::Stored, wait::until, world::World};
