//! A hint that says what to write is followed to the letter: what comes of it has to be accepted.

use super::*;
use crate::compose::keys::{
    DEPLOY_KEYS, FILE_KEYS, Known, LIMIT_KEYS, PLACEMENT_KEYS, RESERVATION_KEYS, SERVICE_KEYS, Status, TOP_KEYS,
};

/// For each key of a service that is refused: a value that people give it, and the keys after they
/// did what the hint says.
const SERVICE: &[(&str, &str, &str)] = &[
    ("dockerfile", "Dockerfile", "image: registry.example.com/job"),
    ("label_file", "job.labels", "labels: {team: data}"),
    ("volumes_from", "[other]", "volumes: ['data:/data']"),
    ("volume_driver", "nfs", ""),
    ("provider", "{type: a}", ""),
    ("models", "[a]", ""),
    ("credential_spec", "{file: a}", ""),
    ("isolation", "hyperv", ""),
    ("cpu_count", "2", "cpus: 2"),
    ("cpu_percent", "50", "cpus: 0.5"),
    ("use_api_socket", "true", ""),
    ("external", "true", ""),
    ("device_cgroup_rules", "['c 1:3 mr']", "devices: [/dev/null]"),
    ("cgroup", "host", ""),
    ("cgroup_parent", "m", "mem_limit: 64m\ncpus: 0.5"),
    ("storage_opt", "{size: 1g}", "labels: {tickmesh.constraint: disk==small}"),
    ("blkio_config", "{weight: 300}", "labels: {tickmesh.constraint: disk==slow}"),
    ("cpu_rt_period", "1000", "cpus: 0.5"),
    ("cpu_rt_runtime", "1000", "cpus: 0.5"),
    ("mac_address", "02:42:ac:11:65:43", ""),
    ("uts", "host", "hostname: job"),
    ("cpu_period", "100000", "cpus: 0.5"),
    ("cpu_quota", "50000", "cpus: 0.5"),
    ("oom-kill-disable", "true", "mem_limit: 2g"),
    ("oom_kill_disable", "true", "mem_limit: 2g"),
    ("pull_refresh_after", "24h", "pull_policy: always"),
    ("post_start", "[{command: a}]", "command: sh -c 'a; b'"),
    ("pre_stop", "[{command: a}]", "stop_signal: SIGINT"),
];

/// The hints of a table, by its keys.
fn refused<K>(table: &'static [Known<K>]) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.iter().filter_map(|known| match &known.status {
        Status::Unsupported { hint, .. } => Some((known.name, *hint)),
        Status::Supported(_) | Status::Ignored { .. } => None,
    })
}

/// The pieces of a hint that are to be written: in backquotes, but for a label's name that is only
/// mentioned.
fn quoted(hint: &str) -> impl Iterator<Item = &str> {
    hint.split('`').skip(1).step_by(2)
}

#[track_caller]
fn check_accepted(text: &str) {
    let said = rendered(text);
    assert!(!said.contains(": error: "), "{text}{said}");
}

#[test]
fn hint_of_every_refused_key_of_a_service_leads_to_a_file_that_is_accepted() {
    let rows: Vec<&str> = SERVICE.iter().map(|(key, ..)| *key).collect();
    // The files are merged before their keys are looked at, and these are gone then.
    let is_merged = |key: &&str| matches!(*key, "extends" | "profiles");
    let keys: Vec<&str> = refused(SERVICE_KEYS).map(|(key, _)| key).filter(|key| !is_merged(key)).collect();
    let missing: Vec<&&str> = keys.iter().filter(|key| !rows.contains(key)).collect();
    assert!(missing.is_empty() && rows.len() == keys.len(), "no row for {missing:?}");
    for (key, value, mended) in SERVICE {
        let (_, hint) = refused(SERVICE_KEYS).find(|(name, _)| name == key).unwrap();
        let said = rendered(&with_service(&format!("{key}: {value}")));
        assert!(said.contains(&format!("error: `{key}` is not supported")) && said.contains(hint), "{said}");
        for piece in quoted(hint) {
            let name = piece.split(['=', ':']).next().unwrap_or(piece);
            assert!(mended.contains(name), "`{key}`: the hint says `{piece}`, and {mended:?} does not have it");
        }
        // The image is there already, unless the hint asks for one.
        let text = with_service(mended);
        let text = if mended.starts_with("image") { text.replace("    image: busybox\n", "") } else { text };
        check_accepted(&text);
    }
}

/// For each other key that is refused: a file, and the file after somebody did what the hint says.
/// What is refused in it stands between `<` and `>`, with what stands for it behind a bar.
const FILES: &[(&str, &str)] = &[
    ("placement.max_replicas_per_node", "deploy: {<placement: {max_replicas_per_node: 1}|mode: global>}"),
    ("reservations.pids", "deploy: {resources: {<reservations: {pids: 5}|limits: {pids: 5}>}}"),
    (
        "reservations.generic_resources",
        "deploy: {<resources: {reservations: {generic_resources: []}}|placement: {constraints: [node.labels.fpga == yes]}>}",
    ),
];

#[test]
fn hint_of_every_refused_key_of_deploy_leads_to_a_file_that_is_accepted() {
    let count = refused(DEPLOY_KEYS).count()
        + refused(LIMIT_KEYS).count()
        + refused(RESERVATION_KEYS).count()
        + refused(PLACEMENT_KEYS).count();
    assert_eq!(count, FILES.len(), "a refused key has no row");
    for (key, template) in FILES {
        let (before, rest) = template.split_once('<').unwrap();
        let (bad, rest) = rest.split_once('|').unwrap();
        let (good, after) = rest.split_once('>').unwrap();
        let said = rendered(&with_service(&format!("{before}{bad}{after}")));
        assert!(said.contains("is not supported") && said.contains("hint: "), "{key}: {said}");
        check_accepted(&with_service(&format!("{before}{good}{after}")));
    }
}

#[test]
fn hint_of_every_refused_key_of_a_secret_leads_to_a_file_that_is_accepted() {
    for (key, _) in refused(FILE_KEYS) {
        let said = rendered(&(with_service("secrets: [a]") + &format!("secrets: {{a: {{{key}: x}}}}\n")));
        assert!(said.contains(&format!("`{key}` is not supported")), "{said}");
    }
    check_accepted(&(with_service("secrets: [a]") + "secrets: {a: {file: /srv/a}}\n"));
}

#[test]
fn hint_of_every_refused_key_at_the_top_leads_to_a_file_that_is_accepted() {
    assert_eq!(refused(TOP_KEYS).map(|(key, _)| key).collect::<Vec<_>>(), ["models"]);
    check_accepted(&with_service(""));
}

/// Refusals whose hint has the text to write: the keys of a service, what is replaced in them, and
/// what by. The last has to stand in the hint.
const REPLACED: &[(&str, &str, &str)] = &[
    ("network: host", "network:", "network_mode"),
    ("enviroment: {A: b}", "enviroment:", "environment"),
    ("env: {A: b}", "env:", "environment"),
    ("cmd: date", "cmd:", "command"),
    ("labels: {tickmesh.retry_cuont: 1}", "tickmesh.retry_cuont", "tickmesh.retry_count"),
    ("ulimits: {nofiles: 5}", "nofiles", "nofile"),
    ("memswap_limit: 64m", "memswap_limit: 64m", "mem_limit"),
    ("deploy: {replica: 3}", "replica:", "replicas"),
];

#[test]
fn text_of_a_hint_put_in_is_accepted() {
    for (keys, replaced, by) in REPLACED {
        let said = rendered(&with_service(keys));
        assert!(said.contains("error") && said.contains(&format!("`{by}`")), "{keys}: {said}");
        let good = match *by {
            "mem_limit" => format!("{keys}\nmem_limit: 32m"),
            _ if replaced.ends_with(':') => keys.replacen(replaced, &format!("{by}:"), 1),
            _ => keys.replacen(replaced, by, 1),
        };
        check_accepted(&with_service(&good));
    }
}

/// Schedules that are refused, and what the hint says to write.
const SCHEDULES: &[(&str, &str, &str)] = &[
    ("aliyun", "0 3 * * *", "0 0 3 * * *"),
    ("aliyun", "0 0 3 * * * 2027", "0 0 3 * * *"),
    ("tickmesh", "@dayly", "@daily"),
    ("tickmesh", "0 5/15 * * * *", "0 5-59/15 * * * *"),
    ("tickmesh", "0 0 22-2 * * *", "0 0 22-23,0-2 * * *"),
    ("tickmesh", "0 0 3 ? * *", "0 0 3 * * *"),
    ("tickmesh", "0 0 3 * * monday", "0 0 3 * * MON"),
];

#[test]
fn schedule_of_a_hint_put_in_is_accepted() {
    for (prefix, bad, good) in SCHEDULES {
        let label = |schedule: &str| with_labels(&format!("{prefix}.schedule: '{schedule}'"));
        let said = rendered(&label(bad));
        assert!(said.contains("error: ") && said.contains("hint: "), "{bad}: {said}");
        check_accepted(&label(good));
    }
    let said = rendered(&with_labels("aliyun.schedule: 'CRON_TZ=Asia/Tokyo 0 0 3 * * *'"));
    assert!(said.contains("write the label `tickmesh.timezone: Asia/Tokyo` instead"), "{said}");
    check_accepted(&with_labels("aliyun.schedule: '0 0 3 * * *'\ntickmesh.timezone: Asia/Tokyo"));
}
