//! The agents as this tenure has seen them: who is fresh, who is silent, and whose heartbeat says that something is gone.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tickmesh_core::{
    fleet::{AgentView, Readiness},
    message::AgentRecord,
    name::AgentName,
    timing::Timing,
};

use super::boundary::Moment;

/// One agent.
#[derive(Debug)]
pub(super) struct AgentState {
    pub(super) record: AgentRecord,
    pub(super) revision: u64,
    /// When the key was first seen with this revision, on this leader's clock: what silence is measured from.
    changed_at: Duration,
    /// How old that revision already was when it was read. For placement only: it compares two clocks.
    age_when_seen: Duration,
    /// The heartbeat waits until all results that it has seen are folded.
    pub(super) unjudged: bool,
    /// The checks before it is declared silent.
    pub(super) silence: SilenceCheck,
}

/// How far the checks of protocol rule P3 are. Each ends when the agent's key moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SilenceCheck {
    /// Not begun.
    None,
    /// The end of the results stream is being read.
    ReadingEnd,
    /// The results are being folded up to there.
    Folding { end: u64 },
    /// The agent's key is being read.
    ReadingKey,
    /// It was declared silent. If it was faster and still holds something, the checks begin again after a while.
    Declared { at: Duration },
}

/// All agents.
#[derive(Debug, Default)]
pub(super) struct Agents {
    states: BTreeMap<AgentName, AgentState>,
}

impl Agents {
    /// Takes a heartbeat in. Returned is whether the agent is new.
    pub(super) fn seen(&mut self, revision: u64, at: Timestamp, record: AgentRecord, moment: Moment) -> bool {
        let age = Duration::try_from(moment.wall.duration_since(at)).unwrap_or(Duration::ZERO);
        let known = self.states.get(&record.agent);
        if known.is_some_and(|known| known.revision >= revision) {
            return false;
        }
        let new = known.is_none();
        let state = AgentState {
            revision,
            changed_at: moment.uptime,
            age_when_seen: age,
            unjudged: true,
            silence: SilenceCheck::None,
            record,
        };
        self.states.insert(state.record.agent.clone(), state);
        new
    }

    pub(super) fn get_mut(&mut self, agent: &AgentName) -> Option<&mut AgentState> {
        self.states.get_mut(agent)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&AgentName, &mut AgentState)> {
        self.states.iter_mut()
    }

    /// The fleet as placement sees it.
    pub(super) fn views(&self, uptime: Duration, timing: &Timing) -> BTreeMap<AgentName, AgentView> {
        let view = |state: &AgentState| AgentView {
            readiness: state.readiness(uptime, timing),
            capacity: state.record.capacity,
        };
        self.states.iter().map(|(name, state)| (name.clone(), view(state))).collect()
    }
}

impl AgentState {
    /// Whether the checks of its silence may begin: they have not yet, or what they led to was refused.
    pub(super) fn may_be_checked(&self, uptime: Duration, timing: &Timing) -> bool {
        let pause_over = match self.silence {
            SilenceCheck::None => true,
            SilenceCheck::Declared { at } => uptime.saturating_sub(at) >= timing.resend,
            SilenceCheck::ReadingEnd | SilenceCheck::Folding { .. } | SilenceCheck::ReadingKey => false,
        };
        pause_over && self.silent_for(uptime) >= timing.lost
    }

    /// How long the key has not changed, on this leader's clock.
    fn silent_for(&self, uptime: Duration) -> Duration {
        uptime.saturating_sub(self.changed_at)
    }

    fn readiness(&self, uptime: Duration, timing: &Timing) -> Readiness {
        let deadline_ms = self.record.fence_ms.saturating_add(self.record.kill_margin_ms);
        if self.record.stopped || self.silent_for(uptime) + self.age_when_seen >= timing.stale {
            Readiness::Silent
        } else if Duration::from_millis(deadline_ms) >= timing.lost {
            Readiness::UnsafeTiming
        } else if self.record.draining {
            Readiness::Draining
        } else {
            Readiness::Ready
        }
    }
}
