//! Labels of the app and of services.

use super::*;
use crate::spec::{RemoveContainers, RetryPolicy};

const BATCH: &str = "aliyun.project_type: batch\n";

#[track_caller]
fn check_service_labels(labels: &str, expect: &[&str]) {
    check_service(&format!("labels: {{{labels}}}"), expect);
}

#[test]
fn a_schedule_alone_makes_a_batch_app() {
    let app = spec(&with_labels("aliyun.schedule: '0 30 2 * * *'"));
    assert_eq!(app.schedule.unwrap().to_string(), "0 30 2 * * * (Asia/Shanghai)");
    assert_eq!(app.queue_limit, 3);
}

#[test]
fn without_schedule_and_type_there_is_nothing_to_run() {
    check(
        "services: {s1: {image: busybox}}\n",
        &[
            "1:1: error: the file does not say when to run\n  hint: add the label `tickmesh.schedule`, or `tickmesh.project_type: batch` to run it by hand",
        ],
    );
    check_labels(
        "aliyun.project_type: online",
        &["2:24: error: `project_type` is `online`: only `batch` apps run here"],
    );
}

#[test]
fn errors_of_a_schedule_point_into_it() {
    let check_column = |label: &str, column: usize| {
        let message = format!("2:{column}: error: hour: `25` is out of range: it must be from 0 to 23");
        check_labels(label, &[&message]);
    };
    check_column("aliyun.schedule: '0 0 25 * * *'", 25);
    check_column("aliyun.schedule: 0 0 25 * * *", 24);
    check_column("aliyun.schedule: '  0 0 25 * * *'", 27);
    check_column("- 'aliyun.schedule=0 0 25 * * *'", 26);
    // Where file and value differ, the value's place is all that can be told.
    check_column("aliyun.schedule: \"0 0 2\\x35 * * *\"", 20);
    check_column("aliyun.schedule: '0 0 2${SIZE} * * *'", 20);
}

#[test]
fn time_zones_are_pinned_by_name() {
    let text = with_labels("aliyun.schedule: '@daily'\ntickmesh.timezone: europe/berlin");
    let reading = read_text(&text);
    assert_eq!(reading.timezone, "Europe/Berlin");
    assert_eq!(reading.spec.unwrap().schedule.unwrap().timezone(), "Europe/Berlin");
    check_labels(
        "aliyun.schedule: '@daily'\naliyun.timezone: Europe/Berlim",
        &["3:20: error: `Europe/Berlim` is not a time zone this program knows\n  hint: write `Europe/Berlin`"],
    );
    assert_eq!(
        read_text(&with_labels("aliyun.schedule: '@daily'\naliyun.timezone: Nowhere")).timezone,
        "Asia/Shanghai"
    );
}

#[test]
fn queue_limits_have_bounds() {
    for (text, expect) in [("0", 0), ("'100'", 100), ("' 7 '", 7), ("05", 5)] {
        assert_eq!(spec(&with_labels(&format!("{BATCH}tickmesh.queue_limit: {text}"))).queue_limit, expect);
    }
    for text in ["101", "-1", "1_0", "many", "1.0", "yes"] {
        let message = format!("3:25: error: `tickmesh.queue_limit`: `{text}` is not a whole number from 0 to 100");
        check_labels(&format!("{BATCH}tickmesh.queue_limit: {text}"), &[&message]);
    }
}

#[test]
fn labels_may_be_a_list() {
    let text = "labels: [aliyun.schedule=@daily, tickmesh.queue_limit=5]\nservices:\n  s1:\n    image: a\n    labels:\n    - aliyun.scale=4\n    - team=a=b\n    - bare\n";
    check(text, &[]);
    let app = spec(text);
    assert_eq!((app.queue_limit, app.run().services[0].scale), (5, 4));
    assert_eq!(app.run().services[0].container.labels, map(&[("bare", ""), ("team", "a=b")]));
    check(
        "labels: ['aliyun.schedule=@daily', aliyun.timezone]\nservices: {s1: {image: a, labels: text}}\n",
        &[
            "1:36: error: the label `aliyun.timezone` has no value\n  hint: it takes an IANA name (default: none): zone in which the schedule is read; without it UTC, and Asia/Shanghai for `aliyun.schedule`",
            "2:35: error: a map or a list of `KEY=VALUE` is needed here, but this is a text",
        ],
    );
}

#[test]
fn labels_of_a_service_set_it() {
    let service = service(
        "labels:\n  aliyun.scale: 1000\n  tickmesh.retry_count: 0\n  aliyun.retry_backoff: 5s,3,2m\n  tickmesh.remove_containers: remove-none\n",
    );
    assert_eq!(service.scale, 1000);
    assert_eq!(service.retry, RetryPolicy { count: 0, delay_ms: 5_000, factor: 3, delay_ms_max: 120_000 });
    assert_eq!(service.remove_containers, RemoveContainers::RemoveNone);
    assert_eq!(service.container.labels, BTreeMap::new());
}

#[test]
fn without_labels_a_service_has_defaults() {
    let service = service("");
    assert_eq!((service.scale, service.retry), (1, RetryPolicy::default()));
    assert_eq!(service.remove_containers, RemoveContainers::RemoveFinished);
}

#[test]
fn values_out_of_bounds_say_what_is_possible() {
    check_service_labels("aliyun.scale: 0", &["5:28: error: `aliyun.scale`: `0` is not a whole number from 1 to 1000"]);
    check_service_labels(
        "aliyun.scale: 1001",
        &["5:28: error: `aliyun.scale`: `1001` is not a whole number from 1 to 1000"],
    );
    check_service_labels(
        "aliyun.retry_count: 101",
        &["5:34: error: `aliyun.retry_count`: `101` is not a whole number from 0 to 100"],
    );
    check_service_labels(
        "aliyun.remove_containers: remove",
        &[
            "5:40: error: `aliyun.remove_containers`: `remove` is not `remove-finished`, `remove-failed`, `remove-all` or `remove-none`",
        ],
    );
    check_service_labels(
        "tickmesh.retry_backoff: fast",
        &[
            "5:38: error: `tickmesh.retry_backoff`: `fast` is not `delay` or `delay,factor,max` such as `1s,2,60s`, with pauses up to 24h, a factor from 1 to 100, and a max no shorter than the delay",
        ],
    );
    let no_value = "5:14: error: the label `aliyun.scale` has no value\n  hint: it takes 1 to 1000 (default: 1): containers of a run; at most 2000 of all services together";
    check_service_labels("aliyun.scale: ", &[no_value]);
    check_service_labels("aliyun.scale: ' '", &[no_value]);
    check_service_labels("aliyun.scale: [1]", &["5:28: error: a text is needed here, but this is a list"]);
}

#[test]
fn a_run_has_a_limited_number_of_replicas() {
    let text = |last: u32| {
        let service = |name: &str, scale: u32| {
            format!("  {name}: {{image: a, network_mode: none, labels: {{aliyun.scale: {scale}}}}}\n")
        };
        let services = [service("a", 1000), service("b", 999), service("c", last)].concat();
        format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}")
    };
    check(&text(1), &[]);
    check(&text(2), &["2:1: error: the services have 2001 replicas together, at most 2000 are allowed"]);
}

#[test]
fn both_prefixes_mean_the_same_label() {
    check_service_labels("aliyun.scale: 2, tickmesh.scale: '2'", &[]);
    check_service_labels(
        "aliyun.scale: 2, tickmesh.scale: 3",
        &["5:31: error: `tickmesh.scale` is `3`, but `aliyun.scale` is `2`\n  hint: both are the same label: keep one"],
    );
}

#[test]
fn a_label_on_the_wrong_level_says_where_it_belongs() {
    check_service_labels(
        "aliyun.schedule: '@daily'",
        &[
            "5:14: error: the label `aliyun.schedule` has no effect here\n  hint: it belongs to `labels` at the top of the file",
        ],
    );
    check_labels(
        &format!("{BATCH}aliyun.scale: 5"),
        &["3:3: error: the label `aliyun.scale` has no effect here\n  hint: it belongs to `labels` of a service"],
    );
    check_labels(
        &format!("{BATCH}tickmesh.depends: s1"),
        &["3:3: error: the label `tickmesh.depends` has no effect here\n  hint: it belongs to `labels` of a service"],
    );
}

#[test]
fn labels_of_online_services_are_ignored_with_a_warning() {
    for label in [
        "log_store_out",
        "log_ttl_out",
        "log.timestamp",
        "logs",
        "logs.access",
        "probe.url",
        "rolling_updates",
        "rolling_updates.parallelism",
        "routing.port_80",
        "lb.port_80",
        "auto_scaling.max_instances",
        "monitoring.addon",
    ] {
        let message = format!("5:14: warning: the label `aliyun.{label}` has no effect on a batch job");
        check_service_labels(&format!("aliyun.{label}: x"), &[&message]);
        let unknown = rendered(&with_service(&format!("labels: {{tickmesh.{label}: x}}")));
        assert!(unknown.starts_with(&format!("f:5:14: error: unknown label `tickmesh.{label}`")), "{unknown}");
    }
}

#[test]
fn unknown_labels_are_errors_if_ours_and_warnings_if_theirs() {
    check_service_labels(
        "tickmesh.retry_cuont: 1",
        &["5:14: error: unknown label `tickmesh.retry_cuont`\n  hint: did you mean `tickmesh.retry_count`?"],
    );
    check_service_labels("tickmesh.nonsense: 1", &["5:14: error: unknown label `tickmesh.nonsense`"]);
    check_service_labels(
        "aliyun.retry_cuont: 1",
        &[
            "5:14: warning: unknown label `aliyun.retry_cuont`: it has no effect\n  hint: did you mean `aliyun.retry_count`?",
        ],
    );
    check_service_labels("aliyun.nonsense: 1", &["5:14: warning: unknown label `aliyun.nonsense`: it has no effect"]);
    check_labels(
        "tickmesh.shedule: '@daily'\naliyun.project_type: batch",
        &["2:3: error: unknown label `tickmesh.shedule`\n  hint: did you mean `tickmesh.schedule`?"],
    );
}

#[test]
fn labels_of_users_are_passed_on_as_written() {
    let labels =
        container("labels: {team: ' data ', n: 05, on: yes, none: , aliyun.logs: 1, com.example/x: '$$5'}").labels;
    let expect =
        [("team", " data "), ("n", "05"), ("on", "yes"), ("none", ""), ("aliyun.logs", "1"), ("com.example/x", "$5")];
    assert_eq!(labels, map(&expect));
    check_labels(
        &format!("{BATCH}team: data"),
        &[
            "3:3: warning: the label `team` has no effect at the top of the file\n  hint: labels of a service are passed on to its containers",
        ],
    );
}

#[test]
fn labels_of_agents_are_reserved() {
    check_service_labels(
        "io.tickmesh.mesh: x",
        &["5:14: error: the label `io.tickmesh.mesh` is not allowed: `io.tickmesh.` is reserved"],
    );
    check_labels(
        &format!("{BATCH}io.tickmesh.mesh: x"),
        &["3:3: error: the label `io.tickmesh.mesh` is not allowed: `io.tickmesh.` is reserved"],
    );
}

#[test]
fn a_label_has_a_name() {
    check_service("labels: ['=x', '']", &["5:14: error: a label needs a name", "5:20: error: a label needs a name"]);
}

#[test]
fn a_label_set_twice_in_a_list_is_an_error() {
    check_service(
        "labels: [aliyun.scale=1, aliyun.scale=2]",
        &["5:30: error: `aliyun.scale` is `2`, but `aliyun.scale` is `1`\n  hint: both are the same label: keep one"],
    );
}

#[test]
fn labels_of_other_schedulers_are_told_once_with_ours() {
    let told = |place: &str, prefix: &str, hint: &str| {
        format!(
            "{place}: warning: labels of another scheduler (`{prefix}`) have no effect here; one on the host may heed them\n  hint: {hint}"
        )
    };
    let ours = |schedule: &str| format!("write the label `tickmesh.schedule: \"{schedule}\"` instead");
    let general = "the label `tickmesh.schedule` says when to run";
    check_service(
        "labels:\n  swarm.cronjob.enable: 'true'\n  swarm.cronjob.schedule: 'CRON_TZ=Asia/Tokyo 0 4 * * *'\n  ofelia.enabled: 'true'\n  ofelia.job-run.s.schedule: '@daily'\n  chadburn.job-exec.a.schedule: '0 30 1 * * *'\n  deck-chores.a.interval: daily\n  mobycron.schedule: soon\n  cd.doco.deployment.name: a",
        &[
            &told("6:7", "swarm.cronjob.", &ours("CRON_TZ=Asia/Tokyo 0 4 * * *")),
            &told("8:7", "ofelia.", &ours("@daily")),
            &told("10:7", "chadburn.", &ours("0 30 1 * * *")),
            &told("11:7", "deck-chores.", &ours("@daily")),
            &told("12:7", "mobycron.", general),
            &told("13:7", "cd.doco.", general),
        ],
    );
    check_labels(&format!("{BATCH}ofelia.enabled: 'true'"), &[&told("3:3", "ofelia.", general)]);
    check(
        "labels: {tickmesh.schedule: '@weekly', tickmesh.timezone: UTC, ofelia.job-run.s.schedule: '@daily'}\nservices: {s1: {image: a}}",
        &[&told("1:64", "ofelia.", "remove them: the schedule of this file counts")],
    );
    let passed_on = container("labels: {ofelia.enabled: 'true'}").labels;
    assert_eq!(passed_on, map(&[("ofelia.enabled", "true")]));
}

#[test]
fn tags_owner_and_description_are_about_the_app() {
    let labels = "tickmesh.tags: 'billing, nightly,billing'\ntickmesh.owner: team-a\ntickmesh.description: |\n  Invoices of\n  the day";
    let about = spec(&with_labels(&format!("{BATCH}{labels}"))).about;
    assert_eq!(about.tags, ["billing", "nightly"]);
    assert_eq!(about.owner.as_deref(), Some("team-a"));
    assert_eq!(about.description.as_deref(), Some("Invoices of the day"));
    let listed = spec("x-tickmesh: {schedule: '@daily', tags: [a, b]}\nservices: {s1: {image: busybox}}\n").about;
    assert_eq!(listed.tags, ["a", "b"]);
}

#[test]
fn a_tag_is_a_word_of_few_letters() {
    let words = "up to 20 words of up to 40 letters, digits, `.`, `_`, `:` and `-`, with commas between them";
    for tag in ["a b", "ü", &"x".repeat(41)] {
        let message = format!("3:18: error: `tickmesh.tags`: `{tag}` is not {words}");
        check_labels(&format!("{BATCH}tickmesh.tags: {tag}"), &[&message]);
    }
    let long = "x".repeat(101);
    let message = format!(
        "3:19: error: `tickmesh.owner`: `{}...` is not a text of up to 100 characters without control characters",
        "x".repeat(60)
    );
    check_labels(&format!("{BATCH}tickmesh.owner: {long}"), &[&message]);
}

/// The original never had these labels: what somebody wrote there means what it meant.
#[test]
fn tags_of_the_original_stay_unknown() {
    let text = with_labels(&format!("{BATCH}aliyun.tags: a b"));
    let warning = "3:3: warning: unknown label `aliyun.tags`: it has no effect\n  hint: did you mean `tickmesh.tags`?";
    let elsewhere = "3:3: warning: the label `aliyun.tags` has no effect at the top of the file\n  hint: labels of a service are passed on to its containers";
    check(&text, &[warning, elsewhere]);
    assert_eq!(spec(&text).about.tags, [""; 0]);
}
