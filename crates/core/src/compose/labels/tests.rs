//! What the table says to people is true, and the README says the same.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;

use super::table::{APP_LABELS, Label, NO_DEFAULT, SERVICE_LABELS};
use crate::{
    compose::{ComposeFile, TIMEZONE_DEFAULT, read},
    name::AppName,
};

/// The README. A test may read a file of the checkout; what it tests may not.
const README: &str = include_str!("../../../../../README.md");

fn table<S>(labels: &[Label<S>]) -> String {
    let row = |label: &Label<S>| {
        // A bar would end the cell.
        let values = label.takes.values()?.replace('|', r"\|");
        let default = label.default.unwrap_or(NO_DEFAULT);
        Some(format!("| `{}` | {values} | {default} | {} |\n", label.name, label.does))
    };
    let rows: String = labels.iter().filter_map(row).collect();
    format!("| label | values | default | what it does |\n|---|---|---|---|\n{rows}")
}

#[track_caller]
fn check_readme<S>(labels: &[Label<S>]) {
    let table = table(labels);
    assert!(README.contains(&format!("\n\n{table}\n")), "the README lacks this table:\n\n{table}");
}

#[test]
fn the_readme_has_every_label_of_an_app() {
    check_readme(APP_LABELS);
}

#[test]
fn the_readme_has_every_label_of_a_service() {
    check_readme(SERVICE_LABELS);
}

/// The app of a file with these labels at the top and in its service, in words.
#[track_caller]
fn app(top: &str, service: &str) -> String {
    let text = format!(
        "labels: {{aliyun.schedule: '@daily'{top}}}\nservices: {{s1: {{image: busybox, labels: {{x: y{service}}}}}}}\n"
    );
    let (app, variables) = (AppName::new("nightly").unwrap(), BTreeMap::new());
    let file = ComposeFile {
        app: &app,
        file_name: "f",
        text: &text,
        variables: &variables,
        env_files: &variables,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let reading = read(&file, &TimeZoneDatabase::bundled());
    format!("{:#?}", reading.spec.unwrap_or_else(|| panic!("{text}{:#?}", reading.diagnostics)))
}

#[test]
fn a_label_with_its_default_changes_nothing() {
    for label in APP_LABELS {
        let Some(default) = label.default else { continue };
        // Alone it would be an error.
        let with = if label.name == "max_active" { ", tickmesh.overlap: allow" } else { "" };
        let name = label.name;
        assert_eq!(app(&format!("{with}, tickmesh.{name}: {default}"), ""), app(with, ""), "{name}");
    }
    for Label { name, default, .. } in SERVICE_LABELS {
        let Some(default) = default else { continue };
        assert_eq!(app("", &format!(", tickmesh.{name}: '{default}'")), app("", ""), "{name}");
    }
}

#[test]
fn every_label_is_in_its_table_once() {
    let app = APP_LABELS.iter().map(|label| label.name);
    let mut names: Vec<&str> = app.chain(SERVICE_LABELS.iter().map(|label| label.name)).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
