//! What a host lets containers do.
//!
//! A compose file comes from somebody who may run jobs, not from somebody who owns the hosts. So what reaches out of a
//! container is refused unless the agent's own configuration allows it. Agents publish their policy with each heartbeat, and
//! placement asks the same rule as the agent itself.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json_size::encoded_bytes;
use crate::spec::{CAPABILITY_OF_PRIORITY, ContainerSpec, HostAccess};

/// What this host allows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPolicy {
    /// Paths that containers may mount, with everything below them. By name, and just before a container is created also by
    /// where the names lead, if the engine's files are the agent's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "as_text")]
    pub host_paths: Vec<PathBuf>,
    /// Devices that containers may have, or directories of them, by name: no container makes links among devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "as_text")]
    pub devices: Vec<PathBuf>,
    /// Capabilities that containers may have beside those that all have; `ALL` is all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// What else they may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "known_grants")]
    pub grants: BTreeSet<Grant>,
}

/// Most that a heartbeat says of a policy: some hundred paths.
pub const POLICY_BYTES_MAX: usize = 4 * 1024;

/// Paths that are no text cannot be named by a file, so nothing is lost without them.
fn as_text<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().filter_map(|path| path.to_str()))
}

/// A grant of a later release is for what only that one asks.
fn known_grants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Grant>, D::Error> {
    let names: Vec<String> = Vec::deserialize(deserializer)?;
    Ok(Grant::ALL.into_iter().filter(|grant| names.iter().any(|name| name == grant.as_str())).collect())
}

/// Something of the host that containers may have or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    HostNetwork,
    /// The networks of other containers, of whoever they are.
    ContainerNetwork,
    /// Its processes.
    HostPid,
    /// Its shared memory.
    HostIpc,
    /// Its users, where the engine keeps those of containers apart.
    HostUsers,
    /// Security options that take something away from what keeps containers in.
    Unconfined,
    /// Everything: such a container is the host's root.
    Privileged,
    /// Devices that a driver of the engine hands out: GPUs.
    Gpus,
    /// Volumes that the engine makes as the file says: of a file server, or of a device.
    VolumeDrivers,
}

impl Grant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::HostNetwork,
        Self::ContainerNetwork,
        Self::HostPid,
        Self::HostIpc,
        Self::HostUsers,
        Self::Unconfined,
        Self::Privileged,
        Self::Gpus,
        Self::VolumeDrivers,
    ];

    /// As the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HostNetwork => "host-network",
            Self::ContainerNetwork => "container-network",
            Self::HostPid => "host-pid",
            Self::HostIpc => "host-ipc",
            Self::HostUsers => "host-users",
            Self::Unconfined => "unconfined",
            Self::Privileged => "privileged",
            Self::Gpus => "gpus",
            Self::VolumeDrivers => "volume-drivers",
        }
    }
}

/// What the host's policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{access} is not allowed on this host: its agent was not started with `{}`", self.flag())]
pub struct Refusal {
    /// What the container asks for.
    pub access: HostAccess,
}

impl Refusal {
    /// What would allow it, on the command line of an agent.
    fn flag(&self) -> String {
        flag(&self.access)
    }
}

/// The option of `tickmesh agent` that would allow it.
pub fn flag(access: &HostAccess) -> String {
    match access {
        HostAccess::Path(path) => format!("--allow-path {path}"),
        HostAccess::Device(path) => format!("--allow-device {path}"),
        HostAccess::Capability(name) => format!("--allow-cap {name}"),
        HostAccess::Priority(_) => format!("--allow-cap {CAPABILITY_OF_PRIORITY}"),
        HostAccess::Network => grant_flag(Grant::HostNetwork),
        HostAccess::NetworkOfContainer(_) => grant_flag(Grant::ContainerNetwork),
        HostAccess::Pid => grant_flag(Grant::HostPid),
        HostAccess::Ipc => grant_flag(Grant::HostIpc),
        HostAccess::Users => grant_flag(Grant::HostUsers),
        HostAccess::Unconfined(_) => grant_flag(Grant::Unconfined),
        HostAccess::Privileged => grant_flag(Grant::Privileged),
        HostAccess::Gpus => grant_flag(Grant::Gpus),
        HostAccess::VolumeDriver(_) => grant_flag(Grant::VolumeDrivers),
    }
}

fn grant_flag(grant: Grant) -> String {
    format!("--allow {}", grant.as_str())
}

impl HostPolicy {
    /// Refuses a container that wants more than the host allows. The first thing that it may not have is told.
    pub fn check(&self, container: &ContainerSpec) -> Result<(), Refusal> {
        match container.host_access().into_iter().find(|access| !self.allows(access)) {
            Some(access) => Err(Refusal { access }),
            None => Ok(()),
        }
    }

    /// Returns the policy as a heartbeat tells it; `None`: it is too long for one, and then nobody is told.
    pub fn published(&self) -> Option<Self> {
        (encoded_bytes(self) <= POLICY_BYTES_MAX).then(|| self.clone())
    }

    /// Whether containers may have this.
    pub fn allows(&self, access: &HostAccess) -> bool {
        match access {
            HostAccess::Path(path) => self.allows_path(Path::new(path)),
            HostAccess::Device(path) => is_below(Path::new(path), &self.devices),
            HostAccess::Capability(name) => self.allows_capability(name),
            HostAccess::Priority(_) => self.allows_capability(CAPABILITY_OF_PRIORITY),
            HostAccess::Network => self.grants.contains(&Grant::HostNetwork),
            HostAccess::NetworkOfContainer(_) => self.grants.contains(&Grant::ContainerNetwork),
            HostAccess::Pid => self.grants.contains(&Grant::HostPid),
            HostAccess::Ipc => self.grants.contains(&Grant::HostIpc),
            HostAccess::Users => self.grants.contains(&Grant::HostUsers),
            HostAccess::Unconfined(_) => self.grants.contains(&Grant::Unconfined),
            HostAccess::Privileged => self.grants.contains(&Grant::Privileged),
            HostAccess::Gpus => self.grants.contains(&Grant::Gpus),
            HostAccess::VolumeDriver(_) => self.grants.contains(&Grant::VolumeDrivers),
        }
    }

    fn allows_capability(&self, name: &str) -> bool {
        self.capabilities.contains(name) || self.capabilities.contains(EVERY_CAPABILITY)
    }

    /// Whether containers may mount this path.
    pub fn allows_path(&self, path: &Path) -> bool {
        is_below(path, &self.host_paths)
    }

    /// The listed paths that are not below another listed one.
    pub fn outermost(&self) -> impl Iterator<Item = &PathBuf> {
        let is_inner = |path: &PathBuf| self.host_paths.iter().any(|other| other != path && path.starts_with(other));
        self.host_paths.iter().filter(move |path| !is_inner(path))
    }

    /// Checks a container with each path replaced by where it leads, as `resolve` says.
    ///
    /// Inner paths are left out. They are allowed with the outer ones; and a job that may write there could make a link of one, which
    /// would then allow whatever it leads to.
    pub fn resolved(&self, resolve: impl Fn(&Path) -> Option<PathBuf>) -> Self {
        let host_paths = self.outermost().filter_map(|path| resolve(path)).collect();
        Self { host_paths, ..self.clone() }
    }
}

/// Stands for all capabilities.
const EVERY_CAPABILITY: &str = "ALL";

fn is_below(path: &Path, allowed: &[PathBuf]) -> bool {
    let climbs = path.components().any(|component| component == Component::ParentDir);
    path.is_absolute() && !climbs && allowed.iter().any(|allowed| path.starts_with(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{
        Amount, Device, DeviceRequest, Ipc, MountOptions, RequestedDevices, Rights, Ulimit, Volume, VolumeDriver,
        VolumeSource,
    };

    #[test]
    fn policy_is_published_as_it_is_but_for_what_no_file_can_name() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let policy = HostPolicy {
            host_paths: vec!["/srv/data".into()],
            devices: vec!["/dev/fuse".into()],
            capabilities: ["NET_ADMIN".to_owned()].into(),
            grants: Grant::ALL.into(),
        };
        let stored = serde_json::to_value(&policy).unwrap();
        assert_eq!(stored["grants"][0], "host-network");
        assert_eq!(serde_json::from_value::<HostPolicy>(stored).unwrap(), policy);
        let mut odd = policy.clone();
        odd.host_paths.push(OsStr::from_bytes(b"/srv/\xff").into());
        let stored = serde_json::to_value(odd.published().unwrap()).unwrap();
        assert_eq!(serde_json::from_value::<HostPolicy>(stored).unwrap(), policy);
        let long = HostPolicy { host_paths: vec!["/srv/data".into(); 1_000], ..HostPolicy::default() };
        assert_eq!(long.published(), None);
        let later = serde_json::json!({"grants": ["host-pid", "host-moon"], "more": 1});
        assert_eq!(serde_json::from_value::<HostPolicy>(later).unwrap().grants, [Grant::HostPid].into());
    }

    #[track_caller]
    fn check_path(path: &str, allowed: bool) {
        let paths = vec!["/data".into(), "/srv/jobs/".into()];
        let policy = HostPolicy { host_paths: paths.clone(), ..HostPolicy::default() };
        for source in [VolumeSource::HostPath(path.to_owned()), VolumeSource::ExistingHostPath(path.to_owned())] {
            let mut container = ContainerSpec::new("busybox");
            container.volumes.push(Volume {
                source,
                target: "/mnt".to_owned(),
                read_only: true,
                options: MountOptions::default(),
            });
            assert_eq!(policy.check(&container).is_ok(), allowed, "{path}");
        }
        // The lists are apart: who may mount a path gets no device of it.
        let policy = HostPolicy { devices: paths, ..HostPolicy::default() };
        assert_eq!(policy.check(&with(device(path))).is_ok(), allowed, "{path}");
        assert!(HostPolicy { host_paths: policy.devices, ..HostPolicy::default() }.check(&with(device(path))).is_err());
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

    fn with(rights: Rights) -> ContainerSpec {
        ContainerSpec { rights, ..ContainerSpec::new("busybox") }
    }

    fn device(path: &str) -> Rights {
        let (source, target) = (path.to_owned(), "/dev/it".to_owned());
        Rights { devices: vec![Device { source, target, permissions: "r".to_owned() }], ..Rights::default() }
    }

    fn network(mode: &str) -> ContainerSpec {
        ContainerSpec { network_mode: Some(mode.to_owned()), ..ContainerSpec::new("busybox") }
    }

    #[test]
    fn networks_of_their_own_need_no_permission() {
        for mode in ["bridge", "none", "backend"] {
            assert_eq!(HostPolicy::default().check(&network(mode)), Ok(()), "{mode}");
        }
    }

    /// By default it is refused with this reason, and with every other grant as well; with `grant` it is not.
    #[track_caller]
    fn check_grant(container: &ContainerSpec, grant: Grant, reason: &str) {
        let refusal = HostPolicy::default().check(container).unwrap_err();
        let grants =
            |grants: &[Grant]| HostPolicy { grants: grants.iter().copied().collect(), ..HostPolicy::default() };
        assert_eq!(refusal.to_string(), reason);
        let others: Vec<Grant> = Grant::ALL.into_iter().filter(|other| *other != grant).collect();
        assert_eq!(grants(&others).check(container), Err(refusal), "{grant:?}");
        assert_eq!(grants(&[grant]).check(container), Ok(()), "{grant:?}");
    }

    #[test]
    fn each_thing_of_the_host_has_a_grant_of_its_own() {
        let refused = |what: &str, flag: &str| {
            format!("{what} is not allowed on this host: its agent was not started with `--allow {flag}`")
        };
        let check = |container: &ContainerSpec, grant: Grant, what: &str| {
            check_grant(container, grant, &refused(what, grant.as_str()));
        };
        check(&network("host"), Grant::HostNetwork, "network_mode host");
        check(&network("container:db"), Grant::ContainerNetwork, "network_mode container:db");
        check(&with(Rights { host_pid: true, ..Rights::default() }), Grant::HostPid, "pid host");
        check(&with(Rights { ipc: Some(Ipc::Host), ..Rights::default() }), Grant::HostIpc, "ipc host");
        check(&with(Rights { host_users: true, ..Rights::default() }), Grant::HostUsers, "userns_mode host");
        check(&with(Rights { privileged: true, ..Rights::default() }), Grant::Privileged, "privileged");
        let gpus = vec![DeviceRequest::gpus(RequestedDevices::All)];
        check(&ContainerSpec { device_requests: gpus, ..ContainerSpec::new("busybox") }, Grant::Gpus, "gpus");
        let driver = VolumeDriver { name: "local".to_owned(), options: [("type".to_owned(), "nfs".to_owned())].into() };
        let volume = Volume {
            source: VolumeSource::Named("nas".to_owned()),
            target: "/nas".to_owned(),
            read_only: false,
            options: MountOptions { driver: Some(driver), ..MountOptions::default() },
        };
        let container = ContainerSpec { volumes: vec![volume], ..ContainerSpec::new("busybox") };
        check(&container, Grant::VolumeDrivers, "volume driver local");
        let option = "seccomp=unconfined";
        let unconfined = with(Rights { security: vec![option.to_owned()], ..Rights::default() });
        check(&unconfined, Grant::Unconfined, "security_opt seccomp=unconfined");
    }

    #[test]
    fn capabilities_have_a_list() {
        let check = |allowed: &[&str], wanted: &[&str], expect: Result<(), &str>| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            let capabilities = owned(allowed).into_iter().collect();
            let policy = HostPolicy { capabilities, ..HostPolicy::default() };
            let found = policy.check(&with(Rights { cap_add: owned(wanted), ..Rights::default() }));
            let found = found.map_err(|refusal| refusal.to_string());
            let expect = expect.map_err(|name| {
                format!(
                    "cap_add {name} is not allowed on this host: its agent was not started with `--allow-cap {name}`"
                )
            });
            assert_eq!(found, expect);
        };
        check(&[], &["CHOWN", "KILL"], Ok(()));
        check(&[], &["CHOWN", "SYS_ADMIN"], Err("SYS_ADMIN"));
        check(&["NET_ADMIN"], &["NET_ADMIN"], Ok(()));
        check(&["NET_ADMIN"], &["NET_ADMIN", "SYS_ADMIN"], Err("SYS_ADMIN"));
        check(&["NET_ADMIN"], &["ALL"], Err("ALL"));
        check(&["ALL"], &["ALL", "SYS_ADMIN"], Ok(()));
    }

    #[test]
    fn a_limit_that_raises_priority_needs_the_capability() {
        let mut container = ContainerSpec::new("busybox");
        let limit = Ulimit { soft: Amount::AtMost(99), hard: Amount::AtMost(99) };
        container.limits.ulimits.insert("rtprio".to_owned(), limit);
        let check = |capability: &str| {
            let capabilities = [capability.to_owned()].into();
            let found = HostPolicy { capabilities, ..HostPolicy::default() }.check(&container);
            found.map_err(|refusal| refusal.to_string())
        };
        let refused =
            "ulimits rtprio is not allowed on this host: its agent was not started with `--allow-cap SYS_NICE`";
        assert_eq!(check("SYS_ADMIN"), Err(refused.to_owned()));
        assert_eq!([check("SYS_NICE"), check("ALL")], [Ok(()), Ok(())]);
    }

    #[test]
    fn the_reason_names_what_would_allow_it() {
        let told = |container: &ContainerSpec| HostPolicy::default().check(container).unwrap_err().to_string();
        let mut mounted = ContainerSpec::new("busybox");
        let source = VolumeSource::HostPath("/etc".to_owned());
        mounted.volumes.push(Volume {
            source,
            target: "/mnt".to_owned(),
            read_only: true,
            options: MountOptions::default(),
        });
        assert_eq!(
            told(&mounted),
            "host path /etc is not allowed on this host: its agent was not started with `--allow-path /etc`"
        );
        assert_eq!(
            told(&with(device("/dev/fuse"))),
            "device /dev/fuse is not allowed on this host: its agent was not started with `--allow-device /dev/fuse`"
        );
    }

    #[test]
    fn volumes_of_the_engine_need_no_permission() {
        let mut container = ContainerSpec::new("busybox");
        let memory = VolumeSource::Tmpfs(String::new());
        for source in [VolumeSource::Named("cache".to_owned()), VolumeSource::Anonymous, memory] {
            container.volumes.push(Volume {
                source,
                target: "/cache".to_owned(),
                read_only: false,
                options: MountOptions::default(),
            });
        }
        assert_eq!(HostPolicy::default().check(&container), Ok(()));
    }
}
