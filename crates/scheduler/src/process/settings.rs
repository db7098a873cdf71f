//! What a scheduler process is told once.

use tickmesh_core::{fleet::Reservations, timing::Timing};

use super::queue::QueueLimits;
use crate::dispatcher::Batches;

/// What a scheduler process begins with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Identity of the process: unique for every start.
    pub id: String,
    /// Name of the host, for people.
    pub host: String,
    /// Periods and deadlines.
    pub timing: Timing,
    /// What containers reserve on their hosts.
    pub reservations: Reservations,
    /// How many apps are decided about at a time.
    pub batches: Batches,
    /// How many background effects go on.
    pub queue: QueueLimits,
}
