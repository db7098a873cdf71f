//! Files that people have.

use super::*;
use crate::spec::{Limits, PullPolicy, RemoveContainers, RetryPolicy};

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

/// A file that uses everything there is.
const EVERYTHING: &str = r#"version: "3.8"
name: nightly
x-common: &common
  image: busybox:1.36
  labels: &labels {aliyun.retry_count: "5", tickmesh.retry_backoff: "5s,2,1m"}
labels:
  - tickmesh.schedule=0 30 2 * * mon-fri
  - tickmesh.timezone=Europe/Berlin
  - tickmesh.overlap=allow
  - tickmesh.max_active=2
  - tickmesh.queue_limit=5
  - tickmesh.misfire=skip
  - tickmesh.start_deadline=1h
  - tickmesh.timeout=6h
  - tickmesh.jitter=10m
  - tickmesh.paused=false
  - tickmesh.on_disconnect=continue
  - tickmesh.on_lost=fail
services:
  extract:
    <<: *common
    command: ["sh", "-c", "echo $TAG ${SIZE:-3} $$HOME"]
    environment:
      - A=1
      - FROM_HOST
      - constraint:disk==ssd
      - constraint:zone!=(a|b)
    mem_limit: 512m
    mem_reservation: 128m
    cpus: 0.5
    volumes: ["data:/data:ro", {type: volume, source: cache, target: /cache}]
    stop_grace_period: 1m30s
  load:
    <<: *common
    depends_on:
      extract: {condition: service_completed_successfully}
    deploy:
      replicas: 3
      resources: {limits: {cpus: "1", memory: 1g}, reservations: {memory: 64m}}
      placement: {constraints: ["node.labels.disk == ssd"]}
    labels:
      <<: *labels
      tickmesh.attempt_timeout: 20m
      tickmesh.remove_containers: remove-all
  report:
    image: busybox
    entrypoint: >-
      sh -c
      'date'
    restart: "no"
    env_file: [job.env, {path: local.env, required: false}]
    hostname: report
    dns: 192.0.2.1
    extra_hosts: ["db:192.0.2.7"]
    init: false
    read_only: true
    cap_drop: [ALL]
    cap_add: [CHOWN]
    security_opt: ["no-new-privileges:true"]
    devices: ["/dev/fuse:/dev/fuse:r"]
    tmpfs: "/run:size=64m,mode=1777"
    ulimits: {nofile: {soft: 128, hard: 256}, nproc: 64}
    pids_limit: 50
    shm_size: 16m
    sysctls: [net.core.somaxconn=1024]
    secrets: [token, {source: key, target: /etc/key}]
    configs: [motd]
    labels: {tickmesh.global: "true", tickmesh.depends: "extract,load", tickmesh.constraint: "agent!=a1", team: data}
volumes: {data: , cache: {}}
secrets: {token: {file: /srv/token}, key: {file: /srv/key}}
configs: {motd: {file: /srv/motd}}
"#;

/// A template as the original's console wrote it: zeros, the name again, labels of online services.
const CONSOLE: &str = r#"version: '2'
labels:
  aliyun.project_type: "batch"
  aliyun.schedule: "0 0 3 ? * *"
services:
  worker:
    restart: always
    image: 'registry.example.com/team/worker:latest'
    memswap_limit: 0
    shm_size: 0
    memswap_reservation: 0
    kernel_memory: 0
    mem_limit: 0
    cpu_shares: 50
    net: bridge
    oom-kill-disable: false
    dns_options: ['ndots:2']
    environment:
      - LANG=C.UTF-8
      - constraint:aliyun.node_index==1
    labels:
      aliyun.scale: '2'
      aliyun.latest_image: true
      aliyun.log_ttl_stdout: 30
    name: worker
"#;

/// All of them.
pub(super) const ALL: [&str; 4] = [SEED, BATCH, EVERYTHING, CONSOLE];

#[test]
fn template_of_the_originals_console_reads_as_it_is() {
    check(
        CONSOLE,
        &[
            "7:14: warning: `restart: always` has no effect: a batch job is not restarted\n  hint: retries are set by the label `aliyun.retry_count`",
            "24:7: warning: the label `aliyun.log_ttl_stdout` has no effect on a batch job",
        ],
    );
    let app = spec(CONSOLE);
    assert_eq!(app.schedule.as_ref().map(ToString::to_string).as_deref(), Some("0 0 3 ? * * (Asia/Shanghai)"));
    let service = app.run().services[0].clone();
    let container = service.container;
    assert_eq!((service.scale, service.constraints.len(), container.pull_policy), (2, 1, PullPolicy::Always));
    assert_eq!((container.cpu_shares, container.cpu_reservation_millis), (Some(50), Some(500)));
    assert_eq!((container.memory_bytes, container.limits), (None, Limits::default()));
    assert_eq!(container.network_mode.as_deref(), Some("bridge"));
}

#[test]
fn shares_of_the_original_reserve_cores() {
    let reserved = |top: &str, keys: &str| {
        let text = format!("labels: {{{top}.project_type: batch}}\nservices: {{s1: {{image: a, {keys}}}}}\n");
        spec(&text).run().services[0].container.reserved_cpu_millis()
    };
    assert_eq!(reserved("aliyun", "cpu_shares: 100"), Some(1_000));
    assert_eq!(reserved("aliyun", "cpu_shares: 1023"), Some(10_230));
    assert_eq!(reserved("aliyun", "cpu_shares: 1024"), None);
    assert_eq!(reserved("aliyun", "cpu_shares: 100, cpus: 2"), Some(2_000));
    assert_eq!(reserved("tickmesh", "cpu_shares: 100"), None);
    assert_eq!(reserved("tickmesh", "cpu_shares: 100, labels: [aliyun.scale=2]"), Some(1_000));
}

#[test]
fn latest_image_is_pulled_always() {
    let policy = |keys: &str| container(keys).pull_policy;
    assert_eq!(policy("labels: {aliyun.latest_image: true}"), PullPolicy::Always);
    assert_eq!(policy("labels: {tickmesh.latest_image: 'true'}\npull_policy: always"), PullPolicy::Always);
    assert_eq!(policy("labels: {aliyun.latest_image: false}\npull_policy: never"), PullPolicy::Never);
    check_service(
        "labels: {aliyun.latest_image: true}\npull_policy: never",
        &["5:35: error: `aliyun.latest_image` contradicts `pull_policy`\n  hint: remove one of them"],
    );
}

#[test]
fn a_file_that_uses_everything_reads_without_a_word() {
    assert_eq!(rendered(EVERYTHING), "");
    let run = spec(EVERYTHING).run();
    let facts: Vec<_> = run
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.scale, service.depends.len(), service.constraints.len()))
        .collect();
    assert_eq!(facts, [("extract", 1, 0, 2), ("load", 3, 1, 1), ("report", 1, 2, 1)]);
    assert_eq!(run.services[1].retry, RetryPolicy { count: 5, delay_ms: 5_000, factor: 2, delay_ms_max: 60_000 });
}

#[test]
fn the_seeds_file_reads_as_it_is() {
    let reading = read_text(SEED);
    assert_eq!(reading.diagnostics, []);
    assert_eq!(reading.timezone, "Asia/Shanghai");
    assert_eq!(reading.variables_used, BTreeMap::new());
    let app = reading.spec.unwrap();
    assert_eq!((app.name.as_str(), app.queue_limit), ("nightly", 3));
    let run = app.run();
    assert_eq!(app.schedule.unwrap().to_string(), "0-59/30 * * * * * (Asia/Shanghai)");
    let [service] = run.services.as_slice() else { panic!("{run:?}") };
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
    let run = app.run();
    let facts: Vec<_> = run
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.scale, service.retry.count, service.remove_containers))
        .collect();
    let expect = [("s1", 10, 20, RemoveContainers::RemoveAll), ("s2", 4, 20, RemoveContainers::RemoveFinished)];
    assert_eq!(facts, expect);
    assert_eq!(app.run().services[0].depends, []);
    assert_eq!(app.run().services[1].depends, [app.run().services[0].name.clone()]);
    let [s1, s2] = [0, 1].map(|index| app.run().services[index].container.clone());
    assert_eq!((s1.cpu_shares, s1.memory_bytes), (Some(10), Some(100_000_000)));
    assert_eq!((s2.cpu_shares, s2.memory_bytes), (Some(50), Some(100_000_000)));
}

#[test]
fn byte_order_marks_and_line_ends_of_windows_change_nothing() {
    let windows = format!("\u{feff}{}", SEED.replace('\n', "\r\n"));
    assert_eq!(rendered(&windows), "");
    assert_eq!(spec(&windows).run(), spec(SEED).run());
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
    assert_eq!(second.spec.unwrap().run(), first.spec.unwrap().run());
}
