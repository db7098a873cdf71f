//! Where replicas may run: constraints in all their spellings, and one replica on each agent.

use super::*;
use crate::{
    name::ServiceName,
    spec::{Affinity, Attribute, Constraint, Operator},
};

fn constraint(label: &str, operator: Operator, values: &[&str]) -> Constraint {
    Constraint { attribute: Attribute::Label(label.to_owned()), operator, values: owned(values) }
}

fn is(label: &str, values: &[&str]) -> Constraint {
    constraint(label, Operator::Is, values)
}

fn is_not(label: &str, values: &[&str]) -> Constraint {
    constraint(label, Operator::IsNot, values)
}

#[test]
fn a_label_names_what_an_agent_must_be() {
    let constraints = |text: &str| service(&format!("labels: {{tickmesh.constraint: '{text}'}}")).constraints;
    assert_eq!(constraints("disk==ssd"), [is("disk", &["ssd"])]);
    assert_eq!(constraints(" disk==ssd, zone!=(a|b) "), [is("disk", &["ssd"]), is_not("zone", &["a", "b"])]);
    check_service(
        "labels: {aliyun.constraint: 'disk==ssd,,'}",
        &["5:33: error: `aliyun.constraint`: `` is not a constraint such as `disk==ssd` or `zone!=(a|b)`"],
    );
    check_service(
        "labels: {aliyun.constraint: 'disk==~ssd'}",
        &[
            "5:33: error: `aliyun.constraint`: `disk==~ssd` is not possible: agents fit or do not, so write `==` or `!=`",
        ],
    );
}

#[test]
fn constraints_among_variables_are_taken_out_of_them() {
    let service = service(
        "environment:\n- A=1\n- constraint:aliyun.node_index==1\n- constraint:group!=(1|2|3)\n- constraint:node==web-1\n- B=constraint:x==1\n",
    );
    let node = Constraint { attribute: Attribute::Host, operator: Operator::Is, values: owned(&["web-1"]) };
    let expect = [is("aliyun.node_index", &["1"]), is_not("group", &["1", "2", "3"]), node];
    assert_eq!(service.constraints, expect);
    assert_eq!(service.container.environment, map(&[("A", "1"), ("B", "constraint:x==1")]));
    let as_map = super::service("environment: {'constraint:group': '=1', 'constraint:disk==ssd': }");
    assert_eq!(as_map.constraints, [is("group", &["1"]), is("disk", &["ssd"])]);
    assert_eq!(as_map.container.environment, map(&[]));
}

#[test]
fn directives_that_cannot_be_honoured_are_errors_and_wishes_are_warnings() {
    check_service(
        "environment:\n- constraint:disk==~ssd\n- affinity:image==~redis\n- availability:az==~3\n- reschedule:on-node-failure\n",
        &[
            "6:7: warning: the wish `disk==~ssd` has no effect: agents fit or do not\n  hint: write `==` or `!=` if it must hold",
            "7:7: warning: the wish `affinity:image==~redis` has no effect: agents are chosen by what they are, not by what runs on them",
            "8:7: warning: the wish `availability:az==~3` has no effect: replicas are spread over the agents that fit, whatever zone they are in",
            "9:7: warning: `reschedule:on-node-failure` has no effect: replicas of a lost host always run elsewhere",
        ],
    );
    check_service(
        "environment:\n- constraint:node==/web.*/\n- constraint:disk=ssd\n- affinity:container==db\n- availability:az!=3\n- reschedule:off\n",
        &[
            "6:7: error: `node==/web.*/` is not possible: values are compared in full, so write them out, as in `zone==(a|b)`",
            "7:7: error: `disk=ssd` is not a constraint such as `disk==ssd` or `zone!=(a|b)`",
            "8:7: error: affinity: `container==db` is not possible: agents know the services and images of this file, so write `service==` or `image==`, or a constraint on a label of hosts",
            "9:7: error: availability: `az!=3` is not a number of zones such as `az==3`, where `az` is a label of agents",
            "10:7: error: `reschedule:` takes `on-node-failure`, not `off`\n  hint: the label `tickmesh.on_lost: fail` says that a replica of a lost host is not run elsewhere",
        ],
    );
}

#[test]
fn labels_of_swarm_are_not_passed_over() {
    check_service(
        "labels:\n  com.docker.swarm.reschedule-policies: '[\"on-node-failure\"]'\n  com.docker.swarm.constraints: '[\"a==b\"]'\n",
        &[
            "6:7: warning: the label `com.docker.swarm.reschedule-policies` has no effect: replicas of a lost host always run elsewhere",
            "7:7: error: the label `com.docker.swarm.constraints` is not supported\n  hint: write the label `tickmesh.constraint`",
        ],
    );
}

#[test]
fn swarm_mode_has_constraints_of_its_own() {
    let service = service(
        "deploy: {placement: {constraints: ['node.labels.disk == ssd', 'node.hostname != web-1', node.id==a1]}}",
    );
    let name = |attribute, operator, value| Constraint { attribute, operator, values: owned(&[value]) };
    let expect = [
        is("disk", &["ssd"]),
        name(Attribute::Host, Operator::IsNot, "web-1"),
        name(Attribute::Agent, Operator::Is, "a1"),
    ];
    assert_eq!(service.constraints, expect);
    check_service(
        "deploy: {placement: {constraints: [node.rule == manager]}}",
        &[
            "5:40: error: `node.rule == manager` is not possible: of a host only its agent's labels (`node.labels.x`, or just `x`), `node.hostname`, `node.id`, and as labels `node.role` and `node.platform.*` are known",
        ],
    );
    check_service(
        "environment: ['constraint:node.platform.os==linux']\ndeploy: {placement: {constraints: [node.role == manager]}}",
        &[
            "5:19: warning: `node.platform.os` is a label of agents here, and none has it by itself\n  hint: start the agents that are meant with `--label node.platform.os=linux`, or remove the constraint",
            "6:40: warning: `node.role` is a label of agents here, and none has it by itself\n  hint: start the agents that are meant with `--label node.role=manager`, or remove the constraint",
        ],
    );
    check_service(
        "deploy: {placement: {preferences: [{spread: node.labels.zone}], max_replicas_per_node: 1, constraint: a}}",
        &[
            "5:26: warning: `preferences` has no effect: replicas are spread over all agents that fit",
            "5:69: error: `max_replicas_per_node` is not supported: replicas are spread over the agents, but share one where there are too few\n  hint: write `mode: global` for one replica on each",
            "5:95: error: unknown key `constraint`\n  hint: did you mean `constraints`?",
        ],
    );
}

#[test]
fn all_spellings_of_constraints_must_hold() {
    let keys = |last: usize| {
        let list = |count: usize| vec!["c==1"; count].join(",");
        format!(
            "labels: {{aliyun.constraint: '{}'}}\nenvironment: ['constraint:b==1']\ndeploy: {{placement: {{constraints: [{}]}}}}",
            list(20),
            list(last)
        )
    };
    let constraints = service(&keys(2)).constraints;
    assert_eq!(constraints.len(), 23);
    assert_eq!(constraints[20], is("b", &["1"]));
    assert_eq!(service(&keys(11)).constraints.len(), 32);
    check_service(&keys(12), &["4:5: error: the service has 33 constraints, at most 32 are allowed"]);
}

#[test]
fn a_global_service_has_one_replica_on_each_agent() {
    for keys in [
        "labels: {aliyun.global: true}",
        "labels: {tickmesh.global: ' True '}",
        "deploy: {mode: global}",
        "deploy: {mode: global-job}",
        "labels: {aliyun.global: 'true'}\ndeploy: {mode: global}",
    ] {
        let service = service(keys);
        assert_eq!((service.global, service.scale), (true, 1), "{keys}");
    }
    for keys in ["", "labels: {aliyun.global: false}", "deploy: {mode: replicated}", "deploy: {mode: replicated-job}"] {
        assert!(!service(keys).global, "{keys}");
    }
    check_service(
        "deploy: {mode: everywhere}",
        &["5:20: error: `everywhere` is not `replicated`, `replicated-job`, `global` or `global-job`"],
    );
    check_service(
        "labels: {aliyun.global: true}\ndeploy: {mode: replicated}",
        &["6:20: error: `deploy.mode` is not what `aliyun.global` says\n  hint: both mean the same: keep one"],
    );
}

#[test]
fn a_global_service_has_no_scale() {
    check_service(
        "labels: {aliyun.global: true, aliyun.scale: 1}",
        &[
            "5:49: error: `aliyun.scale` contradicts `aliyun.global`: there is one replica on each agent that fits\n  hint: remove one of them",
        ],
    );
    check_service(
        "deploy: {replicas: 3, mode: global}",
        &[
            "5:24: error: `deploy.replicas` contradicts `deploy.mode`: there is one replica on each agent that fits\n  hint: remove one of them",
        ],
    );
    check_service("labels: {aliyun.global: false, aliyun.scale: 2}", &[]);
}

#[test]
fn a_global_service_counts_as_one_replica_until_a_run_begins() {
    let services: String =
        (0..200).map(|index| format!("  s{index}: {{image: a, labels: {{aliyun.global: true}}}}\n")).collect();
    let app = spec(&format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}"));
    assert_eq!(app.run().replica_count(), 200);
}

/// A job of three services, of which `s2` has these directives.
fn with_neighbours(directives: &str, further: &str) -> String {
    format!(
        "labels: {{aliyun.project_type: batch}}\nservices:\n  s1: {{image: 'redis:7'}}\n  s2:\n    image: busybox\n    environment: [{directives}]\n{further}  s3: {{image: 'registry.example:5000/redis@sha256:{}'}}\n",
        "0".repeat(64)
    )
}

#[test]
fn affinities_name_services_and_images_of_the_file() {
    let affinities = |directives: &str| {
        let app = spec(&with_neighbours(directives, ""));
        let service = app.run().services[1].clone();
        assert_eq!(service.container.environment, map(&[]));
        let text = |affinity: &Affinity| {
            let names: Vec<&str> = affinity.services.iter().map(ServiceName::as_str).collect();
            format!("{:?} {}", affinity.operator, names.join("|"))
        };
        service.affinities.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(affinities("affinity:service==s1"), ["Is s1"]);
    assert_eq!(affinities("'affinity:service!=(s1|s3)', affinity:service!=s2"), ["IsNot s1|s3", "IsNot s2"]);
    assert_eq!(affinities("affinity:image==redis"), ["Is s1"]);
    assert_eq!(affinities("'affinity:image==redis:7'"), ["Is s1"]);
    assert_eq!(affinities("'affinity:image!=registry.example:5000/redis'"), ["IsNot s3"]);
}

#[test]
fn affinities_that_nothing_meets_are_told() {
    check(
        &with_neighbours("affinity:service==s4, affinity:image==none, affinity:image!=none, affinity:service", ""),
        &[
            "6:19: error: there is no service `s4` in this app\n  hint: did you mean `s1`?",
            "6:41: error: no service of this app has the image `none`\n  hint: agents know of no other containers; `constraint:` names labels of hosts",
            "6:63: warning: the affinity has no effect: no service of this app has the image `none`\n  hint: agents know of no other containers; `constraint:` names labels of hosts",
            "6:85: error: affinity: `service` is not an affinity such as `service==db` or `service!=(a|b)`",
        ],
    );
    for circle in ["affinity:service==s2", "affinity:image==busybox"] {
        check(
            &with_neighbours(circle, ""),
            &[
                "6:19: error: `s2` would wait for its own place: affinities go round in a circle\n  hint: remove one of them",
            ],
        );
    }
    check(
        &with_neighbours("affinity:service==s1", "    labels: {aliyun.global: true}\n"),
        &[
            "6:19: error: a service with one replica on each agent has its places: it can choose no others\n  hint: remove the affinity, or write `scale` instead of `global`",
        ],
    );
}

#[test]
fn availability_is_a_number_of_zones() {
    let spread = |keys: &str| service(keys).spread.map(|spread| (spread.label, spread.zones));
    let labels = "labels: {aliyun.scale: 3}";
    assert_eq!(spread(&format!("environment: [availability:az==3]\n{labels}")), Some(("az".to_owned(), 3)));
    assert_eq!(spread(&format!("environment: {{'availability:rack': '=2'}}\n{labels}")), Some(("rack".to_owned(), 2)));
    assert_eq!(spread("environment: [availability:az==~3]"), None);
    check_service(
        "environment: [availability:az==2, availability:az==many]",
        &[
            "5:19: error: a `scale` of 1 is too small for 2 zones\n  hint: raise the label `scale`, or ask for fewer zones",
            "5:39: error: availability: `many` is not a whole number from 1 to 100",
        ],
    );
}
