//! A marker for every key: what stands in it is found again in the app, or somebody is told. A key
//! that is taken and then ignored without a word would be a defect.

use std::collections::BTreeSet;

use super::*;
use crate::compose::keys::{
    DEPLOY_KEYS, FILE_KEYS, Known, LIMIT_KEYS, PLACEMENT_KEYS, RESERVATION_KEYS, RESOURCE_KEYS, SERVICE_KEYS, TOP_KEYS,
};

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Top,
    Service,
    Deploy,
    Resources,
    Limits,
    Reservations,
    Placement,
    HostFile,
    /// A grant of a secret in its long form.
    Grant,
    /// A volume at the top.
    Declared,
    /// A volume of a service in its long form.
    Mount,
    MountBind,
    MountVolume,
    MountTmpfs,
    /// A network at the top.
    Network,
    /// A network of a service.
    Attachment,
    Dependency,
    EnvFile,
    /// A request for devices.
    Device,
    Ulimit,
}

/// What is expected of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The app has this, and does not without the key.
    InApp(&'static str),
    /// A warning names the key.
    Warned,
    /// An error names it.
    Refused,
}
use Found::{InApp, Refused, Warned};

/// A key with a value that appears nowhere else, and where it is found again.
type Row = (Level, &'static str, &'static str, Found);

/// Keys that say nothing about what runs, and why they may be passed over.
const SILENT: [(Level, &str, &str); 2] = [
    (Level::Top, "version", "names the form of the file, which is read alike in all of them"),
    (Level::Service, "restart", "`no` is what a job does; everything else is a warning, see `service`"),
];

const ROWS: &[Row] = &[
    (Level::Top, "name", "m4rker", Warned),
    (Level::Top, "labels", "{aliyun.project_type: batch, aliyun.timeout: 4711s}", InApp("4711s")),
    (Level::Top, "services", "{m4rker: {image: busybox}}", InApp("m4rker")),
    (Level::Top, "volumes", "{data: {name: m4rker}}", InApp("m4rker")),
    (Level::Top, "networks", "{net: {name: m4rker}}", InApp("m4rker")),
    (Level::Top, "secrets", "{key: {file: /m4rker}}", InApp("/m4rker")),
    (Level::Top, "configs", "{motd: {file: /m4rker}}", InApp("/m4rker")),
    (Level::Top, "models", "{m4rker: {}}", Refused),
    // A service.
    (Level::Service, "image", "m4rker", InApp("m4rker")),
    (Level::Service, "platform", "linux/m4rker", InApp("linux/m4rker")),
    (Level::Service, "build", "./m4rker", Warned),
    (Level::Service, "command", "m4rker", InApp("m4rker")),
    (Level::Service, "entrypoint", "m4rker", InApp("m4rker")),
    (Level::Service, "environment", "{A: m4rker}", InApp("m4rker")),
    (Level::Service, "env_file", "job.env", InApp("\"$TAG\"")),
    (Level::Service, "labels", "{a: m4rker}", InApp("m4rker")),
    (
        Level::Service,
        "depends_on",
        "{first: {condition: service_completed_successfully}}",
        InApp("depends: [ServiceName(\"first\")]"),
    ),
    (Level::Service, "working_dir", "/m4rker", InApp("/m4rker")),
    (Level::Service, "user", "m4rker", InApp("m4rker")),
    (Level::Service, "deploy", "{replicas: 47}", InApp("scale: 47")),
    (Level::Service, "mem_limit", "47000000", InApp("memory_bytes: Some(47000000)")),
    (Level::Service, "mem_reservation", "47000000", InApp("memory_reservation_bytes: Some(47000000)")),
    (Level::Service, "memswap_limit", "47000000", InApp("memory_and_swap: Some(AtMost(47000000))")),
    (Level::Service, "cpus", "4.7", InApp("cpu_millis: Some(4700)")),
    (Level::Service, "cpu_shares", "4711", InApp("cpu_shares: Some(4711)")),
    (Level::Service, "gpus", "47", InApp("Count(47)")),
    (Level::Service, "network_mode", "m4rker", InApp("network_mode: Some(\"m4rker\")")),
    (Level::Service, "net", "m4rker", InApp("network_mode: Some(\"m4rker\")")),
    (Level::Service, "networks", "[first]", InApp("network_mode: Some(\"first\")")),
    (Level::Service, "volumes", "['/m4rker:/x']", InApp("/m4rker")),
    (Level::Service, "tmpfs", "/m4rker", InApp("/m4rker")),
    (Level::Service, "secrets", "[{source: key, target: m4rker}]", InApp("m4rker")),
    (Level::Service, "configs", "[{source: motd, target: /m4rker}]", InApp("/m4rker")),
    (Level::Service, "init", "true", InApp(" init: true")),
    (Level::Service, "stop_signal", "SIGUSR2", InApp("SIGUSR2")),
    (Level::Service, "stop_grace_period", "471s", InApp("471s")),
    (Level::Service, "pull_policy", "never", InApp("pull_policy: Never")),
    (Level::Service, "restart", "always", Warned),
    (Level::Service, "hostname", "m4rker", InApp("m4rker")),
    (Level::Service, "domainname", "m4rker", InApp("m4rker")),
    (Level::Service, "dns", "10.47.11.1", InApp("10.47.11.1")),
    (Level::Service, "dns_search", "m4rker", InApp("m4rker")),
    (Level::Service, "dns_opt", "['ndots:4']", InApp("ndots:4")),
    (Level::Service, "dns_options", "['ndots:4']", InApp("ndots:4")),
    (Level::Service, "extra_hosts", "['m4rker:10.0.0.1']", InApp("m4rker")),
    (Level::Service, "ulimits", "{nofile: 4711}", InApp("4711")),
    (Level::Service, "shm_size", "4711", InApp("shm_bytes: Some(4711)")),
    (Level::Service, "mem_swappiness", "47", InApp("swappiness: Some(47)")),
    (Level::Service, "oom_score_adj", "471", InApp("oom_score_adj: Some(471)")),
    (Level::Service, "cpuset", "'47'", InApp("cpuset: Some(\"47\")")),
    (Level::Service, "pids_limit", "4711", InApp("pids: Some(4711)")),
    (Level::Service, "privileged", "true", InApp("privileged: true")),
    (Level::Service, "cap_add", "[SYS_PTRACE]", InApp("SYS_PTRACE")),
    (Level::Service, "cap_drop", "[SYS_PTRACE]", InApp("SYS_PTRACE")),
    (Level::Service, "security_opt", "[seccomp=unconfined]", InApp("seccomp=unconfined")),
    (Level::Service, "pid", "host", InApp("host_pid: true")),
    (Level::Service, "ipc", "host", InApp("ipc: Some(Host)")),
    (Level::Service, "userns_mode", "host", InApp("host_users: true")),
    (Level::Service, "devices", "['/dev/m4rker:/dev/x']", InApp("/dev/m4rker")),
    (Level::Service, "sysctls", "{net.core.somaxconn: 4711}", InApp("4711")),
    (Level::Service, "group_add", "[4711]", InApp("4711")),
    (Level::Service, "read_only", "true", InApp("read_only: true")),
    (Level::Service, "ports", "['4711:80']", Warned),
    (Level::Service, "expose", "[4711]", Warned),
    (Level::Service, "links", "[m4rker]", Warned),
    (Level::Service, "external_links", "[m4rker]", Warned),
    (Level::Service, "tty", "true", Warned),
    (Level::Service, "stdin_open", "true", Warned),
    (Level::Service, "attach", "false", Warned),
    (Level::Service, "detach", "true", Warned),
    (Level::Service, "container_name", "m4rker", Warned),
    (Level::Service, "healthcheck", "{test: m4rker}", Warned),
    (Level::Service, "logging", "{driver: m4rker}", Warned),
    (Level::Service, "log_driver", "m4rker", Warned),
    (Level::Service, "log_opt", "{a: m4rker}", Warned),
    (Level::Service, "annotations", "{a: m4rker}", Warned),
    (Level::Service, "develop", "{watch: []}", Warned),
    (Level::Service, "kernel_memory", "47m", Warned),
    (Level::Service, "memswap_reservation", "47m", Warned),
    (Level::Service, "dockerfile", "m4rker", Refused),
    (Level::Service, "label_file", "m4rker", Refused),
    (Level::Service, "scale", "47", InApp("scale: 47")),
    (Level::Service, "volumes_from", "[m4rker]", Refused),
    (Level::Service, "volume_driver", "m4rker", Refused),
    (Level::Service, "provider", "{type: m4rker}", Refused),
    (Level::Service, "models", "[m4rker]", Refused),
    (Level::Service, "credential_spec", "{file: m4rker}", Refused),
    (Level::Service, "isolation", "m4rker", Refused),
    (Level::Service, "cpu_count", "47", Refused),
    (Level::Service, "cpu_percent", "47", Refused),
    (Level::Service, "use_api_socket", "true", Refused),
    (Level::Service, "external", "true", Refused),
    (Level::Service, "device_cgroup_rules", "[m4rker]", Refused),
    (Level::Service, "cgroup", "host", Refused),
    (Level::Service, "cgroup_parent", "m4rker", Refused),
    (Level::Service, "runtime", "nvidia", Warned),
    (Level::Service, "storage_opt", "{size: 47g}", Refused),
    (Level::Service, "blkio_config", "{weight: 47}", Refused),
    (Level::Service, "cpu_rt_period", "4711", Refused),
    (Level::Service, "cpu_rt_runtime", "4711", Refused),
    (Level::Service, "mac_address", "m4rker", Refused),
    (Level::Service, "uts", "host", Refused),
    (Level::Service, "cpu_period", "4711", Refused),
    (Level::Service, "cpu_quota", "4711", Refused),
    (Level::Service, "oom-kill-disable", "true", Refused),
    (Level::Service, "oom_kill_disable", "true", Refused),
    (Level::Service, "pull_refresh_after", "m4rker", Refused),
    (Level::Service, "post_start", "[{command: m4rker}]", Refused),
    (Level::Service, "pre_stop", "[{command: m4rker}]", Refused),
    // `deploy`.
    (Level::Deploy, "mode", "global", InApp("global: true")),
    (Level::Deploy, "replicas", "47", InApp("scale: 47")),
    (Level::Deploy, "resources", "{limits: {pids: 4711}}", InApp("pids: Some(4711)")),
    (Level::Deploy, "placement", "{constraints: [a==m4rker]}", InApp("m4rker")),
    (Level::Deploy, "restart_policy", "{condition: any}", Warned),
    (Level::Deploy, "labels", "{aliyun.scale: 47}", InApp("scale: 47")),
    (Level::Deploy, "update_config", "{parallelism: 47}", Warned),
    (Level::Deploy, "rollback_config", "{parallelism: 47}", Warned),
    (Level::Deploy, "endpoint_mode", "m4rker", Warned),
    (Level::Resources, "limits", "{pids: 4711}", InApp("pids: Some(4711)")),
    (Level::Resources, "reservations", "{memory: 47000000}", InApp("memory_reservation_bytes: Some(47000000)")),
    (Level::Limits, "cpus", "'4.7'", InApp("cpu_millis: Some(4700)")),
    (Level::Limits, "memory", "47000000", InApp("memory_bytes: Some(47000000)")),
    (Level::Limits, "pids", "4711", InApp("pids: Some(4711)")),
    (Level::Reservations, "cpus", "'4.7'", InApp("cpu_reservation_millis: Some(4700)")),
    (Level::Reservations, "memory", "47000000", InApp("memory_reservation_bytes: Some(47000000)")),
    (Level::Reservations, "pids", "47", Refused),
    (Level::Reservations, "devices", "[{capabilities: [m4rker]}]", InApp("m4rker")),
    (Level::Reservations, "generic_resources", "[]", Refused),
    (Level::Placement, "constraints", "[a==m4rker]", InApp("m4rker")),
    (Level::Placement, "preferences", "[{spread: m4rker}]", Warned),
    (Level::Placement, "max_replicas_per_node", "47", Refused),
    // Secrets and configs.
    (Level::HostFile, "file", "/m4rker", InApp("/m4rker")),
    (Level::HostFile, "name", "m4rker", Warned),
    (Level::HostFile, "labels", "{a: m4rker}", Warned),
    (Level::HostFile, "external", "true", Refused),
    (Level::HostFile, "driver", "m4rker", Refused),
    (Level::HostFile, "driver_opts", "{a: m4rker}", Refused),
    (Level::HostFile, "template_driver", "m4rker", Refused),
    (Level::HostFile, "environment", "m4rker", Refused),
    (Level::HostFile, "content", "m4rker", Refused),
    (Level::Grant, "target", "m4rker", InApp("m4rker")),
    (Level::Grant, "uid", "'47'", Warned),
    (Level::Grant, "gid", "'47'", Warned),
    (Level::Grant, "mode", "0440", Warned),
    // Volumes.
    (Level::Declared, "name", "m4rker", InApp("m4rker")),
    (Level::Declared, "external", "true", InApp("must_exist: true")),
    (Level::Declared, "driver", "m4rker", InApp("m4rker")),
    (Level::Declared, "driver_opts", "{type: m4rker}", InApp("m4rker")),
    (Level::Declared, "labels", "{a: m4rker}", Warned),
    (Level::Mount, "source", "m4rker", InApp("m4rker")),
    (Level::Mount, "target", "/m4rker", InApp("/m4rker")),
    (Level::Mount, "read_only", "true", InApp("read_only: true")),
    (Level::Mount, "consistency", "cached", Warned),
    (Level::MountBind, "propagation", "rslave", InApp("RecursiveSlave")),
    (Level::MountBind, "selinux", "Z", InApp("Private")),
    (Level::MountBind, "create_host_path", "false", InApp("ExistingHostPath")),
    (Level::MountBind, "recursive", "disabled", Refused),
    (Level::MountVolume, "nocopy", "true", InApp("no_copy: true")),
    (Level::MountVolume, "subpath", "m4rker", Refused),
    (Level::MountVolume, "labels", "{a: m4rker}", Refused),
    (Level::MountTmpfs, "size", "4711", InApp("size=4711")),
    (Level::MountTmpfs, "mode", "01750", InApp("mode=1750")),
    // Networks.
    (Level::Network, "name", "m4rker", InApp("m4rker")),
    (Level::Network, "external", "true", InApp("network_mode: Some(\"net\")")),
    (Level::Network, "driver", "m4rker", Warned),
    (Level::Network, "driver_opts", "{a: m4rker}", Warned),
    (Level::Network, "ipam", "{driver: m4rker}", Warned),
    (Level::Network, "internal", "true", Warned),
    (Level::Network, "attachable", "true", Warned),
    (Level::Network, "enable_ipv4", "false", Warned),
    (Level::Network, "enable_ipv6", "true", Warned),
    (Level::Network, "labels", "{a: m4rker}", Warned),
    (Level::Attachment, "aliases", "[m4rker]", InApp("m4rker")),
    (Level::Attachment, "priority", "47", InApp("network_mode: Some(\"second\")")),
    (Level::Attachment, "gw_priority", "47", Warned),
    (Level::Attachment, "interface_name", "m4rker", Warned),
    (Level::Attachment, "driver_opts", "{a: m4rker}", Warned),
    (Level::Attachment, "ipv4_address", "10.47.0.1", Refused),
    (Level::Attachment, "ipv6_address", "'fe80::1'", Refused),
    (Level::Attachment, "link_local_ips", "[10.47.0.1]", Refused),
    (Level::Attachment, "mac_address", "m4rker", Refused),
    // Lists and maps of a service.
    (Level::Dependency, "condition", "service_started", Warned),
    (Level::Dependency, "required", "false", Refused),
    (Level::Dependency, "restart", "true", Warned),
    (Level::EnvFile, "path", "job.env", InApp("\"$TAG\"")),
    (Level::EnvFile, "required", "true", Refused),
    (Level::EnvFile, "format", "raw", Refused),
    (Level::Device, "driver", "m4rker", InApp("m4rker")),
    (Level::Device, "count", "47", InApp("Count(47)")),
    (Level::Device, "device_ids", "[m4rker]", InApp("m4rker")),
    (Level::Device, "capabilities", "[m4rker]", InApp("m4rker")),
    (Level::Device, "options", "{a: m4rker}", InApp("m4rker")),
    (Level::Ulimit, "soft", "47", InApp("AtMost(47)")),
    (Level::Ulimit, "hard", "4711", InApp("AtMost(4711)")),
];

/// A file with a key at its place, or without it.
fn file(level: Level, entry: Option<(&str, &str)>) -> String {
    let pair = entry.map(|(key, value)| format!("{key}: {value}")).unwrap_or_default();
    let map = format!("{{{pair}}}");
    // The same map with what the level needs beside the key, where the key is not that itself.
    let beside = |others: &[(&str, &str)]| {
        let others = others.iter().filter(|(key, _)| entry.is_none_or(|(own, _)| own != *key));
        let mut pairs: Vec<String> = others.map(|(key, value)| format!("{key}: {value}")).collect();
        pairs.extend((!pair.is_empty()).then(|| pair.clone()));
        format!("{{{}}}", pairs.join(", "))
    };
    let mount = |kind: &str, source: &[(&str, &str)]| {
        let more: Vec<(&str, &str)> = [("type", kind), ("target", "/x")].iter().chain(source).copied().collect();
        format!("volumes: [{}]", beside(&more))
    };
    let nested = |kind: &str, source: &str| format!("volumes: [{{type: {kind}, target: /x{source}, {kind}: {map}}}]");
    let service = match level {
        Level::Top | Level::HostFile => {
            "secrets: [key]\nconfigs: [motd]\nvolumes: ['data:/data']\nnetworks: [net]".to_owned()
        }
        Level::Service if entry.is_some_and(|(key, _)| key == "memswap_limit") => format!("mem_limit: 40m\n{pair}"),
        Level::Service => pair.clone(),
        Level::Deploy => format!("deploy: {map}"),
        Level::Resources => format!("deploy: {{resources: {map}}}"),
        Level::Limits => format!("deploy: {{resources: {{limits: {map}}}}}"),
        Level::Reservations => format!("deploy: {{resources: {{reservations: {map}}}}}"),
        Level::Placement => format!("deploy: {{placement: {map}}}"),
        Level::Grant => format!("secrets: [{}]", beside(&[("source", "key")])),
        Level::Declared => "volumes: ['data:/data']".to_owned(),
        Level::Mount => mount("volume", &[("source", "data")]),
        Level::MountBind => nested("bind", ", source: /srv"),
        Level::MountVolume => nested("volume", ", source: data"),
        Level::MountTmpfs => nested("tmpfs", ""),
        Level::Network => "networks: [net]".to_owned(),
        Level::Attachment => format!("networks: {{first: , second: {map}}}"),
        Level::Dependency => {
            format!("depends_on: {{first: {}}}", beside(&[("condition", "service_completed_successfully")]))
        }
        Level::EnvFile => format!("env_file: [{}]", beside(&[("path", "absent.env"), ("required", "false")])),
        Level::Device => {
            let device = beside(&[("capabilities", "[gpu]")]);
            format!("deploy: {{resources: {{reservations: {{devices: [{device}]}}}}}}")
        }
        Level::Ulimit => format!("ulimits: {{nofile: {}}}", beside(&[("soft", "1"), ("hard", "9999")])),
    };
    let mut top = vec![
        ("labels".to_owned(), "{aliyun.project_type: batch}".to_owned()),
        ("secrets".to_owned(), "{key: {file: /srv/key}}".to_owned()),
        ("configs".to_owned(), "{motd: {file: /srv/motd}}".to_owned()),
        ("volumes".to_owned(), "{data: }".to_owned()),
        ("networks".to_owned(), "{net: , first: {external: true}, second: {external: true}}".to_owned()),
    ];
    let needs_first = level == Level::Dependency || entry.is_some_and(|(key, _)| key == "depends_on");
    let first = if needs_first { "  first: {image: busybox}\n" } else { "" };
    let image = if entry == Some(("image", "m4rker")) { "" } else { "    image: busybox\n" };
    let keys: String = service.lines().map(|line| format!("    {line}\n")).collect();
    let mut services = format!("\n{first}  s1:\n{image}{keys}");
    match (level, entry) {
        (Level::Top, Some(("services", value))) => services = format!(" {value}"),
        (Level::Top, Some((key, value))) => {
            top.retain(|(name, _)| name != key);
            top.push((key.to_owned(), value.to_owned()));
        }
        (Level::HostFile, _) => top[1].1 = format!("{{key: {}}}", beside(&[("file", "/srv/key")])),
        (Level::Declared, _) => top[3].1 = format!("{{data: {map}}}"),
        (Level::Network, _) => top[4].1 = format!("{{net: {map}}}"),
        _ => {}
    }
    let top: String = top.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    format!("{top}services:{services}\n")
}

#[test]
fn every_key_is_found_again_or_somebody_is_told() {
    let mut wrong = Vec::new();
    for (level, key, value, expect) in ROWS {
        let without = read_text(&file(*level, None));
        let text = file(*level, Some((key, value)));
        let reading = read_text(&text);
        let told = |severity: Severity| {
            let is_about = |it: &Diagnostic| {
                let is_of_file = *level == Level::EnvFile && it.path.contains("env_file");
                let is_of_network = *level == Level::Network && it.path == "networks.net";
                let is_named = it.path.split('.').any(|part| part == *key) || it.message.contains(&format!("`{key}`"));
                is_named || is_of_file || is_of_network
            };
            reading.diagnostics.iter().any(|it| it.severity == severity && is_about(it))
        };
        let spec = format!("{:?}", reading.spec);
        let is_right = match expect {
            InApp(marker) => {
                let before = format!("{:?}", without.spec);
                reading.spec.is_some() && spec.contains(marker) && !before.contains(marker)
            }
            Warned => reading.spec.is_some() && told(Severity::Warning),
            Refused => reading.spec.is_none() && told(Severity::Error),
        };
        if !is_right {
            wrong.push(format!("{level:?} `{key}: {value}` is not {expect:?}: {:?}\n{text}", reading.diagnostics));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn names<K>(table: &'static [Known<K>], level: Level) -> impl Iterator<Item = (Level, &'static str)> {
    table.iter().map(move |known| (level, known.name))
}

#[test]
fn every_key_of_every_table_has_a_marker() {
    let known: BTreeSet<(Level, &str)> = names(TOP_KEYS, Level::Top)
        .chain(names(SERVICE_KEYS, Level::Service))
        .chain(names(DEPLOY_KEYS, Level::Deploy))
        .chain(names(RESOURCE_KEYS, Level::Resources))
        .chain(names(LIMIT_KEYS, Level::Limits))
        .chain(names(RESERVATION_KEYS, Level::Reservations))
        .chain(names(PLACEMENT_KEYS, Level::Placement))
        .chain(names(FILE_KEYS, Level::HostFile))
        .collect();
    let silent = SILENT.iter().map(|(level, key, _)| (*level, *key));
    let marked: BTreeSet<(Level, &str)> = ROWS.iter().map(|(level, key, ..)| (*level, *key)).chain(silent).collect();
    let missing: Vec<_> = known.difference(&marked).collect();
    assert!(missing.is_empty(), "no marker for {missing:?}");
}
