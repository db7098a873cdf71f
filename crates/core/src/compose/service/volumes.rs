//! `volumes` of a service: `SOURCE:TARGET[:ro|rw]`, `TARGET` alone, or a map with `type`, `source`, `target`, `read_only`.

use super::super::{
    reader::{Reader, Text},
    report::{one_of, quote},
    value::{Refused, boolean},
    yaml::{Item, Value},
};
use crate::spec::{Volume, VolumeSource};

/// Most mounts of a container.
const VOLUMES_MAX: usize = 100;
/// Longest path, that of Linux.
const PATH_BYTES_MAX: usize = 4096;
/// Keys of the long form that are read.
const LONG_KEYS: [&str; 4] = ["type", "source", "target", "read_only"];
/// Keys of the long form for which there is nothing here yet.
const LONG_KEYS_LATER: [&str; 5] = ["bind", "volume", "tmpfs", "image", "consistency"];

/// Reads `volumes`.
pub(super) fn read_volumes(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Volume> {
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
    let mut volumes: Vec<Volume> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let element = item.element(index, node);
        let volume = match &node.value {
            Value::Mapping(_) => read_long(reader, &element),
            Value::Scalar(_) | Value::Sequence(_) => reader.parsed(&element, short),
        };
        let Some(volume) = volume else { continue };
        if volumes.iter().any(|other| other.target == volume.target) {
            let message = format!("two volumes have the target {}", quote(&volume.target));
            reader.report.error(element.place(), message);
        }
        volumes.push(volume);
    }
    volumes
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
    if !text.starts_with('/') {
        let expected = "an absolute path: there is no project directory on the agents";
        return Err(Refused::new(text, expected));
    }
    clean_path(text).map(VolumeSource::HostPath).ok_or_else(|| Refused::new(text, "a path of a host without `..`"))
}

fn named(text: &str) -> Result<VolumeSource, Refused> {
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    let rest = text.chars().all(|character| character.is_ascii_alphanumeric() || "_.-".contains(character));
    if first && rest && (2..=255).contains(&text.len()) {
        return Ok(VolumeSource::Named(text.to_owned()));
    }
    Err(Refused::new(text, "the name of a volume: at least two letters, digits, `_`, `.` and `-`"))
}

fn target_path(text: &str) -> Result<String, Refused> {
    clean_path(text)
        .filter(|path| path != "/")
        .ok_or_else(|| Refused::new(text, "an absolute path in the container, without `..` and other than `/`"))
}

/// An absolute path without empty parts and `.`, so that one path has one spelling. `..` is refused rather than resolved:
/// what an agent allows is decided by comparing paths.
fn clean_path(text: &str) -> Option<String> {
    if !text.starts_with('/') || text.len() > PATH_BYTES_MAX || text.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return None;
    }
    Some(format!("/{}", parts.join("/")))
}

/// The parts of the long form.
#[derive(Debug, Default)]
struct Long {
    kind: Option<Text>,
    source: Option<Text>,
    target: Option<String>,
    read_only: Option<bool>,
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
            later if LONG_KEYS_LATER.contains(&later) => {
                let message =
                    format!("`{later}` of a volume is not supported yet: mounts have a source, a target and a mode");
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
    let source = long_source(reader, item, long.kind?, long.source)?;
    Some(Volume { source, target: long.target?, read_only: long.read_only.unwrap_or(false) })
}

fn long_source(reader: &mut Reader<'_>, item: &Item<'_>, kind: Text, source: Option<Text>) -> Option<VolumeSource> {
    let read = match kind.value.as_str() {
        "bind" => host_path,
        "volume" => named,
        "tmpfs" => {
            let message = "volumes of type `tmpfs` are not supported yet: mounts are volumes or paths of the host";
            let hint = "leave out the source: a volume without a name goes with its container";
            reader.report.error_with_hint(kind.place(), message, hint);
            return None;
        }
        other => {
            let error = Refused::new(other, one_of(["bind", "volume"]));
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
