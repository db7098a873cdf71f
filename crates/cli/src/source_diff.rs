//! What differs between two sources of an app. The file is shown line by line; of variables, which may be secrets, only the names.

use std::collections::{BTreeMap, BTreeSet};

use similar::{ChangeTag, TextDiff};
use tickmesh_core::{compose::Project, message::AppSource, name::ServiceName};

/// Unchanged lines round a change.
const CONTEXT: usize = 3;

/// The differences as text, in the form of `diff -u`; empty if there are none. `None`: there is no such app.
pub(crate) fn between(old: Option<&AppSource>, new: Option<&AppSource>) -> String {
    let text = |source: Option<&AppSource>| source.map_or(String::new(), |source| source.compose.clone());
    let name = |source: Option<&AppSource>| source.map_or("/dev/null".to_owned(), |source| source.file_name.clone());
    let (old_text, new_text) = (text(old), text(new));
    let diff = TextDiff::from_lines(&old_text, &new_text);
    let mut shown = diff.unified_diff().context_radius(CONTEXT).header(&name(old), &name(new)).to_string();
    for path in files(old).keys().chain(files(new).keys()).collect::<BTreeSet<_>>() {
        let text = |source| files(source).get(path).map_or("", String::as_str);
        let name = |source| if files(source).contains_key(path) { path.as_str() } else { "/dev/null" };
        let diff = TextDiff::from_lines(text(old), text(new));
        let diff = diff.unified_diff().context_radius(CONTEXT).header(name(old), name(new)).to_string();
        shown.push_str(&diff);
    }
    let (Some(old), Some(new)) = (old, new) else { return shown };
    shown.push_str(&of_projects(&old.project, &new.project));
    if old.timezone != new.timezone {
        shown.push_str(&format!("time zone: {} -> {}\n", old.timezone, new.timezone));
    }
    for name in changed(&old.variables, &new.variables) {
        shown.push_str(&format!("variable {name} has changed\n"));
    }
    for name in changed(&old.env_files, &new.env_files) {
        shown.push_str(&format!("env file {name} has changed\n"));
    }
    shown
}

/// The further files of a source.
fn files(source: Option<&AppSource>) -> &BTreeMap<String, String> {
    source.map_or(&Project::ALONE.files, |source| &source.project.files)
}

/// What differs between two projects besides the texts of their files.
fn of_projects(old: &Project, new: &Project) -> String {
    let text = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let list = |texts: &mut dyn Iterator<Item = &String>| {
        let texts: Vec<&str> = texts.map(String::as_str).collect();
        text(Some(texts.join(", ")).filter(|texts| !texts.is_empty()).as_deref())
    };
    let facts = |project: &Project| {
        [
            ("project", text(project.name.as_deref())),
            ("service", text(project.service.as_ref().map(ServiceName::as_str))),
            ("folder of relative paths", text(project.folder.as_deref())),
            ("files merged over it", list(&mut project.overrides.iter())),
            ("profiles", list(&mut project.profiles.iter())),
        ]
    };
    let pairs = facts(old).into_iter().zip(facts(new)).filter(|(old, new)| old != new);
    pairs.map(|((name, old), (_, new))| format!("{name}: {old} -> {new}\n")).collect()
}

/// Lines that are only in the new text, and lines that are only in the old one.
pub(crate) fn count(old: &str, new: &str) -> (usize, usize) {
    let diff = TextDiff::from_lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    (count(ChangeTag::Insert), count(ChangeTag::Delete))
}

fn changed<'a, T: PartialEq>(
    old: &'a BTreeMap<String, T>,
    new: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(|name| old.get(*name) != new.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(compose: &str, tag: &str) -> AppSource {
        AppSource {
            compose: compose.to_owned(),
            file_name: "nightly.yml".to_owned(),
            variables: BTreeMap::from([("TAG".to_owned(), tag.to_owned())]),
            env_files: BTreeMap::new(),
            timezone: "UTC".to_owned(),
            dialect: tickmesh_core::compose::DIALECT_FIRST,
            project: Default::default(),
        }
    }

    #[test]
    fn lines_are_shown_and_of_variables_the_names() {
        let (old, new) = (source("a: 1\nb: 2\n", "1"), source("a: 1\nb: 3\n", "secret"));
        let shown = between(Some(&old), Some(&new));
        assert!(shown.contains("\n-b: 2\n+b: 3\n") && shown.contains("variable TAG has changed"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(between(Some(&old), Some(&old)), "");
        assert!(between(None, Some(&new)).contains("+++ nightly.yml"));
    }

    #[test]
    fn further_files_and_the_folder_are_shown() {
        let project = |text: &str, folder: &str| Project {
            files: BTreeMap::from([("over.yml".to_owned(), text.to_owned())]),
            folder: Some(folder.to_owned()),
            ..Project::default()
        };
        let old = AppSource { project: project("a: 1\n", "/srv"), ..source("", "1") };
        let new = AppSource { project: project("a: 2\n", "/opt"), ..source("", "1") };
        let shown = between(Some(&old), Some(&new));
        assert!(shown.contains("+++ over.yml\n") && shown.contains("\n-a: 1\n+a: 2\n"), "{shown}");
        assert!(shown.ends_with("folder of relative paths: /srv -> /opt\n"), "{shown}");
        assert!(between(Some(&source("", "1")), Some(&new)).contains("--- /dev/null\n+++ over.yml"));
    }

    #[test]
    fn changed_lines_are_counted() {
        assert_eq!(count("a\nb\n", "a\nc\nd\n"), (2, 1));
        assert_eq!(count("", ""), (0, 0));
    }
}
