//! Services that wait for others.

use super::*;

/// A file with these services, from line 3 on, after two spaces.
fn with_services(services: &str) -> String {
    let services: String = services.lines().map(|line| format!("  {line}\n")).collect();
    format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}")
}

#[track_caller]
fn check_services(services: &str, expect: &[&str]) {
    check(&with_services(services), expect);
}

/// `expect` is what the service `s3` waits for.
#[track_caller]
fn check_depends(keys: &str, expect: &[&str]) {
    let app = spec(&with_services(&format!("s1: {{image: a}}\ns3: {{image: a, {keys}}}\ns2: {{image: a}}\n")));
    let run = app.run();
    let names: Vec<&str> = run.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["s1", "s3", "s2"], "services keep the order of the file");
    let depends: Vec<&str> = run.services[1].depends.iter().map(|name| name.as_str()).collect();
    assert_eq!(depends, expect, "{keys}");
}

#[test]
fn a_service_waits_for_those_that_it_names() {
    check_depends("labels: {aliyun.depends: s1}", &["s1"]);
    check_depends("labels: {tickmesh.depends: ' s2 ,  s1 '}", &["s2", "s1"]);
    check_depends("depends_on: [s1, s2]", &["s1", "s2"]);
    check_depends("depends_on: {s2: {condition: service_completed_successfully, required: true}}", &["s2"]);
    check_depends("depends_on: {s1: }", &["s1"]);
    check_depends("depends_on: ", &[]);
    check_depends("labels: {aliyun.depends: 's1,s1'}, depends_on: [s2, s1]", &["s1", "s2"]);
}

#[test]
fn only_success_can_be_waited_for() {
    check_services(
        "s1: {image: a}\ns2:\n  image: a\n  depends_on:\n    s1: {condition: service_started, restart: true}\n",
        &[
            "7:23: warning: `service_started` is taken for `service_completed_successfully`\n  hint: services of a batch job begin after those they depend on have succeeded",
            "7:40: warning: `restart` of a dependency has no effect: a batch job is not restarted",
        ],
    );
    check_services(
        "s1: {image: a}\ns2:\n  image: a\n  depends_on:\n    s1: {condition: service_healthy, required: false, x-note: 1}\n",
        &[
            "7:23: error: `service_healthy` is not supported: what stays up beside the job never ends, so that it would be waited for in vain\n  hint: have the job itself wait for the server, or write `service_completed_successfully`",
            "7:50: error: `required: false` is not supported: what a service depends on has to succeed\n  hint: remove the dependency",
        ],
    );
    check_services(
        "s1: {image: a}\ns2:\n  image: a\n  depends_on:\n    s1: {condition: ready, requird: false}\n",
        &[
            "7:23: error: `ready` is not `service_completed_successfully`, `service_started` or `service_healthy`",
            "7:30: error: unknown key `requird`\n  hint: did you mean `required`?",
        ],
    );
    check_services(
        "s1: {image: a}\ns2: {image: a, depends_on: s1}\n",
        &["4:30: error: a list or a map of services is needed here, but this is a text"],
    );
}

#[test]
fn a_service_that_does_not_exist_cannot_be_waited_for() {
    check_services(
        "extract: {image: a}\nload: {image: a, labels: {aliyun.depends: 'extract, extrat,'}}\n",
        &[
            "4:55: error: there is no service `extrat` to wait for\n  hint: did you mean `extract`?",
            "4:62: error: there is no service `` to wait for",
        ],
    );
    check_services(
        "load: {image: a, depends_on: [other]}\nmore: {image: a, depends_on: {another: {}}}\n",
        &[
            "3:33: error: there is no service `other` to wait for",
            "4:33: error: there is no service `another` to wait for",
        ],
    );
}

#[test]
fn a_service_with_a_bad_name_is_reported_once() {
    check_services(
        "a b: {image: a}\nload: {image: a, depends_on: [a b]}\n",
        &[
            "3:3: error: service name `a b` is not valid: letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 63",
        ],
    );
}

#[test]
fn services_cannot_wait_for_each_other() {
    let hint = "\n  hint: break the circle at one of its dependencies";
    check_services(
        "a: {image: a, depends_on: [a]}\n",
        &[&format!("3:30: error: `a` would wait for itself: a -> a{hint}")],
    );
    check_services(
        "a: {image: a, depends_on: [b]}\nb: {image: a, labels: {aliyun.depends: a}}\n",
        &[&format!("4:42: error: `a` would wait for itself: a -> b -> a{hint}")],
    );
    check_services(
        "first: {image: a, depends_on: [b]}\na: {image: a, depends_on: [c]}\nb: {image: a, depends_on: [a]}\nc: {image: a, depends_on: [b]}\n",
        &[&format!("6:30: error: `b` would wait for itself: b -> a -> c -> b{hint}")],
    );
    check_services(
        "a: {image: a, depends_on: [a]}\nb: {image: a, depends_on: [c]}\nc: {image: a, depends_on: [b]}\n",
        &[
            &format!("3:30: error: `a` would wait for itself: a -> a{hint}"),
            &format!("5:30: error: `b` would wait for itself: b -> c -> b{hint}"),
        ],
    );
}

#[test]
fn many_ways_to_one_service_are_no_circle() {
    let bottom_up = "a: {image: a}\nb: {image: a, depends_on: [a]}\nc: {image: a, depends_on: [a]}\nd: {image: a, depends_on: [b, c, a]}\n";
    let top_down: String = bottom_up.lines().rev().map(|line| format!("{line}\n")).collect();
    for services in [bottom_up, &top_down] {
        let said = rendered(&with_services(services));
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn a_service_waits_for_a_limited_number() {
    check_service(
        &format!("labels: {{aliyun.depends: '{}'}}", ",".repeat(200)),
        &["5:30: error: a service can wait for 200 others at most"],
    );
}

/// A service `db` with these keys, and one that waits for it as these say.
fn waiting(db: &str, depends_on: &str) -> String {
    with_services(&format!("db: {{image: a, {db}}}\njob: {{image: a, depends_on: {depends_on}}}\n"))
}

#[test]
fn nobody_waits_for_the_end_of_a_server() {
    for (keys, sign) in [
        ("restart: always", "`restart: always`"),
        ("restart: unless-stopped", "`restart: unless-stopped`"),
        ("ports: ['80:80']", "`ports`"),
        ("healthcheck: {test: 'true'}", "a `healthcheck`"),
    ] {
        for depends_on in ["[db]", "{db: }", "{db: {condition: service_started}}"] {
            let said = rendered(&waiting(keys, depends_on));
            let expect = format!("error: `job` would wait for ever: `db` has {sign}, as a server that never ends\n");
            assert_eq!(said.matches(&expect).count(), 1, "{said}");
        }
        let said = rendered(&waiting(keys, "{db: {condition: service_completed_successfully}}"));
        assert!(!said.contains("error"), "{said}");
    }
    for keys in ["restart: on-failure", "restart: 'no'", "ports: ", "healthcheck: "] {
        let said = rendered(&waiting(keys, "[db]"));
        assert!(!said.contains("error"), "{said}");
    }
}

#[test]
fn order_of_starts_is_told_to_be_one_of_successes() {
    let hint = "\n  hint: write `condition: service_completed_successfully`, which says the same to docker compose";
    let expect = format!("4:32: warning: `job` begins when `db` has succeeded, not when it is started{hint}");
    check(&waiting("user: a", "[db]"), &[&expect]);
    check(&waiting("user: a", "{db: {condition: service_completed_successfully}}"), &[]);
    check_services("db: {image: a}\njob: {image: a, labels: {aliyun.depends: db}}\n", &[]);
}
