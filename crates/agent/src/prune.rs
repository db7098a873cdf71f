//! Kept containers that somebody wants gone before their runs leave the history (`tickmesh agent prune`).

use tickmesh_core::id::AttemptId;
use tickmesh_messaging::Mesh;

use crate::{
    engine::{self, ContainerEngine, ContainerId, ContainerStatus},
    labels::Owner,
    ownership::Ownership,
};

/// A container that nobody needs but whoever wants to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub container: ContainerId,
    pub name: String,
}

/// Why the kept containers are not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not list them.
    #[error("failed to list the containers of agent `{agent}`")]
    Engine {
        agent: String,
        #[source]
        source: engine::Error,
    },
    /// What became of an attempt cannot be read.
    #[error("failed to read what became of the attempt of container `{container}`")]
    Messaging {
        container: String,
        #[source]
        source: tickmesh_messaging::Error,
    },
}

/// The containers of an agent that have ended, and whose attempts have, with all of their output: of the others something is still to be
/// told, by the agent.
pub async fn kept(engine: &impl ContainerEngine, mesh: &Mesh, owner: Owner) -> Result<Vec<Kept>, Error> {
    let ownership = Ownership::of(owner);
    let no_list = |source| Error::Engine { agent: ownership.owner().agent.to_string(), source };
    let mut kept = Vec::new();
    for container in engine.list(&ownership.filter()).await.map_err(no_list)? {
        let (ContainerStatus::Exited(_), Some(tag)) = (&container.status, ownership.tag_of(&container)) else {
            continue;
        };
        let unread = |source| Error::Messaging { container: container.name.clone(), source };
        let over = is_over(mesh, &ownership, &tag.attempt).await.map_err(unread)?;
        if over && has_given_its_output(mesh, &ownership, &tag.attempt).await.map_err(unread)? {
            kept.push(Kept { container: container.id, name: container.name });
        }
    }
    Ok(kept)
}

/// Whether an attempt's end is stored. What is said of one is purged some time after no run needs it any more: then its run is not
/// active.
async fn is_over(mesh: &Mesh, ownership: &Ownership, attempt: &AttemptId) -> Result<bool, tickmesh_messaging::Error> {
    if let Some(last) = mesh.results().last_of(attempt, &ownership.owner().agent).await? {
        return Ok(last.value.event.is_terminal());
    }
    let ledger = mesh.ledgers().read(attempt.app.as_str()).await?;
    Ok(ledger.is_none_or(|entry| entry.value.active.iter().all(|run| run.uid != attempt.uid)))
}

/// Whether an agent is done with a container's output. Of an attempt that is long over nothing may be stored any more.
async fn has_given_its_output(
    mesh: &Mesh,
    ownership: &Ownership,
    attempt: &AttemptId,
) -> Result<bool, tickmesh_messaging::Error> {
    let last = mesh.logs().last_of(attempt, &ownership.owner().agent).await?;
    Ok(last.is_none_or(|last| last.value.last))
}
