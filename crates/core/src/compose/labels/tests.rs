//! What the table says to people is true, and docs/reference/app-file.md says the same.

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;

use super::table::{APP_LABELS, Label, NO_DEFAULT, SERVICE_LABELS};
use crate::{
    compose::{ComposeFile, Dialect, TIMEZONE_DEFAULT, read},
    name::AppName,
};

/// The page of all labels. A test may read a file of the checkout; what it tests may not.
const PAGE: &str = include_str!("../../../../../docs/reference/app-file.md");

fn table<S>(labels: &[Label<S>]) -> String {
    let row = |label: &Label<S>| {
        // A bar would end the cell.
        let values = label.takes.values().replace('|', r"\|");
        let default = label.default.unwrap_or(NO_DEFAULT);
        format!("| `{}` | {values} | {default} | {} |\n", label.name, label.does)
    };
    let rows: String = labels.iter().map(row).collect();
    format!("| label | values | default | what it does |\n|---|---|---|---|\n{rows}")
}

#[track_caller]
fn check_page<S>(labels: &[Label<S>]) {
    let table = table(labels);
    assert!(PAGE.contains(&format!("\n\n{table}\n")), "docs/reference/app-file.md lacks this table:\n\n{table}");
}

#[test]
fn every_label_of_an_app_is_on_its_page() {
    check_page(APP_LABELS);
}

#[test]
fn every_label_of_a_service_is_on_its_page() {
    check_page(SERVICE_LABELS);
}

/// The app of a file with these labels at the top and in its service, in words.
#[track_caller]
fn app(top: &str, service: &str) -> String {
    let text = format!(
        "labels: {{aliyun.schedule: '@daily'{top}}}\nservices: {{s1: {{image: busybox, labels: {{x: y{service}}}}}}}\n"
    );
    let (app, variables) = (AppName::new("nightly").unwrap(), BTreeMap::new());
    let file = ComposeFile {
        dialect: Dialect::PRESENT,
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

/// The schema that is shipped. `tickmesh schema` prints what it should be.
const SCHEMA: &str = include_str!("../../../../../docs/reference/x-tickmesh.schema.json");

#[test]
fn the_schema_that_is_shipped_is_that_of_the_labels() {
    let shipped: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(shipped, super::schema(), "tickmesh schema > docs/reference/x-tickmesh.schema.json");
}

#[test]
fn the_schema_has_every_label_that_means_something() {
    let schema = super::schema();
    let top = &schema["properties"]["x-tickmesh"]["properties"];
    let service = &schema["properties"]["services"]["additionalProperties"]["properties"]["x-tickmesh"]["properties"];
    for label in APP_LABELS {
        assert!(top[label.name].is_object() && service[label.name].is_object(), "{}", label.name);
    }
    for label in SERVICE_LABELS {
        assert!(service[label.name].is_object(), "{}", label.name);
    }
}
