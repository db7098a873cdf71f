//! The labels that say whose a container is. The one place that spells them, both ways.
//!
//! Every list, adoption and removal filters on mesh, namespace and agent together: two meshes on one engine, or two agents on
//! one host, never touch each other's containers (guarantee G10). The other labels are what an agent process needs to
//! know about a container that an earlier process made.

use std::{collections::BTreeMap, str::FromStr};

use tickmesh_core::{
    id::{AttemptId, MeshId, Nonce},
    name::{AgentName, Namespace},
    spec::RemoveContainers,
};

use crate::engine::LabelFilter;

const MESH: &str = "io.tickmesh.mesh";
const NAMESPACE: &str = "io.tickmesh.namespace";
const AGENT: &str = "io.tickmesh.agent";
const APP: &str = "io.tickmesh.app";
const RUN: &str = "io.tickmesh.run";
const UID: &str = "io.tickmesh.uid";
const SERVICE: &str = "io.tickmesh.service";
const REPLICA: &str = "io.tickmesh.replica";
const ATTEMPT: &str = "io.tickmesh.attempt";
const NONCE: &str = "io.tickmesh.nonce";
const CLAIM: &str = "io.tickmesh.claim";
const REMOVE: &str = "io.tickmesh.remove";

/// Who owns containers: one agent of one mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Identity of the mesh.
    pub mesh: MeshId,
    /// Its namespace.
    pub namespace: Namespace,
    /// The agent.
    pub agent: AgentName,
}

impl Owner {
    /// What a container must carry to be this owner's.
    pub fn filter(&self) -> LabelFilter {
        [(MESH, self.mesh.to_string()), (NAMESPACE, self.namespace.to_string()), (AGENT, self.agent.to_string())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }
}

/// What a container says of itself, beyond its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The attempt that it is the container of.
    pub attempt: AttemptId,
    /// Nonce of the claim under which it was created.
    pub nonce: Nonce,
    /// Sequence of that claim: the end of the attempt is a compare-and-set on it.
    pub claim_sequence: u64,
    /// Whether it is removed after its end.
    pub remove_containers: RemoveContainers,
}

/// A container of ours whose labels do not say what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the container's label `{label}` is missing or not valid")]
pub struct Unreadable {
    label: &'static str,
}

impl Tag {
    /// All labels of the container, the user's included. Ours win: nobody labels a container into another attempt.
    pub fn labels(&self, owner: &Owner, user: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut labels = user.clone();
        labels.extend(owner.filter());
        let attempt = &self.attempt;
        let ours = [
            (APP, attempt.app.to_string()),
            (RUN, attempt.run.to_string()),
            (UID, attempt.uid.to_string()),
            (SERVICE, attempt.service.to_string()),
            (REPLICA, attempt.replica.to_string()),
            (ATTEMPT, attempt.attempt.to_string()),
            (NONCE, self.nonce.to_string()),
            (CLAIM, self.claim_sequence.to_string()),
            (REMOVE, self.remove_containers.as_str().to_owned()),
        ];
        labels.extend(ours.map(|(key, value)| (key.to_owned(), value)));
        labels
    }

    /// Reads it back from a container's labels.
    pub fn parse(labels: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
        let remove = labels.get(REMOVE).and_then(|text| RemoveContainers::parse(text));
        Ok(Self {
            attempt: AttemptId {
                app: value(labels, APP)?,
                run: value(labels, RUN)?,
                uid: value(labels, UID)?,
                service: value(labels, SERVICE)?,
                replica: value(labels, REPLICA)?,
                attempt: value(labels, ATTEMPT)?,
            },
            nonce: value(labels, NONCE)?,
            claim_sequence: value(labels, CLAIM)?,
            remove_containers: remove.ok_or(Unreadable { label: REMOVE })?,
        })
    }
}

fn value<T: FromStr>(labels: &BTreeMap<String, String>, label: &'static str) -> Result<T, Unreadable> {
    labels.get(label).and_then(|text| text.parse().ok()).ok_or(Unreadable { label })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn owner() -> Owner {
        Owner {
            mesh: MeshId::from_random([7; 16]),
            namespace: Namespace::new("tickmesh").unwrap(),
            agent: AgentName::new("host-1").unwrap(),
        }
    }

    fn tag(remove_containers: RemoveContainers) -> Tag {
        Tag { attempt: fixture::attempt(), nonce: fixture::nonce(1), claim_sequence: 42, remove_containers }
    }

    #[test]
    fn what_is_built_is_read_back() {
        for remove in RemoveContainers::ALL {
            let labels = tag(remove).labels(&owner(), &BTreeMap::new());
            assert_eq!(Tag::parse(&labels), Ok(tag(remove)));
        }
    }

    #[test]
    fn the_filter_is_part_of_every_containers_labels() {
        let labels = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
        assert!(owner().filter().iter().all(|(key, value)| labels.get(key) == Some(value)));
        assert_eq!(owner().filter().len(), 3);
    }

    #[test]
    fn users_labels_are_passed_on_and_cannot_replace_ours() {
        let user = BTreeMap::from([("team", "billing"), (AGENT, "other"), (NONCE, "0")]);
        let user = user.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let labels = tag(RemoveContainers::RemoveAll).labels(&owner(), &user);
        assert_eq!(labels.get("team").map(String::as_str), Some("billing"));
        assert_eq!(labels.get(AGENT).map(String::as_str), Some("host-1"));
        assert_eq!(Tag::parse(&labels), Ok(tag(RemoveContainers::RemoveAll)));
    }

    #[test]
    fn every_missing_or_damaged_label_is_named() {
        let whole = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
        for label in [APP, RUN, UID, SERVICE, REPLICA, ATTEMPT, NONCE, CLAIM, REMOVE] {
            let mut missing = whole.clone();
            missing.remove(label);
            assert_eq!(Tag::parse(&missing), Err(Unreadable { label }));
            let mut damaged = whole.clone();
            damaged.insert(label.to_owned(), "?".to_owned());
            assert_eq!(Tag::parse(&damaged), Err(Unreadable { label }));
        }
    }
}
