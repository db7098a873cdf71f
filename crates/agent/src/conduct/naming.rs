//! Whether an agent's name is free (protocol rule P10). The lock on the host is held already: whoever had the name on this
//! machine is gone.

use std::time::Duration;

use tickmesh_core::{
    id::Nonce,
    message::{AgentRecord, HeartbeatNumber},
    timing::Timing,
};

use super::boundary::{Effect, KeyState};
use crate::{error::Error, roster::Intake};

/// Looks at the key of a name until it is known whether the name is free.
#[derive(Debug)]
pub(super) struct Naming {
    /// The revision that was seen first, and when.
    first_seen: Option<(u64, Duration)>,
    /// When the key is looked at again; `None` while a look is under way.
    look_at: Option<Duration>,
}

/// What an earlier process of the name left on its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Predecessor {
    /// Revision of its last heartbeat; 0: there was none.
    pub(super) revision: u64,
    /// Which heartbeat that was.
    pub(super) last: Option<(Nonce, HeartbeatNumber)>,
    /// Whether it was draining: the wish outlives the process.
    pub(super) intake: Intake,
}

/// What a look at the key has shown.
#[derive(Debug)]
pub(super) enum Finding {
    /// The name is ours to take.
    Free(Predecessor),
    /// Nobody knows yet.
    Open,
    /// It lives elsewhere.
    InUse(Error),
}

impl Naming {
    /// The first look is under way.
    pub(super) fn begin() -> Self {
        Self { first_seen: None, look_at: None }
    }

    /// The key was read. The name is free if nobody has it, if it was left in order, if it belongs to this machine, or if
    /// its key did not change for as long as it takes to be lost.
    pub(super) fn read(
        &mut self,
        current: Option<KeyState>,
        us: &AgentRecord,
        timing: &Timing,
        now: Duration,
    ) -> Finding {
        let Some(KeyState { revision, record }) = current else {
            return Finding::Free(Predecessor { revision: 0, last: None, intake: Intake::Open });
        };
        let (first, since) = *self.first_seen.get_or_insert((revision, now));
        let is_lost = first == revision && now.saturating_sub(since) >= timing.lost;
        if record.machine == us.machine || record.stopped || is_lost {
            let last = Some((record.process, record.number));
            return Finding::Free(Predecessor { revision, last, intake: intake_of(&record) });
        }
        if first != revision {
            let AgentRecord { agent, machine, host, .. } = *record;
            return Finding::InUse(Error::NameInUse { agent, machine, host });
        }
        self.unread(timing, now);
        Finding::Open
    }

    /// The key is to be looked at again after a while.
    pub(super) fn unread(&mut self, timing: &Timing, now: Duration) {
        self.look_at = Some(now + timing.heartbeat);
    }

    /// Begins the next look, if it is due.
    pub(super) fn woken(&mut self, now: Duration) -> Option<Effect> {
        self.look_at.take_if(|at| *at <= now).map(|_| Effect::ReadKey)
    }

    /// When the next look is due.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.look_at
    }
}

/// What people wish of the agent, as its key has it.
pub(super) fn intake_of(record: &AgentRecord) -> Intake {
    if record.draining { Intake::Draining { by: record.drain_by } } else { Intake::Open }
}
