//! The pages in docs/ name the tests that hold what they say: each of them must exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tickmesh_agent::policy::Grant;
use tickmesh_core::compose::service_keys;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of all functions that are marked as a test.
fn tests_of(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("read a folder") {
        let path = entry.expect("read an entry").path();
        if path.is_dir() {
            tests_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("read a source");
            let marked = ["test]\n", "test("].into_iter().flat_map(|mark| text.split(mark).skip(1));
            found.extend(marked.filter_map(name_after_mark));
        }
    }
}

/// The first function after a mark, with other attributes between.
fn name_after_mark(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("fn ")?;
    rest.split_once('(').map(|(name, _)| name.to_owned())
}

/// What stands in backticks in the last column of a table, and in sentences whatever is as long as a test's name.
fn tests_named_in(page: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for line in page.lines() {
        match line.strip_suffix('|').and_then(|row| row.rsplit_once('|')) {
            Some((_, held_by)) => named.extend(quoted(held_by)),
            None => named.extend(quoted(line).filter(|name| name.matches('_').count() >= LOW_LINES_MIN)),
        }
    }
    named
}

/// Labels of compose files have at most one.
const LOW_LINES_MIN: usize = 3;

fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The values of a key of tests/mutants.toml, break by break.
fn values<'a>(list: &'a str, key: &str, quote: &str) -> Vec<&'a str> {
    let key = format!("\n{key} = {quote}");
    list.split(&key).skip(1).map(|rest| rest.split(quote).next().unwrap_or_default().trim_start_matches('\n')).collect()
}

#[test]
fn every_break_can_be_made_and_its_finder_is_on_record() {
    let list = fs::read_to_string(root().join("tests/mutants.toml")).unwrap();
    let (names, files) = (values(&list, "name", "\""), values(&list, "file", "\""));
    let finds = values(&list, "find", "'''");
    assert!(names.len() >= 50 && names.len() == files.len() && names.len() == finds.len(), "{}", names.len());
    for ((name, file), find) in names.iter().zip(files).zip(finds) {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert_eq!(text.matches(find).count(), 1, "{name}: {file} must have its text exactly once");
    }
    let page = fs::read_to_string(root().join("docs/evidence/mutants.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let rows: Vec<_> = rows.filter(|name| *name != "break").collect();
    assert_eq!(rows, names, "`make mutants` writes the page");
}

/// Names of the fields of all log lines below a folder.
fn log_fields(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("read a folder") {
        let path = entry.expect("read an entry").path();
        if path.is_dir() {
            log_fields(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("read a source");
            let lines =
                ["debug!(", "info!(", "warn!(", "error!("].into_iter().flat_map(|mark| text.split(mark).skip(1));
            found.extend(lines.flat_map(fields_of));
        }
    }
}

/// What comes before the sentence of a log line: `%app, error = &error as &dyn Error` are `app` and `error`.
fn fields_of(line: &str) -> Vec<String> {
    let fields = line.split('"').next().unwrap_or_default().trim_end().trim_end_matches(',');
    let fields = fields.split(',').map(|field| field.split(" = ").next().unwrap_or_default());
    fields.map(|name| name.trim().trim_start_matches(['%', '?']).to_owned()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_field_of_a_log_line_is_on_its_page_and_none_else() {
    let mut fields = BTreeSet::new();
    for part in ["core", "messaging", "scheduler", "agent", "client", "web", "webhook", "cli"] {
        log_fields(&root().join("crates").join(part).join("src"), &mut fields);
    }
    let page = fs::read_to_string(root().join("docs/reference/logs.md")).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let named: BTreeSet<String> = names.flat_map(quoted).collect();
    assert_eq!(named, fields);
}

#[test]
fn every_compose_key_and_every_right_is_on_its_page() {
    let page = fs::read_to_string(root().join("docs/reference/compose-keys.md")).unwrap();
    let named: BTreeSet<String> = page.lines().flat_map(quoted).collect();
    let rights = Grant::ALL.into_iter().map(Grant::as_str);
    let missing: Vec<&str> = service_keys().chain(rights).filter(|key| !named.contains(*key)).collect();
    assert_eq!(missing, [""; 0], "not in docs/reference/compose-keys.md");
}

#[test]
fn every_test_that_a_page_names_exists() {
    let mut tests = BTreeSet::new();
    for directory in ["crates", "tests"] {
        tests_of(&root().join(directory), &mut tests);
    }
    let page = |name| fs::read_to_string(root().join("docs/concepts").join(name)).unwrap();
    let named = tests_named_in(&(page("semantics.md") + &page("time.md")));
    assert!(named.len() > 80, "only {} tests are named: {named:?}", named.len());
    let missing: Vec<&String> = named.difference(&tests).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}
