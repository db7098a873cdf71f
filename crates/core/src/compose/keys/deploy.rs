//! The keys of `deploy`, level by level.

use super::{Known, ignored, supported, unsupported};

/// Keys of `deploy` that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeployKey {
    Mode,
    Replicas,
    Resources,
    Placement,
    RestartPolicy,
    Labels,
}

/// Keys of `deploy.resources`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceKey {
    Limits,
    Reservations,
}

/// Keys of both of these that are read; `pids` is a limit only, and `devices` a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AmountKey {
    Cpus,
    Memory,
    Pids,
    Devices,
}

/// Keys of `deploy.placement` that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlacementKey {
    Constraints,
}

const NO_UPDATE: &str = "an edit never changes an active run, and the next run begins with it";
const NO_GENERIC: &str = "agents hand out processors, memory and GPUs only";
const HOSTS_WITH_DEVICES: &str = "write a constraint on a label that only hosts with such devices have";

/// Every key of `deploy`.
pub(crate) const DEPLOY_KEYS: &[Known<DeployKey>] = &[
    supported("mode", DeployKey::Mode),
    supported("replicas", DeployKey::Replicas),
    supported("resources", DeployKey::Resources),
    supported("placement", DeployKey::Placement),
    supported("restart_policy", DeployKey::RestartPolicy),
    ignored("update_config", NO_UPDATE),
    ignored("rollback_config", NO_UPDATE),
    ignored("endpoint_mode", "nothing connects to a batch job"),
    supported("labels", DeployKey::Labels),
];

/// Every key of `deploy.resources`.
pub(crate) const RESOURCE_KEYS: &[Known<ResourceKey>] =
    &[supported("limits", ResourceKey::Limits), supported("reservations", ResourceKey::Reservations)];

/// Every key of `deploy.resources.limits`.
pub(crate) const LIMIT_KEYS: &[Known<AmountKey>] =
    &[supported("cpus", AmountKey::Cpus), supported("memory", AmountKey::Memory), supported("pids", AmountKey::Pids)];

/// Every key of `deploy.resources.reservations`.
pub(crate) const RESERVATION_KEYS: &[Known<AmountKey>] = &[
    supported("cpus", AmountKey::Cpus),
    supported("memory", AmountKey::Memory),
    unsupported("pids", "a host has processes enough", "write it under `limits`"),
    supported("devices", AmountKey::Devices),
    unsupported("generic_resources", NO_GENERIC, HOSTS_WITH_DEVICES),
];

/// Every key of `deploy.placement`.
pub(crate) const PLACEMENT_KEYS: &[Known<PlacementKey>] = &[
    supported("constraints", PlacementKey::Constraints),
    ignored("preferences", "replicas are spread over all agents that fit"),
    unsupported(
        "max_replicas_per_node",
        "replicas are spread over the agents, but share one where there are too few",
        "write `mode: global` for one replica on each",
    ),
];
