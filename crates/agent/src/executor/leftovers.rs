//! Looks, once a minute, for containers that can go: kept ones whose run has left the history, and strays. Whatever fails is
//! tried again the next minute.
//!
//! A stray is a container that shows up too late: the engine was still creating it when its agent process was killed, and the
//! next process did not find it in its list. [`decide_adoption`] knows one when it sees it.

use std::{
    collections::{
        BTreeSet,
        btree_map::{BTreeMap, Entry},
    },
    sync::Arc,
};

use tickmesh_core::{id::AttemptId, ledger::Ledger, name::AppName};
use tokio::sync::mpsc;

use super::surroundings::Surroundings;
use crate::{
    adopt::{Adoption, decide_adoption},
    agent_core::Event,
    attempt::Disposal,
    clean::is_forgotten,
    engine::{self, ContainerEngine, ContainerStatus, ContainerView},
    error::chain,
    labels::Tag,
};

/// Why the containers could not be looked through.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to look at this agent's containers")]
    Engine(#[from] engine::Error),
    #[error("failed to read what is known of a container")]
    Messaging(#[from] tickmesh_messaging::Error),
}

/// Tells the main loop which containers can go. It knows which attempts have come under way meanwhile.
pub(super) async fn tell_leftovers<E: ContainerEngine>(
    surroundings: Arc<Surroundings<E>>,
    held: BTreeSet<AttemptId>,
    news: mpsc::Sender<Event>,
) {
    let mut search = Search { surroundings: &surroundings, ledgers: BTreeMap::new() };
    if let Err(error) = search.run(&held, &news).await {
        tracing::warn!(error = %chain(&error), "not all containers looked through");
    }
}

/// One look at all containers.
struct Search<'a, E> {
    surroundings: &'a Surroundings<E>,
    /// What was found for every app that was asked about. `None`: it cannot be understood.
    ledgers: BTreeMap<AppName, Option<StoredLedger>>,
}

/// The ledger of an app, if it has one.
type StoredLedger = Option<tickmesh_messaging::Entry<Ledger>>;

impl<E: ContainerEngine> Search<'_, E> {
    async fn run(&mut self, held: &BTreeSet<AttemptId>, news: &mpsc::Sender<Event>) -> Result<(), Error> {
        for container in self.surroundings.engine.list(&self.surroundings.ownership.filter()).await? {
            let Some(tag) = self.surroundings.ownership.tag_of(&container) else { continue };
            if held.contains(&tag.attempt) || !self.can_go(&tag, &container).await? {
                continue;
            }
            // Nobody listens any more when the agent is ending.
            let _ = news.send(Event::Leftover { attempt: tag.attempt, container: container.id }).await;
        }
        Ok(())
    }

    async fn can_go(&mut self, tag: &Tag, container: &ContainerView) -> Result<bool, Error> {
        match container.status {
            ContainerStatus::Exited(_) => self.is_forgotten(&tag.attempt).await,
            ContainerStatus::Created | ContainerStatus::Running => self.is_stray(tag, container).await,
            ContainerStatus::Removing => Ok(false),
        }
    }

    async fn is_forgotten(&mut self, attempt: &AttemptId) -> Result<bool, Error> {
        let ledger = match self.ledgers.entry(attempt.app.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let read = self.surroundings.mesh.ledgers().read(attempt.app.as_str()).await;
                unknown.insert(readable(read)?)
            }
        };
        let ledger = ledger.as_ref().map(|stored| stored.as_ref().map(|entry| &entry.value));
        Ok(ledger.is_some_and(|ledger| is_forgotten(attempt, ledger)))
    }

    /// Whether a container that never ended has outlived its attempt, or belongs to a claim that did not win. One under an open
    /// claim is no stray yet: the leader sees that nobody holds it, and ends the attempt.
    async fn is_stray(&self, tag: &Tag, container: &ContainerView) -> Result<bool, Error> {
        let Surroundings { engine, mesh, ownership, .. } = self.surroundings;
        let Some(last) = readable(mesh.results().last_of(&tag.attempt, &ownership.owner().agent).await)? else {
            return Ok(false);
        };
        let last = last.map(|entry| entry.value.event);
        // The attempt may have gone its whole way since the list was made. An end that was stored before this look, and a
        // container that has not ended at it, do not belong together.
        match engine.inspect(&container.id).await {
            Ok(ContainerView { status: status @ (ContainerStatus::Created | ContainerStatus::Running), .. }) => {
                let decision = decide_adoption(tag, &status, last.as_ref());
                Ok(matches!(decision, Adoption::Remove | Adoption::Collect(Disposal::Remove)))
            }
            Ok(_) | Err(engine::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What was read; `None` if it cannot be understood: that concerns one app, and not the containers of others.
fn readable<T>(read: Result<T, tickmesh_messaging::Error>) -> Result<Option<T>, tickmesh_messaging::Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ tickmesh_messaging::Error::Unreadable { .. }) => {
            tracing::warn!(error = %chain(&error), "containers left alone");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
