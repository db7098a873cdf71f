//! What a host must have already before a container can run there: the engine would refuse it, or make an empty one in its place.

use super::{ContainerSpec, HostNeed};

/// Shortest word of hexadecimal digits that may be the id of a network: the engine shows this many of it.
const ID_DIGITS_MIN: usize = 12;

/// Names of what a host must have. Of a host that does not tell what it has, nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirements {
    pub networks: Vec<String>,
    pub volumes: Vec<String>,
}

impl Requirements {
    /// Returns what a container asks for, as far as agents tell what they have. A network that may be named by its id is not
    /// looked for by name.
    pub fn of(container: &ContainerSpec) -> Self {
        let mut requirements = Self::default();
        for need in container.host_needs() {
            match need {
                HostNeed::Network(name) if is_id(&name) => {}
                HostNeed::Network(name) => requirements.networks.push(name),
                HostNeed::Volume(name) => requirements.volumes.push(name),
                // Agents tell no images: there may be thousands.
                HostNeed::Image(_) => {}
            }
        }
        requirements
    }
}

fn is_id(name: &str) -> bool {
    name.len() >= ID_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MountOptions, Volume, VolumeSource};

    #[track_caller]
    fn check(mode: &str, networks: &[&str]) {
        let container = ContainerSpec { network_mode: Some(mode.to_owned()), ..ContainerSpec::new("busybox") };
        let expected = Requirements { networks: networks.iter().map(|it| (*it).to_owned()).collect(), volumes: vec![] };
        assert_eq!(Requirements::of(&container), expected, "{mode}");
    }

    #[test]
    fn network_that_somebody_made_must_be_there() {
        check("backend", &["backend"]);
        check("stack_default", &["stack_default"]);
        for mode in ["default", "bridge", "host", "none", "container:db", "0123456789ab"] {
            check(mode, &[]);
        }
        assert_eq!(Requirements::of(&ContainerSpec::new("busybox")), Requirements::default());
    }

    #[test]
    fn external_volume_must_be_there_and_another_one_is_made() {
        let volume = |name: &str, must_exist: bool| Volume {
            source: VolumeSource::Named(name.to_owned()),
            target: format!("/{name}"),
            read_only: false,
            options: MountOptions { must_exist, ..MountOptions::default() },
        };
        let volumes = vec![volume("data", true), volume("cache", false)];
        let container = ContainerSpec { volumes, ..ContainerSpec::new("busybox") };
        let expected = Requirements { volumes: vec!["data".to_owned()], ..Requirements::default() };
        assert_eq!(Requirements::of(&container), expected);
    }
}
