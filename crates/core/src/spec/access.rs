//! What a container reaches of its host, for the host to allow: paths, devices, capabilities, rights.

use std::fmt;

use super::{Amount, ContainerSpec, Ipc, Limits, Rights, Ulimit, Volume};

/// Capabilities that the engine gives every container: who adds one of them asks for nothing.
const CAPABILITIES_OF_EVERYONE: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Limits of a process that let it take the processor from others, the most of each that every process may have anyway, and
/// the capability that they stand for. (`nice` counts from the other end: 20 is the usual niceness 0, 21 is -1.)
const ULIMITS_OF_PRIORITY: [(&str, u64); 2] = [("nice", 20), ("rtprio", 0)];
/// What a process needs to raise these, if its limit does not let it.
pub const CAPABILITY_OF_PRIORITY: &str = "SYS_NICE";

/// The engine's name for the network of its host.
const HOST_NETWORK: &str = "host";

/// The one security option that takes something away.
pub(crate) const NO_NEW_PRIVILEGES: &str = "no-new-privileges=true";

/// Something outside a container that it asks for. Whether it gets it is up to the agent of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostAccess {
    /// A path of the host, mounted.
    Path(String),
    /// A device of the host.
    Device(String),
    /// A capability that containers do not have.
    Capability(String),
    /// A limit of a process that gives what [`CAPABILITY_OF_PRIORITY`] gives.
    Priority(String),
    /// The network of the host.
    Network,
    /// The network of another container, with this name.
    NetworkOfContainer(String),
    /// The processes of the host.
    Pid,
    /// The shared memory of the host.
    Ipc,
    /// The users of the host.
    Users,
    /// Less of what keeps a container in: a security option.
    Unconfined(String),
    /// Everything.
    Privileged,
    /// Devices that a driver of the engine hands out.
    Gpus,
    /// A volume that the engine makes by this driver, with options of the file.
    VolumeDriver(String),
}

impl fmt::Display for HostAccess {
    /// As the compose file has it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "host path {path}"),
            Self::Device(path) => write!(formatter, "device {path}"),
            Self::Capability(name) => write!(formatter, "cap_add {name}"),
            Self::Priority(ulimit) => write!(formatter, "ulimits {ulimit}"),
            Self::Network => formatter.write_str("network_mode host"),
            Self::NetworkOfContainer(name) => write!(formatter, "network_mode container:{name}"),
            Self::Pid => formatter.write_str("pid host"),
            Self::Ipc => formatter.write_str("ipc host"),
            Self::Users => formatter.write_str("userns_mode host"),
            Self::Unconfined(option) => write!(formatter, "security_opt {option}"),
            Self::Privileged => formatter.write_str("privileged"),
            Self::Gpus => formatter.write_str("gpus"),
            Self::VolumeDriver(driver) => write!(formatter, "volume driver {driver}"),
        }
    }
}

impl ContainerSpec {
    /// Everything outside the container that it asks for.
    pub fn host_access(&self) -> Vec<HostAccess> {
        // Every field has its name here, so that whoever adds one meets this question.
        let Self {
            network_mode,
            networks,
            volumes,
            rights,
            device_requests,
            limits,
            image: _,
            platform: _,
            pull_policy: _,
            command: _,
            entrypoint: _,
            environment: _,
            labels: _,
            working_dir: _,
            user: _,
            memory_bytes: _,
            memory_reservation_bytes: _,
            cpu_millis: _,
            cpu_reservation_millis: _,
            cpu_shares: _,
            naming: _,
            init: _,
            engine_init: _,
            stop_signal: _,
            stop_grace: _,
        } = self;
        let by_mode = network_mode.as_deref().and_then(network);
        // The first network is the mode, too.
        let by_list = networks.iter().any(|network| network.name == HOST_NETWORK).then_some(HostAccess::Network);
        let network = by_mode.or(by_list);
        let paths = volumes.iter().filter_map(mounted);
        let gpus = (!device_requests.is_empty()).then_some(HostAccess::Gpus);
        network.into_iter().chain(paths).chain(of_rights(rights)).chain(of_limits(limits)).chain(gpus).collect()
    }
}

fn network(mode: &str) -> Option<HostAccess> {
    match mode.strip_prefix("container:") {
        Some(name) => Some(HostAccess::NetworkOfContainer(name.to_owned())),
        None => (mode == HOST_NETWORK).then_some(HostAccess::Network),
    }
}

fn mounted(volume: &Volume) -> Option<HostAccess> {
    if let Some(path) = volume.host_path() {
        return Some(HostAccess::Path(path.to_owned()));
    }
    volume.options.driver.as_ref().map(|driver| HostAccess::VolumeDriver(driver.name.clone()))
}

/// The others only take something away, or bound what the kernel bounds anyway.
fn of_limits(Limits { ulimits, .. }: &Limits) -> impl Iterator<Item = HostAccess> {
    let raised = |(name, usual): &(&str, u64)| {
        let Ulimit { soft, hard } = ulimits.get(*name)?;
        let usual = Amount::AtMost(*usual);
        (*soft > usual || *hard > usual).then(|| HostAccess::Priority((*name).to_owned()))
    };
    ULIMITS_OF_PRIORITY.iter().filter_map(raised)
}

fn of_rights(rights: &Rights) -> Vec<HostAccess> {
    let Rights {
        privileged,
        cap_add,
        security,
        host_pid,
        ipc,
        host_users,
        devices,
        cap_drop: _,
        // The reader takes only those that the kernel keeps apart for each container.
        sysctls: _,
        groups: _,
        read_only: _,
    } = rights;
    let whole = [
        privileged.then_some(HostAccess::Privileged),
        host_pid.then_some(HostAccess::Pid),
        (*ipc == Some(Ipc::Host)).then_some(HostAccess::Ipc),
        host_users.then_some(HostAccess::Users),
    ];
    let capabilities = cap_add.iter().filter(|name| !CAPABILITIES_OF_EVERYONE.contains(&name.as_str()));
    let security = security.iter().filter(|option| *option != NO_NEW_PRIVILEGES);
    let mut access: Vec<HostAccess> = whole.into_iter().flatten().collect();
    access.extend(capabilities.cloned().map(HostAccess::Capability));
    access.extend(devices.iter().map(|device| HostAccess::Device(device.source.clone())));
    access.extend(security.cloned().map(HostAccess::Unconfined));
    access
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Device;

    #[track_caller]
    fn check(rights: Rights, expect: &[&str]) {
        let container = ContainerSpec { rights, ..ContainerSpec::new("busybox") };
        let access: Vec<String> = container.host_access().iter().map(ToString::to_string).collect();
        assert_eq!(access, expect);
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn rights_that_every_container_has_or_that_are_fewer_are_no_access() {
        check(Rights::default(), &[]);
        check(Rights { cap_add: owned(&CAPABILITIES_OF_EVERYONE), ..Rights::default() }, &[]);
        check(Rights { cap_drop: owned(&["ALL"]), read_only: true, ..Rights::default() }, &[]);
        check(Rights { security: owned(&[NO_NEW_PRIVILEGES]), ..Rights::default() }, &[]);
        for ipc in [Ipc::None, Ipc::Private, Ipc::Shareable] {
            check(Rights { ipc: Some(ipc), ..Rights::default() }, &[]);
        }
    }

    #[track_caller]
    fn check_ulimit(name: &str, soft: Amount, hard: Amount, expect: &[&str]) {
        let ulimits = [(name.to_owned(), Ulimit { soft, hard })].into();
        let limits = Limits { ulimits, ..Limits::default() };
        let container = ContainerSpec { limits, ..ContainerSpec::new("busybox") };
        let access: Vec<String> = container.host_access().iter().map(ToString::to_string).collect();
        assert_eq!(access, expect, "{name} {soft:?} {hard:?}");
    }

    #[test]
    fn a_limit_that_raises_priority_is_what_the_capability_is() {
        use Amount::{AtMost, Unlimited};
        for (name, usual) in ULIMITS_OF_PRIORITY {
            let expect = format!("ulimits {name}");
            check_ulimit(name, AtMost(usual), AtMost(usual), &[]);
            check_ulimit(name, AtMost(usual), AtMost(usual + 1), &[&expect]);
            check_ulimit(name, AtMost(usual), Unlimited, &[&expect]);
        }
        for name in ["nofile", "core", "memlock"] {
            check_ulimit(name, AtMost(99), Unlimited, &[]);
        }
    }

    #[test]
    fn what_reaches_out_of_a_container_is() {
        check(
            Rights { cap_add: owned(&["KILL", "SYS_ADMIN", "ALL"]), ..Rights::default() },
            &["cap_add SYS_ADMIN", "cap_add ALL"],
        );
        check(
            Rights { security: owned(&["seccomp=unconfined"]), ..Rights::default() },
            &["security_opt seccomp=unconfined"],
        );
        let device =
            Device { source: "/dev/fuse".to_owned(), target: "/dev/f".to_owned(), permissions: "r".to_owned() };
        check(Rights { devices: vec![device], ..Rights::default() }, &["device /dev/fuse"]);
        check(
            Rights { privileged: true, host_pid: true, host_users: true, ipc: Some(Ipc::Host), ..Rights::default() },
            &["privileged", "pid host", "ipc host", "userns_mode host"],
        );
    }
}
