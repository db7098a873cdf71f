//! `volumes` of a service: `SOURCE:TARGET[:ro|rw]`, `TARGET` alone, or a map with `type`, `source`, `target`, `read_only`.
//! What other keys mount (`tmpfs`, `secrets`, `configs`) is a [`Mount`] as well: no two may have one target.

use super::{
    super::{
        reader::{Reader, Text},
        report::{Place, one_of, quote},
        value::{Refused, boolean},
        yaml::{Item, Value},
    },
    mount::{Mount, path_of_host, target_path},
    tmpfs,
};
use crate::spec::{Volume, VolumeSource};

/// Most mounts of a container.
const VOLUMES_MAX: usize = 100;
/// Keys of the long form that are read.
const LONG_KEYS: [&str; 6] = ["type", "source", "target", "read_only", "bind", "tmpfs"];
/// Keys of the long form that are not.
const LONG_KEYS_UNSUPPORTED: [&str; 3] = ["volume", "image", "consistency"];

/// Reads `volumes`.
pub(super) fn read_volumes(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Mount> {
    let Value::Sequence(nodes) = &item.node.value else {
        if !item.is_null() {
            reader.expected("a list", item);
        }
        return Vec::new();
    };
    if nodes.len() > VOLUMES_MAX {
        let message = format!("the service has {} volumes, at most {VOLUMES_MAX} are allowed", nodes.len());
        reader.report.error(item.place(), message);
        return Vec::new();
    }
    let mut mounts = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let element = item.element(index, node);
        let volume = match &node.value {
            Value::Mapping(_) => read_long(reader, &element),
            Value::Scalar(_) | Value::Sequence(_) => reader.parsed(&element, short),
        };
        if let Some(volume) = volume {
            warn_of_undeclared(reader, &volume, element.place());
            mounts.push(Mount { volume, place: element.place() });
        }
    }
    mounts
}

/// Who declares volumes and uses another one has most likely mistyped it: an engine makes it, empty, without a word.
fn warn_of_undeclared(reader: &mut Reader<'_>, volume: &Volume, place: Place) {
    let (VolumeSource::Named(name), Some(declared)) = (&volume.source, &reader.volumes) else { return };
    if declared.contains(name) {
        return;
    }
    let hint = match reader.report.nearest(name, declared.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it there: `volumes: {{{name}: }}`"),
    };
    let message = format!("volume {} is not among the `volumes` at the top of the file", quote(name));
    reader.report.warning_with_hint(place, message, hint);
}

fn short(text: &str) -> Result<Volume, Refused> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, "rw"),
        [source, target] => (Some(*source), *target, "rw"),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(Refused::new(text, "a volume such as `/data:/data:ro` or `cache:/cache`")),
    };
    let read_only = match mode {
        "rw" => false,
        "ro" => true,
        _ => return Err(Refused::new(mode, "a mode of a volume: `ro` or `rw`")),
    };
    let source = source.map_or(Ok(VolumeSource::Anonymous), any_source)?;
    Ok(Volume { source, target: target_path(target)?, read_only })
}

/// What the text before the colon names.
fn any_source(text: &str) -> Result<VolumeSource, Refused> {
    if text.starts_with(['/', '.', '~']) || text.contains('/') { host_path(text) } else { named(text) }
}

fn host_path(text: &str) -> Result<VolumeSource, Refused> {
    path_of_host(text).map(VolumeSource::HostPath)
}

fn named(text: &str) -> Result<VolumeSource, Refused> {
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let rest = text.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character));
    if first && rest && (2..=255).contains(&text.len()) {
        return Ok(VolumeSource::Named(text.to_owned()));
    }
    Err(Refused::new(text, "the name of a volume: at least two letters, digits, `_`, `.` and `-`"))
}

/// The parts of the long form.
#[derive(Debug, Default)]
struct Long {
    kind: Option<Text>,
    source: Option<Text>,
    target: Option<String>,
    read_only: Option<bool>,
    /// Of a bind: the path is not made if it is not there.
    must_exist: bool,
    /// Options of a tmpfs.
    tmpfs: Vec<String>,
}

fn read_long(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Volume> {
    let mut long = Long::default();
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "type" => long.kind = reader.text(&child),
            "source" => long.source = reader.text(&child),
            "target" => long.target = reader.parsed(&child, target_path),
            "read_only" => long.read_only = reader.parsed(&child, boolean),
            "bind" => long.must_exist = read_bind(reader, &child),
            "tmpfs" => long.tmpfs = tmpfs::read_long(reader, &child),
            key if LONG_KEYS_UNSUPPORTED.contains(&key) => {
                let message =
                    format!("`{key}` of a volume is not supported: mounts have a source, a target and a mode");
                reader.report.error_with_hint(item.key_place(&entry.key), message, "set it up on the hosts");
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), LONG_KEYS),
        }
    }
    for needed in ["type", "target"] {
        if !reader.entries(item).iter().any(|entry| entry.key.text == needed) {
            reader.report.error(item.place(), format!("the volume has no `{needed}`"));
        }
    }
    let read_only = long.read_only.unwrap_or(false);
    let target = long.target.take();
    let source = long_source(reader, item, long)?;
    Some(Volume { source, target: target?, read_only })
}

/// Whether the path must be there. How mounts spread between host and container is the host's affair.
fn read_bind(reader: &mut Reader<'_>, item: &Item<'_>) -> bool {
    let mut must_exist = false;
    for entry in reader.entries(item) {
        match entry.key.text.as_str() {
            "create_host_path" => must_exist = reader.parsed(&item.child(entry), boolean) == Some(false),
            key @ ("propagation" | "selinux" | "recursive") => {
                let message =
                    format!("`{key}` of a bind is not supported: it is for the administrator of a host to say");
                reader.report.error_with_hint(item.key_place(&entry.key), message, "set it up on the hosts");
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), ["create_host_path"]),
        }
    }
    must_exist
}

fn long_source(reader: &mut Reader<'_>, item: &Item<'_>, long: Long) -> Option<VolumeSource> {
    let Long { kind, source, must_exist, tmpfs, .. } = long;
    let kind = kind?;
    let read: fn(&str) -> Result<VolumeSource, Refused> = match kind.value.as_str() {
        "bind" if must_exist => |text: &str| path_of_host(text).map(VolumeSource::ExistingHostPath),
        "bind" => host_path,
        "volume" => named,
        "tmpfs" => {
            if let Some(source) = source {
                reader.report.error(source.place(), "the volume of type `tmpfs` has a `source`: it is memory");
            }
            return Some(VolumeSource::Tmpfs(tmpfs.join(",")));
        }
        other => {
            let error = Refused::new(other, one_of(["bind", "volume", "tmpfs"]));
            reader.report.error(kind.place(), error.to_string());
            return None;
        }
    };
    match source {
        Some(source) => {
            read(&source.value).map_err(|error| reader.report.error(source.place(), error.to_string())).ok()
        }
        None if kind.value == "volume" => Some(VolumeSource::Anonymous),
        None => {
            reader.report.error(item.place(), "the volume of type `bind` has no `source`");
            None
        }
    }
}
