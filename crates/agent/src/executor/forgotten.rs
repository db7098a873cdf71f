//! Looks, once a minute, for kept containers whose run has left the history. Whatever fails is tried again the next minute.

use std::{
    collections::btree_map::{BTreeMap, Entry},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{News, Surroundings};
use crate::{
    clean::is_forgotten,
    engine::{self, ContainerEngine, ContainerStatus},
    error::chain,
};

/// Why the containers could not be compared with the history.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to list this agent's containers")]
    List(#[from] engine::Error),
    #[error("failed to read an app's ledger")]
    Ledger(#[from] tickmesh_messaging::Error),
}

/// Tells the main loop which containers can go. It knows which attempts are still under way.
pub(super) async fn tell_forgotten<E: ContainerEngine>(surroundings: Arc<Surroundings<E>>, news: mpsc::Sender<News>) {
    match find(&surroundings).await {
        Ok(forgotten) => {
            for container in forgotten {
                // Nobody listens any more when the agent is ending.
                let _ = news.send(container).await;
            }
        }
        Err(error) => tracing::warn!(error = %chain(&error), "kept containers not compared with the history"),
    }
}

async fn find<E: ContainerEngine>(surroundings: &Surroundings<E>) -> Result<Vec<News>, Error> {
    let ledgers = surroundings.mesh.ledgers();
    let mut known = BTreeMap::new();
    let mut forgotten = Vec::new();
    for container in surroundings.engine.list(&surroundings.owner.filter()).await? {
        let Some(tag) = surroundings.tag_of(&container) else { continue };
        if !matches!(container.status, ContainerStatus::Exited(_)) {
            continue;
        }
        let ledger = match known.entry(tag.attempt.app.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(ledgers.read(tag.attempt.app.as_str()).await?),
        };
        if is_forgotten(&tag.attempt, ledger.as_ref().map(|entry| &entry.value)) {
            forgotten.push(News::Forgotten { attempt: tag.attempt, container: container.id });
        }
    }
    Ok(forgotten)
}
