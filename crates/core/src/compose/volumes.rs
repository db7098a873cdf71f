//! `volumes` at the top of the file: what the names mean that services mount.
//!
//! A volume without `external` and `name` is the engine's own, made at its first use. One with
//! either must be there already: its data is why somebody named it, and an empty one in its place
//! would look like success.

use std::collections::BTreeMap;

use super::{external::External, reader::Reader, yaml::Item};

/// Declared volumes: the name on the hosts of those that must be there already.
pub(super) type Volumes = BTreeMap<String, Option<String>>;

/// Keys that say how compose makes a volume.
const KEYS_OF_MAKING: [&str; 2] = ["driver", "driver_opts"];

/// Reads the declarations. Of a stack all volumes are there already, under the names that compose
/// gave them.
pub(super) fn read_volumes(reader: &mut Reader<'_>, item: &Item<'_>) -> Volumes {
    let stack = reader.stack_project();
    let mut volumes = Volumes::new();
    for entry in reader.entries(item) {
        let named = read_volume(reader, &item.child(entry), &entry.key.text);
        let on_hosts = named.or_else(|| stack.as_ref().map(|project| format!("{project}_{}", entry.key.text)));
        volumes.insert(entry.key.text.clone(), on_hosts);
    }
    volumes
}

fn read_volume(reader: &mut Reader<'_>, item: &Item<'_>, key: &str) -> Option<String> {
    let mut external = External::default();
    let mut made_otherwise = Vec::new();
    for entry in reader.entries(item) {
        let child = item.child(entry);
        let place = item.key_place(&entry.key);
        match entry.key.text.as_str() {
            name if external.read(name, reader, &child) => {}
            "driver" if is_default_driver(&child) => {}
            name if KEYS_OF_MAKING.contains(&name) => made_otherwise.push((name.to_owned(), child.is_null(), place)),
            "labels" => reader.report.warning(place, "`labels` of a volume have no effect: nothing reads them"),
            unknown => reader.unknown_key(unknown, place, ["external", "name", "driver", "driver_opts", "labels"]),
        }
    }
    let on_hosts = external.name_on_hosts(reader, key, item.place());
    for (name, is_empty, place) in made_otherwise {
        // Compose made those of a stack by these.
        if is_empty || reader.stack_project().is_some() {
            continue;
        }
        if on_hosts.is_some() {
            let message = format!("`{name}` of a volume has no effect: the volume must be there already");
            reader.report.warning(place, message);
        } else {
            let message =
                format!("`{name}` of a volume is not supported: agents make volumes of the default driver only");
            let hint = "make the volume on the hosts, and write `external: true` instead";
            reader.report.error_with_hint(place, message, hint);
        }
    }
    on_hosts
}

/// Says whether a driver is the one that the engine takes where nothing is said.
fn is_default_driver(item: &Item<'_>) -> bool {
    item.scalar().is_some_and(|text| text == "local")
}
