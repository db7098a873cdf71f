//! The services of a file: one after the other, each key by its reader.

mod affinity;
mod build;
mod container;
mod depends;
mod deploy;
mod directive;
mod draft;
mod env_file;
mod environment;
mod gpus;
mod host_files;
mod image;
mod limits;
mod modes;
mod mount;
mod naming;
mod networks;
mod resources;
mod rights;
mod signal;
mod stack;
mod tmpfs;
mod volumes;

pub(super) use self::host_files::read_host_files;
pub use self::rights::capability;
use super::{
    keys::SERVICE_KEYS,
    labels::X_TICKMESH,
    reader::Reader,
    report::{Place, quote},
    yaml::{Entry, Item, Value},
};
use crate::{name::ServiceName, spec::ServiceSpec};
use depends::{SERVICES_MAX, Unlinked, link};
use draft::ServiceDraft;

/// Reads `services`. The list is complete only if the report has no errors.
pub(super) fn read_services(reader: &mut Reader<'_>, item: &Item<'_>, key: &Place) -> Vec<ServiceSpec> {
    // As elsewhere in compose, `x-` marks what is not for us: usually a template for aliases.
    let is_service = |entry: &&Entry| !entry.key.text.starts_with("x-");
    let entries: Vec<&Entry> = reader.entries(item).iter().filter(is_service).collect();
    // What is neither a map nor empty has been reported.
    if entries.is_empty() && (item.is_null() || matches!(item.node.value, Value::Mapping(_))) {
        reader.report.error(key.clone(), "the file has no services");
    }
    if entries.len() > SERVICES_MAX && reader.sources.project().service.is_none() {
        let message = format!("the file has {} services, at most {SERVICES_MAX} are allowed", entries.len());
        reader.report.error(key.clone(), message);
        return Vec::new();
    }
    if let Some(service) = &reader.sources.project().service {
        return read_one(reader, item, &entries, service.as_str(), key).into_iter().collect();
    }
    let names = entries.iter().map(|entry| entry.key.text.as_str()).collect();
    let services = entries.iter().filter_map(|entry| read_service(reader, item, entry)).collect();
    link(reader, services, &names)
}

/// Reads one service of a stack. The others are not ours.
fn read_one(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    entries: &[&Entry],
    service: &str,
    key: &Place,
) -> Option<ServiceSpec> {
    let Some(entry) = entries.iter().find(|entry| entry.key.text == service) else {
        reader.report.error(key.clone(), format!("there is no service {} any more", quote(service)));
        return None;
    };
    let Unlinked { mut spec, server: _, depends, neighbourhood } = read_service(reader, item, entry)?;
    stack::refuse_dependencies(reader, depends);
    neighbourhood.settle_alone(reader, &mut spec);
    Some(spec)
}

fn read_service(reader: &mut Reader<'_>, services: &Item<'_>, entry: &Entry) -> Option<Unlinked> {
    let place = services.key_place(&entry.key);
    let name = match ServiceName::new(entry.key.text.as_str()) {
        Ok(name) => Some(name),
        Err(error) => {
            reader.report.error(place.clone(), error.to_string());
            None
        }
    };
    let item = services.child(entry);
    let mut draft = ServiceDraft::new(reader.dialect);
    let keys = reader.entries(&item);
    let is_stack = reader.sources.project().service.is_some();
    for key in keys {
        match key.key.text.as_str() {
            X_TICKMESH => {
                draft.read_keys(reader, &item.child(key));
                continue;
            }
            "depends_on" if is_stack => {
                stack::leave_dependencies(reader, &item.child(key));
                continue;
            }
            "links" if is_stack && links_are_names(&item.child(key)) => continue,
            "name" => {
                check_name(reader, &item, key, &entry.key.text);
                continue;
            }
            _ => {}
        }
        if let Some(known) = reader.known_key(SERVICE_KEYS, &item, key) {
            draft.read(known, reader, &item.child(key));
        }
    }
    let is_told = reader.unextended.contains(&entry.key.text)
        || !(item.is_null() || matches!(item.node.value, Value::Mapping(_)));
    if !is_told && !keys.iter().any(|key| matches!(key.key.text.as_str(), "image" | "build")) {
        let message = format!("the service {} has no `image`", quote(&entry.key.text));
        reader.report.error(place, message);
    }
    let server = keys.iter().find_map(|key| sign_of_server(&item.child(key), &key.key.text));
    let depends = draft.take_depends(reader);
    let neighbourhood = draft.take_neighbourhood();
    let spec = draft.finish(reader, &item, &entry.key.text, name)?;
    Some(Unlinked { spec, server, depends, neighbourhood })
}

/// Returns what makes a service look like a server.
fn sign_of_server(item: &Item<'_>, key: &str) -> Option<&'static str> {
    match key {
        "restart" => match item.scalar()? {
            "always" => Some("`restart: always`"),
            "unless-stopped" => Some("`restart: unless-stopped`"),
            _ => None,
        },
        "ports" => (!item.is_null()).then_some("`ports`"),
        "healthcheck" => (!item.is_null()).then_some("a `healthcheck`"),
        _ => None,
    }
}

/// Whether links name services as those are called anyway, in the network that they share.
fn links_are_names(item: &Item<'_>) -> bool {
    match &item.node.value {
        Value::Sequence(nodes) => nodes.iter().all(|node| match &node.value {
            Value::Scalar(scalar) => !scalar.text.contains(':'),
            Value::Sequence(_) | Value::Mapping(_) => false,
        }),
        Value::Scalar(scalar) => scalar.is_null(),
        Value::Mapping(_) => false,
    }
}

/// Templates of the original's console repeat the name of a service inside it.
fn check_name(reader: &mut Reader<'_>, item: &Item<'_>, entry: &Entry, service: &str) {
    let Some(name) = reader.text(&item.child(entry)) else { return };
    if name.value != service {
        let message = format!("`name` has no effect: the service is called {}", quote(service));
        reader.report.warning(item.key_place(&entry.key), message);
    }
}
