//! What many apps have in common is kept once: a mesh of 100,000 apps has few schedules, and often few runs.

use crate::{pool::Pool, schedule::Timetable};

/// What the apps of one mesh have in common, as one reader of them finds it.
#[derive(Debug, Default)]
pub struct Interned {
    pub(crate) schedules: Pool<Timetable>,
    /// Packed.
    pub(crate) runs: Pool<[u8]>,
}
