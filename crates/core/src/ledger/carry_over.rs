//! What a retry takes over from the run that it repeats.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    history::{ReplicaSummary, RunSummary},
    name::{AgentName, ServiceName},
    spec::{RunSpec, ServiceSpec},
};

/// What a retry takes over from the run before: the replicas that had succeeded, which do not run again, and the agents of
/// its global services, which stay the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CarryOver {
    services: Vec<CarriedService>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CarriedService {
    name: ServiceName,
    /// Indexes of replicas that had succeeded: first and last of each stretch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    succeeded: Vec<(u32, u32)>,
    /// The agents of a global service, by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    agents: Vec<AgentName>,
}

impl CarryOver {
    /// What a run of `spec` takes over from the run that `summary` is about. Services are the same if their names are.
    pub fn of(summary: &RunSummary, spec: &RunSpec) -> Self {
        let services = summary.replicas.chunk_by(|one, next| one.service == next.service);
        Self { services: services.filter_map(|replicas| carried_service(replicas, spec)).collect() }
    }

    /// Whether nothing is taken over.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Whether a run of `spec` would have nothing to do.
    pub fn leaves_nothing_of(&self, spec: &RunSpec) -> bool {
        spec.services.iter().all(|service| {
            let scale = self.scale_of(service);
            scale.is_some_and(|scale| (0..scale).all(|replica| self.has_succeeded(&service.name, replica)))
        })
    }

    /// How many replicas a service has; `None`: it is global, and that is not known yet.
    fn scale_of(&self, service: &ServiceSpec) -> Option<u32> {
        if service.global { Some(self.agents(&service.name)?.len() as u32) } else { Some(service.scale) }
    }

    /// Whether this replica had succeeded.
    pub fn has_succeeded(&self, service: &ServiceName, replica: u32) -> bool {
        let stretches = self.service(service).map(|service| service.succeeded.as_slice()).unwrap_or_default();
        stretches.iter().any(|(first, last)| (*first..=*last).contains(&replica))
    }

    /// The agents that a global service had, if it is taken over.
    pub fn agents(&self, service: &ServiceName) -> Option<&[AgentName]> {
        self.service(service).map(|service| service.agents.as_slice()).filter(|agents| !agents.is_empty())
    }

    fn service(&self, name: &ServiceName) -> Option<&CarriedService> {
        self.services.iter().find(|service| service.name == *name)
    }
}

fn carried_service(replicas: &[ReplicaSummary], spec: &RunSpec) -> Option<CarriedService> {
    let name = replicas.first()?.service.clone();
    let global = spec.service(&name)?.global;
    let agents = if global { distinct_agents(replicas)? } else { Vec::new() };
    let succeeded = stretches(replicas.iter().filter(|it| it.outcome.is_success()).map(|it| it.replica));
    (global || !succeeded.is_empty()).then_some(CarriedService { name, succeeded, agents })
}

/// The agents of a service that was global then: one replica each. Another kind of service cannot be taken over as global.
fn distinct_agents(replicas: &[ReplicaSummary]) -> Option<Vec<AgentName>> {
    let agents: Vec<AgentName> = replicas.iter().map(|replica| replica.agent.clone()).collect::<Option<_>>()?;
    let distinct: BTreeSet<&AgentName> = agents.iter().collect();
    (distinct.len() == agents.len()).then_some(agents)
}

fn stretches(indexes: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut stretches: Vec<(u32, u32)> = Vec::new();
    for index in indexes {
        match stretches.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
            Some(_) | None => stretches.push((index, index)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_stretches(indexes: &[u32], expected: &[(u32, u32)]) {
        assert_eq!(stretches(indexes.iter().copied()), expected);
    }

    #[test]
    fn indexes_in_a_row_are_one_stretch() {
        check_stretches(&[], &[]);
        check_stretches(&[0, 1, 2], &[(0, 2)]);
        check_stretches(&[0, 2, 3, 7], &[(0, 0), (2, 3), (7, 7)]);
    }
}
