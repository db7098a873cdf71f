//! What a host must have before it can run a container: networks, volumes, images.

use std::{collections::BTreeSet, fmt};

use super::{ContainerSpec, PullPolicy, VolumeSource, is_built_in};

/// Something that a host must have before it can run a container: nothing that tickmesh makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostNeed {
    /// A network of the engine with this name.
    Network(String),
    /// A volume of the engine with this name.
    Volume(String),
    /// An image that is never pulled.
    Image(String),
}

impl fmt::Display for HostNeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => write!(formatter, "network {name}"),
            Self::Volume(name) => write!(formatter, "volume {name}"),
            Self::Image(name) => write!(formatter, "image {name}"),
        }
    }
}

impl ContainerSpec {
    /// Returns everything that a host must have already, each once.
    pub fn host_needs(&self) -> BTreeSet<HostNeed> {
        let is_network = |name: &&str| !is_built_in(name) && !name.starts_with("container:");
        let by_mode = self.network_mode.as_deref();
        let networks = by_mode.into_iter().chain(self.networks.iter().map(|network| network.name.as_str()));
        let networks = networks.filter(is_network).map(|name| HostNeed::Network(name.to_owned()));
        let volumes = self.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::Named(name) => volume.options.must_exist.then(|| HostNeed::Volume(name.clone())),
            VolumeSource::HostPath(_)
            | VolumeSource::ExistingHostPath(_)
            | VolumeSource::Anonymous
            | VolumeSource::Tmpfs(_) => None,
        });
        let image = match self.pull_policy {
            PullPolicy::Never => Some(HostNeed::Image(self.image.clone())),
            PullPolicy::Missing | PullPolicy::Always => None,
        };
        networks.chain(volumes).chain(image).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MountOptions, NetworkSpec, Volume};

    #[track_caller]
    fn check(container: &ContainerSpec, expect: &[&str]) {
        let needs: Vec<String> = container.host_needs().iter().map(ToString::to_string).collect();
        assert_eq!(needs, expect);
    }

    #[test]
    fn what_every_host_has_or_makes_is_no_need() {
        let plain = ContainerSpec::new("busybox");
        check(&plain, &[]);
        for mode in ["bridge", "none", "host", "default", "container:db"] {
            check(&ContainerSpec { network_mode: Some(mode.to_owned()), ..plain.clone() }, &[]);
        }
        check(&ContainerSpec { volumes: vec![volume(false)], ..plain }, &[]);
    }

    fn volume(must_exist: bool) -> Volume {
        Volume {
            source: VolumeSource::Named("data".to_owned()),
            target: "/data".to_owned(),
            read_only: false,
            options: MountOptions { must_exist, ..MountOptions::default() },
        }
    }

    #[test]
    fn networks_volumes_and_unpulled_images_must_be_there() {
        let network = |name: &str| NetworkSpec { name: name.to_owned(), aliases: Vec::new() };
        let container = ContainerSpec {
            network_mode: Some("front".to_owned()),
            networks: vec![network("front"), network("back")],
            volumes: vec![volume(true)],
            pull_policy: PullPolicy::Never,
            ..ContainerSpec::new("nightly-s1")
        };
        check(&container, &["network back", "network front", "volume data", "image nightly-s1"]);
    }
}
