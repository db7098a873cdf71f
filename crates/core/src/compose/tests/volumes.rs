//! `volumes` of a service.

use super::*;
use crate::spec::{MountOptions, Propagation, Relabel, Volume, VolumeSource};

fn volume(source: VolumeSource, target: &str) -> Volume {
    Volume { source, target: target.to_owned(), read_only: false, options: MountOptions::default() }
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
    let existing = volume(VolumeSource::ExistingHostPath("/data".to_owned()), "/in");
    check_volume("{type: bind, source: /data, target: /in, bind: {create_host_path: false}}", existing);
    check_volume(
        "{type: bind, source: /data, target: /in, bind: {create_host_path: true}}",
        volume(VolumeSource::HostPath("/data".to_owned()), "/in"),
    );
    let memory = |options: &str| volume(VolumeSource::Tmpfs(options.to_owned()), "/in");
    check_volume("{type: tmpfs, target: /in}", memory(""));
    check_volume("{type: tmpfs, target: /in, tmpfs: {size: 1m, mode: 0o700}}", memory("size=1048576,mode=700"));
}

#[test]
fn memory_is_mounted_in_short_as_well() {
    let check = |text: &str, target: &str, options: &str| {
        let expect = volume(VolumeSource::Tmpfs(options.to_owned()), target);
        assert_eq!(container(&format!("tmpfs: {text}")).volumes, [expect], "{text}");
    };
    check("/scratch", "/scratch", "");
    check("[/scratch/]", "/scratch", "");
    check("'/run:size=64k,mode=01777,uid=1000,noexec'", "/run", "size=65536,mode=1777,uid=1000,noexec");
    let two = container("tmpfs: [/a, '/b:ro']\nvolumes: [/c]").volumes;
    assert_eq!(two.iter().map(|volume| volume.target.as_str()).collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    check_service(
        "tmpfs: [scratch, '/a:size=0', '/b:mode=8', '/c:remount', '/d:uid=me']",
        &[
            "5:13: error: `scratch` is not an absolute path in the container, without `..` and other than `/`",
            "5:22: error: `0` is not a size above 0",
            "5:35: error: `8` is not a mode such as `1777`, in octal digits",
            "5:48: error: `remount` is not an option of a tmpfs, such as `size=64m`, `mode=1777`, `uid=1000` or `noexec`",
            "5:62: error: `uid=me` is not an option of a tmpfs, such as `size=64m`, `mode=1777`, `uid=1000` or `noexec`",
        ],
    );
    check_service("tmpfs: /in\nvolumes: [/in]", &["6:15: error: two volumes have the target `/in`"]);
}

/// A file with these lists at its end, as most people have them, and a service with these keys.
fn with_files(keys: &str) -> String {
    let lists = "secrets: {token: {file: /srv/token}, key: {file: /srv//key}}\nconfigs: {motd: {file: /srv/motd}}\n";
    with_service(keys) + lists
}

#[track_caller]
fn check_files(keys: &str, expect: &[(&str, &str)]) {
    let volumes = spec(&with_files(keys)).run().services[0].container.volumes.clone();
    let file = |(source, target): &(&str, &str)| Volume {
        read_only: true,
        ..volume(VolumeSource::ExistingHostPath((*source).to_owned()), target)
    };
    assert_eq!(volumes, expect.iter().map(file).collect::<Vec<_>>(), "{keys}");
}

#[test]
fn secrets_and_configs_are_files_of_the_hosts() {
    check_files("", &[]);
    check_files("secrets: [token, key]", &[("/srv/token", "/run/secrets/token"), ("/srv/key", "/run/secrets/key")]);
    check_files("secrets: [{source: token, target: t}]", &[("/srv/token", "/run/secrets/t")]);
    check_files("secrets: [{source: token, target: /etc/t}]", &[("/srv/token", "/etc/t")]);
    check_files("configs: [motd]", &[("/srv/motd", "/motd")]);
    check_files("configs: [{source: motd, target: etc/motd}]", &[("/srv/motd", "/etc/motd")]);
}

#[test]
fn secrets_that_cannot_be_had_say_why() {
    check(
        &with_files(
            "secrets: [nobody, {source: token, target: a/../b}, {target: x}, {source: key, mode: 0400}]\nvolumes: [/run/secrets/key]",
        ),
        &[
            "5:15: error: there is no secret `nobody` at the top of the file\n  hint: add `secrets: {nobody: {file: /path/on/the/hosts}}`",
            "5:32: error: `/run/secrets/a/../b` is not a path in the container without `..`",
            "5:56: error: it has no `source`: the name of a file at the top",
            "5:83: warning: `mode` has no effect: the file is mounted as it is on the host",
            "6:15: error: two volumes have the target `/run/secrets/key`",
        ],
    );
    let top = "secrets: {a: {file: ./a}, b: {external: true}, c: {environment: C}, d: }\nconfigs: {e: {content: x}}\n";
    let hint = "\n  hint: put it into a file on the hosts, and name that with `file`";
    check(
        &(top.to_owned() + &with_service("secrets: [a, b]")),
        &[
            "1:21: error: `./a` is not an absolute path: there is no project directory on the agents",
            &format!(
                "1:31: error: `external` is not supported: agents know no store of secrets, only files of their hosts{hint}"
            ),
            &format!(
                "1:52: error: `environment` is not supported: its value would be stored with the app, for all to read{hint}"
            ),
            "1:69: error: `d` has no `file`",
            &format!(
                "2:15: error: `content` is not supported: what is in it would have to be carried to every host{hint}"
            ),
        ],
    );
}

#[test]
fn paths_of_a_project_directory_do_not_exist_on_the_agents() {
    for source in ["./data", "../data", "~/data", "."] {
        let expect = format!("`{source}` is not an absolute path: there is no project directory on the agents");
        check_refused(&format!("'{source}:/in'"), &expect);
    }
}

#[test]
fn paths_lead_down_only() {
    let no_dot = "`data/in` is not a path of a host: one that begins in the folder of the file begins with `./`";
    check_refused("'data/in:/in'", no_dot);
    check_refused("'/a/../b:/in'", "`/a/../b` is not a path of a host without `..`");
    check_refused("'/a:/in/..'", "`/in/..` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("'/a:/'", "`/` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("'/a:in'", "`in` is not an absolute path in the container, without `..` and other than `/`");
    check_refused("in", "`in` is not an absolute path in the container, without `..` and other than `/`");
}

#[test]
fn paths_of_windows_are_refused_as_such() {
    let why = "is not a path of a host: hosts run Linux, whose paths begin with `/`";
    check_refused("'E:/repo:/mnt'", &format!("`E:/repo` {why}"));
    check_refused("'c:\\me\\x:/mnt:ro'", &format!("`c:\\me\\x` {why}"));
}

#[test]
fn odd_volumes_are_refused() {
    check_refused("'a:/b:ro:x'", "`a:/b:ro:x` is not a volume such as `/data:/data:ro` or `cache:/cache`");
    check_refused("'cache:/b:x'", "`x` is not a mode of a volume, such as `ro`, `rw` or `z`");
    check_refused(
        "'/a:/b:nocopy'",
        "`nocopy` is not possible: `nocopy` is for volumes of the engine, and this is a path",
    );
    check_refused(
        "'cache:/b:rshared'",
        "`rshared` is not possible: how mounts spread is said of paths, and this is a volume",
    );
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
    for kind in ["bind, source: /a", "volume, source: aa", "tmpfs"] {
        check_service(
            &format!("volumes: [{{target: '/in:ro', type: {kind}}}]"),
            &[
                "5:24: error: `/in:ro` is not a path in the container: the engine takes what comes after a colon for a mode",
            ],
        );
    }
    check_service(
        "volumes: [{type: nfs, source: a, target: /in}]",
        &["5:22: error: `nfs` is not `bind`, `volume` or `tmpfs`"],
    );
    check_service(
        "volumes: [{type: tmpfs, source: aa, target: /in, tmpfs: {mode: 9, sise: 1}}]",
        &[
            "5:37: error: the volume of type `tmpfs` has a `source`: it is memory",
            "5:68: error: `9` is not a mode such as `1777`, in octal digits",
            "5:71: error: unknown key `sise`\n  hint: did you mean `size`?",
        ],
    );
    check_service(
        "volumes: [{type: bind, source: /a, target: /in, bind: {propagation: all, recursive: disabled, create: no}}]",
        &[
            "5:73: error: `all` is not `private`, `rprivate`, `shared`, `rshared`, `slave` or `rslave`",
            "5:78: error: `recursive` of a bind is not supported: what is mounted below the path comes along\n  hint: remove it",
            "5:99: error: unknown key `create`",
        ],
    );
    check_service(
        "volumes: [{type: bind, source: ./a, target: /in}]",
        &["5:36: error: `./a` is not an absolute path: there is no project directory on the agents"],
    );
    check_service(
        "volumes: [{type: volume, sorce: aa, target: /in, volume: {nocopy: true, subpath: a}, read_only: 1}]",
        &[
            "5:30: error: unknown key `sorce`\n  hint: did you mean `source`?",
            "5:77: error: `subpath` of a volume is not supported: a volume is mounted as it is\n  hint: remove it",
            "5:101: error: `1` is not `true` or `false`",
        ],
    );
}

#[test]
fn a_volume_that_the_file_does_not_declare_is_a_warning_if_it_declares_any() {
    let warning = |place: &str, name: &str, hint: &str| {
        format!("{place}: warning: volume `{name}` is not among the `volumes` at the top of the file\n  hint: {hint}")
    };
    let check_declared = |keys: &str, top: &str, expect: &[String]| {
        let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        check(&(with_service(keys) + top), &expect);
    };
    let named = "volumes: ['cahce:/in', /anonymous, '/host:/host', {type: volume, source: cahce, target: /long}]";
    let near = "did you mean `cache`?";
    let both = [warning("5:15", "cahce", near), warning("5:55", "cahce", near)];
    check_declared(named, "volumes: {data: , cache: }\n", &both);
    check_declared(named, "volumes: {cahce: }\n", &[]);
    check_declared(named, "", &[]);
    let far = "declare it there: `volumes: {other: }`";
    check_declared("volumes: ['other:/in']", "volumes: {cache: }\n", &[warning("5:15", "other", far)]);
    check_declared("volumes: ['other:/in']", "volumes:\n", &[warning("5:15", "other", far)]);
}

/// The one volume of a service, which has this text, in a file with these volumes at its end.
#[track_caller]
fn declared(text: &str, top: &str) -> Volume {
    let file = with_service(&format!("volumes: [{text}]")) + "volumes: " + top + "\n";
    check(&file, &[]);
    spec(&file).run().services[0].container.volumes[0].clone()
}

#[test]
fn named_and_external_volumes_must_be_there() {
    for (top, name) in [
        ("{data: {external: true, name: prod_data}}", "prod_data"),
        ("{data: {external: {name: prod_data}}}", "prod_data"),
        ("{data: {name: prod_data}}", "prod_data"),
        ("{data: {name: '${TAG}_data', driver: local}}", "v2_data"),
        ("{data: {external: true}}", "data"),
    ] {
        for text in ["'data:/in'", "{type: volume, source: data, target: /in}"] {
            let expect = Volume {
                options: MountOptions { must_exist: true, ..MountOptions::default() },
                ..volume(VolumeSource::Named(name.to_owned()), "/in")
            };
            assert_eq!(declared(text, top), expect, "{top}");
        }
    }
    for top in ["{data: }", "{data: {external: false}}", "{data: {driver: local, driver_opts: , x-note: 1}}"] {
        assert_eq!(declared("'data:/in'", top), volume(VolumeSource::Named("data".to_owned()), "/in"), "{top}");
    }
}

#[test]
fn declarations_of_volumes_are_checked() {
    check(
        &format!(
            "volumes: {{a: {{driver: nfs, extrnal: true}}, b: {{external: true, driver: nfs, labels: {{c: d}}}}, c: {{name: ../etc}}, /d: {{external: true}}}}\n{}",
            with_service("")
        ),
        &[
            "1:28: error: unknown key `extrnal`\n  hint: did you mean `external`?",
            "1:64: warning: `driver` of a volume has no effect: the volume must be there already",
            "1:77: warning: `labels` of a volume have no effect: nothing reads them",
            "1:104: error: `../etc` is not a name on the hosts: letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
            "1:117: error: `/d` is not a name on the hosts: letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
        ],
    );
}

#[test]
fn volumes_of_a_driver_are_made_as_the_file_says() {
    let made = |top: &str| {
        let volume = declared("'data:/in'", top);
        let VolumeSource::Named(name) = &volume.source else { panic!("{volume:?}") };
        assert!(!volume.options.must_exist, "{top}");
        let driver = volume.options.driver.unwrap_or_else(|| panic!("{top}"));
        let options: Vec<String> = driver.options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{name} by {}: {}", driver.name, options.join(" "))
    };
    let nfs = "driver_opts: {type: nfs, o: 'addr=10.0.0.1,rw', device: ':/export/${TAG}'}";
    let of_nfs = "by local: device=:/export/v2 o=addr=10.0.0.1,rw type=nfs";
    assert_eq!(made(&format!("{{data: {{{nfs}}}}}")), format!("data {of_nfs}"));
    assert_eq!(made(&format!("{{data: {{driver: local, name: nas, {nfs}}}}}")), format!("nas {of_nfs}"));
    assert_eq!(made("{data: {driver: rclone}}"), "data by rclone: ");
    assert_eq!(made("{data: {driver_opts: {o: bind, device: /srv}}}"), "data by local: device=/srv o=bind");
    check(
        &format!("volumes: {{a: {{driver_opts: 5, driver: ''}}}}\n{}", with_service("")),
        &[
            "1:28: error: a map is needed here, but this is a text",
            "1:39: error: `` is not a driver of volumes, such as `local`",
        ],
    );
    let unset = format!("volumes: {{a: {{driver_opts: {{device: '${{NAS}}:/x'}}}}}}\n{}", with_service(""));
    assert!(rendered(&unset).starts_with("f:1:37: error: the variable `NAS` is not set"), "{}", rendered(&unset));
}

/// What a host must allow for a volume that is made by a driver.
#[test]
fn volume_of_a_driver_needs_a_right_of_the_host() {
    let access = |options: &str| {
        let text = format!("volumes: {{data: {options}}}\n{}", with_service("volumes: ['data:/in']"));
        let access = spec(&text).run().services[0].container.host_access();
        access.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(access("{driver: local}"), Vec::<String>::new());
    assert_eq!(access("{driver_opts: {type: nfs, device: ':/x'}}"), ["volume driver local"]);
    assert_eq!(access("{driver: rclone}"), ["volume driver rclone"]);
    // A path of the host stays one, whatever hides it.
    for flags in ["bind", "ro,bind", "rbind , ro"] {
        let options = format!("{{driver_opts: {{type: none, o: '{flags}', device: /etc}}}}");
        assert_eq!(access(&options), ["host path /etc"]);
    }
    assert_eq!(access("{driver: other, driver_opts: {o: bind, device: /etc}}"), ["volume driver other"]);
}

#[test]
fn modes_without_effect_are_told() {
    let useless = |place: &str, mode: &str| {
        format!("{place}: warning: `{mode}` of a volume has no effect: it is for Docker Desktop, and hosts run Linux")
    };
    check_service(
        "volumes: ['/a:/a:cached', '/b:/b:ro,delegated', {type: bind, source: /c, target: /c, consistency: consistent}]",
        &[&useless("5:15", "cached"), &useless("5:31", "delegated"), &useless("5:90", "consistent")],
    );
}

#[test]
fn details_of_a_mount_are_read_in_both_forms() {
    let options = |options: MountOptions, text: &str| {
        assert_eq!(container(&format!("volumes: [{text}]")).volumes[0].options, options, "{text}");
    };
    let relabel = MountOptions { relabel: Some(Relabel::Private), ..MountOptions::default() };
    options(relabel.clone(), "'/a:/in:ro,Z'");
    options(relabel, "{type: bind, source: /a, target: /in, bind: {selinux: Z}}");
    let spread = MountOptions { propagation: Some(Propagation::RecursiveShared), ..MountOptions::default() };
    options(spread.clone(), "'/a:/in:rshared'");
    options(spread, "{type: bind, source: /a, target: /in, bind: {propagation: rshared}}");
    let no_copy = MountOptions { no_copy: true, ..MountOptions::default() };
    options(no_copy.clone(), "'cache:/in:nocopy'");
    options(no_copy, "{type: volume, source: cache, target: /in, volume: {nocopy: true}}");
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
