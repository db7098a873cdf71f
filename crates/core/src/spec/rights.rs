//! What a container may do, above and below what every container may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_default;

/// What a container may do, above and below what every container may. What reaches out of it, its host has to allow: see
/// [`super::ContainerSpec::host_access`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rights {
    /// Everything that the host may.
    #[serde(default, skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// Capabilities that it gets, without `CAP_`; `ALL` is all of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cap_add: Vec<String>,
    /// Capabilities that it does not get, in the same spelling.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cap_drop: Vec<String>,
    /// Settings of the kernel's security modules, as `name:value`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub security: Vec<String>,
    /// It sees the host's processes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_pid: bool,
    /// Who shares its memory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipc: Option<Ipc>,
    /// Its users are the host's, also where the engine keeps them apart.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_users: bool,
    /// Devices of the host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub devices: Vec<Device>,
    /// Settings of the kernel for this container alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sysctls: BTreeMap<String, String>,
    /// Further groups of its user.
    #[serde(default, skip_serializing_if = "is_default")]
    pub groups: Vec<String>,
    /// Nothing of its image can be written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: bool,
}

/// Who shares System V memory with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ipc {
    /// There is none, not even `/dev/shm`.
    None,
    /// Nobody.
    Private,
    /// Containers that ask for it.
    Shareable,
    Host,
}

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// What may be done with it: `r`ead, `w`rite, `m`ake.
    pub permissions: String,
}

impl Ipc {
    /// As compose and docker write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Private => "private",
            Self::Shareable => "shareable",
            Self::Host => "host",
        }
    }
}
