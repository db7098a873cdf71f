//! What a file means depends on the rules by which it was applied.

use super::*;
use crate::spec::PullPolicy;

/// A file that was applied by the rules of this dialect, with this zone on record.
fn read_in(dialect: Dialect, text: &str, timezone_default: &str) -> Reading {
    let app = AppName::new("nightly").unwrap();
    let empty = BTreeMap::new();
    let file = ComposeFile {
        app: &app,
        dialect,
        file_name: "f",
        text,
        variables: &empty,
        env_files: &empty,
        timezone_default,
    };
    read(&file, &TimeZoneDatabase::bundled())
}

/// Whether the container has an init process, and whether that is left to the engine.
fn init(dialect: Dialect, keys: &str) -> (bool, bool) {
    let reading = read_in(dialect, &with_service(keys), TIMEZONE_DEFAULT);
    let spec = reading.spec.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics));
    let container = spec.run().services[0].container.clone();
    (container.init, container.engine_init)
}

#[test]
fn init_process_is_there_by_default_in_the_first_dialect_only() {
    assert_eq!(init(Dialect::First, ""), (true, false));
    assert_eq!(init(Dialect::Second, ""), (false, true));
    for dialect in Dialect::ALL {
        assert_eq!(init(dialect, "init: true"), (true, false), "{dialect:?}");
        assert_eq!(init(dialect, "init: false"), (false, false), "{dialect:?}");
    }
}

/// The zone and the schedule of a file with these labels.
fn timed(dialect: Dialect, labels: &str, stored: &str) -> (String, String) {
    let reading = read_in(dialect, &with_labels(labels), stored);
    let schedule = reading.spec.and_then(|spec| spec.schedule).map(|schedule| schedule.expression().to_owned());
    (reading.timezone, schedule.unwrap_or_default())
}

#[test]
fn zone_of_a_schedule_is_that_of_its_label_since_the_second_dialect() {
    let ours = "tickmesh.schedule: '0 0 3 * * *'";
    let theirs = "aliyun.schedule: '0 0 3 * * *'";
    for stored in ["Asia/Shanghai", "Europe/Berlin"] {
        assert_eq!(timed(Dialect::First, ours, stored).0, stored);
        assert_eq!(timed(Dialect::First, theirs, stored).0, stored);
        assert_eq!(timed(Dialect::Second, ours, stored).0, "UTC");
        assert_eq!(timed(Dialect::Second, theirs, stored).0, "Asia/Shanghai");
    }
    for dialect in Dialect::ALL {
        let zone = format!("{ours}\naliyun.timezone: america/new_york");
        assert_eq!(timed(dialect, &zone, "UTC").0, "America/New_York", "{dialect:?}");
    }
}

#[test]
fn one_schedule_under_both_labels_was_taken_in_the_first_dialect_only() {
    let both = "aliyun.schedule: '@daily'\ntickmesh.schedule: '@daily'";
    assert!(read_in(Dialect::First, &with_labels(both), "UTC").spec.is_some());
    let said = read_in(Dialect::Second, &with_labels(both), "UTC").diagnostics;
    let expect = "f:3:3: error: `tickmesh.schedule` and `aliyun.schedule` are one schedule in two zones\n  hint: keep one: without a time zone `aliyun.schedule` is Beijing time, and `tickmesh.schedule` is UTC";
    assert_eq!(said.iter().map(ToString::to_string).collect::<Vec<_>>(), [expect]);
}

#[test]
fn waiting_for_a_server_is_refused_since_the_second_dialect() {
    let text = "labels: {aliyun.project_type: batch}\nservices: {db: {image: a, ports: [80]}, job: {image: a, depends_on: [db]}}\n";
    assert!(read_in(Dialect::First, text, "UTC").spec.is_some());
    assert!(read_in(Dialect::Second, text, "UTC").spec.is_none());
}

#[test]
fn labels_and_shares_of_the_original_act_since_the_second_dialect() {
    let text = "labels: {aliyun.project_type: batch}\nservices: {s1: {image: a, cpu_shares: 50, labels: {aliyun.latest_image: 'true'}}}\n";
    let container = |dialect| read_in(dialect, text, "UTC").spec.unwrap().run().services[0].container.clone();
    let first = container(Dialect::First);
    assert_eq!((first.pull_policy, first.reserved_cpu_millis()), (PullPolicy::Missing, None));
    assert_eq!(first.labels, map(&[("aliyun.latest_image", "true")]), "it is passed on as it was");
    let second = container(Dialect::Second);
    assert_eq!((second.pull_policy, second.reserved_cpu_millis()), (PullPolicy::Always, Some(500)));
}
