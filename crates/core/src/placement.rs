//! Which agent a replica goes to.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use crate::{
    fleet::{AgentView, Fleet, Load, LoadChange, Readiness},
    name::AgentName,
    spec::Constraint,
};

/// The fleet while one decision places replicas: what it has placed so far counts.
#[derive(Debug)]
pub struct Placement<'a> {
    fleet: &'a Fleet,
    /// Loads that differ from the fleet's by now.
    changed: BTreeMap<AgentName, Load>,
}

/// Why no agent fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoFit {
    /// Known agents.
    pub agents: u32,
    /// Those whose slots are all taken.
    pub full: u32,
    /// Those that lack the reserved cores or memory.
    pub small: u32,
    /// Those that are draining.
    pub draining: u32,
    /// Those without a heartbeat of late.
    pub silent: u32,
    /// Those whose deadlines are unsafe.
    pub unsafe_timing: u32,
}

/// How many replicas of the run each agent has.
pub type Spread = BTreeMap<AgentName, u32>;

impl<'a> Placement<'a> {
    /// Begins with the fleet as it is.
    pub fn new(fleet: &'a Fleet) -> Self {
        Self { fleet, changed: BTreeMap::new() }
    }

    /// The same after what this decision has changed already: a slot that it set free can be taken at once.
    #[must_use]
    pub fn after(mut self, changes: &[LoadChange]) -> Self {
        for change in changes {
            let (agent, load) = match change {
                LoadChange::Bind(agent, load) => (agent, self.load(agent).plus(*load)),
                LoadChange::Release(agent, load) => (agent, self.load(agent).minus(*load)),
            };
            self.changed.insert(agent.clone(), load);
        }
        self
    }

    /// Binds a replica that reserves `wanted` to an agent: among those that fit the one with the fewest replicas of this
    /// run, then the least loaded, then the first by name; `avoid` only if there is no other.
    pub fn place(&mut self, wanted: Load, spread: &Spread, avoid: Option<&AgentName>) -> Result<AgentName, NoFit> {
        let best = self
            .fleet
            .agents
            .iter()
            .filter(|(name, view)| {
                view.readiness == Readiness::Ready && self.load_with(name, wanted).fits(&view.capacity)
            })
            .min_by_key(|(name, view)| {
                let load = self.load(name);
                // Free slots, not taken ones: a large host carries more before it counts as the busier one.
                let free_slots = Reverse(view.capacity.slots.saturating_sub(load.slots));
                (avoid == Some(*name), spread.get(*name).copied().unwrap_or(0), free_slots, *name)
            })
            .map(|(name, _)| name.clone())
            .ok_or_else(|| self.explain(wanted))?;
        self.changed.insert(best.clone(), self.load_with(&best, wanted));
        Ok(best)
    }

    /// Whether an agent takes attempts; `None`: it is not known.
    pub fn readiness(&self, agent: &AgentName) -> Option<Readiness> {
        self.fleet.agents.get(agent).map(|view| view.readiness)
    }

    /// Binds a replica that reserves `wanted` to this agent, if it fits there.
    pub fn place_on(&mut self, agent: &AgentName, wanted: Load) -> bool {
        let load = self.load_with(agent, wanted);
        let fits = self.fleet.agents.get(agent).is_some_and(|view| load.fits(&view.capacity));
        if fits {
            self.changed.insert(agent.clone(), load);
        }
        fits
    }

    /// The agents that a global service runs on when its run begins, by name.
    pub fn matching(&self, _constraints: &[Constraint]) -> Vec<AgentName> {
        let ready = |view: &AgentView| view.readiness == Readiness::Ready;
        self.fleet.agents.iter().filter(|(_, view)| ready(view)).map(|(name, _)| name.clone()).collect()
    }

    fn load(&self, agent: &AgentName) -> Load {
        self.changed.get(agent).copied().unwrap_or_else(|| self.fleet.load(agent))
    }

    fn load_with(&self, agent: &AgentName, wanted: Load) -> Load {
        self.load(agent).plus(wanted)
    }

    /// Why no agent takes a replica that reserves `wanted`.
    pub fn explain(&self, wanted: Load) -> NoFit {
        let mut why = NoFit::default();
        for (name, view) in &self.fleet.agents {
            why.agents += 1;
            match view.readiness {
                Readiness::Draining => why.draining += 1,
                Readiness::Silent => why.silent += 1,
                Readiness::UnsafeTiming => why.unsafe_timing += 1,
                Readiness::Ready if self.load(name).slots >= view.capacity.slots => why.full += 1,
                Readiness::Ready if !self.load_with(name, wanted).fits(&view.capacity) => why.small += 1,
                Readiness::Ready => {}
            }
        }
        why
    }
}

impl fmt::Display for NoFit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agents == 0 {
            return formatter.write_str("no agent is known");
        }
        let reasons = [
            (self.full, "without a free slot"),
            (self.small, "without the reserved cpu or memory"),
            (self.draining, "draining"),
            (self.silent, "silent"),
            (self.unsafe_timing, "with unsafe deadlines"),
        ];
        write!(formatter, "0 of {} agents fit", self.agents)?;
        let mut separator = ": ";
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            write!(formatter, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        Ok(())
    }
}
