//! What differs between two sources of an app. The file is shown line by line; of variables, which may be secrets, only the names.

use std::collections::{BTreeMap, BTreeSet};

use similar::{ChangeTag, TextDiff};
use tickmesh_core::message::AppSource;

/// Unchanged lines round a change.
const CONTEXT: usize = 3;

/// The differences as text, in the form of `diff -u`; empty if there are none. `None`: there is no such app.
pub(crate) fn between(old: Option<&AppSource>, new: Option<&AppSource>) -> String {
    let text = |source: Option<&AppSource>| source.map_or(String::new(), |source| source.compose.clone());
    let name = |source: Option<&AppSource>| source.map_or("/dev/null".to_owned(), |source| source.file_name.clone());
    let (old_text, new_text) = (text(old), text(new));
    let diff = TextDiff::from_lines(&old_text, &new_text);
    let mut shown = diff.unified_diff().context_radius(CONTEXT).header(&name(old), &name(new)).to_string();
    let (Some(old), Some(new)) = (old, new) else { return shown };
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
    fn changed_lines_are_counted() {
        assert_eq!(count("a\nb\n", "a\nc\nd\n"), (2, 1));
        assert_eq!(count("", ""), (0, 0));
    }
}
