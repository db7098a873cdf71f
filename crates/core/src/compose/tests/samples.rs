//! Files that people have.

use super::*;
use crate::spec::{RemoveContainers, RetryPolicy};

/// The file that this program was made for, character for character.
const SEED: &str = r#"version: "2"
labels:
  aliyun.project_type: "batch"
  aliyun.schedule: "0-59/30 * * * * *"
services:
  s1:
    image: registry.aliyuncs.com/jimmycmh/busybox:latest
    labels:
      aliyun.scale: "5"
      aliyun.retry_count: "3"
      aliyun.remove_containers: "remove-all"
    command: date
"#;

/// The example of the original's manual for batch jobs.
const BATCH: &str = r#"version: "2"
labels:
  aliyun.project_type: "batch"
services:
  s1:
    image: registry.aliyuncs.com/jimmycmh/testret:latest
    restart: no
    cpu_shares: 10
    mem_limit: 100000000
    labels:
      aliyun.scale: "10"
      aliyun.retry_count: "20"
      aliyun.remove_containers: "remove-all"
  s2:
    image: registry.aliyuncs.com/jimmycmh/testret:latest
    cpu_shares: 50
    mem_limit: 100000000
    labels:
      aliyun.scale: "4"
      aliyun.retry_count: "20"
      aliyun.remove_containers: "remove-finished"
      aliyun.depends: "s1"
"#;

#[test]
fn the_seeds_file_reads_as_it_is() {
    let reading = read_text(SEED);
    assert_eq!(reading.diagnostics, []);
    assert_eq!(reading.timezone, "Asia/Shanghai");
    assert_eq!(reading.variables_used, BTreeMap::new());
    let app = reading.spec.unwrap();
    assert_eq!((app.name.as_str(), app.queue_limit), ("nightly", 3));
    assert_eq!(app.schedule.unwrap().to_string(), "0-59/30 * * * * * (Asia/Shanghai)");
    let [service] = app.run.services.as_slice() else { panic!("{:?}", app.run) };
    assert_eq!((service.name.as_str(), service.scale), ("s1", 5));
    assert_eq!(service.retry, RetryPolicy { count: 3, delay_ms: 1_000, factor: 2, delay_ms_max: 60_000 });
    assert_eq!(service.remove_containers, RemoveContainers::RemoveAll);
    assert_eq!(service.container.image, "registry.aliyuncs.com/jimmycmh/busybox:latest");
    assert_eq!(service.container.command, Some(owned(&["date"])));
    assert_eq!(service.container.labels, BTreeMap::new());
}

#[test]
fn the_manuals_batch_example_reads_as_it_is() {
    assert_eq!(rendered(BATCH), "");
    let app = spec(BATCH);
    assert!(app.schedule.is_none());
    let facts: Vec<_> = app
        .run
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.scale, service.retry.count, service.remove_containers))
        .collect();
    let expect = [("s1", 10, 20, RemoveContainers::RemoveAll), ("s2", 4, 20, RemoveContainers::RemoveFinished)];
    assert_eq!(facts, expect);
    assert_eq!(app.run.services[0].depends, []);
    assert_eq!(app.run.services[1].depends, [app.run.services[0].name.clone()]);
    let [s1, s2] = [0, 1].map(|index| app.run.services[index].container.clone());
    assert_eq!((s1.cpu_shares, s1.memory_bytes), (Some(10), Some(100_000_000)));
    assert_eq!((s2.cpu_shares, s2.memory_bytes), (Some(50), Some(100_000_000)));
}

#[test]
fn byte_order_marks_and_line_ends_of_windows_change_nothing() {
    let windows = format!("\u{feff}{}", SEED.replace('\n', "\r\n"));
    assert_eq!(rendered(&windows), "");
    assert_eq!(spec(&windows).run, spec(SEED).run);
    let broken = windows.replace("command: date", "comand: date");
    assert_eq!(rendered(&broken), "f:12:5: error: unknown key `comand`\n  hint: did you mean `command`?");
    let first_line = windows.replace("version: \"2\"", "version: \"9\"");
    assert!(rendered(&first_line).starts_with("f:1:10: error: `9` is not a version"), "{}", rendered(&first_line));
}

#[test]
fn a_file_reads_the_same_with_the_variables_it_used() {
    let text = with_service("environment: [FROM_HOST, \"A=${TAG}${NONE:-x}${EMPTY:-y}\"]");
    let first = read_text(&text);
    assert_eq!(first.variables_used, map(&[("EMPTY", ""), ("FROM_HOST", "yes"), ("TAG", "v2")]));
    let second = read_with(&text, &first.variables_used);
    assert_eq!(second.spec.unwrap().run, first.spec.unwrap().run);
}
