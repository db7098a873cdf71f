//! `volumes` at the top of the file: what the names mean that services mount.
//!
//! A volume without `external` and `name` is the engine's own, made at its first use. One with
//! either must be there already: its data is why somebody named it, and an empty one in its place
//! would look like success. One with a driver or options is made by these.

use std::collections::BTreeMap;

use super::{
    external::External,
    reader::{Reader, Unset},
    report::{Place, quote},
    value::Refused,
    yaml::{Item, Value},
};
use crate::spec::{VOLUME_DRIVER_LOCAL, VolumeDriver};

/// What a name means that services mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeclaredVolume {
    /// A volume of the engine, made where it is missing.
    Own,
    /// A volume of the engine that compose calls by another name, made where it is missing.
    Named(String),
    /// One that must be on the host already, with this name there.
    OnHosts(String),
    /// One that the engine makes by a driver; `None`: its name is that in the file.
    MadeBy(Option<String>, VolumeDriver),
}

/// Declared volumes.
pub(super) type Volumes = BTreeMap<String, DeclaredVolume>;

/// Longest name of a driver.
const DRIVER_BYTES_MAX: usize = 255;
/// Most options of a driver: the local one knows three.
const OPTIONS_MAX: usize = 50;
/// Longest option: some are lists of file servers.
const OPTION_BYTES_MAX: usize = 4096;
/// Keys of a volume.
const KEYS: [&str; 5] = ["external", "name", "driver", "driver_opts", "labels"];

/// How a volume is made, as far as the file says.
#[derive(Debug, Default)]
struct Making {
    driver: Option<String>,
    options: BTreeMap<String, String>,
    /// The keys that say it, and where they are.
    told: Vec<(String, Place)>,
}

/// Reads the declarations. Of a stack all volumes are there already, under the names that compose
/// gave them.
pub(super) fn read_volumes(reader: &mut Reader<'_>, item: &Item<'_>) -> Volumes {
    let stack = reader.stack_project();
    let is_running = reader.running_stack().is_some();
    let mut volumes = Volumes::new();
    for entry in reader.entries(item) {
        let declared = read_volume(reader, &item.child(entry), &entry.key.text);
        let declared = match (&stack, declared) {
            (Some(project), declared) => of_stack(declared, format!("{project}_{}", entry.key.text), is_running),
            (None, declared) => declared,
        };
        volumes.insert(entry.key.text.clone(), declared);
    }
    volumes
}

/// What a declaration means in a stack. Where compose runs it, compose has made its volumes.
fn of_stack(declared: DeclaredVolume, name: String, is_running: bool) -> DeclaredVolume {
    match (declared, is_running) {
        (DeclaredVolume::OnHosts(name), _) => DeclaredVolume::OnHosts(name),
        (DeclaredVolume::MadeBy(own, _), true) => DeclaredVolume::OnHosts(own.unwrap_or(name)),
        (DeclaredVolume::Own | DeclaredVolume::Named(_), true) => DeclaredVolume::OnHosts(name),
        (DeclaredVolume::MadeBy(own, driver), false) => DeclaredVolume::MadeBy(own.or(Some(name)), driver),
        (DeclaredVolume::Own | DeclaredVolume::Named(_), false) => DeclaredVolume::Named(name),
    }
}

fn read_volume(reader: &mut Reader<'_>, item: &Item<'_>, key: &str) -> DeclaredVolume {
    let mut external = External::default();
    let mut making = Making::default();
    for entry in reader.entries(item) {
        let child = item.child(entry);
        let place = item.key_place(&entry.key);
        match entry.key.text.as_str() {
            name if external.read(name, reader, &child) => {}
            _ if child.is_null() => {}
            name @ "driver" => {
                making.driver = reader.parsed(&child, driver);
                making.told.push((name.to_owned(), place));
            }
            name @ "driver_opts" => {
                making.options = reader.with_unset(Unset::Refused, |reader| read_options(reader, &child));
                making.told.push((name.to_owned(), place));
            }
            "labels" => reader.report.warning(place, "`labels` of a volume have no effect: nothing reads them"),
            unknown => reader.unknown_key(unknown, place, KEYS),
        }
    }
    let is_external = external.is_external();
    let on_hosts = external.name_on_hosts(reader, key, item.place());
    let Making { driver, options, told } = making;
    // The driver that the engine takes where nothing is said, and which makes an empty volume then.
    let is_plain = driver.as_deref().is_none_or(|driver| driver == VOLUME_DRIVER_LOCAL) && options.is_empty();
    if is_external && !is_plain {
        for (name, place) in told {
            let message = format!("`{name}` of a volume has no effect: the volume must be there already");
            reader.report.warning(place, message);
        }
    } else if !is_plain {
        let name = driver.unwrap_or_else(|| VOLUME_DRIVER_LOCAL.to_owned());
        return DeclaredVolume::MadeBy(on_hosts, VolumeDriver { name, options });
    }
    on_hosts.map_or(DeclaredVolume::Own, DeclaredVolume::OnHosts)
}

fn driver(text: &str) -> Result<String, Refused> {
    let valid = !text.is_empty() && text.len() <= DRIVER_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "a driver of volumes, such as `local`")) }
}

fn read_options(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    if !matches!(item.node.value, Value::Mapping(_)) {
        reader.expected("a map", item);
        return options;
    }
    for pair in reader.pairs(item) {
        let value = pair.value.as_ref().map(|value| value.value.clone()).unwrap_or_default();
        if value.len() > OPTION_BYTES_MAX || options.len() >= OPTIONS_MAX {
            let message = format!(
                "the option {} is too much: a volume has at most {OPTIONS_MAX}, of {OPTION_BYTES_MAX} bytes each",
                quote(&pair.name)
            );
            reader.report.error(pair.place, message);
            return options;
        }
        // Compose resolves what is mounted as it resolves the paths of services.
        let is_relative = pair.name == "device" && value.starts_with(['.', '~']);
        let source = pair.place.position.source;
        let resolved = if is_relative { reader.on_hosts(&value, source) } else { None };
        options.insert(pair.name, resolved.unwrap_or(value));
    }
    options
}
