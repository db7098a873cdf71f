//! The request to create a container: every word of a [`ContainerSpec`] in Docker's.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest as DockerDeviceRequest, EndpointSettings, HostConfig,
    NetworkConnectRequest, NetworkingConfig, ResourcesUlimits,
};
use tickmesh_core::spec::{
    Amount, ContainerSpec, Device, DeviceRequest, Limits, Naming, NetworkSpec, RequestedDevices, Rights, Ulimit,
    is_built_in,
};

use super::mounts::{bind, mount, tmpfs};
use crate::engine::{ContainerId, ContainerRequest};

/// Docker counts processor time in billionths of a core.
const NANO_PER_MILLI: u64 = 1_000_000;
/// How Docker says that there is no limit.
const UNLIMITED: i64 = -1;
/// How Docker says that all devices of a driver are wanted.
const ALL_DEVICES: i64 = -1;
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
        networks,
        volumes,
        naming,
        limits,
        rights,
        device_requests,
        init,
        engine_init,
        stop_signal,
        stop_grace,
        // Part of the request, with ours.
        environment: _,
        labels: _,
        // As the caller has made it.
        entrypoint: _,
        // A part of the address of the request.
        platform: _,
        // What happens before. Docker has no reservation of processors: placement alone knows it.
        pull_policy: _,
        cpu_reservation_millis: _,
    } = request.spec.clone();
    let host = HostConfig {
        init: (!engine_init).then_some(init),
        auto_remove: Some(false),
        memory: memory_bytes.map(saturate),
        memory_reservation: memory_reservation_bytes.map(saturate),
        nano_cpus: cpu_millis.map(|millis| saturate(millis.saturating_mul(NANO_PER_MILLI))),
        cpu_shares: cpu_shares.map(saturate),
        network_mode,
        binds: Some(volumes.iter().filter_map(bind).collect()),
        mounts: Some(volumes.iter().filter_map(mount).collect()),
        tmpfs: Some(volumes.iter().filter_map(tmpfs).collect()),
        device_requests: Some(device_requests.into_iter().map(device_request).collect()),
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
        // Engines before API 1.44 take one network here: the others are connected afterwards.
        networking_config: networks.first().map(networking),
        stop_signal,
        // Kept with the container, so that the next agent process stops it the same way.
        stop_timeout: Some(saturate(stop_grace.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX))),
        host_config: Some(with_rights(with_limits(host, limits), rights)),
        ..ContainerCreateBody::default()
    }
}

/// The request to connect a container to a network.
pub(super) fn connect_body(container: &ContainerId, network: &NetworkSpec) -> NetworkConnectRequest {
    NetworkConnectRequest { container: container.0.clone(), endpoint_config: Some(endpoint(network)) }
}

fn networking(first: &NetworkSpec) -> NetworkingConfig {
    NetworkingConfig { endpoints_config: Some([(first.name.clone(), endpoint(first))].into()) }
}

fn endpoint(NetworkSpec { name, aliases }: &NetworkSpec) -> EndpointSettings {
    // The engine's own networks know no names.
    let aliases = (!is_built_in(name)).then(|| aliases.clone());
    EndpointSettings { aliases, ..EndpointSettings::default() }
}

fn with_limits(host: HostConfig, limits: Limits) -> HostConfig {
    let Limits { ulimits, pids, shm_bytes, memory_and_swap, swappiness, oom_score_adj, cpuset } = limits;
    HostConfig {
        ulimits: Some(ulimits.into_iter().map(ulimit).collect()),
        // What the engine does without a number is no limit.
        pids_limit: pids.filter(|count| *count > 0).map(saturate),
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

fn device_request(request: DeviceRequest) -> DockerDeviceRequest {
    let DeviceRequest { driver, devices, capabilities, options } = request;
    let (count, device_ids) = match devices {
        RequestedDevices::All => (Some(ALL_DEVICES), None),
        RequestedDevices::Count(count) => (Some(i64::from(count)), None),
        RequestedDevices::Named(names) => (None, Some(names)),
    };
    let options = Some(options.into_iter().collect());
    // A list of alternatives, each a list of what is needed together.
    DockerDeviceRequest { driver, count, device_ids, capabilities: Some(vec![capabilities]), options }
}

fn device(Device { source, target, permissions }: Device) -> DeviceMapping {
    DeviceMapping { path_on_host: Some(source), path_in_container: Some(target), cgroup_permissions: Some(permissions) }
}
