//! Where an attempt is found: as the tokens of a subject, and as the name of a container.
//!
//! Both carry the run's token instead of its uid, so they are addresses and not identities: the full [`AttemptId`] is in the
//! message's body and in the container's labels.

use std::str::FromStr;

use tickmesh_core::{
    id::{AttemptId, RunToken},
    name::{AgentName, AppName, Namespace, ServiceName},
};

/// A `.` separates the tokens of a subject, but may occur in the name of a service. There it becomes this character, which
/// no service's name may have.
const ESCAPED_DOT: char = '=';

/// First part of every container's name.
const CONTAINER_PREFIX: &str = "tickmesh";

/// A subject or a container's name that this mesh does not spell so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not name a {kind} of this mesh")]
pub struct InvalidAddress {
    kind: &'static str,
    text: String,
}

impl InvalidAddress {
    pub(crate) fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, text: text.to_owned() }
    }
}

/// An attempt on its agent, as subjects have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptAddress {
    pub app: AppName,
    /// The run.
    pub run: RunToken,
    pub service: ServiceName,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub attempt: u32,
    /// The agent. Last in the subject, so that the server's permissions can bind an agent to its own name.
    pub agent: AgentName,
}

impl AttemptAddress {
    /// The address of an attempt.
    pub fn of(attempt: &AttemptId, agent: &AgentName) -> Self {
        Self {
            app: attempt.app.clone(),
            run: attempt.token(),
            service: attempt.service.clone(),
            replica: attempt.replica,
            attempt: attempt.attempt,
            agent: agent.clone(),
        }
    }

    /// The address as the last six tokens of a subject.
    pub(crate) fn tokens(&self) -> String {
        let Self { app, run, service, replica, attempt, agent } = self;
        format!("{app}.{run}.{}.{replica}.{attempt}.{agent}", escape(service))
    }

    /// The inverse of [`Self::tokens`].
    pub(crate) fn parse(tokens: &str) -> Option<Self> {
        let mut tokens = tokens.split('.');
        let address = Self {
            app: parse(tokens.next()?)?,
            run: parse(tokens.next()?)?,
            service: unescape(tokens.next()?)?,
            replica: parse_index(tokens.next()?)?,
            attempt: parse_index(tokens.next()?)?,
            agent: parse(tokens.next()?)?,
        };
        tokens.next().is_none().then_some(address)
    }
}

/// An attempt as the name of its container has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerAddress {
    pub app: AppName,
    /// The run.
    pub run: RunToken,
    pub service: ServiceName,
    /// Index of the replica.
    pub replica: u32,
    /// Number of the attempt.
    pub attempt: u32,
}

impl ContainerAddress {
    /// The address of an attempt's container.
    pub fn of(attempt: &AttemptId) -> Self {
        Self {
            app: attempt.app.clone(),
            run: attempt.token(),
            service: attempt.service.clone(),
            replica: attempt.replica,
            attempt: attempt.attempt,
        }
    }

    /// The container's name.
    pub(crate) fn name(&self, namespace: &Namespace) -> String {
        let Self { app, run, service, replica, attempt } = self;
        format!("{CONTAINER_PREFIX}.{namespace}.{app}.{run}.{service}.{replica}.{attempt}")
    }

    /// The inverse of [`Self::name`]. Only the service may have dots, so it is what lies between the rest.
    pub(crate) fn parse(namespace: &Namespace, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(CONTAINER_PREFIX)?.strip_prefix('.')?;
        let rest = rest.strip_prefix(namespace.as_str())?.strip_prefix('.')?;
        let (app, rest) = rest.split_once('.')?;
        let (run, rest) = rest.split_once('.')?;
        let (rest, attempt) = rest.rsplit_once('.')?;
        let (service, replica) = rest.rsplit_once('.')?;
        Some(Self {
            app: parse(app)?,
            run: parse(run)?,
            service: parse(service)?,
            replica: parse_index(replica)?,
            attempt: parse_index(attempt)?,
        })
    }
}

fn parse<T: FromStr>(token: &str) -> Option<T> {
    token.parse().ok()
}

/// A number as we print it: no sign, no leading zero. Otherwise two subjects would mean one attempt.
fn parse_index(token: &str) -> Option<u32> {
    let index: u32 = token.parse().ok()?;
    (index.to_string() == token).then_some(index)
}

/// A service's name as one token of a subject.
pub(crate) fn escape(service: &ServiceName) -> String {
    service.as_str().replace('.', &ESCAPED_DOT.to_string())
}

fn unescape(token: &str) -> Option<ServiceName> {
    parse(&token.replace(ESCAPED_DOT, "."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tickmesh_core::id::RunUid;

    use super::*;
    use crate::{Names, names::StreamKind};

    fn names(namespace: &str) -> Names {
        Names::new(Namespace::new(namespace).unwrap())
    }

    prop_compose! {
        fn attempts()(
            app in "[A-Za-z0-9][A-Za-z0-9-]{0,62}",
            run in any::<u64>(),
            uid in any::<[u8; 16]>(),
            service in "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}",
            replica in any::<u32>(),
            attempt in any::<u32>(),
        ) -> AttemptId {
            AttemptId {
                app: AppName::new(app).unwrap(),
                run,
                uid: RunUid::from_random(uid),
                service: ServiceName::new(service).unwrap(),
                replica,
                attempt,
            }
        }
    }

    proptest! {
        #[test]
        fn subjects_round_trip(
            namespace in "[A-Za-z0-9][A-Za-z0-9-]{0,62}",
            attempt in attempts(),
            agent in "[A-Za-z0-9][A-Za-z0-9-]{0,62}",
        ) {
            let names = names(&namespace);
            let agent = AgentName::new(agent).unwrap();
            let address = AttemptAddress::of(&attempt, &agent);
            let result = names.result(&attempt, &agent);
            let log = names.log(&attempt, &agent);
            prop_assert_eq!(result.split('.').count(), 8, "{}", result);
            prop_assert_eq!(names.parse_result(&result).unwrap(), address.clone());
            prop_assert_eq!(names.parse_log(&log).unwrap(), address);
            prop_assert!(names.parse_log(&result).is_err() && names.parse_result(&log).is_err());
        }

        #[test]
        fn container_names_round_trip_and_are_valid_for_docker(
            namespace in "[A-Za-z0-9][A-Za-z0-9-]{0,62}",
            attempt in attempts(),
        ) {
            let names = names(&namespace);
            let name = names.container(&attempt);
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            prop_assert!(name.bytes().all(valid) && name.len() <= 255, "{}", name);
            prop_assert_eq!(names.parse_container(&name).unwrap(), ContainerAddress::of(&attempt));
        }

        #[test]
        fn any_text_is_an_address_that_is_spelled_so_or_none(text in "\\PC{0,80}", cut in any::<prop::sample::Index>()) {
            let names = names("mesh");
            // Also what begins like one of ours.
            let whole = "mesh.result.app.7-00ab12cd.s=1.0.1.host-1";
            let cut = cut.index(whole.len());
            for subject in [text.clone(), format!("{}{text}", &whole[..cut]), format!("{text}{}", &whole[cut..])] {
                if let Ok(address) = names.parse_result(&subject) {
                    prop_assert_eq!(format!("mesh.result.{}", address.tokens()), subject.clone());
                }
                let _ = (names.parse_log(&subject), names.key_of(StreamKind::Apps, &subject));
            }
            let whole = "tickmesh.mesh.app.7-00ab12cd.s.1.0.1";
            let cut = cut.min(whole.len());
            for name in [text.clone(), format!("{}{text}", &whole[..cut]), format!("{text}{}", &whole[cut..])] {
                if let Ok(address) = names.parse_container(&name) {
                    prop_assert_eq!(address.name(names.namespace()), name.clone());
                }
            }
        }

        #[test]
        fn what_parses_is_spelled_exactly_so(
            tokens in "[a-b]\\.(1|01|\\+1)-(00ab12cd|00AB12CD)\\.[a-b=._]{1,3}\\.(0|00|1)\\.(1|\\+1|x)\\.[a-b.]{1,3}",
        ) {
            if let Some(address) = AttemptAddress::parse(&tokens) {
                prop_assert_eq!(address.tokens(), tokens);
            }
        }
    }

    #[track_caller]
    fn check_container(name: &str, service: Option<&str>) {
        let parsed = names("mesh").parse_container(name).ok();
        assert_eq!(parsed.as_ref().map(|address| address.service.as_str()), service, "{name}");
    }

    #[test]
    fn containers_of_others_are_not_ours() {
        check_container("tickmesh.mesh.app.7-00ab12cd.s1.0.1", Some("s1"));
        check_container("tickmesh.mesh.app.7-00ab12cd.s.1.0.1", Some("s.1"));
        check_container("tickmesh.mesh2.app.7-00ab12cd.s1.0.1", None);
        check_container("tickmesh.mes.app.7-00ab12cd.s1.0.1", None);
        check_container("/tickmesh.mesh.app.7-00ab12cd.s1.0.1", None);
        check_container("tickmesh.mesh.app.7-00ab12cd.s1.00.1", None);
        check_container("tickmesh.mesh.app.7-00ab12cd.0.1", None);
        check_container("mesh-app-1", None);
    }
}
