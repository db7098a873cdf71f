//! `env_file`: variables from files that are beside the compose file where it is applied. Whoever reads the compose file
//! brings them along: here they are text that is known by the path that the file has for it.

use std::collections::BTreeMap;

use super::{
    super::{
        diagnostic::SourceId,
        dotenv,
        env_files::EnvFile,
        interpolate::InterpolationError,
        project::join_paths,
        reader::Reader,
        report::{Place, quote},
        value::{Refused, boolean},
        yaml::{Item, Value},
    },
    environment::is_reserved,
};

/// Most files of one service.
const FILES_MAX: usize = 100;
/// Longest path, that of Linux.
const PATH_BYTES_MAX: usize = 4096;
/// Keys of the long form.
const LONG_KEYS: [&str; 3] = ["path", "required", "format"];

/// One file of a service.
struct Named {
    path: String,
    place: Place,
    required: bool,
}

/// Reads `env_file`: the variables of all its files, of which later ones win.
pub(super) fn read_env_files(reader: &mut Reader<'_>, item: &Item<'_>) -> BTreeMap<String, String> {
    let files = read_names(reader, item);
    let mut environment = BTreeMap::new();
    for file in &files {
        environment.extend(variables(reader, file));
    }
    environment
}

fn read_names(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Named> {
    let items = match &item.node.value {
        Value::Sequence(nodes) => nodes.iter().enumerate().map(|(index, node)| item.element(index, node)).collect(),
        Value::Scalar(_) | Value::Mapping(_) if item.is_null() => Vec::new(),
        Value::Scalar(_) | Value::Mapping(_) => vec![item.clone()],
    };
    if items.len() > FILES_MAX {
        let message = format!("the service has {} env files, at most {FILES_MAX} are allowed", items.len());
        reader.report.error(item.place(), message);
        return Vec::new();
    }
    let mut files: Vec<Named> = Vec::new();
    for element in &items {
        let Some(file) = read_name(reader, element) else { continue };
        if files.iter().any(|other| other.path == file.path) {
            reader.report.error(file.place, format!("the env file {} is named twice", quote(&file.path)));
            continue;
        }
        files.push(file);
    }
    files
}

fn read_name(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Named> {
    let source = item.node.position.source;
    let Value::Mapping(entries) = &item.node.value else {
        let path = read_path(reader, item)?;
        let path = in_project(reader, path, source);
        return Some(Named { path, place: item.place(), required: true });
    };
    let (mut found, mut required) = (None, true);
    for entry in entries {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "path" => found = read_path(reader, &child),
            "required" => required = reader.parsed(&child, boolean).unwrap_or(true),
            "format" => {
                let message = "`format` of an env file is not supported: it is read as compose reads it";
                reader.report.error_with_hint(item.key_place(&entry.key), message, "remove it");
            }
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), LONG_KEYS),
        }
    }
    if !entries.iter().any(|entry| entry.key.text == "path") {
        reader.report.error(item.place(), "the env file has no `path`");
    }
    let path = in_project(reader, found?, source);
    Some(Named { path, place: item.place(), required })
}

/// A path as seen from the folder of the project. That of the first file stays as it is written.
fn in_project(reader: &Reader<'_>, path: String, source: SourceId) -> String {
    match reader.sources.base(source) {
        "" => path,
        base => join_paths(base, &path),
    }
}

/// Reads a path. Where nothing is left of it without a variable, that was told.
fn read_path(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let text = reader.text(item)?;
    if text.value.is_empty() && text.is_unset() {
        return None;
    }
    path(&text.value).map_err(|error| reader.report.error(text.place(), error.to_string())).ok()
}

fn path(text: &str) -> Result<String, Refused> {
    let valid = !text.is_empty() && text.len() <= PATH_BYTES_MAX;
    if valid { Ok(text.to_owned()) } else { Err(Refused::new(text, "the path of a file")) }
}

/// The variables of a file. It is read once, however many services name it.
fn variables(reader: &mut Reader<'_>, file: &Named) -> BTreeMap<String, String> {
    if reader.env_files.kept(&file.path).is_none() {
        let read = match reader.env_files.text(&file.path) {
            Some(text) => EnvFile::Read(parse(reader, file, text).unwrap_or_default()),
            None => EnvFile::Absent,
        };
        reader.env_files.keep(&file.path, read);
    }
    match reader.env_files.kept(&file.path) {
        Some(EnvFile::Read(variables)) => return variables.clone(),
        Some(EnvFile::Absent) | None => {}
    }
    if file.required {
        let message = format!("the env file {} is not there", quote(&file.path));
        let hint = "it is looked for beside the compose file, when that is applied";
        reader.report.error_with_hint(file.place.clone(), message, hint);
    }
    BTreeMap::new()
}

/// `None`: what is wrong has been said.
fn parse(reader: &mut Reader<'_>, file: &Named, text: &str) -> Option<BTreeMap<String, String>> {
    let refuse = |reader: &mut Reader<'_>, line: usize, problem: &str| {
        let message = format!("line {line} of the env file {} cannot be read: {problem}", quote(&file.path));
        reader.report.error(file.place.clone(), message);
    };
    let assignments = dotenv::parse(text).map_err(|error| refuse(reader, error.line, error.problem)).ok()?;
    let mut variables = BTreeMap::new();
    for dotenv::Assignment { name, value, line } in assignments {
        if is_reserved(&name) {
            refuse(reader, line, &format!("the variable `{name}` is reserved: agents set it"));
            continue;
        }
        let value = match value {
            dotenv::Value::Literal(text) => text,
            dotenv::Value::Template(text) => match replaced(reader, file, line, &text, &variables) {
                Ok(text) => text,
                Err(error) => {
                    refuse(reader, line, &error.to_string());
                    continue;
                }
            },
            dotenv::Value::Inherited => match reader.interpolator.variable(&name) {
                Some(value) => value.to_owned(),
                None => continue,
            },
        };
        if value.contains('\0') {
            refuse(reader, line, "the value contains a NUL character");
            continue;
        }
        variables.insert(name, value);
    }
    Some(variables)
}

/// The text with its variables replaced: by those of where the file is applied, or else by those above in the file.
fn replaced(
    reader: &mut Reader<'_>,
    file: &Named,
    line: usize,
    text: &str,
    above: &BTreeMap<String, String>,
) -> Result<String, InterpolationError> {
    let result = reader.interpolator.interpolate_beside(text, above)?;
    for name in result.unset {
        if !reader.is_first_unset(&name) {
            continue;
        }
        let (name, path) = (quote(&name), quote(&file.path));
        let message = format!(
            "the variable {name} of line {line} of the env file {path} is not set: nothing is put in its place"
        );
        reader.report.warning(file.place.clone(), message);
    }
    Ok(result.text)
}
