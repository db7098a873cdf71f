//! The keys of a service.

use super::{FOREIGN, Known, ignored, later, supported, unsupported};

/// Keys of a service that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compose) enum ServiceKey {
    Image,
    Command,
    Entrypoint,
    Environment,
    Labels,
    DependsOn,
    WorkingDir,
    User,
    Deploy,
    MemLimit,
    MemReservation,
    Cpus,
    CpuShares,
    NetworkMode,
    Volumes,
    StopSignal,
    StopGracePeriod,
    PullPolicy,
    Restart,
}

const NOTHING_CONNECTS: &str = "nothing connects to a batch job";
const NO_TERMINAL: &str = "nobody sits at a batch job";
const LOGS: &str = "the agent collects the output of every container itself";
const RIGHTS: &str = "agents give containers no rights on their host";
const KEEP_OUT: &str = "run the job without it, or on the host itself";
const FEWER_RIGHTS: &str = "agents take no rights from a container";
const NAMES: &str = "containers look names up as their engine is told to";
const HOST_NAMES: &str = "set it in the engine's settings on the hosts, or write addresses";
const LIMITS: &str = "agents limit memory and processors only";
const HOST_LIMITS: &str = "set it for all containers in the engine's settings on the hosts";
const SHARE_OF_TIME: &str = "it says the same as `cpus`, less clearly";

/// Every key of a service.
pub(in crate::compose) const SERVICE_KEYS: &[Known<ServiceKey>] = &[
    supported("image", ServiceKey::Image),
    supported("command", ServiceKey::Command),
    supported("entrypoint", ServiceKey::Entrypoint),
    supported("environment", ServiceKey::Environment),
    supported("labels", ServiceKey::Labels),
    supported("depends_on", ServiceKey::DependsOn),
    supported("working_dir", ServiceKey::WorkingDir),
    supported("user", ServiceKey::User),
    supported("deploy", ServiceKey::Deploy),
    supported("mem_limit", ServiceKey::MemLimit),
    supported("mem_reservation", ServiceKey::MemReservation),
    supported("cpus", ServiceKey::Cpus),
    supported("cpu_shares", ServiceKey::CpuShares),
    supported("network_mode", ServiceKey::NetworkMode),
    supported("volumes", ServiceKey::Volumes),
    supported("stop_signal", ServiceKey::StopSignal),
    supported("stop_grace_period", ServiceKey::StopGracePeriod),
    supported("pull_policy", ServiceKey::PullPolicy),
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
    // More rights on the host than a container has: its agent would have to allow them.
    later("cap_add", RIGHTS, KEEP_OUT),
    later("devices", RIGHTS, KEEP_OUT),
    later("device_cgroup_rules", RIGHTS, KEEP_OUT),
    later("privileged", RIGHTS, KEEP_OUT),
    later("security_opt", RIGHTS, KEEP_OUT),
    later("userns_mode", RIGHTS, KEEP_OUT),
    later("cgroup", RIGHTS, KEEP_OUT),
    later("cgroup_parent", RIGHTS, KEEP_OUT),
    later("ipc", RIGHTS, KEEP_OUT),
    later("pid", RIGHTS, KEEP_OUT),
    later("uts", RIGHTS, KEEP_OUT),
    later("runtime", RIGHTS, "set it as the default runtime of the hosts that the label `constraint` names"),
    later("sysctls", RIGHTS, "set it on the hosts that the label `constraint` names"),
    // Fewer rights: the job would run, with more than it asks for.
    later("cap_drop", FEWER_RIGHTS, "drop them in the image's entrypoint, or name a `user` without rights"),
    later("read_only", FEWER_RIGHTS, "name a `user` who may not write"),
    // What a container finds inside.
    later("dns", NAMES, HOST_NAMES),
    later("dns_opt", NAMES, HOST_NAMES),
    later("dns_options", NAMES, HOST_NAMES),
    later("dns_search", NAMES, HOST_NAMES),
    later("extra_hosts", NAMES, HOST_NAMES),
    later(
        "hostname",
        "a container is called by its id",
        "the variables `TICKMESH_RUN` and `TICKMESH_REPLICA` tell containers apart",
    ),
    later(
        "domainname",
        "a container is called by its id",
        "the variables `TICKMESH_RUN` and `TICKMESH_REPLICA` tell containers apart",
    ),
    later("mac_address", "the engine chooses it", "remove it: nothing connects to a batch job"),
    later("group_add", "a container has one group", "write it as `user: USER:GROUP`"),
    later("init", "every container has an init process already", "remove it"),
    later(
        "tmpfs",
        "mounts are volumes or paths of the host",
        "write an anonymous volume, such as `volumes: [/scratch]`",
    ),
    later(
        "shm_size",
        "agents limit memory and processors only",
        "have the job use a volume, such as `volumes: [/scratch]`",
    ),
    // Finer limits.
    later("cpu_period", SHARE_OF_TIME, "write `cpus`"),
    later("cpu_quota", SHARE_OF_TIME, "write `cpus`"),
    later("cpu_rt_period", LIMITS, HOST_LIMITS),
    later("cpu_rt_runtime", LIMITS, HOST_LIMITS),
    later("cpuset", LIMITS, "write `cpus`"),
    later("blkio_config", LIMITS, HOST_LIMITS),
    later("kernel_memory", LIMITS, "write `mem_limit`"),
    later("memswap_limit", LIMITS, "write `mem_limit`"),
    later("memswap_reservation", LIMITS, "write `mem_reservation`"),
    later("mem_swappiness", LIMITS, HOST_LIMITS),
    later("oom-kill-disable", LIMITS, "write a larger `mem_limit`"),
    later("oom_kill_disable", LIMITS, "write a larger `mem_limit`"),
    later("oom_score_adj", LIMITS, HOST_LIMITS),
    later("pids_limit", LIMITS, HOST_LIMITS),
    later("storage_opt", LIMITS, HOST_LIMITS),
    later("ulimits", LIMITS, "write `ulimit` into the command, such as `sh -c 'ulimit -n 65536; exec job'`"),
    later(
        "gpus",
        "agents hand out processors and memory, not GPUs",
        "remove it if the hosts' default runtime gives every container their GPUs",
    ),
    // Images, and what happens around a container.
    later(
        "platform",
        "an image is taken for the platform of its host",
        "write a constraint on a label that only such hosts have",
    ),
    later(
        "pull_refresh_after",
        "no host remembers when it pulled an image",
        "write `pull_policy: always`, or give every version of the image a tag of its own",
    ),
    later("post_start", "nothing runs beside the container's own command", "write it into the command"),
    later("pre_stop", "nothing runs beside the container's own command", "have the job catch `stop_signal`"),
];
