//! Several files as one: what is read from them, and what is said about them and where.

mod extends;
mod hostile;
mod include;
mod merged;
mod stack;

use std::collections::BTreeMap;

use jiff::tz::TimeZoneDatabase;

use super::{super::*, *};
use crate::{name::AppName, spec::ServiceSpec};

/// The first file of a job without a schedule, with these further keys of its service.
const FIRST: &str = "labels: {tickmesh.project_type: batch}\nservices:\n  s1:\n    image: busybox\n";

fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn variables() -> BTreeMap<String, String> {
    files(&[("TAG", "v2"), ("DATA", "/data"), ("HOME", "/h/ann")])
}

/// The overrides are the files whose names begin with `over`.
fn project(beside: &[(&str, &str)]) -> Project {
    let files = files(beside);
    let overrides = files.keys().filter(|path| path.starts_with("over")).cloned().collect();
    Project { folder: Some("/srv/shop".to_owned()), overrides, files, ..Project::default() }
}

fn read_project(text: &str, project: &Project) -> Reading {
    read_with(text, project, &BTreeMap::new())
}

fn read_with(text: &str, project: &Project, env_files: &BTreeMap<String, String>) -> Reading {
    let app = AppName::new("nightly").unwrap();
    let variables = variables();
    let file = ComposeFile {
        app: &app,
        dialect: Dialect::PRESENT,
        file_name: "f.yml",
        text,
        variables: &variables,
        env_files,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let reading = read_in(&file, project, &TimeZoneDatabase::bundled());
    // What is stored reads the same.
    let stored = ComposeFile { variables: &reading.variables_used, ..file };
    let again = read_in(&stored, project, &TimeZoneDatabase::bundled());
    assert_eq!(format!("{:?}", again.spec), format!("{:?}", reading.spec), "{text}");
    assert_eq!(again.diagnostics, reading.diagnostics, "{text}");
    reading
}

fn said(reading: &Reading) -> String {
    let lines: Vec<String> = reading.diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[track_caller]
fn check(text: &str, beside: &[(&str, &str)], expect: &[&str]) {
    assert_eq!(said(&read_project(text, &project(beside))), expect.join("\n"), "{text}");
}

/// The services of files without errors.
#[track_caller]
fn services(text: &str, beside: &[(&str, &str)]) -> Vec<ServiceSpec> {
    let reading = read_project(text, &project(beside));
    let Some(spec) = reading.spec.clone() else { panic!("{}", said(&reading)) };
    spec.run().services.clone()
}

#[track_caller]
fn service(text: &str, beside: &[(&str, &str)]) -> ServiceSpec {
    services(text, beside).remove(0)
}
