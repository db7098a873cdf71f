//! Looks at which streams are there, until it is believed that the store is lost.

use std::time::Duration;

use super::loss_looks::{LOOK_PAUSE, LOOKS};
use crate::effect::Effect;

/// A series of looks.
#[derive(Debug)]
pub(super) struct StoreLooks {
    missed: u32,
    /// When the next look is due; `None`: one is under way.
    look_at: Option<Duration>,
    /// All streams were there, and the identity of the mesh was asked for.
    is_opening: bool,
}

/// What a series of looks has come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StoreLook {
    /// The store is lost, if the next looks find the same.
    Again,
    /// The store is lost.
    Lost,
}

impl StoreLooks {
    /// A series whose first look is under way. Of a store that was lost before, one look is enough.
    pub(super) fn new(was_lost: bool) -> Self {
        Self { missed: if was_lost { LOOKS - 1 } else { 0 }, look_at: None, is_opening: false }
    }

    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.look_at
    }

    /// Begins the next look if it is due.
    pub(super) fn woken(&mut self, knows_mesh: bool, now: Duration) -> Option<Effect> {
        self.look_at.take_if(|at| *at <= now)?;
        Some(if knows_mesh { Effect::FindStreams } else { Effect::OpenMesh })
    }

    /// Notes that the identity of the mesh is asked for; `false`: it was before, and was not there.
    pub(super) fn begin_opening(&mut self) -> bool {
        !std::mem::replace(&mut self.is_opening, true)
    }

    /// Notes that a look has found the store lost.
    pub(super) fn missed(&mut self, now: Duration) -> StoreLook {
        self.missed += 1;
        if self.missed >= LOOKS {
            return StoreLook::Lost;
        }
        self.look_at = Some(now + LOOK_PAUSE);
        StoreLook::Again
    }
}
