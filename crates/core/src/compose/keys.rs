//! Every key of the compose format, versions 2 and 3, and what becomes of it here.
//!
//! The rule: nothing in a file is silently without effect. A key acts, or warns that a batch job has no use for it, or is an
//! error that says why and what to do. Keys beginning with `x-` are the format's own way to say "not for you".

/// A key and what becomes of it.
#[derive(Debug)]
pub(super) struct Known<K> {
    /// The key.
    pub(super) name: &'static str,
    /// What becomes of it.
    pub(super) status: Status<K>,
}

/// What becomes of a key.
#[derive(Debug)]
pub(super) enum Status<K> {
    /// It is read.
    Supported(K),
    /// A warning: the file works without it.
    Ignored {
        /// Why it has no effect.
        why: &'static str,
    },
    /// An error: the file would not do what it says.
    Unsupported {
        /// Why it cannot be done.
        why: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// An error, for as long as nobody has written it.
    Later,
}

/// Keys of the file that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopKey {
    Version,
    Name,
    Labels,
    Services,
    Volumes,
}

/// Keys of a service that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceKey {
    Image,
    Command,
    Entrypoint,
    Environment,
    Labels,
    DependsOn,
    WorkingDir,
    User,
    MemLimit,
    Cpus,
    CpuShares,
    NetworkMode,
    Volumes,
    StopSignal,
    StopGracePeriod,
    Restart,
}

const fn supported<K>(name: &'static str, key: K) -> Known<K> {
    Known { name, status: Status::Supported(key) }
}

const fn ignored<K>(name: &'static str, why: &'static str) -> Known<K> {
    Known { name, status: Status::Ignored { why } }
}

const fn unsupported<K>(name: &'static str, why: &'static str, hint: &'static str) -> Known<K> {
    Known { name, status: Status::Unsupported { why, hint } }
}

const fn later<K>(name: &'static str) -> Known<K> {
    Known { name, status: Status::Later }
}

const NOTHING_CONNECTS: &str = "nothing connects to a batch job";
const NO_TERMINAL: &str = "nobody sits at a batch job";
const LOGS: &str = "the agent collects the output of every container itself";
const FOREIGN: &str = "it is for other kinds of hosts or of programs";

/// Every key of the file itself.
pub(super) const TOP_KEYS: &[Known<TopKey>] = &[
    supported("version", TopKey::Version),
    supported("name", TopKey::Name),
    supported("labels", TopKey::Labels),
    supported("services", TopKey::Services),
    supported("volumes", TopKey::Volumes),
    unsupported(
        "networks",
        "containers of different hosts share no network",
        "name a network of the host with `network_mode` in the service",
    ),
    unsupported(
        "secrets",
        "there is no project directory on the agents to take them from",
        "mount a path of the host with `volumes` in the service",
    ),
    unsupported(
        "configs",
        "there is no project directory on the agents to take them from",
        "mount a path of the host with `volumes` in the service",
    ),
    unsupported("include", "an app is one file", "put the services into this file"),
    unsupported("models", FOREIGN, "remove it"),
];

/// Every key of a service.
pub(super) const SERVICE_KEYS: &[Known<ServiceKey>] = &[
    supported("image", ServiceKey::Image),
    supported("command", ServiceKey::Command),
    supported("entrypoint", ServiceKey::Entrypoint),
    supported("environment", ServiceKey::Environment),
    supported("labels", ServiceKey::Labels),
    supported("depends_on", ServiceKey::DependsOn),
    supported("working_dir", ServiceKey::WorkingDir),
    supported("user", ServiceKey::User),
    supported("mem_limit", ServiceKey::MemLimit),
    supported("cpus", ServiceKey::Cpus),
    supported("cpu_shares", ServiceKey::CpuShares),
    supported("network_mode", ServiceKey::NetworkMode),
    supported("volumes", ServiceKey::Volumes),
    supported("stop_signal", ServiceKey::StopSignal),
    supported("stop_grace_period", ServiceKey::StopGracePeriod),
    supported("restart", ServiceKey::Restart),
    // What online services need.
    ignored("ports", NOTHING_CONNECTS),
    ignored("expose", NOTHING_CONNECTS),
    ignored("links", NOTHING_CONNECTS),
    ignored("external_links", NOTHING_CONNECTS),
    ignored("tty", NO_TERMINAL),
    ignored("stdin_open", NO_TERMINAL),
    ignored("attach", NO_TERMINAL),
    ignored("detach", "every job runs in the background"),
    ignored("container_name", "every attempt has a container of its own, named after it"),
    ignored("healthcheck", "a batch job is judged by its exit code"),
    ignored("logging", LOGS),
    ignored("log_driver", LOGS),
    ignored("log_opt", LOGS),
    ignored("annotations", "nothing reads them"),
    ignored("develop", "it is for working on a program, not for running it"),
    // What can never be done here, or goes by another name.
    unsupported("build", "agents do not build images", "push the image to a registry and name it with `image`"),
    unsupported("dockerfile", "agents do not build images", "push the image to a registry and name it with `image`"),
    unsupported("env_file", "there is no project directory on the agents", "write the variables under `environment`"),
    unsupported("label_file", "there is no project directory on the agents", "write the labels under `labels`"),
    unsupported("extends", "an app is one file", "use a YAML alias: `<<: *common`"),
    unsupported("profiles", "every service of an app runs", "make it an app of its own"),
    unsupported("scale", "the number of replicas is a label", "write the label `aliyun.scale`"),
    unsupported("net", "it belongs to version 1", "write `network_mode`"),
    unsupported("networks", "containers of different hosts share no network", "write `network_mode`"),
    unsupported(
        "volumes_from",
        "the other container may be on another host",
        "give both services the same entry in `volumes`",
    ),
    unsupported("secrets", "there is no project directory on the agents", "mount a path of the host with `volumes`"),
    unsupported("configs", "there is no project directory on the agents", "mount a path of the host with `volumes`"),
    unsupported("volume_driver", "the volumes of a host are its administrator's", "create the volume on the hosts"),
    unsupported("provider", FOREIGN, "remove it"),
    unsupported("models", FOREIGN, "remove it"),
    unsupported("credential_spec", FOREIGN, "remove it"),
    unsupported("isolation", FOREIGN, "remove it"),
    unsupported("cpu_count", FOREIGN, "write `cpus`"),
    unsupported("cpu_percent", FOREIGN, "write `cpus`"),
    unsupported("use_api_socket", "a job must not control its host", "remove it"),
    unsupported("external", "an app cannot name services of others", "remove the service"),
    // What is not written yet.
    later("blkio_config"),
    later("cap_add"),
    later("cap_drop"),
    later("cgroup"),
    later("cgroup_parent"),
    later("cpu_period"),
    later("cpu_quota"),
    later("cpu_rt_period"),
    later("cpu_rt_runtime"),
    later("cpuset"),
    later("deploy"),
    later("device_cgroup_rules"),
    later("devices"),
    later("dns"),
    later("dns_opt"),
    later("dns_options"),
    later("dns_search"),
    later("domainname"),
    later("extra_hosts"),
    later("gpus"),
    later("group_add"),
    later("hostname"),
    later("init"),
    later("ipc"),
    later("kernel_memory"),
    later("mac_address"),
    later("mem_reservation"),
    later("mem_swappiness"),
    later("memswap_limit"),
    later("memswap_reservation"),
    later("oom-kill-disable"),
    later("oom_kill_disable"),
    later("oom_score_adj"),
    later("pid"),
    later("pids_limit"),
    later("platform"),
    later("post_start"),
    later("pre_stop"),
    later("privileged"),
    later("pull_policy"),
    later("pull_refresh_after"),
    later("read_only"),
    later("runtime"),
    later("security_opt"),
    later("shm_size"),
    later("storage_opt"),
    later("sysctls"),
    later("tmpfs"),
    later("ulimits"),
    later("userns_mode"),
    later("uts"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn check_unique<K>(table: &[Known<K>]) {
        let names: BTreeSet<&str> = table.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), table.len());
    }

    #[test]
    fn every_key_is_in_its_table_once() {
        check_unique(TOP_KEYS);
        check_unique(SERVICE_KEYS);
    }
}
