use std::{collections::BTreeMap, fmt};

use crate::spec::{Constraint, Operator};

/// Why no agent fits, in numbers: `0 of 3 agents fit: 2 without disk==ssd, 1 without a free slot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFit<'w> {
    constraints: &'w [Constraint],
    /// Agents, by the first thing that is in their way.
    agents: BTreeMap<Obstacle, u32>,
}

/// What keeps a replica from an agent, in the order of the explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// It does not meet this constraint of the service, by position.
    Constraint(usize),
    /// Its slots are all taken.
    Full,
    /// It lacks the reserved cores or memory.
    Small,
    /// It finishes what it has.
    Draining,
    /// No heartbeat of late.
    Silent,
    /// Its deadlines are unsafe.
    UnsafeTiming,
}

impl<'w> NoFit<'w> {
    pub(super) fn new(constraints: &'w [Constraint]) -> Self {
        Self { constraints, agents: BTreeMap::new() }
    }

    pub(super) fn count(&mut self, obstacle: Obstacle) {
        *self.agents.entry(obstacle).or_default() += 1;
    }
}

impl fmt::Display for NoFit<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agents.is_empty() {
            return formatter.write_str("no agent is known");
        }
        write!(formatter, "0 of {} agents fit", self.agents.values().sum::<u32>())?;
        let mut separator = ": ";
        for (obstacle, count) in &self.agents {
            write!(formatter, "{separator}{count} {}", self.text(*obstacle))?;
            separator = ", ";
        }
        Ok(())
    }
}

impl NoFit<'_> {
    fn text(&self, obstacle: Obstacle) -> String {
        match obstacle {
            Obstacle::Constraint(position) => self.constraints.get(position).map(unmet).unwrap_or_default(),
            Obstacle::Full => "without a free slot".to_owned(),
            Obstacle::Small => "without the reserved cpu or memory".to_owned(),
            Obstacle::Draining => "draining".to_owned(),
            Obstacle::Silent => "silent".to_owned(),
            Obstacle::UnsafeTiming => "with unsafe deadlines".to_owned(),
        }
    }
}

fn unmet(constraint: &Constraint) -> String {
    match constraint.operator {
        Operator::Is => format!("without {constraint}"),
        Operator::IsNot => format!("excluded by {constraint}"),
    }
}
