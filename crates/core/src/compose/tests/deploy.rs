//! The section `deploy`, and the older keys that say the same.

use super::*;

/// Limit and reservation of memory, and of processors.
fn amounts(keys: &str) -> [Option<u64>; 4] {
    let container = container(keys);
    let [memory, cpu] = [
        (container.memory_bytes, container.memory_reservation_bytes),
        (container.cpu_millis, container.cpu_reservation_millis),
    ];
    [memory.0, memory.1, cpu.0, cpu.1]
}

#[test]
fn resources_have_limits_and_reservations() {
    let both =
        "deploy:\n  resources:\n    limits: {cpus: '1.5', memory: 1g}\n    reservations: {cpus: 0.25, memory: 64m}\n";
    assert_eq!(amounts(both), [Some(1 << 30), Some(64 << 20), Some(1500), Some(250)]);
    assert_eq!(amounts("mem_reservation: 8m"), [None, Some(8 << 20), None, None]);
    assert_eq!(
        amounts("mem_limit: 16m\nmem_reservation: 8m\ncpus: 1"),
        [Some(16 << 20), Some(8 << 20), Some(1000), None]
    );
    assert_eq!(amounts("deploy: {resources: {limits: , reservations: {}}}"), [None; 4]);
    assert_eq!(amounts("deploy: "), [None; 4]);
}

#[test]
fn two_spellings_have_to_agree() {
    assert_eq!(
        amounts("mem_limit: 1g\ncpus: 0.5\ndeploy: {resources: {limits: {memory: 1024m, cpus: '0.50'}}}"),
        [Some(1 << 30), None, Some(500), None]
    );
    check_service(
        "mem_limit: 1g\ncpus: 1\ndeploy: {resources: {limits: {memory: 2g, cpus: 2}, reservations: {memory: 8m}}}\nmem_reservation: 9m",
        &[
            "7:43: error: `deploy.resources.limits.memory` is not what `mem_limit` says\n  hint: both mean the same: keep one",
            "7:53: error: `deploy.resources.limits.cpus` is not what `cpus` says\n  hint: both mean the same: keep one",
            "8:22: error: `mem_reservation` is not what `deploy.resources.reservations.memory` says\n  hint: both mean the same: keep one",
        ],
    );
}

#[test]
fn nothing_is_reserved_that_cannot_be_used() {
    check_service("mem_limit: 8m\nmem_reservation: 8m", &[]);
    check_service(
        "mem_limit: 8m\nmem_reservation: 9m\ndeploy: {resources: {limits: {cpus: 1}, reservations: {cpus: 2}}}",
        &[
            "6:22: error: `mem_reservation` is more than `mem_limit`: what is reserved could never be used",
            "7:66: error: `deploy.resources.reservations.cpus` is more than `deploy.resources.limits.cpus`: what is reserved could never be used",
        ],
    );
}

#[test]
fn amounts_have_bounds() {
    check_service(
        "deploy: {resources: {limits: {memory: 1m, cpus: 2000}, reservations: {memory: 5m}}}",
        &[
            "5:43: error: `1m` is not a size from 4000000 bytes (4 MB) to 1024 TiB",
            "5:53: error: `2000` is not a number of cores from 0.01 to 1024, such as `0.5`",
            "5:83: warning: docker engines since 20.10 refuse less than `6m`",
        ],
    );
}

#[test]
fn replicas_are_the_scale() {
    assert_eq!(service("deploy: {replicas: 5}").scale, 5);
    assert_eq!(service("deploy: {replicas: 5}\nlabels: {aliyun.scale: 5}").scale, 5);
    let none = "`replicas: 0` is for swarm-cronjob, which starts the job itself";
    let hint = "\n  hint: remove it: the schedule starts the job here";
    check_service("deploy: {replicas: 0}", &[&format!("5:24: error: {none}{hint}")]);
    let labelled = "deploy: {replicas: 0}\nlabels: {swarm.cronjob.enable: 'true'}";
    let said = rendered(&with_service(labelled));
    assert!(said.starts_with(&format!("f:5:24: warning: {none}: it counts as 1{hint}\nf:6:14: warning: ")), "{said}");
    assert_eq!(service(labelled).scale, 1);
    // Where its own examples have them.
    assert_eq!(service("deploy: {replicas: 0, labels: [swarm.cronjob.enable=true]}").scale, 1);
    check_service("deploy: {replicas: 1001}", &["5:24: error: `1001` is not a whole number from 1 to 1000"]);
    check_service(
        "deploy: {replicas: 5}\nlabels: {aliyun.scale: 4}",
        &["5:24: error: `deploy.replicas` is not what `aliyun.scale` says\n  hint: both mean the same: keep one"],
    );
}

#[test]
fn a_restart_policy_is_always_none() {
    check_service("deploy: {restart_policy: {condition: none}}", &[]);
    check_service(
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}",
        &[
            "5:30: warning: `restart_policy` has no effect: a batch job is not restarted\n  hint: retries are set by the label `aliyun.retry_count`",
        ],
    );
}

#[test]
fn the_rest_of_deploy_says_why_not() {
    check_service(
        "deploy:\n  update_config: {}\n  endpoint_mode: vip\n  labels: {a: b}\n  replica: 3\n  resources:\n    limits: {pids: x}\n    reservations: {generic_resources: [], memroy: 8m}\n    x-note: 1\n",
        &[
            "6:7: warning: `update_config` has no effect: an edit never changes an active run, and the next run begins with it",
            "7:7: warning: `endpoint_mode` has no effect: nothing connects to a batch job",
            "8:16: warning: the label `a` has no effect: there is no service apart from its containers\n  hint: move it to `labels` of the service",
            "9:7: error: unknown key `replica`\n  hint: did you mean `replicas`?",
            "11:24: error: `x` is not a whole number from 1 to 4194304",
            "12:24: error: `generic_resources` is not supported: agents hand out processors, memory and GPUs only\n  hint: write a constraint on a label that only hosts with such devices have",
            "12:47: error: unknown key `memroy`\n  hint: did you mean `memory`?",
        ],
    );
    check_service("deploy: [a]", &["5:13: error: a map is needed here, but this is a list"]);
}
