//! Which files are read as one: what is named on the command line, and what docker compose would
//! read beside it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::exit::BadInput;

/// What files in a directory are called.
const EXTENSIONS: [&str; 2] = ["yml", "yaml"];
/// File names that say nothing: compose's own defaults. The directory has the name then.
pub(crate) const DEFAULT_STEMS: [&str; 2] = ["compose", "docker-compose"];
/// What docker compose merges over a file of one of those names, the first that there is.
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Files that are read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// The one by which it is called.
    pub first: PathBuf,
    /// Those that are merged over it.
    pub overrides: Vec<PathBuf>,
}

impl Input {
    /// One file alone.
    #[cfg(test)]
    pub(crate) fn alone(first: impl Into<PathBuf>) -> Self {
        Self { first: first.into(), overrides: Vec::new() }
    }
}

/// Returns what is named: each of `files` is one of its own, or a directory of such; all of
/// `merged` are one.
pub(crate) fn inputs(files: &[PathBuf], merged: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in files {
        if path.is_dir() {
            inputs.extend(of_directory(path)?);
        } else {
            inputs.push(with_override(path.clone()));
        }
    }
    match merged {
        [] => {}
        [one] if one.is_dir() => inputs.extend(of_directory(one)?),
        // As docker compose has it, who says `-f` names every file.
        [first, overrides @ ..] => inputs.push(Input { first: first.clone(), overrides: overrides.to_vec() }),
    }
    Ok(inputs)
}

fn with_override(first: PathBuf) -> Input {
    let is_default = first.file_stem().and_then(OsStr::to_str).is_some_and(|stem| DEFAULT_STEMS.contains(&stem));
    let folder = first.parent().unwrap_or(Path::new(""));
    let beside = OVERRIDES.iter().map(|name| folder.join(name)).find(|path| is_default && path.is_file());
    Input { overrides: beside.into_iter().collect(), first }
}

/// The compose files of a directory in the order of their names. An override is no file of its own
/// beside what it overrides.
fn of_directory(path: &Path) -> anyhow::Result<Vec<Input>> {
    let attempted = || format!("cannot list {}", path.display());
    let mut files = Vec::new();
    for entry in path.read_dir().with_context(attempted)? {
        let file = entry.with_context(attempted)?.path();
        let is_compose = file.extension().is_some_and(|it| EXTENSIONS.iter().any(|extension| it == *extension));
        if is_compose && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    let inputs: Vec<Input> = files.into_iter().map(with_override).collect();
    if inputs.is_empty() {
        return Err(BadInput::new(format!("there is no .yml or .yaml file in {}", path.display())).into());
    }
    let is_override = |input: &Input| inputs.iter().any(|other| other.overrides.contains(&input.first));
    Ok(inputs.iter().filter(|input| !is_override(input)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        folder
    }

    #[track_caller]
    fn check(folder: &tempfile::TempDir, files: &[&str], merged: &[&str], expect: &[&[&str]]) {
        let paths = |names: &[&str]| names.iter().map(|name| folder.path().join(name)).collect::<Vec<_>>();
        let found = inputs(&paths(files), &paths(merged)).unwrap();
        let expect: Vec<Input> = expect
            .iter()
            .map(|names| Input { first: paths(names)[0].clone(), overrides: paths(&names[1..]) })
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn an_override_is_read_where_docker_compose_reads_it() {
        let folder = folder(&["compose.yml", "compose.override.yaml", "docker-compose.override.yml", "job.yml"]);
        check(&folder, &["compose.yml"], &[], &[&["compose.yml", "compose.override.yaml"]]);
        check(&folder, &["job.yml"], &[], &[&["job.yml"]]);
        check(&folder, &[], &["compose.yml"], &[&["compose.yml"]]);
        check(&folder, &[], &["job.yml", "compose.yml"], &[&["job.yml", "compose.yml"]]);
    }

    #[test]
    fn a_directory_has_a_file_for_each_app() {
        let folder = folder(&["b.yml", "a.yaml", "docker-compose.yml", "docker-compose.override.yml", "note.txt"]);
        let expect: [&[&str]; 3] = [&["a.yaml"], &["b.yml"], &["docker-compose.yml", "docker-compose.override.yml"]];
        check(&folder, &[""], &[], &expect);
        check(&folder, &[], &[""], &expect);
    }
}
