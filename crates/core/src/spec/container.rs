//! A container as the compose file describes it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{DeviceRequest, Limits, Naming, NetworkSpec, Rights, Volume, is_default};

/// Default of [`ContainerSpec::stop_grace`]: docker's own.
pub const STOP_GRACE_DEFAULT: Duration = Duration::from_secs(10);

/// A container as the compose file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Image reference.
    pub image: String,
    /// Platform of the image, such as `linux/arm64`; `None`: that of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When the image is brought from its registry.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pull_policy: PullPolicy,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// The service's labels as written, passed on to the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Working directory in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// User, and group after a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Memory limit, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Reserved memory, in bytes, if it is not the limit: see [`ContainerSpec::reserved_memory_bytes`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reservation_bytes: Option<u64>,
    /// Processor limit, in thousandths of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Reserved processors, in thousandths of a core, if it is not the limit: see [`ContainerSpec::reserved_cpu_millis`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_reservation_millis: Option<u64>,
    /// Relative processor weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Network mode: bridge, none, host ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// Networks of the host to which it is connected. The first one is `network_mode`, too: agents
    /// of the release before know only that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkSpec>,
    /// Mounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Its name, and those of others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub naming: Naming,
    /// What it may use at most.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// What it may do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rights: Rights,
    /// Devices that a driver of the engine hands out: GPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_requests: Vec<DeviceRequest>,
    /// Whether its first process is one that passes signals on and buries orphans.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub init: bool,
    /// The file says nothing of an init process, so that the engine's own setting decides: `init`
    /// is `false` then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub engine_init: bool,
    /// Signal that asks the container to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Time between that signal and SIGKILL.
    pub stop_grace: Duration,
}

/// When an image is brought from its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// Where a host does not have it.
    #[default]
    Missing,
    /// Before every attempt: a tag may have moved.
    Always,
    /// Not at all: a host that does not have it cannot run it.
    Never,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

impl ContainerSpec {
    /// A container of this image as it is.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            platform: None,
            pull_policy: PullPolicy::default(),
            command: None,
            entrypoint: None,
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            working_dir: None,
            user: None,
            memory_bytes: None,
            memory_reservation_bytes: None,
            cpu_millis: None,
            cpu_reservation_millis: None,
            cpu_shares: None,
            network_mode: None,
            networks: Vec::new(),
            volumes: Vec::new(),
            naming: Naming::default(),
            limits: Limits::default(),
            rights: Rights::default(),
            device_requests: Vec::new(),
            init: true,
            engine_init: false,
            stop_signal: None,
            stop_grace: STOP_GRACE_DEFAULT,
        }
    }

    /// Memory that a host must have left to run it: what it may use, unless it says that it mostly uses less.
    pub fn reserved_memory_bytes(&self) -> u64 {
        self.memory_reservation_bytes.or(self.memory_bytes).unwrap_or(0)
    }

    /// Thousandths of a core that a host must have left to run it, by the same rule; `None`: the file says nothing of cores.
    pub fn reserved_cpu_millis(&self) -> Option<u64> {
        self.cpu_reservation_millis.or(self.cpu_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Load, Reservations};

    /// All four in the order of the fields; `expect` is the memory and the thousandths of a core that a host must have left.
    #[track_caller]
    fn check(settings: [Option<u64>; 4], expect: (u64, u64)) {
        let [memory_bytes, memory_reservation_bytes, cpu_millis, cpu_reservation_millis] = settings;
        let container = ContainerSpec {
            memory_bytes,
            memory_reservation_bytes,
            cpu_millis,
            cpu_reservation_millis,
            ..ContainerSpec::new("busybox")
        };
        let Load { slots, cpu_millis, memory_bytes, .. } = Load::of(&container, Reservations::default());
        assert_eq!((slots, memory_bytes, cpu_millis), (1, expect.0, expect.1));
    }

    #[test]
    fn a_container_reserves_its_limit_unless_it_says_how_much() {
        check([None, None, None, None], (0, 0));
        check([Some(9), None, Some(500), None], (9, 500));
        check([Some(9), Some(4), Some(500), Some(100)], (4, 100));
        check([None, Some(4), None, Some(100)], (4, 100));
    }

    #[test]
    fn a_container_that_was_stored_before_there_were_options_is_read_as_it_was_run() {
        let stored = r#"{"image": "busybox", "stop_grace": {"secs": 10, "nanos": 0}}"#;
        let container: ContainerSpec = serde_json::from_str(stored).unwrap();
        assert_eq!(container, ContainerSpec::new("busybox"));
        assert!(container.init);
        assert_eq!(
            serde_json::to_value(&container).unwrap(),
            serde_json::from_str::<serde_json::Value>(stored).unwrap()
        );
    }
}
