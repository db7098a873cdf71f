//! Files that want to hurt: each is read or refused at once, with its place.

use std::time::{Duration, Instant};

use super::*;

/// Far less than an explosion takes; tests share a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test may look at a clock; what it tests may not")]
fn said_at_once(text: &str, beside: &[(&str, &str)]) -> String {
    let begun = Instant::now();
    let reading = read_project(text, &project(beside));
    let taken = begun.elapsed();
    assert!(taken < AT_ONCE, "{taken:?}");
    said(&reading)
}

#[test]
fn long_chains_end() {
    let services: String = (0..100).map(|at| format!("  s{at}: {{extends: s{}}}\n", at + 1)).collect();
    let text = format!("labels: {{tickmesh.project_type: batch}}\nservices:\n{services}  s100: {{image: a}}\n");
    let said = said_at_once(&text, &[]);
    assert!(said.contains("f.yml:35:18: error: more than 32 services extend each other"), "{said}");
}

#[test]
fn thousands_of_services_that_extend_a_large_one_end() {
    let variables: String = (0..2_000).map(|at| format!("v{at}: 1, ")).collect();
    let services: String =
        (0..3_000).map(|at| format!("  s{at}: {{extends: base, environment: {{x: 1}}}}\n")).collect();
    let text = format!(
        "labels: {{tickmesh.project_type: batch}}\nservices:\n  base: {{image: a, environment: {{{variables}}}}}\n{services}"
    );
    let said = said_at_once(&text, &[]);
    assert!(said.contains("values") || said.contains("merging the files takes more than"), "{said}");
}

#[test]
fn ten_thousand_services_end() {
    let services: String = (0..10_000).map(|at| format!("  s{at}: {{image: a, extends: s0}}\n")).collect();
    let text = format!("labels: {{tickmesh.project_type: batch}}\nservices:\n{services}");
    assert!(said_at_once(&text, &[]).contains("error: "));
}

/// Two files that each include the next two: the number of files doubles with each of them.
#[test]
fn files_that_include_ever_more_files_end() {
    let names: Vec<String> = (0..40).map(|at| format!("f{at}.yml")).collect();
    let texts: Vec<String> = (0..40)
        .map(|at| {
            let next = |further: usize| format!("{{path: f{}.yml, project_directory: d{at}{further}}}", at + 1);
            format!("include: [{}, {}]\nservices: {{s{at}: {{image: a}}}}", next(0), next(1))
        })
        .collect();
    let beside: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let beside: Vec<(String, &str)> = beside.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect();
    let beside: Vec<(&str, &str)> = beside.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let text = "include: [f0.yml]\nlabels: {tickmesh.project_type: batch}\n";
    let said = said_at_once(text, &beside);
    assert!(said.contains("error: "), "{said}");
}
