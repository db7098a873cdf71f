//! What is read from files, and what is said about them: data through [`check`].

mod depends;
mod deploy;
mod dialects;
mod env_files;
mod gpus;
mod hints;
mod hostile;
mod labels;
mod layout;
mod markers;
mod networks;
mod options;
mod placement;
mod policies;
mod samples;
mod schedules;
mod service;
mod variables;
mod volumes;
mod yaml;

use super::*;
use crate::{
    name::AppName,
    spec::{ContainerSpec, ServiceSpec},
};

const VARIABLES: [(&str, &str); 4] = [("TAG", "v2"), ("SIZE", "5"), ("EMPTY", ""), ("FROM_HOST", "yes")];

/// The files beside the compose file.
const ENV_FILES: [(&str, &str); 4] = [
    ("job.env", "A=1\nB=${TAG}\n# note\nexport C='$TAG'\nD=\"${A}-${NONE:-x}\"\nFROM_HOST\nNOT_THERE\n"),
    ("more.env", "A=2\nE=$NOWHERE\n"),
    ("empty.env", ""),
    ("bad.env", "A=1\n?\n"),
];

fn read_text(text: &str) -> Reading {
    read_with(text, &map(&VARIABLES))
}

fn read_with(text: &str, variables: &BTreeMap<String, String>) -> Reading {
    read_by(text, variables, Dialect::PRESENT)
}

fn read_in_dialect(text: &str, dialect: Dialect) -> Reading {
    read_by(text, &map(&VARIABLES), dialect)
}

fn read_by(text: &str, variables: &BTreeMap<String, String>, dialect: Dialect) -> Reading {
    let app = AppName::new("nightly").unwrap();
    let env_files = map(&ENV_FILES);
    let file = ComposeFile {
        dialect,
        app: &app,
        file_name: "f",
        text,
        variables,
        env_files: &env_files,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let reading = read(&file, &TimeZoneDatabase::bundled());
    assert_eq!(reading.spec.is_none(), reading.diagnostics.iter().any(Diagnostic::is_error));
    reading
}

/// All that is said about a file, as it is shown.
fn rendered(text: &str) -> String {
    let lines: Vec<String> = read_text(text).diagnostics.iter().map(Diagnostic::to_string).collect();
    lines.join("\n")
}

/// `expect` are the diagnostics as they are shown, without the file's name.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let expect: Vec<String> = expect.iter().map(|diagnostic| format!("f:{diagnostic}")).collect();
    assert_eq!(rendered(text), expect.join("\n"), "in:\n{text}");
}

/// A file with one service, which has these further keys from line 5 on, after four spaces.
fn with_service(keys: &str) -> String {
    let head = "labels: {aliyun.project_type: batch}\nservices:\n  s1:\n    image: busybox\n";
    let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
    format!("{head}{keys}")
}

#[track_caller]
fn check_service(keys: &str, expect: &[&str]) {
    check(&with_service(keys), expect);
}

/// A file with these labels of the app, from line 2 on, after two spaces.
fn with_labels(labels: &str) -> String {
    let labels: String = labels.lines().map(|line| format!("  {line}\n")).collect();
    format!("labels:\n{labels}services: {{s1: {{image: busybox}}}}\n")
}

#[track_caller]
fn check_labels(labels: &str, expect: &[&str]) {
    check(&with_labels(labels), expect);
}

/// The app of a file without errors.
#[track_caller]
fn spec(text: &str) -> AppSpec {
    let reading = read_text(text);
    reading.spec.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
}

/// The one service of a file without errors, which has these further keys.
#[track_caller]
fn service(keys: &str) -> ServiceSpec {
    spec(&with_service(keys)).run().services[0].clone()
}

#[track_caller]
fn container(keys: &str) -> ContainerSpec {
    service(keys).container
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
