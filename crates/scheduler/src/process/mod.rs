//! What a scheduler process decides, without any I/O.

mod fairness;
mod queue;

pub use self::{
    fairness::{Budget, Fairness, Turn},
    queue::EffectQueue,
};
