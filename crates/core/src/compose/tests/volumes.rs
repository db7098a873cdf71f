//! `volumes` of a service.

use super::*;
use crate::spec::{Volume, VolumeSource};

fn volume(source: VolumeSource, target: &str) -> Volume {
    Volume { source, target: target.to_owned(), read_only: false }
}

#[track_caller]
fn check_volume(text: &str, expect: Volume) {
    assert_eq!(container(&format!("volumes: [{text}]")).volumes, [expect], "{text}");
}

#[track_caller]
fn check_refused(text: &str, expect: &str) {
    check_service(&format!("volumes: [{text}]"), &[&format!("5:15: error: {expect}")]);
}

#[test]
fn the_short_form_has_up_to_three_parts() {
    let host = VolumeSource::HostPath("/data".to_owned());
    let cache = VolumeSource::Named("cache".to_owned());
    check_volume("'/data:/in'", volume(host.clone(), "/in"));
    check_volume("'/data:/in:rw'", volume(host.clone(), "/in"));
    check_volume("'/data:/in:ro'", Volume { read_only: true, ..volume(host.clone(), "/in") });
    check_volume("'cache:/in'", volume(cache, "/in"));
    check_volume("/in", volume(VolumeSource::Anonymous, "/in"));
    check_volume("'/data//./:/in/'", volume(host, "/in"));
}

#[test]
fn the_long_form_is_a_map() {
    let host = VolumeSource::HostPath("/data".to_owned());
    let cache = VolumeSource::Named("cache".to_owned());
    check_volume("{type: bind, source: /data, target: /in}", volume(host.clone(), "/in"));
    check_volume(
        "{type: bind, source: /data, target: /in, read_only: true}",
        Volume { read_only: true, ..volume(host, "/in") },
    );
    check_volume("{type: volume, source: cache, target: /in, read_only: no}", volume(cache, "/in"));
    check_volume("{type: volume, target: /in}", volume(VolumeSource::Anonymous, "/in"));
}

#[test]
fn paths_of_a_project_directory_do_not_exist_on_the_agents() {
    for source in ["./data", "../data", "~/data", "data/in", "."] {
        let expect = format!("`{source}` is not an absolute path: there is no project directory on the agents");
        check_refused(&format!("'{source}:/in'"), &expect);
    }
}

#[test]
fn paths_lead_down_only() {
    check_refused("'/a/../b:/in'", "`/a/../b` is not a path of a host without `..`");
    check_refused("'/a:/in/..'", "`/in/..` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("'/a:/'", "`/` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("'/a:in'", "`in` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("in", "`in` is not an absolute path in the container, without `..` and other than `/`");
}

#[test]
fn odd_volumes_are_refused() {
    check_refused("'a:/b:ro:x'", "`a:/b:ro:x` is not a volume such as `/data:/data:ro` or `cache:/cache`");
    check_refused("'cache:/b:z'", "`z` is not a mode of a volume: `ro` or `rw`");
    check_refused("'a:/b'", "`a` is not the name of a volume: at least two letters, digits, `_`, `.` and `-`");
    check_refused(
        "'-cache:/b'",
        "`-cache` is not the name of a volume: at least two letters, digits, `_`, `.` and `-`",
    );
    check_service("volumes: text", &["5:14: error: a list is needed here, but this is a text"]);
    check_service("volumes: [[a]]", &["5:15: error: a text is needed here, but this is a list"]);
    check_service("volumes: ", &[]);
    check_service("volumes: ['/a:/in', 'bb:/in/']", &["5:25: error: two volumes have the target `/in`"]);
}

#[test]
fn the_long_form_is_checked_like_the_short_one() {
    check_service(
        "volumes: [{}]",
        &["5:15: error: the volume has no `type`", "5:15: error: the volume has no `target`"],
    );
    check_service("volumes: [{type: bind, target: /in}]", &["5:15: error: the volume of type `bind` has no `source`"]);
    check_service("volumes: [{type: nfs, source: a, target: /in}]", &["5:22: error: `nfs` is not `bind` or `volume`"]);
    check_service(
        "volumes: [{type: tmpfs, target: /in}]",
        &[
            "5:22: error: volumes of type `tmpfs` are not supported yet: mounts are volumes or paths of the host\n  hint: leave out the source: a volume without a name goes with its container",
        ],
    );
    check_service(
        "volumes: [{type: bind, source: ./a, target: /in}]",
        &["5:36: error: `./a` is not an absolute path: there is no project directory on the agents"],
    );
    check_service(
        "volumes: [{type: volume, sorce: aa, target: /in, volume: {nocopy: true}, read_only: 1}]",
        &[
            "5:30: error: unknown key `sorce`\n  hint: did you mean `source`?",
            "5:54: error: `volume` of a volume is not supported yet: mounts have a source, a target and a mode\n  hint: set it up on the hosts",
            "5:89: error: `1` is not `true` or `false`",
        ],
    );
}

#[test]
fn there_is_a_limit_to_volumes() {
    let keys = |count: usize| {
        let volumes: Vec<String> = (0..count).map(|index| format!("/v{index}")).collect();
        format!("volumes: [{}]", volumes.join(", "))
    };
    check_service(&keys(100), &[]);
    check_service(&keys(101), &["5:14: error: the service has 101 volumes, at most 100 are allowed"]);
}
