//! What a container may do. What reaches out of it is read like everything else: whether a host allows it is up to its agent,
//! and not known where the file is.

use super::super::{
    keys::RightKey,
    reader::{Pair, Reader},
    report::{one_of, quote},
    value::{Refused, boolean},
    yaml::Item,
};
use super::{container::user, mount::clean_path};
use crate::spec::{Device, Ipc, NO_NEW_PRIVILEGES, Rights};

/// The capabilities of Linux, without `CAP_`, and docker's word for all of them.
const CAPABILITIES: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
/// Settings of the kernel that every container has for itself. Others would be the host's, and the engine refuses them.
const SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];
/// Beginnings of further ones.
const SYSCTL_PREFIXES: [&str; 2] = ["net.", "fs.mqueue."];
/// Most settings of a service, and longest value of one.
const SYSCTLS_MAX: usize = 100;
const SYSCTL_BYTES_MAX: usize = 1024;

/// Reads the value of a key.
pub(super) fn read(rights: &mut Rights, key: RightKey, reader: &mut Reader<'_>, item: &Item<'_>) {
    match key {
        RightKey::Privileged => rights.privileged = reader.parsed(item, boolean).unwrap_or_default(),
        RightKey::CapAdd => rights.cap_add = reader.many(item, capability),
        RightKey::CapDrop => rights.cap_drop = reader.many(item, capability),
        RightKey::SecurityOpt => rights.security = reader.many(item, security),
        RightKey::Pid => rights.host_pid = reader.parsed(item, host_only).is_some(),
        RightKey::Ipc => rights.ipc = reader.parsed(item, ipc),
        RightKey::UsernsMode => rights.host_users = reader.parsed(item, host_only).is_some(),
        RightKey::Devices => rights.devices = reader.many(item, device),
        RightKey::Sysctls => read_sysctls(rights, reader, item),
        RightKey::GroupAdd => rights.groups = reader.many(item, group),
        RightKey::ReadOnly => rights.read_only = reader.parsed(item, boolean).unwrap_or_default(),
    }
}

/// Reads the name of a capability, with or without `CAP_`, as docker has it: without, and in upper case.
///
/// # Errors
///
/// If Linux has no such capability.
pub fn capability(text: &str) -> Result<String, Refused> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if CAPABILITIES.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(Refused::new(text, "a capability such as `NET_ADMIN`, or `ALL`"))
}

/// As the engine takes it, with `=`.
fn security(text: &str) -> Result<String, Refused> {
    let (name, value) = text.split_once(['=', ':']).unwrap_or((text, "true"));
    let is_word =
        |text: &str| !text.is_empty() && text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
    match name {
        "no-new-privileges" if boolean(value) == Ok(true) => Ok(NO_NEW_PRIVILEGES.to_owned()),
        "no-new-privileges" if boolean(value) == Ok(false) => Ok("no-new-privileges=false".to_owned()),
        "seccomp" if value == "unconfined" => Ok("seccomp=unconfined".to_owned()),
        // The engine wants the content of such a file, and there is no project directory to take it from.
        "seccomp" => {
            Err(Refused::new(text, "possible: of seccomp there are the engine's own profile and `unconfined`"))
        }
        "apparmor" | "label" if is_word(value) => Ok(format!("{name}={value}")),
        _ => Err(Refused::new(text, "a security option such as `no-new-privileges:true` or `seccomp:unconfined`")),
    }
}

/// Of namespaces that a container may share with another one or with its host.
fn host_only(text: &str) -> Result<(), Refused> {
    if text == "host" { Ok(()) } else { Err(Refused::new(text, "`host`: other containers may be on other hosts")) }
}

fn ipc(text: &str) -> Result<Ipc, Refused> {
    const ALL: [Ipc; 4] = [Ipc::None, Ipc::Private, Ipc::Shareable, Ipc::Host];
    let found = ALL.into_iter().find(|ipc| ipc.as_str() == text);
    found.ok_or_else(|| Refused::new(text, one_of(ALL.map(Ipc::as_str))))
}

/// `SOURCE[:TARGET][:PERMISSIONS]`.
fn device(text: &str) -> Result<Device, Refused> {
    let refused = || Refused::new(text, "a device such as `/dev/fuse` or `/dev/sda:/dev/xvda:r`");
    let is_permissions = |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| b"rwm".contains(&byte));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, permissions] if is_permissions(permissions) => (*source, *source, *permissions),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] if is_permissions(permissions) => (*source, *target, *permissions),
        _ => return Err(refused()),
    };
    let path = |text| clean_path(text).filter(|path| path != "/").ok_or_else(refused);
    Ok(Device { source: path(source)?, target: path(target)?, permissions: permissions.to_owned() })
}

fn group(text: &str) -> Result<String, Refused> {
    let is_name = !text.contains(':');
    user(text).ok().filter(|_| is_name).ok_or_else(|| Refused::new(text, "a group such as `staff` or `1000`"))
}

fn read_sysctls(rights: &mut Rights, reader: &mut Reader<'_>, item: &Item<'_>) {
    let pairs = reader.pairs(item);
    if pairs.len() > SYSCTLS_MAX {
        let message = format!("the service has {} sysctls, at most {SYSCTLS_MAX} are allowed", pairs.len());
        return reader.report.error(item.place(), message);
    }
    for Pair { name, place, value } in pairs {
        let own = SYSCTLS.contains(&name.as_str()) || SYSCTL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        match value {
            Some(value) if own && name.len() + value.value.len() <= SYSCTL_BYTES_MAX => {
                rights.sysctls.insert(name, value.value);
            }
            Some(_) if own => reader.report.error(place, format!("{} is too long", quote(&name))),
            Some(_) => {
                let message = format!("{} is not a setting that a container has for itself", quote(&name));
                reader.report.error_with_hint(place, message, "set it on the hosts that the label `constraint` names");
            }
            None => reader.report.error(place, format!("{} has no value", quote(&name))),
        }
    }
}
