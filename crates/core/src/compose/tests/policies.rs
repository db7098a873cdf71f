//! Labels that decide what becomes of ticks, runs and attempts.

use std::time::Duration;

use super::*;
use crate::spec::{Misfire, OnDisconnect, OnLost, Overlap, RunSpec};

const DAILY: &str = "aliyun.schedule: '@daily'\n";

/// The app of a file with a daily schedule and these labels.
#[track_caller]
fn app(labels: &str) -> AppSpec {
    spec(&with_labels(&format!("{DAILY}{labels}")))
}

/// What is said about one label, which stands in line 3.
#[track_caller]
fn check_label(label: &str, expect: &[&str]) {
    check_labels(&format!("{DAILY}{label}"), expect);
}

#[test]
fn an_app_without_labels_has_every_default() {
    let app = app("");
    let default = AppSpec::new(app.name.clone(), app.run().clone());
    assert_eq!((app.overlap, app.queue_limit, app.misfire), (default.overlap, default.queue_limit, default.misfire));
    assert_eq!((app.start_deadline, app.jitter, app.paused), (None, default.jitter, false));
    assert_eq!(*app.run(), RunSpec::new(app.run().services.clone()));
    let service = &app.run().services[0];
    assert_eq!(*service, ServiceSpec::new(service.name.clone(), service.container.clone()));
}

#[test]
fn ticks_may_queue_skip_replace_or_overlap() {
    for (text, expect) in [
        ("queue", Overlap::Queue),
        ("skip", Overlap::Skip),
        ("replace", Overlap::Replace),
        ("' allow '", Overlap::Allow { max_active: 10 }),
        ("allow\ntickmesh.max_active: 20", Overlap::Allow { max_active: 20 }),
        ("allow\naliyun.max_active: '1'", Overlap::Allow { max_active: 1 }),
    ] {
        assert_eq!(app(&format!("aliyun.overlap: {text}")).overlap, expect);
    }
    check_label(
        "tickmesh.overlap: Queue",
        &["3:21: error: `tickmesh.overlap`: `Queue` is not `queue`, `skip`, `replace` or `allow`"],
    );
}

#[test]
fn a_bound_of_runs_at_once_needs_runs_that_overlap() {
    let alone = "3:24: error: `tickmesh.max_active` is of use only where runs may overlap\n  hint: add the label `tickmesh.overlap: allow`";
    check_label("tickmesh.max_active: 5", &[alone]);
    check_label("tickmesh.max_active: 5\ntickmesh.overlap: skip", &[alone]);
    let refused = "4:21: error: `tickmesh.overlap`: `alow` is not `queue`, `skip`, `replace` or `allow`";
    check_label("tickmesh.max_active: 5\ntickmesh.overlap: alow", &[refused]);
    for text in ["0", "21", "many"] {
        let message = format!("4:24: error: `tickmesh.max_active`: `{text}` is not a whole number from 1 to 20");
        check_label(&format!("tickmesh.overlap: allow\ntickmesh.max_active: {text}"), &[&message]);
    }
}

#[test]
fn a_tick_that_replaces_a_run_has_to_wait() {
    check_label(
        "aliyun.overlap: replace\naliyun.queue_limit: 0",
        &[
            "4:23: error: `aliyun.queue_limit` is 0, but with `overlap: replace` one tick has to wait for the end of the run that it replaces\n  hint: remove it, or let at least 1 wait",
        ],
    );
    check_label("aliyun.overlap: replace\naliyun.queue_limit: 1", &[]);
    check_label("aliyun.overlap: skip\naliyun.queue_limit: 0", &[]);
}

#[test]
fn missed_ticks_become_one_run_or_none() {
    assert_eq!(app("tickmesh.misfire: latest").misfire, Misfire::Latest);
    assert_eq!(app("aliyun.misfire: skip").misfire, Misfire::Skip);
    check_label("tickmesh.misfire: all", &["3:21: error: `tickmesh.misfire`: `all` is not `latest` or `skip`"]);
}

#[test]
fn times_have_bounds() {
    assert_eq!(app("tickmesh.start_deadline: 90s").start_deadline, Some(Duration::from_secs(90)));
    assert_eq!(app("tickmesh.timeout: 1h30m").run().timeout, Some(Duration::from_secs(5_400)));
    assert_eq!(app("tickmesh.timeout: 366d").run().timeout, Some(Duration::from_secs(366 * 86_400)));
    assert_eq!(app("tickmesh.jitter: 1500ms").jitter, Duration::from_millis(1_500));
    assert_eq!(app("tickmesh.jitter: 0s").jitter, Duration::ZERO);
    for (label, least) in [("start_deadline", "1s"), ("timeout", "1s"), ("jitter", "0s")] {
        for text in ["366d1ms", "400d", "18446744073709551615ms"] {
            let column = "  aliyun.: ".len() + label.len() + 1;
            let message =
                format!("3:{column}: error: `aliyun.{label}`: `{text}` is not a duration from {least} to 366d");
            check_label(&format!("aliyun.{label}: {text}"), &[&message]);
        }
    }
    for text in ["0s", "999ms"] {
        let message = format!("3:19: error: `aliyun.timeout`: `{text}` is not a duration from 1s to 366d");
        check_label(&format!("aliyun.timeout: {text}"), &[&message]);
    }
    for text in ["5", "-1s", "1.5", "1s1m", "soon"] {
        let message =
            format!("3:19: error: `aliyun.timeout`: `{text}` is not a duration such as `10s`, `1m30s` or `500ms`");
        check_label(&format!("aliyun.timeout: {text}"), &[&message]);
    }
}

/// `expect` is the period that the jitter has to be below, or `None` if it is.
#[track_caller]
fn check_jitter(schedule: &str, jitter: &str, expect: Option<&str>) {
    let message = expect.map(|period| {
        format!(
            "3:20: error: `tickmesh.jitter` is {jitter}, but instants of this schedule are as little as {period} apart\n  hint: write less than {period}"
        )
    });
    let expect: Vec<&str> = message.as_deref().into_iter().collect();
    check_labels(&format!("aliyun.schedule: '{schedule}'\ntickmesh.jitter: {jitter}"), &expect);
}

#[test]
fn jitter_is_shorter_than_the_schedules_period() {
    check_jitter("*/5 * * * * *", "4s", None);
    check_jitter("*/5 * * * * *", "5s", Some("5s"));
    check_jitter("0,50 * * * * *", "9999ms", None);
    check_jitter("0,50 * * * * *", "10s", Some("10s"));
    check_jitter("* * * * * *", "500ms", None);
    check_jitter("* * * * * *", "1s", Some("1s"));
    check_jitter("@every 90s", "89s", None);
    check_jitter("@every 90s", "90s", Some("90s"));
    check_jitter("@daily", "23h", None);
    check_jitter("@daily", "24h", Some("24h"));
    check_jitter("* * * * * *", "0s", None);
}

#[test]
fn attempts_have_a_time_too() {
    let attempt_timeout = |text: &str| service(&format!("labels: {{aliyun.attempt_timeout: {text}}}")).attempt_timeout;
    assert_eq!(attempt_timeout("10m"), Some(Duration::from_secs(600)));
    check_service(
        "labels: {aliyun.attempt_timeout: 0s}",
        &["5:38: error: `aliyun.attempt_timeout`: `0s` is not a duration from 1s to 366d"],
    );
}

#[test]
fn a_file_may_pause_its_app() {
    for (text, expect) in [("true", true), ("'True'", true), ("yes", true), ("false", false), ("'no'", false)] {
        assert_eq!(app(&format!("tickmesh.paused: {text}")).paused, expect);
    }
    check_label("tickmesh.paused: 1", &["3:20: error: `tickmesh.paused`: `1` is not `true` or `false`"]);
}

#[test]
fn cut_off_hosts_and_lost_replicas_have_a_policy() {
    let run = |labels: &str| {
        let run = app(labels).run();
        (run.on_disconnect, run.on_lost)
    };
    assert_eq!(run("aliyun.on_disconnect: stop\naliyun.on_lost: retry"), (OnDisconnect::Stop, OnLost::Retry));
    assert_eq!(run("aliyun.on_disconnect: continue\naliyun.on_lost: fail"), (OnDisconnect::Continue, OnLost::Fail));
    check_label("aliyun.on_lost: ignore", &["3:19: error: `aliyun.on_lost`: `ignore` is not `retry` or `fail`"]);
    check_label(
        "aliyun.on_disconnect: kill",
        &["3:25: error: `aliyun.on_disconnect`: `kill` is not `stop` or `continue`"],
    );
}

#[test]
fn labels_of_a_schedule_come_to_nothing_without_one() {
    check_labels(
        "aliyun.project_type: batch\naliyun.timezone: UTC\naliyun.misfire: skip\naliyun.start_deadline: 1m\naliyun.jitter: 1s\naliyun.overlap: skip",
        &[
            "3:20: warning: `aliyun.timezone` has no effect: the app has no schedule",
            "4:19: warning: `aliyun.misfire` has no effect: the app has no schedule",
            "5:26: warning: `aliyun.start_deadline` has no effect: the app has no schedule",
            "6:18: warning: `aliyun.jitter` has no effect: the app has no schedule",
        ],
    );
    check_labels(
        "aliyun.schedule: never\naliyun.jitter: 1s",
        &["2:25: error: the schedule has 1 of 6 fields (second minute hour day-of-month month day-of-week)"],
    );
}
