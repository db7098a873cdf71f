//! `networks`, at the top of the file and in its services.

use super::*;
use crate::spec::NetworkSpec;

/// A file with these networks at the top, and one service with these keys from line 6 on.
fn with_networks(networks: &str, keys: &str) -> String {
    format!("networks: {networks}\n{}", with_service(keys))
}

/// `expect` are the networks of the one service, each with its aliases.
#[track_caller]
fn check_networks(networks: &str, keys: &str, expect: &[(&str, &[&str])]) {
    let text = with_networks(networks, keys);
    check(&text, &[]);
    let container = spec(&text).run().services[0].container.clone();
    let network = |(name, aliases): &(&str, &[&str])| NetworkSpec { name: (*name).to_owned(), aliases: owned(aliases) };
    assert_eq!(container.networks, expect.iter().map(network).collect::<Vec<_>>(), "{text}");
    assert_eq!(container.network_mode.as_deref(), expect.first().map(|(name, _)| *name), "{text}");
}

#[test]
fn external_and_named_networks_are_those_of_the_host() {
    for networks in [
        "{db: {external: true, name: prod_default}}",
        "{db: {external: {name: prod_default}}}",
        "{db: {name: prod_default, driver: bridge}}",
    ] {
        check_networks(networks, "networks: [db]", &[("prod_default", &["s1"])]);
        check_networks(networks, "networks: {db: }", &[("prod_default", &["s1"])]);
        check_networks(networks, "", &[]);
    }
    check_networks("{db: {external: true}}", "networks: [db]", &[("db", &["s1"])]);
}

#[test]
fn several_networks_keep_their_order_and_priority() {
    let networks = "{front: {external: true}, back: {external: true}}";
    check_networks(networks, "networks: [front, back]", &[("front", &["s1"]), ("back", &["s1"])]);
    check_networks(
        networks,
        "networks: {front: {aliases: [job, s1]}, back: {priority: 10}}",
        &[("back", &["s1"]), ("front", &["job", "s1"])],
    );
}

#[test]
fn default_network_without_content_says_nothing() {
    check_networks("{default: }", "", &[]);
    check_networks("{default: {}}", "networks: [default]", &[]);
    check_networks("{}", "networks: [default]", &[]);
    check_networks("", "networks: ", &[]);
    check_networks("{default: {external: true, name: prod}}", "", &[("prod", &["s1"])]);
    check_networks("{default: {name: prod}}", "networks: [default]", &[("prod", &["s1"])]);
    let with_mode = spec(&with_networks("{default: {name: prod}}", "network_mode: none")).run().services[0].clone();
    assert_eq!((with_mode.container.network_mode.as_deref(), with_mode.container.networks), (Some("none"), vec![]));
}

#[test]
fn network_that_compose_would_make_is_the_engines_default() {
    let hint = "\n  hint: add `external: true` to use one that the hosts have";
    check(
        &with_networks("{back: {driver: overlay, ipam: {}}, front: , unused: }", "networks: [back, front]"),
        &[&format!(
            "1:12: warning: the networks `back`, `front` are not made: containers get the engine's default network{hint}"
        )],
    );
    let mixed = with_networks("{back: , db: {external: true}}", "networks: [back, db]");
    let expect =
        format!("1:12: warning: the network `back` is not made: containers get the engine's default network{hint}");
    check(&mixed, &[&expect]);
    assert_eq!(spec(&mixed).run().services[0].container.network_mode.as_deref(), Some("db"));
    check(&with_networks("{unused: {driver: overlay}}", ""), &[]);
}

#[test]
fn networks_that_cannot_be_had_say_why() {
    check(
        &with_networks(
            "{db: {external: true}}",
            "networks: {dbb: , db: {ipv4_address: 192.0.2.1, aliase: [a]}, other: }",
        ),
        &[
            "6:16: error: there is no network `dbb` at the top of the file\n  hint: did you mean `db`?",
            "6:28: error: `ipv4_address` is not supported: a job has no address of its own\n  hint: remove it: others find the container by its `aliases`",
            "6:53: error: unknown key `aliase`\n  hint: did you mean `aliases`?",
            "6:67: error: there is no network `other` at the top of the file\n  hint: declare it there: `networks: {other: {external: true}}`",
        ],
    );
    check(
        &with_networks("{db: {external: true}}", "networks: [db]\nnetwork_mode: host"),
        &["7:19: error: `network_mode` and `networks` exclude each other\n  hint: remove one of them"],
    );
    check(
        &with_networks("{db: {external: true, extrnal: 1, name: 'container:x'}}", "networks: text"),
        &[
            "1:33: error: unknown key `extrnal`\n  hint: did you mean `external`?",
            "1:51: error: `container:x` is not a name on the hosts: letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
            "6:15: error: a list or a map of networks is needed here, but this is a text",
        ],
    );
    check_service("network: host", &["5:5: error: unknown key `network`\n  hint: did you mean `network_mode`?"]);
}

#[test]
fn network_of_the_host_by_its_name_is_access_to_the_host() {
    let text = with_networks("{n: {external: true, name: host}, m: {external: true}}", "networks: [m, n]");
    let access = spec(&text).run().services[0].container.host_access();
    assert_eq!(access.iter().map(ToString::to_string).collect::<Vec<_>>(), ["network_mode host"]);
}

/// Services, and whether two of them may want to find each other by name.
#[track_caller]
fn check_meeting(services: &str, meet: bool) {
    let text = format!("labels: {{aliyun.project_type: batch}}\nservices: {{{services}}}\n");
    let said = rendered(&text);
    assert_eq!(said.matches("services do not find each other by name").count(), usize::from(meet), "{text}{said}");
}

#[test]
fn services_that_may_run_at_once_are_told_that_they_do_not_meet() {
    check_meeting("a: {image: a}", false);
    check_meeting("a: {image: a}, b: {image: a}, c: {image: a}", true);
    check_meeting("a: {image: a, network_mode: none}, b: {image: a}", false);
    let after = |service: &str, names: &str| format!("{service}: {{image: a, labels: {{aliyun.depends: '{names}'}}}}");
    check_meeting(&format!("a: {{image: a}}, {}, {}", after("b", "a"), after("c", "b")), false);
    check_meeting(&format!("a: {{image: a}}, {}, {}", after("b", "a"), after("c", "a")), true);
}

#[test]
fn options_of_the_default_network_are_told() {
    let text = |options: &str| format!("{}networks: {{default: {options}}}\n", with_service(""));
    for nothing in ["", "{driver: bridge}", "{driver_opts: }", "{x-note: 1}"] {
        check(&text(nothing), &[]);
    }
    for special in ["{internal: true}", "{driver: macvlan}", "{ipam: {driver: default}}"] {
        let told = "5:12: warning: the network `default` is not made: containers get the engine's default network\n  hint: add `external: true` to use one that the hosts have";
        check(&text(special), &[told]);
    }
    check_service(
        "networks: {default: {aliases: [job]}}",
        &[
            "5:16: warning: `aliases` have no effect on the engine's default network, which knows no names\n  hint: name a network that the hosts have",
        ],
    );
}
