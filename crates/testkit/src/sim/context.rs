//! What all parts of a simulated mesh share: time, chance, the agenda, the server, and the witness who sees it all.

use std::time::Duration;

use jiff::Timestamp;
use rand::{Rng as _, RngExt as _, rngs::StdRng};
use tickmesh_core::{time, timing::Timing};
use tickmesh_messaging::Names;

use super::{
    agenda::Agenda,
    checkers::{Rule, Witness},
    event::SimEvent,
    fault_profile::FaultProfile,
    faults::{Fault, Summary},
    net::Net,
    process_table::{Place, ProcessTable},
};

/// Everything that parts of the world share.
#[derive(Debug)]
pub(super) struct SimContext {
    /// True time since the world began. Nobody in it knows.
    pub(super) now: Duration,
    /// The moment at which it began.
    beginning: Timestamp,
    pub(super) random: StdRng,
    pub(super) agenda: Agenda<SimEvent>,
    pub(super) processes: ProcessTable,
    pub(super) net: Net,
    pub(super) timing: Timing,
    pub(super) fault_profile: FaultProfile,
    pub(super) fault_phase: FaultPhase,
    pub(super) witness: Witness,
    pub(super) summary: Summary,
    /// The first guarantee that was broken.
    verdict: anyhow::Result<()>,
}

/// Whether faults happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultPhase {
    Active,
    Over,
}

impl SimContext {
    pub(super) fn new(beginning: Timestamp, timing: Timing, names: Names, mut random: StdRng) -> Self {
        Self {
            now: Duration::ZERO,
            beginning,
            agenda: Agenda::default(),
            processes: ProcessTable::default(),
            net: Net::new(names),
            timing,
            fault_profile: FaultProfile::of(&mut random),
            fault_phase: FaultPhase::Active,
            witness: Witness::default(),
            summary: Summary::default(),
            verdict: Ok(()),
            random,
        }
    }

    pub(super) fn has_faults(&self) -> bool {
        self.fault_phase == FaultPhase::Active
    }

    pub(super) fn later(&mut self, delay: Duration, what: SimEvent) {
        self.agenda.put(self.now + delay, what);
    }

    /// The server's clock, which is right.
    pub(super) fn server_time(&self) -> Timestamp {
        time::after(self.beginning, self.now)
    }

    /// Takes what a checker says: the first broken guarantee ends the history.
    pub(super) fn judge(&mut self, seen: anyhow::Result<()>) {
        if self.verdict.is_ok() {
            self.verdict = seen;
        }
    }

    pub(super) fn take_verdict(&mut self) -> anyhow::Result<()> {
        std::mem::replace(&mut self.verdict, Ok(()))
    }

    /// Tells the witness whether anybody is left on a host who would stop its containers.
    pub(super) fn look_at_host(&mut self, host: usize) {
        let (agent, guard) = (Place::Agent(host), Place::Guard(host));
        let guarded =
            self.processes.works(guard) || self.processes.minds_guard(agent) && !self.processes.hears_nothing(agent);
        self.witness.host_seen(host, if guarded { Rule::Guarded } else { Rule::Unguarded });
    }

    pub(super) fn count(&mut self, fault: Fault) {
        tracing::debug!(now = ?self.now, ?fault, "fault");
        *self.summary.faults.entry(fault).or_default() += 1;
    }

    /// Whether a fault that the profile has happens now. It is counted.
    pub(super) fn mishap(&mut self, fault: Fault) -> bool {
        let happens = self.chance(fault);
        if happens && fault != Fault::ActDelayed {
            self.count(fault);
        }
        happens
    }

    fn chance(&mut self, fault: Fault) -> bool {
        if self.fault_phase == FaultPhase::Over {
            return false;
        }
        let odds = self.fault_profile.odds(fault);
        odds > 0 && self.random.random_ratio(1, odds)
    }

    /// Whether one of so many times is now.
    pub(super) fn random_ratio(&mut self, one_in: u32) -> bool {
        self.random.random_ratio(1, one_in)
    }

    /// How long a message is under way: mostly a moment, now and then long enough to be overtaken.
    pub(super) fn latency(&mut self) -> Duration {
        let longest = if self.random.random_ratio(1, 12) { 300_000 } else { 4_000 };
        Duration::from_micros(self.random.random_range(300..longest))
    }

    /// How long something takes that takes too long: about as long as a deadline of the protocol, or much longer.
    pub(super) fn some_delay(&mut self) -> Duration {
        let Timing { fence, lost, .. } = self.timing;
        match self.random.random_range(0..4) {
            0 => self.between(Duration::from_secs(1), fence / 2),
            1 => self.between(fence / 2, fence + (lost - fence) / 2),
            2 => self.between(fence, lost + fence / 2),
            _ => self.between(lost, lost * 5),
        }
    }

    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.random.random_range(0..=span))
    }

    pub(super) fn random_bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        bytes
    }
}
