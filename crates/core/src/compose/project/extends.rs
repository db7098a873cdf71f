//! `extends`: a service of this file or of another one, below what the service itself says.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    super::{
        diagnostic::SourceId,
        report::{Place, quote},
        yaml::{Entry, Item, Node, Value},
    },
    merge::Merger,
    paths::join,
};

/// Longest chain of services that extend each other: nobody can follow a longer one.
const CHAIN_MAX: usize = 32;

/// Services that are extended, by their file and name.
type Known = BTreeMap<(SourceId, String), Rc<Node>>;

/// The services of a file, each with what it extends.
pub(super) struct Extends<'m, 'r, 'f> {
    merger: &'m mut Merger<'r, 'f>,
    known: Known,
    /// Those that are being extended now.
    chain: Vec<(SourceId, String)>,
    /// Those that extend each other in a circle, which was told.
    circular: BTreeSet<(SourceId, String)>,
}

/// What a service extends.
struct Base {
    service: String,
    file: Option<String>,
    place: Place,
}

/// The tree of a file, in which nothing extends anything any more.
pub(super) fn extended(merger: &mut Merger<'_, '_>, root: &Rc<Node>) -> Rc<Node> {
    let Value::Mapping(entries) = &root.value else { return root.clone() };
    let Some(at) = entries.iter().position(|entry| entry.key.text == "services") else { return root.clone() };
    let Value::Mapping(services) = &entries[at].value.value else { return root.clone() };
    if !services.iter().any(|service| own(&service.value, "extends").is_some()) {
        return root.clone();
    }
    let mut extends = Extends { merger, known: Known::new(), chain: Vec::new(), circular: BTreeSet::new() };
    let services = services.iter().map(|service| {
        let extended = extends.service(root, service);
        if extended.is_none() {
            extends.merger.reader.unextended.insert(service.key.text.clone());
        }
        let value = extended.unwrap_or_else(|| without(&service.value, "extends"));
        Entry { key: service.key.clone(), value }
    });
    let services = Rc::new(Node::new(entries[at].value.position, Value::Mapping(services.collect())));
    let mut entries = entries.clone();
    entries[at].value = services;
    Rc::new(Node::new(root.position, Value::Mapping(entries)))
}

fn own<'n>(service: &'n Node, key: &str) -> Option<&'n Entry> {
    match &service.value {
        Value::Mapping(entries) => entries.iter().find(|entry| entry.key.text == key),
        Value::Scalar(_) | Value::Sequence(_) => None,
    }
}

fn without(service: &Rc<Node>, key: &str) -> Rc<Node> {
    let Value::Mapping(entries) = &service.value else { return service.clone() };
    let kept = entries.iter().filter(|entry| entry.key.text != key).cloned().collect();
    Rc::new(Node::new(service.position, Value::Mapping(kept)))
}

impl Extends<'_, '_, '_> {
    /// A service of this tree with all that it extends; `None`: the report says why not.
    fn service(&mut self, root: &Rc<Node>, service: &Entry) -> Option<Rc<Node>> {
        let Some(extends) = own(&service.value, "extends") else { return Some(service.value.clone()) };
        let id = (root.position.source, service.key.text.clone());
        if let Some(known) = self.known.get(&id) {
            return Some(known.clone());
        }
        if self.circular.contains(&id) {
            return None;
        }
        let path = format!("services.{}.extends", service.key.text);
        let item = Item { node: &extends.value, path };
        if let Some(first) = self.chain.iter().position(|before| *before == id) {
            let names = self.chain[first..].iter().chain([&id]).map(|(_, name)| name.as_str());
            let names: Vec<&str> = names.collect();
            let message = format!("`{}` would extend itself: {}", id.1, names.join(" -> "));
            self.merger.reader.report.error(item.place(), message);
            self.circular.extend(self.chain[first..].iter().cloned());
            return None;
        }
        if self.chain.len() >= CHAIN_MAX {
            let message = format!("more than {CHAIN_MAX} services extend each other");
            self.merger.reader.report.error(item.place(), message);
            return None;
        }
        let base = self.base(&item)?;
        self.chain.push(id.clone());
        let extended = self.found(root, base);
        self.chain.pop();
        let extended = extended?;
        let own = without(&service.value, "extends");
        let mut path = vec!["services".to_owned(), service.key.text.clone()];
        let merged = self.merger.merge(&extended, &own, &mut path);
        self.known.insert(id, merged.clone());
        Some(merged)
    }

    fn base(&mut self, item: &Item<'_>) -> Option<Base> {
        let reader = &mut *self.merger.reader;
        let Value::Mapping(entries) = &item.node.value else {
            let text = reader.text(item)?;
            return Some(Base { place: text.place(), service: text.value, file: None });
        };
        let (mut service, mut file) = (None, None);
        for entry in entries {
            let child = item.child(entry);
            match entry.key.text.as_str() {
                "service" => service = Some(reader.text(&child)?),
                "file" => file = Some(reader.text(&child)?),
                unknown => reader.unknown_key(unknown, item.key_place(&entry.key), ["service", "file"]),
            }
        }
        let Some(service) = service else {
            reader.report.error(item.place(), "`extends` has no `service`");
            return None;
        };
        let place = file.as_ref().unwrap_or(&service).place();
        Some(Base { place, service: service.value, file: file.map(|file| file.value) })
    }

    fn found(&mut self, root: &Rc<Node>, base: Base) -> Option<Rc<Node>> {
        let Base { service, file, place } = base;
        let root = match file {
            None => root.clone(),
            Some(file) => {
                let reader = &mut *self.merger.reader;
                let source = place.position.source;
                let path = join(reader.sources.base(source), &file);
                let variables = reader.sources.variables(source);
                reader.sources.tree(&mut reader.report, &path, None, variables, &place)?
            }
        };
        let services = own(&root, "services").map(|services| services.value.clone());
        let Some(entry) = services.as_ref().and_then(|services| own(services, &service)) else {
            let file = self.merger.reader.report.file(root.position.source);
            let message = format!("there is no service {} in {file} to extend", quote(&service));
            self.merger.reader.report.error(place, message);
            return None;
        };
        self.service(&root, entry)
    }
}
