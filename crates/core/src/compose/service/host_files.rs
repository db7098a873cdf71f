//! `secrets` and `configs`: files of the Docker host, mounted into containers to be read. Both have a list of names at the top
//! of the file and grants in the services; they differ in where a container finds them.
//!
//! The files are on the hosts already, put there by whoever owns these: tickmesh neither stores nor carries what is in them.

use std::collections::BTreeMap;

use super::{
    super::{
        host_files::{HostFileKind, HostFiles},
        keys::{FILE_KEYS, FileKey},
        reader::Reader,
        report::{Place, quote},
        yaml::{Entry, Item, Value},
    },
    mount::{Mount, clean_path, path_of_host},
};
use crate::spec::{MountOptions, Volume, VolumeSource};

/// Most grants of a service.
const GRANTS_MAX: usize = 100;
/// Keys that say where the text of a secret or a config comes from.
const SOURCE_KEYS: [&str; 4] = ["file", "content", "environment", "external"];
/// Keys of a grant in its long form.
const GRANT_KEYS: [&str; 5] = ["source", "target", "uid", "gid", "mode"];

/// Reads both lists, before the services that they are for.
pub(crate) fn read_host_files(reader: &mut Reader<'_>, root: &Item<'_>) -> HostFiles {
    let mut read = |name| match reader.entries(root).iter().find(|entry| entry.key.text == name) {
        Some(entry) => definitions(reader, &root.child(entry)),
        None => BTreeMap::new(),
    };
    HostFiles { secrets: read("secrets"), configs: read("configs") }
}

fn definitions(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, Option<String>> {
    let entries = reader.entries(item).iter();
    entries.map(|entry| (entry.key.text.clone(), definition(reader, item, entry))).collect()
}

fn definition(reader: &mut Reader<'_>, item: &Item<'_>, entry: &Entry) -> Option<String> {
    let child = item.child(entry);
    let mut path = None;
    let mut has_source = false;
    for key in reader.entries(&child) {
        match reader.known_key(FILE_KEYS, &child, key) {
            Some(FileKey::File) => path = file_path(reader, &child.child(key)),
            None => {}
        }
        // Where else the text would come from has been refused with what to write instead.
        has_source |= is_source(&key.key.text);
    }
    if !has_source {
        let message = format!("{} has no `file`", quote(&entry.key.text));
        reader.report.error(item.key_place(&entry.key), message);
    }
    path
}

/// Whether a key says where the text of a secret or a config comes from.
fn is_source(key: &str) -> bool {
    SOURCE_KEYS.contains(&key)
}

/// The path of a file of the hosts.
fn file_path(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let text = reader.text(item)?;
    let resolved = reader.on_hosts(&text.value, item.node.position.source);
    match path_of_host(&resolved.unwrap_or(text.value.clone())) {
        Ok(path) => Some(path),
        Err(error) => {
            reader.report.error(text.place(), error.to_string());
            None
        }
    }
}

/// Reads `secrets` or `configs` of a service.
pub(super) fn read_grants(reader: &mut Reader<'_>, item: &Item<'_>, kind: HostFileKind) -> Vec<Mount> {
    let Value::Sequence(nodes) = &item.node.value else {
        if !item.is_null() {
            reader.expected("a list", item);
        }
        return Vec::new();
    };
    if nodes.len() > GRANTS_MAX {
        let message = format!("the service has {} {}s, at most {GRANTS_MAX} are allowed", nodes.len(), kind.word());
        reader.report.error(item.place(), message);
        return Vec::new();
    }
    let elements = nodes.iter().enumerate().map(|(index, node)| item.element(index, node));
    elements.filter_map(|element| read_grant(reader, &element, kind)).collect()
}

fn read_grant(reader: &mut Reader<'_>, item: &Item<'_>, kind: HostFileKind) -> Option<Mount> {
    let (name, target, place) = match &item.node.value {
        Value::Mapping(_) => long(reader, item)?,
        Value::Scalar(_) | Value::Sequence(_) => {
            let name = reader.text(item)?;
            (name.value.clone(), None, name.place())
        }
    };
    let Some(path) = reader.host_files.of(kind).get(&name) else {
        let message = format!("there is no {} {} at the top of the file", kind.word(), quote(&name));
        let hint = format!("add `{}s: {{{name}: {{file: /path/on/the/hosts}}}}`", kind.word());
        reader.report.error_with_hint(place, message, hint);
        return None;
    };
    let source = VolumeSource::ExistingHostPath(path.clone()?);
    let target = target.unwrap_or(name);
    let absolute = if target.starts_with('/') { target } else { format!("{}{target}", kind.folder()) };
    match clean_path(&absolute).filter(|path| path != "/") {
        Some(target) => {
            Some(Mount { volume: Volume { source, target, read_only: true, options: MountOptions::default() }, place })
        }
        None => {
            reader.report.error(place, format!("{} is not a path in the container without `..`", quote(&absolute)));
            None
        }
    }
}

/// Name, target and place of a grant in its long form.
fn long(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(String, Option<String>, Place)> {
    let (mut name, mut target) = (None, None);
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "source" => name = reader.text(&child),
            "target" => target = reader.text(&child).map(|text| text.value),
            key @ ("uid" | "gid" | "mode") => {
                let message = format!("`{key}` has no effect: the file is mounted as it is on the host");
                reader.report.warning(item.key_place(&entry.key), message);
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), GRANT_KEYS),
        }
    }
    if !reader.entries(item).iter().any(|entry| entry.key.text == "source") {
        reader.report.error(item.place(), "it has no `source`: the name of a file at the top");
    }
    let name = name?;
    Some((name.value.clone(), target, name.place()))
}
