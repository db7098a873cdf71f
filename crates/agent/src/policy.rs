//! What a host lets containers do.
//!
//! A compose file comes from somebody who may run jobs, not from somebody who owns the hosts. So what reaches out of a
//! container is refused unless the agent's own configuration allows it.

use std::path::{Component, Path, PathBuf};

use tickmesh_core::spec::{ContainerSpec, VolumeSource};

/// What this host allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// Paths that containers may mount, with everything below them. The check is by name: list no directory in which jobs
    /// can make symbolic links, for the engine follows them.
    pub host_paths: Vec<PathBuf>,
}

/// What the host's policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A mount of a path that is not on the list.
    #[error("host path `{path}` is not allowed by the configuration of agent hosts")]
    HostPath {
        /// The path.
        path: String,
    },
    /// A network that is not the container's own.
    #[error("network mode `{mode}` is not allowed: it shares the network of the host or of another container")]
    NetworkMode {
        /// The mode.
        mode: String,
    },
}

impl HostPolicy {
    /// Refuses a container that wants more than the host allows.
    pub fn check(&self, container: &ContainerSpec) -> Result<(), Refusal> {
        if let Some(mode) = container.network_mode.as_deref().filter(|mode| shares_network(mode)) {
            return Err(Refusal::NetworkMode { mode: mode.to_owned() });
        }
        for volume in &container.volumes {
            match &volume.source {
                VolumeSource::HostPath(path) if !self.allows(Path::new(path)) => {
                    return Err(Refusal::HostPath { path: path.clone() });
                }
                VolumeSource::HostPath(_) | VolumeSource::Named(_) | VolumeSource::Anonymous => {}
            }
        }
        Ok(())
    }

    fn allows(&self, path: &Path) -> bool {
        let climbs = path.components().any(|component| component == Component::ParentDir);
        path.is_absolute() && !climbs && self.host_paths.iter().any(|allowed| path.starts_with(allowed))
    }
}

fn shares_network(mode: &str) -> bool {
    mode == "host" || mode.starts_with("container:")
}

#[cfg(test)]
mod tests {
    use tickmesh_core::spec::Volume;

    use super::*;
    use crate::fixture;

    #[track_caller]
    fn check_path(path: &str, allowed: bool) {
        let policy = HostPolicy { host_paths: vec!["/data".into(), "/srv/jobs/".into()] };
        let mut container = fixture::container();
        let source = VolumeSource::HostPath(path.to_owned());
        container.volumes.push(Volume { source, target: "/mnt".to_owned(), read_only: true });
        assert_eq!(policy.check(&container).is_ok(), allowed, "{path}");
    }

    #[test]
    fn only_listed_host_paths_and_what_is_below_are_mounted() {
        check_path("/data", true);
        check_path("/data/2026", true);
        check_path("/srv/jobs", true);
        check_path("/database", false);
        check_path("/", false);
        check_path("/srv", false);
        check_path("/data/../etc", false);
        check_path("data", false);
        check_path("/var/run/docker.sock", false);
    }

    #[track_caller]
    fn check_network(mode: &str, allowed: bool) {
        let container = ContainerSpec { network_mode: Some(mode.to_owned()), ..fixture::container() };
        assert_eq!(HostPolicy::default().check(&container).is_ok(), allowed, "{mode}");
    }

    #[test]
    fn networks_of_the_host_and_of_other_containers_are_refused() {
        check_network("bridge", true);
        check_network("none", true);
        check_network("backend", true);
        check_network("host", false);
        check_network("container:db", false);
    }

    #[test]
    fn volumes_of_the_engine_need_no_permission() {
        let mut container = fixture::container();
        for source in [VolumeSource::Named("cache".to_owned()), VolumeSource::Anonymous] {
            container.volumes.push(Volume { source, target: "/cache".to_owned(), read_only: false });
        }
        assert_eq!(HostPolicy::default().check(&container), Ok(()));
    }
}
