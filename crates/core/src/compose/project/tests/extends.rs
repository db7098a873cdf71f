//! Services that extend others.

use super::*;

const JOB: &str = "labels: {tickmesh.project_type: batch}\nservices:\n  s1: {extends: base, environment: {B: 3}}\n  base: {image: busybox, environment: [A=1, B=2]}\n";

#[test]
fn a_service_has_what_it_extends_below_its_own() {
    let services = services(JOB, &[]);
    assert_eq!(services[0].container.environment, files(&[("A", "1"), ("B", "3")]));
    assert_eq!(services[1].container.environment, files(&[("A", "1"), ("B", "2")]));
}

#[test]
fn paths_of_another_file_begin_in_its_own_folder() {
    let text =
        "labels: {tickmesh.project_type: batch}\nservices: {s1: {extends: {file: common/base.yml, service: base}}}\n";
    let base = "services:\n  base:\n    extends: {file: ../deep.yml, service: deep}\n    volumes: ['./data:/data']\n    env_file: job.env\n";
    let deep = "services: {deep: {image: 'busybox:$TAG', volumes: ['./deep:/deep']}}";
    let project = project(&[("common/base.yml", base), ("deep.yml", deep)]);
    let reading = read_with(text, &project, &files(&[("common/job.env", "A=1")]));
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    let container = &spec.run().services[0].container.clone();
    assert_eq!((container.image.as_str(), container.environment["A"].as_str()), ("busybox:v2", "1"));
    let paths: Vec<&String> = reading.host_paths.values().collect();
    assert_eq!(paths, ["/srv/shop/common/data", "/srv/shop/deep"]);
    assert_eq!(reading.files.into_iter().collect::<Vec<_>>(), ["common/base.yml", "deep.yml"]);
}

#[test]
fn what_cannot_be_extended_is_told_where_it_stands() {
    let of = |extends: &str| {
        format!("labels: {{tickmesh.project_type: batch}}\nservices:\n  s1: {{image: a, extends: {extends}}}\n")
    };
    check(&of("gone"), &[], &["f.yml:3:27: error: there is no service `gone` in f.yml to extend"]);
    check(&of("{service: s1}"), &[], &["f.yml:3:27: error: `s1` would extend itself: s1 -> s1"]);
    check(
        &of("{file: x.yml, service: s1}"),
        &[("x.yml", "services: {}")],
        &["f.yml:3:34: error: there is no service `s1` in x.yml to extend"],
    );
    check(
        &of("{file: x.yml, service: s1}"),
        &[],
        &["f.yml:3:34: error: there is no file `x.yml`\n  hint: paths begin where the file is that names them"],
    );
    check(
        &of("{fil: x.yml, service: base}"),
        &[],
        &[
            "f.yml:3:28: error: unknown key `fil`\n  hint: did you mean `file`?",
            "f.yml:3:49: error: there is no service `base` in f.yml to extend",
        ],
    );
}
