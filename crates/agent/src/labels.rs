//! The labels that say whose a container is. The one place that spells them, both ways.
//!
//! Every list, adoption and removal filters on mesh, namespace and agent together: two meshes on one engine, or two agents on
//! one host, never touch each other's containers (guarantee G10). The other labels are what an agent process needs to
//! know about a container that an earlier process made.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use tickmesh_core::{
    id::{AttemptId, MeshId, Nonce},
    name::{AgentName, Namespace},
    spec::{OnDisconnect, RemoveContainers},
};
use tickmesh_messaging::Names;

use crate::{attempt::Terms, engine::LabelFilter};

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
/// Milliseconds.
const TIMEOUT: &str = "io.tickmesh.timeout";
const DISCONNECT: &str = "io.tickmesh.disconnect";

/// Who owns containers: one agent of one mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Identity of the mesh.
    pub mesh: MeshId,
    pub namespace: Namespace,
    pub agent: AgentName,
}

impl Owner {
    /// What a container must carry to be this owner's.
    pub fn filter(&self) -> LabelFilter {
        [(MESH, self.mesh.to_string()), (NAMESPACE, self.namespace.to_string()), (AGENT, self.agent.to_string())]
            .map(|(key, value)| (key.to_owned(), value))
            .into()
    }

    /// What the names of this owner's files on the host begin with.
    pub(crate) fn file_stem(&self) -> String {
        format!("{}.{}.{}", self.mesh, self.namespace, self.agent)
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
    /// What the order said about its time here.
    pub terms: Terms,
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
            (REMOVE, self.terms.remove_containers.as_str().to_owned()),
            (DISCONNECT, disconnect(self.terms.on_disconnect).to_owned()),
        ];
        labels.extend(ours.map(|(key, value)| (key.to_owned(), value)));
        // A user's label of that name would be read back as ours.
        labels.remove(TIMEOUT);
        labels.extend(self.terms.attempt_timeout.map(|limit| (TIMEOUT.to_owned(), milliseconds(limit).to_string())));
        labels
    }

    /// Reads it back from a container's labels.
    pub fn parse(labels: &BTreeMap<String, String>) -> Result<Self, Unreadable> {
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
            terms: terms(labels)?,
        })
    }
}

/// Whether a container has the name that its labels give it.
pub(crate) fn name_fits(name: &str, labels: &BTreeMap<String, String>) -> bool {
    let Ok(tag) = Tag::parse(labels) else { return false };
    let namespace = value::<Namespace>(labels, NAMESPACE);
    namespace.is_ok_and(|namespace| Names::new(namespace).container(&tag.attempt) == name)
}

/// The last two labels are younger than the others: what a container without them was made to do is the default.
fn terms(labels: &BTreeMap<String, String>) -> Result<Terms, Unreadable> {
    let remove = labels.get(REMOVE).and_then(|text| RemoveContainers::parse(text));
    let timeout = labels.get(TIMEOUT).map(|_| value(labels, TIMEOUT).map(Duration::from_millis));
    let on_disconnect = match labels.get(DISCONNECT) {
        Some(text) => [OnDisconnect::Stop, OnDisconnect::Continue].into_iter().find(|value| disconnect(*value) == text),
        None => Some(OnDisconnect::default()),
    };
    Ok(Terms {
        remove_containers: remove.ok_or(Unreadable { label: REMOVE })?,
        attempt_timeout: timeout.transpose()?,
        on_disconnect: on_disconnect.ok_or(Unreadable { label: DISCONNECT })?,
    })
}

/// A limit beyond what the label can say is none that anybody sees the end of.
fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

fn disconnect(value: OnDisconnect) -> &'static str {
    match value {
        OnDisconnect::Stop => "stop",
        OnDisconnect::Continue => "continue",
    }
}

fn value<T: FromStr>(labels: &BTreeMap<String, String>, label: &'static str) -> Result<T, Unreadable> {
    labels.get(label).and_then(|text| text.parse().ok()).ok_or(Unreadable { label })
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::fixture;

    /// Every label that says something of the attempt.
    const ALL: [&str; 11] = [APP, RUN, UID, SERVICE, REPLICA, ATTEMPT, NONCE, CLAIM, REMOVE, TIMEOUT, DISCONNECT];

    fn owner() -> Owner {
        Owner {
            mesh: MeshId::from_random([7; 16]),
            namespace: Namespace::new("tickmesh").unwrap(),
            agent: AgentName::new("host-1").unwrap(),
        }
    }

    fn tag_with(terms: Terms) -> Tag {
        Tag { attempt: fixture::attempt(), nonce: fixture::nonce(1), claim_sequence: 42, terms }
    }

    fn tag(remove_containers: RemoveContainers) -> Tag {
        tag_with(Terms { remove_containers, ..fixture::terms() })
    }

    #[track_caller]
    fn check_read_back(tag: &Tag) {
        assert_eq!(Tag::parse(&tag.labels(&owner(), &BTreeMap::new())).as_ref(), Ok(tag));
    }

    #[test]
    fn what_is_built_is_read_back() {
        for remove in RemoveContainers::ALL {
            check_read_back(&tag(remove));
        }
        for on_disconnect in [OnDisconnect::Stop, OnDisconnect::Continue] {
            check_read_back(&tag_with(Terms { on_disconnect, ..fixture::terms() }));
        }
        let attempt_timeout = Some(Duration::from_millis(90_500));
        check_read_back(&tag_with(Terms { attempt_timeout, ..fixture::terms() }));
    }

    #[test]
    fn a_container_of_an_earlier_release_is_on_the_default_terms() {
        let mut labels = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
        labels.remove(DISCONNECT);
        assert_eq!(Tag::parse(&labels), Ok(tag(RemoveContainers::RemoveAll)));
    }

    #[test]
    fn the_filter_is_part_of_every_containers_labels() {
        let labels = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
        assert!(owner().filter().iter().all(|(key, value)| labels.get(key) == Some(value)));
        assert_eq!(owner().filter().len(), 3);
    }

    #[test]
    fn users_labels_are_passed_on_and_cannot_replace_ours() {
        let user = BTreeMap::from([("team", "billing"), (AGENT, "other"), (NONCE, "0"), (TIMEOUT, "1")]);
        let user = user.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let labels = tag(RemoveContainers::RemoveAll).labels(&owner(), &user);
        assert_eq!(labels.get("team").map(String::as_str), Some("billing"));
        assert_eq!(labels.get(AGENT).map(String::as_str), Some("host-1"));
        assert_eq!(Tag::parse(&labels), Ok(tag(RemoveContainers::RemoveAll)));
    }

    proptest! {
        #[test]
        fn any_labels_are_a_tag_or_name_what_is_wrong(
            label in select(ALL.to_vec()),
            value in "\\PC{0,300}|[0-9]{1,40}|-[0-9]{1,20}|[0-9a-f-]{36}",
        ) {
            let whole = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
            let mut labels = whole.clone();
            labels.insert(label.to_owned(), value.clone());
            match Tag::parse(&labels) {
                // What is read is what would have been written.
                Ok(read) => prop_assert_eq!(Tag::parse(&read.labels(&owner(), &BTreeMap::new())), Ok(read)),
                Err(error) => prop_assert_eq!(error, Unreadable { label }),
            }
            prop_assert!(Tag::parse(&[(label.to_owned(), value)].into()).is_err());
        }
    }

    #[test]
    fn a_limit_that_no_label_can_say_is_read_back_as_one_that_never_ends() {
        let endless = Terms { attempt_timeout: Some(Duration::MAX), ..fixture::terms() };
        let read = Tag::parse(&tag_with(endless).labels(&owner(), &BTreeMap::new())).unwrap();
        assert_eq!(read.terms.attempt_timeout, Some(Duration::from_millis(u64::MAX)));
    }

    #[test]
    fn every_missing_or_damaged_label_is_named() {
        let whole = tag(RemoveContainers::RemoveAll).labels(&owner(), &BTreeMap::new());
        let required = [APP, RUN, UID, SERVICE, REPLICA, ATTEMPT, NONCE, CLAIM, REMOVE];
        for label in required {
            let mut missing = whole.clone();
            missing.remove(label);
            assert_eq!(Tag::parse(&missing), Err(Unreadable { label }));
        }
        for label in required.into_iter().chain([TIMEOUT, DISCONNECT]) {
            let mut damaged = whole.clone();
            damaged.insert(label.to_owned(), "?".to_owned());
            assert_eq!(Tag::parse(&damaged), Err(Unreadable { label }));
        }
    }
}
