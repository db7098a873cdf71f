//! `include`: the services, volumes, networks, secrets and configs of another file, whose paths
//! begin in its own folder.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    super::{
        env_files::EnvFile,
        report::{Place, quote},
        variables::read_variables_file,
        yaml::{Entry, Item, Node, Value},
    },
    extends::extended,
    merge::Merger,
    paths::{folder, join},
};

/// Deepest nesting of files that include each other.
const DEPTH_MAX: usize = 16;
/// What is taken from a file that is included.
const SECTIONS: [&str; 5] = ["services", "volumes", "networks", "secrets", "configs"];
/// Keys of an include in its long form.
const KEYS: [&str; 3] = ["path", "project_directory", "env_file"];

/// One include.
#[derive(Default)]
struct Include {
    paths: Vec<(String, Place)>,
    folder: Option<String>,
    env_files: Option<Vec<String>>,
}

/// The tree of a file with what it includes. `chain`: the files that lead to it.
pub(super) fn included(merger: &mut Merger<'_, '_>, root: &Rc<Node>, chain: &mut Vec<String>) -> Rc<Node> {
    let Value::Mapping(entries) = &root.value else { return root.clone() };
    let Some(at) = entries.iter().position(|entry| entry.key.text == "include") else { return root.clone() };
    let item = Item { node: &entries[at].value, path: "include".to_owned() };
    let mut own = entries.clone();
    own.remove(at);
    let mut whole = Rc::new(Node::new(root.position, Value::Mapping(own)));
    for include in read(merger, &item) {
        if let Some(other) = tree(merger, include, chain) {
            whole = joined(merger, &whole, &other);
        }
    }
    whole
}

fn read(merger: &mut Merger<'_, '_>, item: &Item<'_>) -> Vec<Include> {
    let Value::Sequence(nodes) = &item.node.value else {
        if !item.is_null() {
            merger.reader.expected("a list", item);
        }
        return Vec::new();
    };
    let elements = nodes.iter().enumerate().map(|(index, node)| item.element(index, node));
    elements.filter_map(|element| read_one(merger, &element)).collect()
}

fn read_one(merger: &mut Merger<'_, '_>, item: &Item<'_>) -> Option<Include> {
    let reader = &mut *merger.reader;
    let mut include = Include::default();
    let Value::Mapping(entries) = &item.node.value else {
        let text = reader.text(item)?;
        include.paths.push((text.value.clone(), text.place()));
        return Some(include);
    };
    for entry in entries {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "path" | "env_file" => {
                let texts = match &child.node.value {
                    Value::Sequence(_) => reader.texts(&child)?,
                    Value::Scalar(_) | Value::Mapping(_) => vec![reader.text(&child)?],
                };
                if entry.key.text == "path" {
                    include.paths = texts.iter().map(|text| (text.value.clone(), text.place())).collect();
                } else {
                    include.env_files = Some(texts.into_iter().map(|text| text.value).collect());
                }
            }
            "project_directory" => include.folder = Some(reader.text(&child)?.value),
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), KEYS),
        }
    }
    if include.paths.is_empty() {
        reader.report.error(item.place(), "the include has no `path`");
    }
    Some(include)
}

/// The files of an include as one tree.
fn tree(merger: &mut Merger<'_, '_>, include: Include, chain: &mut Vec<String>) -> Option<Rc<Node>> {
    let (first, place) = include.paths.first()?.clone();
    let source = place.position.source;
    let here = merger.reader.sources.base(source).to_owned();
    let path = join(&here, &first);
    let base = include.folder.map_or_else(|| folder(&path).to_owned(), |folder| join(&here, &folder));
    if chain.contains(&path) {
        let message = format!("{} would include itself: {} -> {path}", quote(&path), chain.join(" -> "));
        merger.reader.report.error(place, message);
        return None;
    }
    if chain.len() >= DEPTH_MAX {
        merger.reader.report.error(place, format!("files include each other more than {DEPTH_MAX} deep"));
        return None;
    }
    let env_files = match include.env_files {
        Some(files) => files.iter().map(|file| (join(&here, file), true)).collect(),
        None => vec![(join(&base, ".env"), false)],
    };
    let outer = merger.reader.sources.variables(source);
    let mut variables = BTreeMap::clone(&outer);
    for (file, is_named) in env_files {
        variables.extend(own_variables(merger, &file, is_named, &place)?);
    }
    let variables = Rc::new(variables);
    chain.push(path);
    let mut whole: Option<Rc<Node>> = None;
    for (path, place) in &include.paths {
        let path = join(&here, path);
        let reader = &mut *merger.reader;
        let tree = reader.sources.tree(&mut reader.report, &path, Some(&base), variables.clone(), place);
        let Some(tree) = tree else { continue };
        let tree = included(merger, &tree, chain);
        let tree = extended(merger, &tree);
        whole = Some(match whole {
            Some(whole) => merger.merge(&whole, &tree, &mut Vec::new()),
            None => tree,
        });
    }
    chain.pop();
    whole
}

/// Variables of a file that is included: below those of the project, which are not noted as used by
/// it.
fn own_variables(
    merger: &mut Merger<'_, '_>,
    file: &str,
    is_named: bool,
    place: &Place,
) -> Option<BTreeMap<String, String>> {
    let reader = &mut *merger.reader;
    // That of the folder of the project is among its variables already.
    if file == ".env" {
        return Some(BTreeMap::new());
    }
    let Some(text) = reader.env_files.text(file) else {
        reader.env_files.keep(file, EnvFile::Absent);
        if is_named {
            reader.report.error(place.clone(), format!("the env file {} is not there", quote(file)));
        }
        return Some(BTreeMap::new());
    };
    reader.env_files.keep(file, EnvFile::Read(BTreeMap::new()));
    match read_variables_file(text, &BTreeMap::new()) {
        Ok(read) => Some(read.values),
        Err(error) => {
            reader.report.error(place.clone(), format!("the env file {} cannot be read: {error}", quote(file)));
            None
        }
    }
}

/// Both trees. A name that both have is an error: files that are included say nothing about what is
/// in this one.
fn joined(merger: &mut Merger<'_, '_>, whole: &Rc<Node>, other: &Rc<Node>) -> Rc<Node> {
    let (Value::Mapping(entries), Value::Mapping(others)) = (&whole.value, &other.value) else { return whole.clone() };
    let mut entries = entries.clone();
    for section in others.iter().filter(|entry| SECTIONS.contains(&entry.key.text.as_str())) {
        match entries.iter_mut().find(|entry| entry.key.text == section.key.text) {
            None => entries.push(section.clone()),
            Some(entry) if entry.value.is_null() => entry.value = section.value.clone(),
            Some(entry) => entry.value = beside(merger, entry, section),
        }
    }
    Rc::new(Node::new(whole.position, Value::Mapping(entries)))
}

fn beside(merger: &mut Merger<'_, '_>, own: &Entry, other: &Entry) -> Rc<Node> {
    let (Value::Mapping(entries), Value::Mapping(others)) = (&own.value.value, &other.value.value) else {
        return own.value.clone();
    };
    let mut entries = entries.clone();
    for entry in others {
        let Some(twin) = entries.iter().find(|twin| twin.key.text == entry.key.text) else {
            entries.push(entry.clone());
            continue;
        };
        if twin.value.is_null() && entry.value.is_null() {
            continue;
        }
        let report = &mut merger.reader.report;
        let place = Place { position: twin.key.position, path: format!("{}.{}", own.key.text, twin.key.text) };
        let (name, file) = (quote(&entry.key.text), report.file(entry.key.position.source));
        let message = format!("{name} is in {file}:{} as well, which is included", entry.key.position);
        report.error_with_hint(place, message, "give one of them another name, or extend the other one");
    }
    Rc::new(Node::new(own.value.position, Value::Mapping(entries)))
}
