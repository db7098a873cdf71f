//! What an agent process does, before its first heartbeat, with the containers that an earlier one left (protocol rule P2).
//!
//! The engine knows what each container is doing, the attempt's subject knows what has been said about it. The subject is
//! the truth: a container whose attempt has ended there is nobody's any more. [`decide_adoption`] is the pure part.

mod decision;

use tickmesh_core::message::AttemptReport;
use tickmesh_messaging::Entry;

pub use self::decision::{Adoption, decide_adoption};
use crate::{
    attempt::{Claimed, State, Step},
    backoff::Backoff,
    engine::{ContainerEngine, ContainerView},
    error::{Error, chain},
    executor::Surroundings,
    labels::Tag,
    roster::{Roster, Task},
};

/// Puts every container of this agent on the roster, as what it is, and returns what is to be done. The list must be
/// complete: a container that was left out would be declared lost while it runs.
pub(crate) async fn adopt<E: ContainerEngine>(
    surroundings: &Surroundings<E>,
    roster: &mut Roster,
) -> Result<Vec<Task>, Error> {
    let mut tasks = Vec::new();
    for container in surroundings.engine.list(&surroundings.owner.filter()).await.map_err(Error::Engine)? {
        let Some(tag) = surroundings.tag_of(&container) else { continue };
        let last = last_report(surroundings, &tag).await?;
        if let Some(step) = step(&tag, container, last.as_ref()) {
            tasks.extend(roster.adopt(tag.attempt, step));
        }
    }
    Ok(tasks)
}

/// How an attempt begins whose container was found, by the last message on its subject. `None`: the container is kept as it is.
pub fn step(tag: &Tag, container: ContainerView, last: Option<&Entry<AttemptReport>>) -> Option<Step> {
    let decision = decide_adoption(tag, &container.status, last.map(|entry| &entry.value.event));
    tracing::info!(attempt_id = %tag.attempt, container = %container.id, ?decision, "container found");
    let sequence = last.map_or(tag.claim_sequence, |entry| entry.sequence);
    let claimed = Claimed { sequence, remove_containers: tag.remove_containers };
    match decision {
        Adoption::Watch => Some(State::adopt_started(claimed, container.id)),
        Adoption::Clear => Some(State::adopt_created(claimed, container.id)),
        Adoption::Remove => Some(State::adopt_leftover(container.id)),
        Adoption::Keep => None,
    }
}

async fn last_report<E: ContainerEngine>(
    surroundings: &Surroundings<E>,
    tag: &Tag,
) -> Result<Option<Entry<AttemptReport>>, Error> {
    let agent = &surroundings.owner.agent;
    let mut backoff = Backoff::default();
    loop {
        match surroundings.mesh.results().last_of(&tag.attempt, agent).await {
            Ok(last) => return Ok(last),
            Err(error) if error.is_unavailable() => {
                tracing::warn!(attempt_id = %tag.attempt, error = %chain(&error), "last report not read yet");
                backoff.pause().await;
            }
            // Guessing about a container is worse than no agent.
            Err(source) => return Err(Error::Messaging { agent: agent.clone(), source }),
        }
    }
}
