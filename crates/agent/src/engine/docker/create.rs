//! The request to create a container: every word of a [`ContainerSpec`] in Docker's.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, DeviceMapping, HostConfig, Mount, MountType, ResourcesUlimits};
use tickmesh_core::spec::{Amount, ContainerSpec, Device, Limits, Naming, Rights, Ulimit, Volume, VolumeSource};

use crate::engine::ContainerRequest;

/// Docker counts processor time in billionths of a core.
const NANO_PER_MILLI: u64 = 1_000_000;
/// How Docker says that there is no limit.
const UNLIMITED: i64 = -1;
/// Docker's word for the namespaces of the host.
const HOST: &str = "host";

/// The request to create a container.
pub(super) fn create_body(request: &ContainerRequest, entrypoint: Option<Vec<String>>) -> ContainerCreateBody {
    // Every field has its name here: what a compose file may say must not be forgotten on the way to the engine.
    let ContainerSpec {
        image,
        command,
        working_dir,
        user,
        memory_bytes,
        memory_reservation_bytes,
        cpu_millis,
        cpu_shares,
        network_mode,
        volumes,
        naming,
        limits,
        rights,
        init,
        stop_signal,
        stop_grace,
        // Part of the request, with ours.
        environment: _,
        labels: _,
        // As the caller has made it.
        entrypoint: _,
        // What happens before. Docker has no reservation of processors: placement alone knows it.
        pull_policy: _,
        cpu_reservation_millis: _,
    } = request.spec.clone();
    let host = HostConfig {
        init: Some(init),
        auto_remove: Some(false),
        memory: memory_bytes.map(saturate),
        memory_reservation: memory_reservation_bytes.map(saturate),
        nano_cpus: cpu_millis.map(|millis| saturate(millis.saturating_mul(NANO_PER_MILLI))),
        cpu_shares: cpu_shares.map(saturate),
        network_mode,
        binds: Some(volumes.iter().filter_map(bind).collect()),
        mounts: Some(volumes.iter().filter_map(mount).collect()),
        tmpfs: Some(volumes.iter().filter_map(tmpfs).collect()),
        ..HostConfig::default()
    };
    let Naming { hostname, domainname, dns, dns_search, dns_options, extra_hosts } = naming;
    let host = HostConfig {
        dns: Some(dns),
        dns_search: Some(dns_search),
        dns_options: Some(dns_options),
        extra_hosts: Some(extra_hosts),
        ..host
    };
    ContainerCreateBody {
        image: Some(image),
        cmd: command,
        entrypoint,
        env: Some(request.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        labels: Some(request.labels.clone().into_iter().collect::<HashMap<_, _>>()),
        working_dir,
        user,
        hostname,
        domainname,
        stop_signal,
        // Kept with the container, so that the next agent process stops it the same way.
        stop_timeout: Some(saturate(stop_grace.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))),
        host_config: Some(with_rights(with_limits(host, limits), rights)),
        ..ContainerCreateBody::default()
    }
}

fn with_limits(host: HostConfig, limits: Limits) -> HostConfig {
    let Limits { ulimits, pids, shm_bytes, memory_and_swap, swappiness, oom_score_adj, cpuset } = limits;
    HostConfig {
        ulimits: Some(ulimits.into_iter().map(ulimit).collect()),
        pids_limit: pids.map(saturate),
        shm_size: shm_bytes.map(saturate),
        memory_swap: memory_and_swap.map(amount),
        memory_swappiness: swappiness.map(saturate),
        oom_score_adj: oom_score_adj.map(saturate),
        cpuset_cpus: cpuset,
        ..host
    }
}

fn with_rights(host: HostConfig, rights: Rights) -> HostConfig {
    let Rights {
        privileged,
        cap_add,
        cap_drop,
        security,
        host_pid,
        ipc,
        host_users,
        devices,
        sysctls,
        groups,
        read_only,
    } = rights;
    let of_host = |shared: bool| shared.then(|| HOST.to_owned());
    HostConfig {
        privileged: Some(privileged),
        cap_add: Some(cap_add.iter().map(|name| capability(name)).collect()),
        cap_drop: Some(cap_drop.iter().map(|name| capability(name)).collect()),
        security_opt: Some(security),
        pid_mode: of_host(host_pid),
        ipc_mode: ipc.map(|ipc| ipc.as_str().to_owned()),
        userns_mode: of_host(host_users),
        devices: Some(devices.into_iter().map(device).collect()),
        sysctls: Some(sysctls.into_iter().collect()),
        group_add: Some(groups),
        readonly_rootfs: Some(read_only),
        ..host
    }
}

fn saturate(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn amount(amount: Amount) -> i64 {
    match amount {
        Amount::AtMost(number) => saturate(number),
        Amount::Unlimited => UNLIMITED,
    }
}

/// As all engines show it again.
fn capability(name: &str) -> String {
    if name == "ALL" { name.to_owned() } else { format!("CAP_{name}") }
}

fn ulimit((name, Ulimit { soft, hard }): (String, Ulimit)) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name), soft: Some(amount(soft)), hard: Some(amount(hard)) }
}

fn device(Device { source, target, permissions }: Device) -> DeviceMapping {
    DeviceMapping { path_on_host: Some(source), path_in_container: Some(target), cgroup_permissions: Some(permissions) }
}

/// Host paths are binds and not mounts: like compose, a bind makes a directory that is missing.
fn bind(volume: &Volume) -> Option<String> {
    let VolumeSource::HostPath(path) = &volume.source else { return None };
    let mode = if volume.read_only { "ro" } else { "rw" };
    Some(format!("{path}:{}:{mode}", volume.target))
}

fn mount(volume: &Volume) -> Option<Mount> {
    let (kind, source) = match &volume.source {
        VolumeSource::HostPath(_) | VolumeSource::Tmpfs(_) => return None,
        // A mount fails where the path is missing: a secret must not become an empty directory.
        VolumeSource::ExistingHostPath(path) => (MountType::BIND, Some(path.clone())),
        VolumeSource::Named(name) => (MountType::VOLUME, Some(name.clone())),
        VolumeSource::Anonymous => (MountType::VOLUME, None),
    };
    Some(Mount {
        target: Some(volume.target.clone()),
        source,
        typ: Some(kind),
        read_only: Some(volume.read_only),
        ..Mount::default()
    })
}

/// Target and options.
fn tmpfs(volume: &Volume) -> Option<(String, String)> {
    let VolumeSource::Tmpfs(options) = &volume.source else { return None };
    let read_only = volume.read_only.then_some("ro");
    let options: Vec<&str> =
        Some(options.as_str()).filter(|options| !options.is_empty()).into_iter().chain(read_only).collect();
    Some((volume.target.clone(), options.join(",")))
}
