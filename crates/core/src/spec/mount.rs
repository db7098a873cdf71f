//! What of a host, a volume or memory a container sees below a path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// What is mounted.
    pub source: VolumeSource,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// What else the file says about it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: MountOptions,
}

impl Volume {
    /// The path of the host that the container gets to see, if it is one: mounted by its name, or
    /// behind a volume that the engine makes of it.
    pub fn host_path(&self) -> Option<&str> {
        match &self.source {
            VolumeSource::HostPath(path) | VolumeSource::ExistingHostPath(path) => Some(path),
            VolumeSource::Named(_) => self.options.driver.as_ref().and_then(VolumeDriver::bound_path),
            VolumeSource::Anonymous | VolumeSource::Tmpfs(_) => None,
        }
    }
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeSource {
    /// A path of the Docker host, which becomes a directory if it is not there; the agent must
    /// allow it.
    HostPath(String),
    /// A path of the Docker host that must be there; the agent must allow it.
    ExistingHostPath(String),
    /// A volume of the engine.
    Named(String),
    /// A new volume that goes with the container.
    Anonymous,
    /// Memory, with these options of its mount: such as `size=64m,mode=1777`, or none.
    Tmpfs(String),
}

/// Details of a mount, as the modes of docker have them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MountOptions {
    /// The volume must be there already: the engine must not make an empty one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub must_exist: bool,
    /// A new volume does not begin with what the image has at its target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_copy: bool,
    /// How SELinux labels what is mounted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub relabel: Option<Relabel>,
    /// How mounts below it spread between host and container.
    #[serde(default, skip_serializing_if = "is_default")]
    pub propagation: Option<Propagation>,
    /// How the engine makes the volume where it is not there yet; `None`: as one of its own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub driver: Option<VolumeDriver>,
}

/// Docker's own driver of volumes, which mounts whatever its options say.
pub const VOLUME_DRIVER_LOCAL: &str = "local";

/// What makes a volume, and with which options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeDriver {
    /// Name of the driver.
    pub name: String,
    /// Its options, such as `type`, `o` and `device` of the local driver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: BTreeMap<String, String>,
}

impl VolumeDriver {
    /// The path of the host that such a volume is: the local driver mounts it by `o: bind`.
    fn bound_path(&self) -> Option<&str> {
        let flags = self.options.get("o").map(String::as_str).unwrap_or_default();
        let is_bind = flags.split(',').any(|flag| matches!(flag.trim(), "bind" | "rbind"));
        let device = self.options.get("device")?;
        (self.name == VOLUME_DRIVER_LOCAL && is_bind).then_some(device)
    }
}

/// How SELinux labels a mounted path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relabel {
    /// For all containers.
    Shared,
    /// For this container alone.
    Private,
}

impl Relabel {
    /// Returns docker's mode.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "z",
            Self::Private => "Z",
        }
    }
}

/// How mounts below a mounted path spread between host and container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Propagation {
    Private,
    RecursivePrivate,
    Shared,
    RecursiveShared,
    Slave,
    RecursiveSlave,
}

impl Propagation {
    /// Every value, in the order of docker's documentation.
    pub const ALL: [Self; 6] =
        [Self::Private, Self::RecursivePrivate, Self::Shared, Self::RecursiveShared, Self::Slave, Self::RecursiveSlave];

    /// Returns docker's mode.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::RecursivePrivate => "rprivate",
            Self::Shared => "shared",
            Self::RecursiveShared => "rshared",
            Self::Slave => "slave",
            Self::RecursiveSlave => "rslave",
        }
    }
}
