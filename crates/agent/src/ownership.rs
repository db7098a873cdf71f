//! Which containers are this agent's: the one place that tells them from all others (guarantee G10).

use tickmesh_core::id::AttemptId;
use tickmesh_messaging::Names;

use crate::{
    engine::{ContainerView, LabelFilter},
    labels::{Owner, Tag},
};

/// What one agent owns on its engine.
#[derive(Debug, Clone)]
pub struct Ownership {
    owner: Owner,
    names: Names,
}

impl Ownership {
    /// That of one agent.
    pub fn of(owner: Owner) -> Self {
        let names = Names::new(owner.namespace.clone());
        Self { owner, names }
    }

    /// The agent, and its mesh.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The labels that every list asks for.
    pub fn filter(&self) -> LabelFilter {
        self.owner.filter()
    }

    /// The name of an attempt's container.
    pub fn container_name(&self, attempt: &AttemptId) -> String {
        self.names.container(attempt)
    }

    /// What a listed container says of itself. The labels must be its own, or its name must say the same: an image made of one
    /// of our containers has our labels, and a container of it is somebody else's. A name alone can be changed at any time
    /// (`docker rename`), and what runs under another one is still ours.
    pub fn tag_of(&self, container: &ContainerView) -> Option<Tag> {
        match Tag::parse(&container.labels) {
            Ok(tag) if container.labels_are_own || self.container_name(&tag.attempt) == container.name => Some(tag),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(container = %container.id, error = %error, "container left alone");
                None
            }
        }
    }
}
