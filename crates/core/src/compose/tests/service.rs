//! Keys of a service.

use std::time::Duration;

use super::*;
use crate::spec::PullPolicy;

#[test]
fn an_image_is_needed_and_checked() {
    let head = "labels: {aliyun.project_type: batch}\nservices:\n  s1: ";
    check(&format!("{head}{{command: date}}\n"), &["3:3: error: the service `s1` has no `image`"]);
    check(&format!("{head}{{image: }}\n"), &["3:13: error: a text is needed here, but this is empty"]);
    check(
        &format!("{head}{{image: 'a b'}}\n"),
        &["3:15: error: `a b` is not an image such as `busybox:1.36` or `registry.example.com/team/job:v2`"],
    );
}

#[test]
fn commands_are_texts_or_lists() {
    assert_eq!(container("").command, None);
    assert_eq!(container("command: ").command, None);
    assert_eq!(container("command: date").command, Some(owned(&["date"])));
    assert_eq!(container("command: sh -c 'echo a  b; date'").command, Some(owned(&["sh", "-c", "echo a  b; date"])));
    assert_eq!(
        container("command: [sh, -c, 'echo a  b', 05, yes]").command,
        Some(owned(&["sh", "-c", "echo a  b", "05", "yes"]))
    );
    assert_eq!(container("command: []").command, Some(vec![]));
    assert_eq!(container("entrypoint: ''").entrypoint, Some(vec![]));
    assert_eq!(container("entrypoint: []").entrypoint, Some(vec![]));
    assert_eq!(container("entrypoint: /run.sh --now").entrypoint, Some(owned(&["/run.sh", "--now"])));
    check_service("command: 'echo \"a'", &["5:14: error: `echo \"a` is not complete: a quote is not closed"]);
    check_service("command: {a: b}", &["5:14: error: a text or a list is needed here, but this is a map"]);
    check_service(
        "command: [a, [b], ~, {c: d}]",
        &[
            "5:18: error: a text is needed here, but this is a list",
            "5:23: error: a text is needed here, but this is empty",
            "5:26: error: a text is needed here, but this is a map",
        ],
    );
}

#[test]
fn environments_are_maps_or_lists() {
    let expect = map(&[("A", "1"), ("B", "b=c"), ("FROM_HOST", "yes"), ("EMPTY", "")]);
    assert_eq!(container("environment: {A: 1, B: b=c, FROM_HOST: , EMPTY: '', NOT_THERE: }").environment, expect);
    assert_eq!(container("environment: [A=1, B=b=c, FROM_HOST, EMPTY=, NOT_THERE]").environment, expect);
    assert_eq!(container("environment: ").environment, map(&[]));
    check_service(
        "environment: text",
        &["5:18: error: a map or a list of `KEY=VALUE` is needed here, but this is a text"],
    );
    check_service("environment: {A: [1]}", &["5:22: error: a text is needed here, but this is a list"]);
    check_service("environment: [A=1, A=2]", &["5:24: warning: `A` is set twice: the last value is used"]);
    check_service(
        "environment: ['=x', 'a b=c']",
        &["5:19: error: `` is not the name of a variable", "5:25: error: `a b` is not the name of a variable"],
    );
    check_service("environment: {A: \"x\\0\"}", &["5:22: error: the text contains a NUL character"]);
    check_service("working_dir: \"/a\\0b\"", &["5:18: error: the text contains a NUL character"]);
}

#[test]
fn variables_of_agents_are_reserved() {
    check_service(
        "environment: {TICKMESH_RUN: 5}",
        &["5:19: error: the variable `TICKMESH_RUN` is reserved: agents set it"],
    );
    check_service("environment: {TICKMESH_NATS_URL: x}", &[]);
}

#[test]
fn environments_have_a_size() {
    let keys = |bytes: usize| format!("environment: {{A: {}}}", "x".repeat(bytes - 1));
    check_service(&keys(64 * 1024), &[]);
    check_service(
        &keys(64 * 1024 + 1),
        &[
            "5:18: error: the variables take 65537 bytes, at most 65536 are allowed\n  hint: put long values into the image or a volume",
        ],
    );
}

#[test]
fn a_run_has_a_size() {
    let service = |index: usize| format!("  s{index}: {{image: a, network_mode: none, environment: {{A: *long}}}}\n");
    let text = |services: usize| {
        let services: String = (0..services).map(service).collect();
        format!("x-long: &long {}\nlabels: {{aliyun.project_type: batch}}\nservices:\n{services}", "x".repeat(60_000))
    };
    check(&text(6), &[]);
    assert!(
        rendered(&text(7)).starts_with("f:3:1: error: the services and their 7 replicas take 42"),
        "{}",
        rendered(&text(7))
    );
}

#[test]
fn the_more_replicas_the_smaller_the_services() {
    let service = |name: &str, bytes: usize| {
        format!(
            "  {name}: {{image: a, network_mode: none, labels: {{aliyun.scale: 1000}}, environment: {{A: {}}}}}\n",
            "x".repeat(bytes)
        )
    };
    let text = |bytes: usize| {
        format!("labels: {{aliyun.project_type: batch}}\nservices:\n{}{}", service("s1", bytes), service("s2", bytes))
    };
    check(&text(20_000), &[]);
    let message = "f:2:1: error: the services and their 2000 replicas take 4";
    assert!(rendered(&text(24_000)).starts_with(message), "{}", rendered(&text(24_000)));
}

#[test]
fn there_is_a_limit_to_services() {
    let text = |services: usize| {
        let services: String =
            (0..services).map(|index| format!("  s{index}: {{image: a, network_mode: none}}\n")).collect();
        format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}")
    };
    check(&text(200), &[]);
    check(&text(201), &["2:1: error: the file has 201 services, at most 200 are allowed"]);
}

#[test]
fn working_directories_are_absolute() {
    assert_eq!(container("working_dir: /srv/job").working_dir.as_deref(), Some("/srv/job"));
    check_service("working_dir: job", &["5:18: error: `job` is not an absolute path in the container"]);
}

#[test]
fn users_have_a_name_and_a_group() {
    for user in ["app", "1000", "1000:1000", "app:staff"] {
        assert_eq!(container(&format!("user: '{user}'")).user.as_deref(), Some(user));
    }
    for user in ["", "a:b:c", "a b", ":x"] {
        let message = format!("5:11: error: `{user}` is not a user such as `app`, `1000` or `1000:1000`");
        check_service(&format!("user: '{user}'"), &[&message]);
    }
}

#[test]
fn memory_has_bounds() {
    assert_eq!(container("mem_limit: 100000000").memory_bytes, Some(100_000_000));
    assert_eq!(container("mem_limit: 512m").memory_bytes, Some(512 << 20));
    assert_eq!(container("mem_limit: 4000000").memory_bytes, Some(4_000_000));
    check_service("mem_limit: 4m", &["5:16: warning: docker engines since 20.10 refuse less than `6m`"]);
    check_service("mem_limit: 6m", &[]);
    check_service(
        "mem_limit: 3999999",
        &["5:16: error: `3999999` is not a size from 4000000 bytes (4 MB) to 1024 TiB"],
    );
    check_service("mem_limit: 1025t", &["5:16: error: `1025t` is not a size from 4000000 bytes (4 MB) to 1024 TiB"]);
    check_service(
        "mem_limit: 5xyz",
        &["5:16: error: `5xyz` is not a size such as `512m`, `1.5g` or a number of bytes"],
    );
    check_service("mem_limit: -1", &["5:16: error: `-1` is not a size such as `512m`, `1.5g` or a number of bytes"]);
}

#[test]
fn processors_have_bounds() {
    assert_eq!(container("cpus: 0.5").cpu_millis, Some(500));
    assert_eq!(container("cpus: '1.50'").cpu_millis, Some(1500));
    check_service("cpus: 0.001", &["5:11: error: `0.001` is not a number of cores from 0.01 to 1024, such as `0.5`"]);
    assert_eq!(container("cpu_shares: 50").cpu_shares, Some(50));
    check_service("cpu_shares: 1", &["5:17: error: `1` is not a whole number from 2 to 262144"]);
}

#[test]
fn networks_of_the_host_have_names() {
    for mode in ["bridge", "none", "host", "container:db", "my_net"] {
        assert_eq!(container(&format!("network_mode: {mode}")).network_mode.as_deref(), Some(mode));
    }
    check_service(
        "network_mode: service:s2",
        &["5:19: error: `service:s2` is not possible: the other service may be on another host"],
    );
    check_service(
        "network_mode: ':'",
        &["5:19: error: `:` is not `bridge`, `none`, `host`, `container:NAME` or the name of a network of the host"],
    );
}

#[test]
fn stopping_has_a_signal_and_a_time() {
    let stopped = container("stop_signal: SIGINT\nstop_grace_period: 1m30s");
    assert_eq!((stopped.stop_signal.as_deref(), stopped.stop_grace), (Some("SIGINT"), Duration::from_secs(90)));
    assert_eq!(container("").stop_grace, Duration::from_secs(10));
    check_service("stop_signal: SIGFOO", &["5:18: error: `SIGFOO` is not a signal such as `SIGTERM`, `INT` or `10`"]);
    check_service("stop_grace_period: 10", &["5:24: error: `10` is not a duration such as `10s`, `1m30s` or `500ms`"]);
    check_service("stop_grace_period: 61m", &["5:24: error: `61m` is not a duration of at most `1h`"]);
}

#[test]
fn restart_is_always_no() {
    for text in ["no", "'no'", "false", "No"] {
        check_service(&format!("restart: {text}"), &[]);
    }
    for text in ["always", "unless-stopped", "on-failure"] {
        let message = format!(
            "5:14: warning: `restart: {text}` has no effect: a batch job is not restarted\n  hint: retries are set by the label `aliyun.retry_count`"
        );
        check_service(&format!("restart: {text}"), &[&message]);
    }
    check_service(
        "restart: on-failure:5",
        &[
            "5:14: warning: `restart: on-failure` has no effect: a batch job is not restarted\n  hint: retries are set by the label `aliyun.retry_count`",
        ],
    );
    check_service(
        "restart: sometimes",
        &["5:14: error: `sometimes` is not `no`, `always`, `on-failure` or `unless-stopped`"],
    );
}

#[test]
fn keys_without_use_for_a_batch_job_are_ignored_with_a_warning() {
    check_service(
        "ports: ['80:80']\nexpose: [80]\ntty: true\nhealthcheck: {test: x}\nlogging: {}\ncontainer_name: x\n",
        &[
            "5:5: warning: `ports` has no effect: nothing connects to a batch job",
            "6:5: warning: `expose` has no effect: nothing connects to a batch job",
            "7:5: warning: `tty` has no effect: nobody sits at a batch job",
            "8:5: warning: `healthcheck` has no effect: a batch job is judged by its exit code",
            "9:5: warning: `logging` has no effect: the agent collects the output of every container itself",
            "10:5: warning: `container_name` has no effect: every attempt has a container of its own, named after it",
        ],
    );
}

#[test]
fn keys_that_cannot_work_say_why() {
    check_service(
        "cgroup_parent: a\nvolumes_from: [db]\n",
        &[
            "5:5: error: `cgroup_parent` is not supported: it is for the administrator of a host to say\n  hint: set limits with `mem_limit` and `cpus`",
            "6:5: error: `volumes_from` is not supported: the other container may be on another host\n  hint: give both services the same entry in `volumes`",
        ],
    );
}

#[test]
fn an_image_is_pulled_when_the_file_says() {
    for (text, expected) in [
        ("", PullPolicy::Missing),
        ("pull_policy: always", PullPolicy::Always),
        ("pull_policy: missing", PullPolicy::Missing),
        ("pull_policy: if_not_present", PullPolicy::Missing),
        ("pull_policy: never", PullPolicy::Never),
    ] {
        assert_eq!(container(text).pull_policy, expected, "{text}");
    }
    check_service("pull_policy: daily", &["5:18: error: `daily` is not `always`, `missing` or `never`"]);
}

#[test]
fn every_key_that_is_not_supported_says_what_to_do_instead() {
    for key in ["volumes_from", "uts", "blkio_config", "cpu_quota", "oom_kill_disable"] {
        let said = rendered(&with_service(&format!("{key}: x")));
        assert!(said.starts_with(&format!("f:5:5: error: `{key}` is not supported: ")), "{said}");
        assert!(said.contains("\n  hint: "), "{said}");
    }
}
