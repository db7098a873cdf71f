//! Looks at where the durable streams stand, until a loss is believed.

use std::time::Duration;

use tickmesh_messaging::lease::{HighWaterMarks, Loss, StreamMarks, first_loss, without_lease};

use crate::effect::Effect;

/// Looks that must find a loss, one after the other, before it is believed: a cluster that elects a
/// leader can say such things for a moment.
pub(super) const LOOKS: u32 = 4;
/// Time between two of these looks.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// A series of looks.
#[derive(Debug)]
pub(super) struct LossLooks {
    /// What this process had seen of the streams before the look under way: what is written while
    /// somebody looks is no loss.
    seen: HighWaterMarks,
    found: u32,
    /// When the next look is due; `None`: one is under way.
    look_at: Option<Duration>,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The streams have everything that was seen of them.
    Whole,
    /// Something is missing, if the next looks find the same.
    Again,
    /// Something is missing.
    Lost(Loss),
}

impl LossLooks {
    /// A series whose first look is due at that uptime.
    pub(super) fn from(at: Duration) -> Self {
        Self { seen: HighWaterMarks::default(), found: 0, look_at: Some(at) }
    }

    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.look_at
    }

    /// Begins the next look if it is due.
    pub(super) fn woken(&mut self, marks: &HighWaterMarks, now: Duration) -> Option<Effect> {
        self.look_at.take_if(|at| *at <= now)?;
        self.seen = marks.clone();
        Some(Effect::ReadMarks)
    }

    /// Takes what a look found. `marks` learns of it, unless something is missing: that would hide the loss.
    pub(super) fn answered(
        &mut self,
        standing: &StreamMarks,
        marks: &mut HighWaterMarks,
        has_lease: bool,
        now: Duration,
    ) -> Look {
        let is_lease_gone = !has_lease && self.seen.marks().is_empty();
        let loss = if is_lease_gone { without_lease(standing) } else { first_loss(self.seen.marks(), standing) };
        let Some(loss) = loss else {
            self.found = 0;
            marks.see(self.seen.acceptance(), standing);
            return Look::Whole;
        };
        self.found += 1;
        if self.found >= LOOKS {
            return Look::Lost(loss);
        }
        self.look_at = Some(now + LOOK_PAUSE);
        Look::Again
    }

    /// Has the next look at that uptime.
    pub(super) fn look_again_at(&mut self, at: Duration) {
        self.look_at = Some(at);
    }
}
