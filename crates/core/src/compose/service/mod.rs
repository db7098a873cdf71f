//! The services of a file: one after the other, each key by its reader.

mod container;
mod depends;
mod deploy;
mod directive;
mod dotenv;
mod draft;
mod env_file;
mod environment;
mod host_files;
mod image;
mod limits;
mod mount;
mod naming;
mod resources;
mod rights;
mod signal;
mod tmpfs;
mod volumes;

pub(super) use self::host_files::read_host_files;
pub use self::rights::capability;
use super::{
    keys::SERVICE_KEYS,
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
    if entries.len() > SERVICES_MAX {
        let message = format!("the file has {} services, at most {SERVICES_MAX} are allowed", entries.len());
        reader.report.error(key.clone(), message);
        return Vec::new();
    }
    let names = entries.iter().map(|entry| entry.key.text.as_str()).collect();
    let services = entries.iter().filter_map(|entry| read_service(reader, item, entry)).collect();
    link(reader, services, &names)
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
    let mut draft = ServiceDraft::default();
    let keys = reader.entries(&item);
    for key in keys {
        if let Some(known) = reader.known_key(SERVICE_KEYS, &item, key) {
            draft.read(known, reader, &item.child(key));
        }
    }
    if !keys.iter().any(|key| key.key.text == "image") {
        let message = format!("the service {} has no `image`", quote(&entry.key.text));
        reader.report.error(place, message);
    }
    let depends = draft.take_depends(reader);
    let spec = draft.finish(reader, &item, name)?;
    Some(Unlinked { spec, depends })
}
