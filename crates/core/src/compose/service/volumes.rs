//! `volumes` of a service: `SOURCE:TARGET[:MODES]`, `TARGET` alone, or a map with `type`, `source`,
//! `target`, `read_only`. What other keys mount (`tmpfs`, `secrets`, `configs`) is a [`Mount`] as
//! well: no two may have one target.

use super::{
    super::{
        reader::{Reader, Text},
        report::{Place, one_of, quote},
        value::{Refused, boolean, is_engine_name},
        volumes::DeclaredVolume,
        yaml::{Item, Value},
    },
    modes::{self, Modes},
    mount::{Mount, path_of_host, target_path},
    tmpfs,
};
use crate::spec::{MountOptions, Propagation, Volume, VolumeSource};

/// Most mounts of a container.
const VOLUMES_MAX: usize = 100;
/// Keys of the long form that are read.
const LONG_KEYS: [&str; 8] = ["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];

/// What the name of a volume is.
const VOLUME_NAME: &str = "the name of a volume: at least two letters, digits, `_`, `.` and `-`";

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
            Value::Scalar(_) | Value::Sequence(_) => read_short(reader, &element),
        };
        if let Some(mut volume) = volume {
            settle_name(reader, &mut volume, element.place());
            check_length(reader, &volume, element.place());
            mounts.push(Mount { volume, place: element.place() });
        }
    }
    mounts
}

/// Replaces a volume's name in the file by that on the hosts.
///
/// Who declares volumes and uses another one has most likely mistyped it: an engine makes it, empty, without a word.
fn settle_name(reader: &mut Reader<'_>, volume: &mut Volume, place: Place) {
    let (VolumeSource::Named(name), Some(declared)) = (&mut volume.source, &reader.volumes) else { return };
    if let Some(declaration) = declared.get(name) {
        match declaration {
            DeclaredVolume::Own => {}
            DeclaredVolume::Named(on_hosts) => name.clone_from(on_hosts),
            DeclaredVolume::OnHosts(on_hosts) => {
                name.clone_from(on_hosts);
                volume.options.must_exist = true;
            }
            DeclaredVolume::MadeBy(on_hosts, driver) => {
                if let Some(on_hosts) = on_hosts {
                    name.clone_from(on_hosts);
                }
                volume.options.driver = Some(driver.clone());
            }
        }
        return;
    }
    let hint = match reader.report.nearest(name, declared.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("declare it there: `volumes: {{{name}: }}`"),
    };
    let message = format!("volume {} is not among the `volumes` at the top of the file", quote(name));
    reader.report.warning_with_hint(place, message, hint);
}

/// The engine refuses a name of one letter. In a stack the name is longer on the hosts.
fn check_length(reader: &mut Reader<'_>, volume: &Volume, place: Place) {
    if let VolumeSource::Named(name) = &volume.source
        && name.len() < 2
    {
        reader.report.error(place, Refused::new(name, VOLUME_NAME).to_string());
    }
}

/// The short form. A path that begins with a dot or with `~` is one of the hosts.
fn read_short(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Volume> {
    let text = reader.text(item)?;
    let (source, rest) = text.value.split_once(':').unwrap_or((&text.value, ""));
    let resolved = match source.starts_with(['.', '~']) && !rest.is_empty() {
        true => reader.on_hosts(source, text.place().position.source).map(|source| format!("{source}:{rest}")),
        false => None,
    };
    match short(&resolved.unwrap_or(text.value.clone())) {
        Ok((volume, useless)) => {
            modes::warn_of_useless(reader, &text.place(), &useless);
            Some(volume)
        }
        Err(error) => {
            reader.report.error(text.place(), error.to_string());
            None
        }
    }
}

/// A volume, and those of its modes that change nothing.
fn short(text: &str) -> Result<(Volume, Vec<String>), Refused> {
    if let Some(path) = path_of_windows(text) {
        return Err(Refused::new(path, "a path of a host: hosts run Linux, whose paths begin with `/`"));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, given) = match parts.as_slice() {
        [target] => (None, *target, "rw"),
        [source, target] => (Some(*source), *target, "rw"),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(Refused::new(text, "a volume such as `/data:/data:ro` or `cache:/cache`")),
    };
    let Modes { read_only, options, useless } = modes::read(given)?;
    let source = source.map_or(Ok(VolumeSource::Anonymous), any_source)?;
    check_modes(given, &source, &options)?;
    Ok((Volume { source, target: target_path(target)?, read_only, options }, useless))
}

/// Returns the path that a volume begins with, if it is one such as `C:\data`. No other host would know it.
fn path_of_windows(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(|drive: char| drive.is_ascii_alphabetic())?.strip_prefix(':')?;
    // `a:/b` and `a:/b:ro` are a volume of the engine with a name of one letter.
    let is_path = rest.starts_with('\\') || rest.starts_with('/') && rest.matches(":/").count() > 0;
    is_path.then(|| rest.find(':').map_or(text, |end| &text[..end + 2]))
}

/// Some modes are for paths and some for volumes of the engine: docker refuses the others, too.
fn check_modes(text: &str, source: &VolumeSource, options: &MountOptions) -> Result<(), Refused> {
    let is_path = match source {
        VolumeSource::HostPath(_) | VolumeSource::ExistingHostPath(_) => true,
        VolumeSource::Named(_) | VolumeSource::Anonymous | VolumeSource::Tmpfs(_) => false,
    };
    if is_path && options.no_copy {
        return Err(Refused::new(text, "possible: `nocopy` is for volumes of the engine, and this is a path"));
    }
    if !is_path && options.propagation.is_some() {
        return Err(Refused::new(text, "possible: how mounts spread is said of paths, and this is a volume"));
    }
    Ok(())
}

/// What the text before the colon names.
fn any_source(text: &str) -> Result<VolumeSource, Refused> {
    if text.starts_with(['/', '.', '~']) || text.contains('/') { host_path(text) } else { named(text) }
}

fn host_path(text: &str) -> Result<VolumeSource, Refused> {
    path_of_host(text).map(VolumeSource::HostPath)
}

fn named(text: &str) -> Result<VolumeSource, Refused> {
    if is_engine_name(text) {
        return Ok(VolumeSource::Named(text.to_owned()));
    }
    Err(Refused::new(text, VOLUME_NAME))
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
    options: MountOptions,
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
            "bind" => read_bind(reader, &child, &mut long),
            "volume" => read_volume_options(reader, &child, &mut long.options),
            "consistency" => {
                let mode = reader.text(&child).map(|text| text.value);
                modes::warn_of_useless(reader, &item.key_place(&entry.key), mode.as_slice());
            }
            "tmpfs" => long.tmpfs = tmpfs::read_long(reader, &child),
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
    let options = std::mem::take(&mut long.options);
    let source = long_source(reader, item, long)?;
    if let Err(error) = check_modes("it", &source, &options) {
        reader.report.error(item.place(), error.to_string());
    }
    if matches!(source, VolumeSource::ExistingHostPath(_)) && options.relabel.is_some() {
        let message = "`selinux` is not possible together with `create_host_path: false`";
        reader.report.error_with_hint(item.place(), message, "remove one of them");
    }
    Some(Volume { source, target: target?, read_only, options })
}

/// Whether the path must be there, and how it is mounted.
fn read_bind(reader: &mut Reader<'_>, item: &Item<'_>, long: &mut Long) {
    const KEYS: [&str; 4] = ["create_host_path", "propagation", "selinux", "recursive"];
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "create_host_path" => long.must_exist = reader.parsed(&child, boolean) == Some(false),
            "propagation" => {
                let names = one_of(Propagation::ALL.map(Propagation::as_str));
                let read = |text: &str| modes::propagation(text).ok_or_else(|| Refused::new(text, names.clone()));
                long.options.propagation = reader.parsed(&child, read);
            }
            "selinux" => {
                let read = |text: &str| modes::relabel(text).ok_or_else(|| Refused::new(text, one_of(["z", "Z"])));
                long.options.relabel = reader.parsed(&child, read);
            }
            key @ "recursive" => {
                let message = format!("`{key}` of a bind is not supported: what is mounted below the path comes along");
                reader.report.error_with_hint(item.key_place(&entry.key), message, "remove it");
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), KEYS),
        }
    }
}

fn read_volume_options(reader: &mut Reader<'_>, item: &Item<'_>, options: &mut MountOptions) {
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "nocopy" => options.no_copy = reader.parsed(&child, boolean).unwrap_or_default(),
            key @ ("subpath" | "labels") => {
                let message = format!("`{key}` of a volume is not supported: a volume is mounted as it is");
                reader.report.error_with_hint(item.key_place(&entry.key), message, "remove it");
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), ["nocopy"]),
        }
    }
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
            let resolved = match kind.value.as_str() {
                "bind" => reader.on_hosts(&source.value, source.place().position.source),
                _ => None,
            };
            let path = resolved.unwrap_or(source.value.clone());
            read(&path).map_err(|error| reader.report.error(source.place(), error.to_string())).ok()
        }
        None if kind.value == "volume" => Some(VolumeSource::Anonymous),
        None => {
            reader.report.error(item.place(), "the volume of type `bind` has no `source`");
            None
        }
    }
}
