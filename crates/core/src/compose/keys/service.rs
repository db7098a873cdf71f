//! The keys of a service.

use super::{FOREIGN, Known, ignored, ignored_unless, supported, unsupported, unsupported_unless};

/// Keys of a service that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceKey {
    Image,
    Platform,
    Build,
    Command,
    Entrypoint,
    Environment,
    EnvFile,
    Labels,
    DependsOn,
    WorkingDir,
    User,
    Deploy,
    Scale,
    MemLimit,
    MemReservation,
    Cpus,
    CpuShares,
    Gpus,
    Runtime,
    MemswapLimit,
    PidsLimit,
    NetworkMode,
    Networks,
    Volumes,
    Tmpfs,
    Secrets,
    Configs,
    Init,
    StopSignal,
    StopGracePeriod,
    PullPolicy,
    Restart,
    Naming(NamingKey),
    Limit(LimitKey),
    Right(RightKey),
}

/// Keys about names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamingKey {
    Hostname,
    Domainname,
    Dns,
    DnsSearch,
    DnsOpt,
    ExtraHosts,
}

/// Keys about what a container may use, and placement need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitKey {
    Ulimits,
    ShmSize,
    MemSwappiness,
    OomScoreAdj,
    Cpuset,
}

/// Keys about what a container may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RightKey {
    Privileged,
    CapAdd,
    CapDrop,
    SecurityOpt,
    Pid,
    Ipc,
    UsernsMode,
    Devices,
    Sysctls,
    GroupAdd,
    ReadOnly,
}

const NOTHING_CONNECTS: &str = "nothing connects to a batch job";
const NO_LINKS: &str = "containers of different services share no network, so it will not be found by that name";
const NO_TERMINAL: &str = "nobody sits at a batch job";
const LOGS: &str = "the agent collects the output of every container itself";
const HOSTS_OWN: &str = "it is for the administrator of a host to say";
const ON_THE_HOSTS: &str = "set it in the engine's settings on the hosts that the label `constraint` names";
const SHARE_OF_TIME: &str = "it says the same as `cpus`, less clearly";
const HANGS_WITHOUT_MEMORY: &str = "a job without memory would hang for ever";
/// Says of a limit that there is none.
const ZERO: &[&str] = &["0"];
/// Says that something is off.
const OFF: &[&str] = &["false", "no", "off"];
const NO_SIDE_PROCESS: &str = "nothing runs beside the container's own command";

/// Every key of a service.
pub(crate) const SERVICE_KEYS: &[Known<ServiceKey>] = &[
    supported("image", ServiceKey::Image),
    supported("platform", ServiceKey::Platform),
    supported("build", ServiceKey::Build),
    supported("command", ServiceKey::Command),
    supported("entrypoint", ServiceKey::Entrypoint),
    supported("environment", ServiceKey::Environment),
    supported("labels", ServiceKey::Labels),
    supported("depends_on", ServiceKey::DependsOn),
    supported("working_dir", ServiceKey::WorkingDir),
    supported("user", ServiceKey::User),
    supported("deploy", ServiceKey::Deploy),
    supported("scale", ServiceKey::Scale),
    supported("mem_limit", ServiceKey::MemLimit),
    supported("mem_reservation", ServiceKey::MemReservation),
    supported("cpus", ServiceKey::Cpus),
    supported("cpu_shares", ServiceKey::CpuShares),
    supported("network_mode", ServiceKey::NetworkMode),
    // As version 1 called it, and the original.
    supported("net", ServiceKey::NetworkMode),
    supported("networks", ServiceKey::Networks),
    supported("volumes", ServiceKey::Volumes),
    supported("stop_signal", ServiceKey::StopSignal),
    supported("stop_grace_period", ServiceKey::StopGracePeriod),
    supported("pull_policy", ServiceKey::PullPolicy),
    supported("restart", ServiceKey::Restart),
    supported("env_file", ServiceKey::EnvFile),
    supported("tmpfs", ServiceKey::Tmpfs),
    supported("secrets", ServiceKey::Secrets),
    supported("configs", ServiceKey::Configs),
    supported("init", ServiceKey::Init),
    supported("pids_limit", ServiceKey::PidsLimit),
    // What it is called, and how it finds others.
    supported("hostname", ServiceKey::Naming(NamingKey::Hostname)),
    supported("domainname", ServiceKey::Naming(NamingKey::Domainname)),
    supported("dns", ServiceKey::Naming(NamingKey::Dns)),
    supported("dns_search", ServiceKey::Naming(NamingKey::DnsSearch)),
    supported("dns_opt", ServiceKey::Naming(NamingKey::DnsOpt)),
    // As the original called it.
    supported("dns_options", ServiceKey::Naming(NamingKey::DnsOpt)),
    supported("extra_hosts", ServiceKey::Naming(NamingKey::ExtraHosts)),
    supported("gpus", ServiceKey::Gpus),
    // The way to GPUs before there were device requests.
    supported("runtime", ServiceKey::Runtime),
    // Finer limits.
    supported("ulimits", ServiceKey::Limit(LimitKey::Ulimits)),
    supported("shm_size", ServiceKey::Limit(LimitKey::ShmSize)),
    supported("memswap_limit", ServiceKey::MemswapLimit),
    supported("mem_swappiness", ServiceKey::Limit(LimitKey::MemSwappiness)),
    supported("oom_score_adj", ServiceKey::Limit(LimitKey::OomScoreAdj)),
    supported("cpuset", ServiceKey::Limit(LimitKey::Cpuset)),
    // What it may do. What reaches out of the container, the agent of its host has to allow.
    supported("privileged", ServiceKey::Right(RightKey::Privileged)),
    supported("cap_add", ServiceKey::Right(RightKey::CapAdd)),
    supported("cap_drop", ServiceKey::Right(RightKey::CapDrop)),
    supported("security_opt", ServiceKey::Right(RightKey::SecurityOpt)),
    supported("pid", ServiceKey::Right(RightKey::Pid)),
    supported("ipc", ServiceKey::Right(RightKey::Ipc)),
    supported("userns_mode", ServiceKey::Right(RightKey::UsernsMode)),
    supported("devices", ServiceKey::Right(RightKey::Devices)),
    supported("sysctls", ServiceKey::Right(RightKey::Sysctls)),
    supported("group_add", ServiceKey::Right(RightKey::GroupAdd)),
    supported("read_only", ServiceKey::Right(RightKey::ReadOnly)),
    // What online services need.
    ignored("ports", NOTHING_CONNECTS),
    ignored("expose", NOTHING_CONNECTS),
    ignored("links", NO_LINKS),
    ignored("external_links", NO_LINKS),
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
    unsupported("dockerfile", "agents do not build images", "push the image to a registry and name it with `image`"),
    unsupported("label_file", "labels say what an app is, so they stand in its file", "write them under `labels`"),
    unsupported(
        "volumes_from",
        "the other container may be on another host",
        "give both services the same entry in `volumes`",
    ),
    unsupported("volume_driver", "the volumes of a host are its administrator's", "create the volume on the hosts"),
    unsupported("provider", FOREIGN, "remove it"),
    unsupported("models", FOREIGN, "remove it"),
    unsupported("credential_spec", FOREIGN, "remove it"),
    unsupported("isolation", FOREIGN, "remove it"),
    unsupported_unless(ZERO, "cpu_count", FOREIGN, "write `cpus`"),
    unsupported_unless(ZERO, "cpu_percent", FOREIGN, "write `cpus`"),
    unsupported("use_api_socket", "a job must not control its host", "remove it"),
    unsupported("external", "an app cannot name services of others", "remove the service"),
    // What belongs to the hosts.
    unsupported("device_cgroup_rules", HOSTS_OWN, "name the devices under `devices`"),
    unsupported("cgroup", HOSTS_OWN, "remove it: every container has a cgroup of its own"),
    unsupported("cgroup_parent", HOSTS_OWN, "set limits with `mem_limit` and `cpus`"),
    unsupported("storage_opt", HOSTS_OWN, ON_THE_HOSTS),
    unsupported("blkio_config", HOSTS_OWN, ON_THE_HOSTS),
    unsupported_unless(ZERO, "cpu_rt_period", HOSTS_OWN, "write `cpus`"),
    unsupported_unless(ZERO, "cpu_rt_runtime", HOSTS_OWN, "write `cpus`"),
    unsupported("mac_address", "nothing connects to a batch job, and the engine chooses it", "remove it"),
    unsupported("uts", "a container has a name of its own", "write `hostname`"),
    // What another key says better.
    unsupported_unless(ZERO, "cpu_period", SHARE_OF_TIME, "write `cpus`"),
    unsupported_unless(ZERO, "cpu_quota", SHARE_OF_TIME, "write `cpus`"),
    ignored_unless(ZERO, "kernel_memory", "the kernel does not have it any more; `mem_limit` is the limit"),
    ignored_unless(ZERO, "memswap_reservation", "engines do not have it; `mem_reservation` reserves memory"),
    unsupported_unless(OFF, "oom-kill-disable", HANGS_WITHOUT_MEMORY, "remove it, and write a larger `mem_limit`"),
    unsupported_unless(OFF, "oom_kill_disable", HANGS_WITHOUT_MEMORY, "remove it, and write a larger `mem_limit`"),
    // Images, and what happens around a container.
    unsupported(
        "pull_refresh_after",
        "no host remembers when it pulled an image",
        "write `pull_policy: always`, or give every version of the image a tag of its own",
    ),
    unsupported("post_start", NO_SIDE_PROCESS, "write it into the command"),
    unsupported("pre_stop", NO_SIDE_PROCESS, "have the job catch `stop_signal`"),
];

/// Names of the keys of a service that are read, so that lists of them elsewhere can be held against this one.
pub fn service_keys() -> impl Iterator<Item = &'static str> {
    SERVICE_KEYS.iter().filter(|known| matches!(known.status, super::Status::Supported(_))).map(|known| known.name)
}
