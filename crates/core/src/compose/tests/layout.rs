//! The top of the file.

use super::*;

fn with_version(version: &str) -> String {
    format!("version: {version}\n{}", with_service(""))
}

#[test]
fn versions_two_and_three_are_read() {
    for version in ["2", "2.1", "'2'", "\"2.4\"", "3", "3.8", "'3.10'"] {
        check(&with_version(version), &[]);
    }
    check(&with_service(""), &[]);
    for version in ["1", "4", "2.", "2.x", "2.1.1", "two", "2.123", "v2"] {
        let message = format!(
            "1:10: error: `{version}` is not a version of the compose format that is supported: `2`, `2.x` or `3.x`"
        );
        check(&with_version(version), &[&message]);
    }
    check(&with_version(""), &["1:8: error: a text is needed here, but this is empty"]);
    check(&with_version("[2]"), &["1:10: error: a text is needed here, but this is a list"]);
}

#[test]
fn unknown_keys_name_their_neighbour() {
    check(
        &format!("verson: 2\nservces: {{}}\nfoo: 1\n{}", with_service("")),
        &[
            "1:1: error: unknown key `verson`\n  hint: did you mean `version`?",
            "2:1: error: unknown key `servces`\n  hint: did you mean `services`?",
            "3:1: error: unknown key `foo`",
        ],
    );
    check_service("enviroment: {}", &["5:5: error: unknown key `enviroment`\n  hint: did you mean `environment`?"]);
    check_service("Image: a", &["5:5: error: unknown key `Image`\n  hint: did you mean `image`?"]);
    check_service("working-dir: /", &["5:5: error: unknown key `working-dir`\n  hint: did you mean `working_dir`?"]);
    check_service("zzz: 1", &["5:5: error: unknown key `zzz`"]);
}

#[test]
fn keys_beginning_with_x_are_not_for_us() {
    check(&format!("x-common: {{imge: 1, a: ['${{}}']}}\n{}", with_service("x-note: [1]")), &[]);
    // At every level.
    check(
        &format!(
            "networks: {{db: {{external: true, x-a: 1}}}}\nvolumes: {{data: {{x-a: 1}}}}\n{}",
            with_service(
                "networks: {db: {x-a: 1}}\nvolumes: [{type: bind, source: /a, target: /in, x-a: 1, bind: {x-a: 1}}]\nulimits: {nofile: {soft: 1, hard: 1, x-a: 1}}\ndeploy: {x-a: 1, resources: {x-a: 1, limits: {x-a: 1}}}"
            )
        ),
        &[],
    );
}

#[test]
fn a_key_of_a_service_at_the_top_is_explained() {
    check(
        &format!("image: busybox\n{}", with_service("")),
        &["1:1: error: `image` does not belong to the file itself\n  hint: move it into a service, under `services`"],
    );
}

#[test]
fn a_file_of_version_one_is_explained() {
    check(
        "web:\n  image: busybox\n",
        &["1:1: error: `services` is missing\n  hint: `web` looks like a service: move it under `services`"],
    );
}

#[test]
fn manifest_of_kubernetes_is_told() {
    check(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: hello}\nspec: {}\n",
        &[
            "1:1: error: this is a manifest of Kubernetes and no compose file\n  hint: docs/how-to/migrate-from-kubernetes.md shows a CronJob as a compose file",
        ],
    );
}

#[test]
fn services_are_needed() {
    let head = "labels: {aliyun.project_type: batch}\n";
    check(head, &["1:1: error: `services` is missing"]);
    check(&format!("{head}services:\n"), &["2:1: error: the file has no services"]);
    check(&format!("{head}services: {{}}\n"), &["2:1: error: the file has no services"]);
    check(&format!("{head}services: {{x-a: {{}}}}\n"), &["2:1: error: the file has no services"]);
    check(&format!("{head}services: [a]\n"), &["2:11: error: a map is needed here, but this is a list"]);
    check(&format!("{head}services: {{s1: }}\n"), &["2:12: error: the service `s1` has no `image`"]);
    check(&format!("{head}services: {{s1: text}}\n"), &["2:16: error: a map is needed here, but this is a text"]);
}

#[test]
fn names_of_services_are_checked() {
    check(
        "labels: {aliyun.project_type: batch}\nservices:\n  a b: {image: busybox}\n  _x: {image: busybox}\n",
        &[
            "3:3: error: service name `a b` is not valid: letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 63",
            "4:3: error: service name `_x` is not valid: letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 63",
        ],
    );
}

#[test]
fn the_name_of_the_app_is_given_elsewhere() {
    check(&format!("name: nightly\n{}", with_service("")), &[]);
    check(
        &format!("name: other\n{}", with_service("")),
        &["1:7: warning: `name` has no effect: the app is called `nightly`"],
    );
}

#[test]
fn volumes_may_be_declared_by_name() {
    check(&format!("volumes: {{aa: , b: {{}}}}\n{}", with_service("volumes: ['aa:/a']")), &[]);
}

#[test]
fn all_problems_are_shown_in_the_order_of_the_file() {
    check(
        "version: 1\nlabels:\n  aliyun.schedule: '0 0 0 * * 9'\n  tickmesh.zone: x\nservices:\n  s1:\n    mem_limit: much\n    ports: [80]\n    labels: {aliyun.scale: 0}\n  s2: {image: A}\n",
        &[
            "1:10: error: `1` is not a version of the compose format that is supported: `2`, `2.x` or `3.x`",
            "3:31: error: day-of-week: `9` is out of range: it must be from 0 to 7",
            "4:3: error: unknown label `tickmesh.zone`",
            "6:3: error: the service `s1` has no `image`",
            "7:16: error: `much` is not a size such as `512m`, `1.5g` or a number of bytes",
            "8:5: warning: `ports` has no effect: nothing connects to a batch job",
            "9:28: error: `aliyun.scale`: `0` is not a whole number from 1 to 1000",
            "10:15: error: `A` is not an image: upper case is allowed in the host and the tag only",
        ],
    );
}

#[test]
fn a_schedule_that_cannot_be_read_is_reported_once() {
    let service = "services: {s1: {image: busybox}}\n";
    for labels in ["labels: {aliyun.schedule: \"${UNSET:?set it}\"}", "labels: {aliyun.schedule: [a]}", "labels: foo"] {
        let said = rendered(&format!("{labels}\n{service}"));
        assert!(!said.contains("does not say when") && said.matches("error:").count() == 1, "{labels}: {said}");
    }
}
