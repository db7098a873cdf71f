//! The agents as this tenure has seen them: who is fresh, who is silent, and what a heartbeat holds that nobody knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tickmesh_core::{
    fleet::{AgentView, Readiness, Traits},
    id::AttemptId,
    message::{AgentRecord, EngineStock},
    name::AgentName,
    timing::Timing,
};

use crate::clock::Moment;

/// What this tenure knows about one agent.
#[derive(Debug)]
pub(super) struct AgentState {
    /// Its last heartbeat; `None`: attempts are bound to it, and it has no key that could be read.
    pub(super) record: Option<AgentRecord>,
    pub(super) revision: u64,
    /// What placement looks at besides room: of the last heartbeat.
    traits: Arc<Traits>,
    /// When the key was first seen with this revision, on this leader's clock: what silence is measured from.
    changed_at: Duration,
    /// When the name was first seen on this machine.
    machine_since: Duration,
    /// How old that revision already was when it was loaded. For placement only: it compares two clocks.
    age_when_loaded: Duration,
    /// Held attempts that no ledger had open at the last heartbeat.
    pub(super) orphans: BTreeSet<AttemptId>,
    /// The checks before it is declared silent.
    pub(super) silence: SilenceCheck,
    /// The world was told that it is silent. Once: the checks go on for as long as attempts are bound to it.
    pub(super) announced: bool,
}

/// How far the checks of protocol rule P3 are. A heartbeat ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SilenceCheck {
    /// Not begun.
    None,
    /// The end of the results stream is being read.
    ReadingEnd,
    /// The results are being folded up to there.
    Folding { end: u64 },
    /// The agent's key is being read.
    ReadingKey {
        /// What was folded when that began.
        results_through: u64,
    },
    /// It was declared silent. If it was faster and still holds something, the checks begin again after a while.
    Declared { at: Duration },
}

/// How a heartbeat came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was stored before the tenure began, nobody knows how long.
    Loaded,
    /// It came just now.
    Live,
}

/// Agents that wait for results to be folded, by the sequence that each waits for: while the leader lags that is all of them, and
/// a result must not cost a look at each.
type Waiting = BTreeSet<(u64, AgentName)>;

/// Every agent that this tenure has heard of, or has bound an attempt to.
#[derive(Debug, Default)]
pub(super) struct Agents {
    states: BTreeMap<AgentName, AgentState>,
    /// Those whose heartbeat waits until all results that it has seen are folded.
    unjudged: Waiting,
    /// Those whose silence is being checked: [`SilenceCheck::Folding`].
    folding: Waiting,
    /// When all were looked at for what only the time brings about.
    looked_at: Option<Duration>,
}

impl Agents {
    /// Takes a heartbeat in.
    pub(super) fn heartbeat(&mut self, revision: u64, at: Timestamp, record: AgentRecord, seen: Seen, moment: Moment) {
        let known = self.states.remove(&record.agent);
        if let Some(known) = known {
            if known.revision >= revision {
                self.states.insert(record.agent.clone(), known);
                return;
            }
            self.wait_no_more(&record.agent, &known);
            let same_machine = known.record.as_ref().is_some_and(|before| before.machine == record.machine);
            let machine_since = if same_machine { known.machine_since } else { moment.uptime };
            // Heartbeats mostly say the same of what placement looks at: one copy is enough, for the fleet has it, too.
            let traits = if known.traits.are_of(&record) { known.traits } else { Traits::of(&record).into() };
            let state = AgentState::new(revision, Some(record), traits, moment.uptime);
            self.insert(AgentState { machine_since, orphans: known.orphans, ..state });
            return;
        }
        let age_when_loaded = match seen {
            Seen::Loaded => Duration::try_from(moment.wall.duration_since(at)).unwrap_or(Duration::ZERO),
            Seen::Live => Duration::ZERO,
        };
        let traits = Traits::of(&record).into();
        self.insert(AgentState { age_when_loaded, ..AgentState::new(revision, Some(record), traits, moment.uptime) });
    }

    /// Whether a heartbeat ends a silence of which people were told, by this leader or by one before it.
    pub(super) fn is_back(&self, record: &AgentRecord, revision: u64, moment: Moment, timing: &Timing) -> bool {
        let Some(known) = self.states.get(&record.agent).filter(|known| known.revision < revision) else {
            return false;
        };
        let was_watched = known.record.as_ref().is_some_and(|known| !known.stopped && !known.forgotten);
        let was_silent = known.silent_for(moment.uptime) + known.age_when_loaded >= timing.lost;
        !record.stopped && !record.forgotten && (known.announced || was_watched && was_silent)
    }

    /// Notes that an agent's key says nothing that can be read: what it replaced may have been a heartbeat that nobody has
    /// seen, so the agent's silence counts from now.
    pub(super) fn unreadable(&mut self, agent: &AgentName, revision: u64, moment: Moment) {
        self.expect(agent, moment);
        let Some(state) = self.states.get_mut(agent).filter(|state| state.revision < revision) else { return };
        let known = std::mem::replace(&mut state.silence, SilenceCheck::None);
        (state.revision, state.changed_at) = (revision, moment.uptime);
        if let SilenceCheck::Folding { end } = known {
            self.folding.remove(&(end, agent.clone()));
        }
    }

    fn insert(&mut self, state: AgentState) {
        if let Some(record) = &state.record {
            self.unjudged.insert((record.results_seen, record.agent.clone()));
            self.states.insert(record.agent.clone(), state);
        }
    }

    /// What a new heartbeat replaces waits no more: it would be taken for the new one.
    fn wait_no_more(&mut self, agent: &AgentName, known: &AgentState) {
        if let Some(record) = &known.record {
            self.unjudged.remove(&(record.results_seen, agent.clone()));
        }
        if let SilenceCheck::Folding { end } = known.silence {
            self.folding.remove(&(end, agent.clone()));
        }
    }

    /// The results up to `end` will be folded, and then the check of its silence goes on.
    pub(super) fn fold_before_reading(&mut self, agent: &AgentName, end: u64) {
        if let Some(state) = self.states.get_mut(agent).filter(|state| state.silence == SilenceCheck::ReadingEnd) {
            state.silence = SilenceCheck::Folding { end };
            self.folding.insert((end, agent.clone()));
        }
    }

    /// Agents whose heartbeat can be judged now that these results are folded, as judged.
    pub(super) fn begin_judging(&mut self, results_through: u64) -> Vec<AgentName> {
        take_due(&mut self.unjudged, results_through)
    }

    /// Silent agents whose key is to be read now that these results are folded, as being read.
    pub(super) fn begin_reading(&mut self, results_through: u64) -> Vec<AgentName> {
        let mut due = take_due(&mut self.folding, results_through);
        due.retain(|agent| {
            let folding = |state: &&mut AgentState| matches!(state.silence, SilenceCheck::Folding { .. });
            let Some(state) = self.states.get_mut(agent).filter(folding) else { return false };
            state.silence = SilenceCheck::ReadingKey { results_through };
            true
        });
        due
    }

    /// Whether it is time to look at all of them again: often enough for deadlines of many heartbeats.
    pub(super) fn is_time_to_look(&mut self, uptime: Duration, timing: &Timing) -> bool {
        let is_time = self.looked_at.is_none_or(|at| uptime >= at + timing.heartbeat / 2);
        if is_time {
            self.looked_at = Some(uptime);
        }
        is_time
    }

    /// Makes sure that an agent is watched that attempts are bound to: one without a key falls silent like any other.
    pub(super) fn expect(&mut self, agent: &AgentName, moment: Moment) {
        self.states.entry(agent.clone()).or_insert_with(|| AgentState::new(0, None, Arc::default(), moment.uptime));
    }

    pub(super) fn get_mut(&mut self, agent: &AgentName) -> Option<&mut AgentState> {
        self.states.get_mut(agent)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&AgentName, &mut AgentState)> {
        self.states.iter_mut()
    }

    /// The fleet as placement sees it.
    pub(super) fn views(&self, uptime: Duration, timing: &Timing) -> BTreeMap<AgentName, AgentView> {
        let view = |(name, state): (&AgentName, &AgentState)| Some((name.clone(), state.view(uptime, timing)?));
        self.states.iter().filter_map(view).collect()
    }

    /// One agent of it; `None`: it is not part of the fleet.
    pub(super) fn view(&self, agent: &AgentName, uptime: Duration, timing: &Timing) -> Option<AgentView> {
        self.states.get(agent)?.view(uptime, timing)
    }
}

impl AgentState {
    fn new(revision: u64, record: Option<AgentRecord>, traits: Arc<Traits>, uptime: Duration) -> Self {
        // What the traits have need not be kept twice.
        let record = record.map(|record| AgentRecord { policy: None, stock: EngineStock::default(), ..record });
        Self {
            traits,
            record,
            revision,
            changed_at: uptime,
            machine_since: uptime,
            age_when_loaded: Duration::ZERO,
            orphans: BTreeSet::new(),
            silence: SilenceCheck::None,
            announced: false,
        }
    }

    fn view(&self, uptime: Duration, timing: &Timing) -> Option<AgentView> {
        let record = self.record.as_ref().filter(|record| !record.forgotten)?;
        let (readiness, traits) = (self.readiness(record, uptime, timing), self.traits.clone());
        Some(AgentView { readiness, capacity: record.capacity, traits })
    }

    /// How long the name has been seen on this machine.
    pub(super) fn machine_for(&self, uptime: Duration) -> Duration {
        uptime.saturating_sub(self.machine_since)
    }

    /// Whether the checks of its silence may begin: they have not yet, or what they led to was refused.
    pub(super) fn may_be_checked(&self, uptime: Duration, timing: &Timing) -> bool {
        let pause_over = match self.silence {
            SilenceCheck::None => true,
            SilenceCheck::Declared { at } => uptime.saturating_sub(at) >= timing.resend,
            SilenceCheck::ReadingEnd | SilenceCheck::Folding { .. } | SilenceCheck::ReadingKey { .. } => false,
        };
        pause_over && self.silent_for(uptime) >= timing.lost
    }

    /// How long the key has not changed, on this leader's clock.
    fn silent_for(&self, uptime: Duration) -> Duration {
        uptime.saturating_sub(self.changed_at)
    }

    fn readiness(&self, record: &AgentRecord, uptime: Duration, timing: &Timing) -> Readiness {
        let deadline_ms = record.fence_ms.saturating_add(record.kill_margin_ms);
        if record.stopped || self.silent_for(uptime) + self.age_when_loaded >= timing.stale {
            Readiness::Silent
        } else if Duration::from_millis(deadline_ms) >= timing.lost {
            Readiness::UnsafeTiming
        } else if record.lasting_trouble().is_some() {
            Readiness::NoEngine
        } else if record.draining {
            Readiness::Draining
        } else {
            Readiness::Ready
        }
    }
}

/// Those that wait for nothing beyond these results, as not waiting any more.
fn take_due(waiting: &mut Waiting, results_through: u64) -> Vec<AgentName> {
    let mut due = Vec::new();
    while waiting.first().is_some_and(|(needed, _)| *needed <= results_through) {
        due.extend(waiting.pop_first().map(|(_, agent)| agent));
    }
    due
}
