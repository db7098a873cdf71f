//! Files that are included, and profiles.

use super::*;

#[test]
fn services_of_another_file_come_with_their_own_folder_and_variables() {
    let text = "include: [jobs/clean.yml]\nlabels: {tickmesh.project_type: batch}\nservices: {s1: {image: busybox}}\n";
    let other =
        "services: {clean: {image: 'busybox:${TAG}', environment: {W: '$WHO'}, volumes: ['./x:/x']}}\nvolumes: {v: }\n";
    let project = project(&[("jobs/clean.yml", other)]);
    let reading = read_with(text, &project, &files(&[("jobs/.env", "WHO=me\nTAG=below\n")]));
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    let clean = &spec.run().services[1].container.clone();
    assert_eq!((clean.image.as_str(), clean.environment["W"].as_str()), ("busybox:v2", "me"));
    assert_eq!(reading.host_paths["./x"], "/srv/shop/jobs/x");
    assert!(reading.env_files.contains("jobs/.env"));
}

#[test]
fn the_long_form_names_folder_and_variables() {
    let text = "include:\n- {path: [a.yml, b.yml], project_directory: sub, env_file: v.env}\nlabels: {tickmesh.project_type: batch}\n";
    let first = "services: {s1: {image: busybox, environment: {A: 1}, volumes: ['./x:/x']}}";
    let second = "services: {s1: {environment: {B: $WHO}}}";
    let project = project(&[("a.yml", first), ("b.yml", second)]);
    let reading = read_with(text, &project, &files(&[("v.env", "WHO=me")]));
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    assert_eq!(spec.run().services[0].container.environment, files(&[("A", "1"), ("B", "me")]));
    assert_eq!(reading.host_paths["./x"], "/srv/shop/sub/x");
}

#[test]
fn what_cannot_be_included_is_told_where_it_stands() {
    let text = "include: [a.yml]\nlabels: {tickmesh.project_type: batch}\nservices: {s1: {image: busybox}}\n";
    let circle = "include: [b.yml]";
    check(
        text,
        &[("a.yml", circle), ("b.yml", "include: [a.yml]\n")],
        &["b.yml:1:11: error: `a.yml` would include itself: a.yml -> b.yml -> a.yml"],
    );
    check(
        text,
        &[("a.yml", "services: {s1: {image: x}}")],
        &[
            "f.yml:3:12: error: `s1` is in a.yml:1:12 as well, which is included\n  hint: give one of them another name, or extend the other one",
        ],
    );
    check(
        text,
        &[],
        &["f.yml:1:11: error: there is no file `a.yml`\n  hint: paths begin where the file is that names them"],
    );
}

#[test]
fn services_of_profiles_are_taken_where_somebody_asks_for_them() {
    let text = format!("{FIRST}  s2: {{image: busybox, profiles: [dev, $TAG]}}\n");
    check(
        &text,
        &[],
        &[
            "f.yml:5:34: warning: the service is left out: nobody asked for `dev` or `v2`\n  hint: ask for its profile with `--profile`",
        ],
    );
    let asked = |profile: &str| {
        let project = Project { profiles: [profile.to_owned()].into(), ..project(&[]) };
        read_project(&text, &project).spec.unwrap().run().services.len()
    };
    assert_eq!((asked("dev"), asked("v2"), asked("*"), asked("other")), (2, 2, 2, 1));
}

#[test]
fn what_a_missing_file_would_have_brought_is_not_missed_again() {
    check(
        "include: [gone.yml]\n",
        &[],
        &["f.yml:1:11: error: there is no file `gone.yml`\n  hint: paths begin where the file is that names them"],
    );
}
