//! What a container is called, may use and may do.

use super::*;
use crate::spec::{Amount, Device, Ipc, Limits, Naming, PullPolicy, Rights, Ulimit};

#[test]
fn names_are_the_containers_own_and_those_of_others() {
    let found = container(
        "hostname: job-1\ndomainname: example.com\ndns: 192.0.2.1\ndns_search: [a.example, .]\ndns_opt: ['ndots:2']\nextra_hosts: ['db:192.0.2.7', 'up=host-gateway', 'six:[2001:db8::1]']",
    );
    let expect = Naming {
        hostname: Some("job-1".to_owned()),
        domainname: Some("example.com".to_owned()),
        dns: owned(&["192.0.2.1"]),
        dns_search: owned(&["a.example", "."]),
        dns_options: owned(&["ndots:2"]),
        extra_hosts: owned(&["db:192.0.2.7", "up:host-gateway", "six:2001:db8::1"]),
    };
    assert_eq!(found.naming, expect);
    assert_eq!(container("extra_hosts: {db: 192.0.2.7}").naming.extra_hosts, ["db:192.0.2.7"]);
    assert_eq!(container("dns: ['2001:db8::1']\nextra_hosts: ").naming.dns, ["2001:db8::1"]);
}

#[test]
fn odd_names_are_refused() {
    let long = "a".repeat(64);
    check_service(
        &format!("hostname: {long}\ndomainname: -a\ndns: [here]\ndns_search: 'a b'\ndns_opt: ['']\n"),
        &[
            &format!(
                "5:15: error: `{}...` is not a name of a host: letters, digits, `-`, `_` and `.`, at most 63",
                &long[..60]
            ),
            "6:17: error: `-a` is not a name of a host: letters, digits, `-`, `_` and `.`, at most 63",
            "7:11: error: `here` is not an address such as `192.0.2.1`",
            "8:17: error: `a b` is not a domain such as `example.com`",
            "9:15: error: `` is not an option of a resolver, such as `ndots:2`",
        ],
    );
    check_service(
        "extra_hosts: ['db', 'db:here', ':192.0.2.1']",
        &[
            "5:19: error: `db` is not a host and its address, such as `db:192.0.2.1`",
            "5:25: error: `db:here` is not a host and its address, such as `db:192.0.2.1`",
            "5:36: error: `:192.0.2.1` is not a host and its address, such as `db:192.0.2.1`",
        ],
    );
}

#[test]
fn limits_are_read() {
    let found = container(
        "ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5, core: -1}\nshm_size: 8m\nmem_limit: 64m\nmemswap_limit: 96m\nmem_swappiness: 0\noom_score_adj: 300\ncpuset: 0-2,5\npids_limit: 50",
    );
    let ulimit = |soft, hard| Ulimit { soft, hard };
    let expect = Limits {
        ulimits: [
            ("nofile".to_owned(), ulimit(Amount::AtMost(10), Amount::AtMost(20))),
            ("nproc".to_owned(), ulimit(Amount::AtMost(5), Amount::AtMost(5))),
            ("core".to_owned(), ulimit(Amount::Unlimited, Amount::Unlimited)),
        ]
        .into(),
        pids: Some(50),
        shm_bytes: Some(8 << 20),
        memory_and_swap: Some(Amount::AtMost(96 << 20)),
        swappiness: Some(0),
        oom_score_adj: Some(300),
        cpuset: Some("0-2,5".to_owned()),
    };
    assert_eq!(found.limits, expect);
    let unlimited = container("mem_limit: 64m\nmemswap_limit: -1").limits.memory_and_swap;
    assert_eq!(unlimited, Some(Amount::Unlimited));
    assert_eq!(container("deploy: {resources: {limits: {pids: 7}}}\npids_limit: 7").limits.pids, Some(7));
    assert_eq!(container("deploy: {resources: {limits: {pids: -1}}}\npids_limit: -1").limits.pids, Some(0));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    check_service(
        "ulimits: {nofiles: 5, nofile: {soft: 6, hard: 5}, nproc: {soft: 5}, core: x, stack: {soft: -1, hard: 5}}",
        &[
            "5:15: error: unknown key `nofiles`\n  hint: did you mean `nofile`?",
            "5:35: error: the soft limit is above the hard one",
            "5:62: error: the limit needs both `soft` and `hard`",
            "5:79: error: `x` is not a whole number, or `-1` for no limit",
            "5:89: error: the soft limit is above the hard one",
        ],
    );
    check_service(
        "shm_size: 1025t\nmem_swappiness: 101\noom_score_adj: -5\ncpuset: 2-1\npids_limit: -2\n",
        &[
            "5:15: error: `1025t` is not a size from 1 byte to 1024 TiB",
            "6:21: error: `101` is not a whole number from 0 to 100",
            "7:20: error: `-5` is not a whole number from 0 to 1000",
            "8:13: error: `2-1` is not a list of cores such as `0-2,5`",
            "9:17: error: `-2` is not a whole number from 1 to 4194304",
        ],
    );
    check_service(
        "memswap_limit: 64m",
        &[
            "5:20: error: `memswap_limit` is a limit of memory and swap together, and there is none of memory\n  hint: add `mem_limit`",
        ],
    );
    check_service(
        "memswap_limit: 64m\nmem_limit: 65m",
        &["5:20: error: `memswap_limit` is less than the limit of memory, which is a part of it"],
    );
    check_service(
        "pids_limit: -1\ndeploy: {resources: {limits: {pids: 6}}}",
        &[
            "6:41: error: `deploy.resources.limits.pids` is not what `pids_limit` says\n  hint: both mean the same: keep one",
        ],
    );
    check_service(
        "pids_limit: 5\ndeploy: {resources: {limits: {pids: 6}}}",
        &[
            "6:41: error: `deploy.resources.limits.pids` is not what `pids_limit` says\n  hint: both mean the same: keep one",
        ],
    );
}

#[test]
fn rights_are_read() {
    let found = container(
        "privileged: true\ncap_add: [CAP_SYS_ADMIN, kill]\ncap_drop: [ALL]\nsecurity_opt: ['no-new-privileges:true', 'seccomp:unconfined', apparmor=job]\npid: host\nipc: host\nuserns_mode: host\ndevices: [/dev/fuse, '/dev/a:/dev/b', '/dev/c:r', '/dev/d:/dev/e:rw']\nsysctls: {net.core.somaxconn: 1024}\ngroup_add: [staff, 4711]\nread_only: true",
    );
    let device = |source: &str, target: &str, permissions: &str| Device {
        source: source.to_owned(),
        target: target.to_owned(),
        permissions: permissions.to_owned(),
    };
    let expect = Rights {
        privileged: true,
        cap_add: owned(&["SYS_ADMIN", "KILL"]),
        cap_drop: owned(&["ALL"]),
        security: owned(&["no-new-privileges=true", "seccomp=unconfined", "apparmor=job"]),
        host_pid: true,
        ipc: Some(Ipc::Host),
        host_users: true,
        devices: vec![
            device("/dev/fuse", "/dev/fuse", "rwm"),
            device("/dev/a", "/dev/b", "rwm"),
            device("/dev/c", "/dev/c", "r"),
            device("/dev/d", "/dev/e", "rw"),
        ],
        sysctls: map(&[("net.core.somaxconn", "1024")]),
        groups: owned(&["staff", "4711"]),
        read_only: true,
    };
    assert_eq!(found.rights, expect);
    assert_eq!(container("sysctls: [kernel.shmmax=5]").rights.sysctls, map(&[("kernel.shmmax", "5")]));
    assert_eq!(container("privileged: no\nread_only: off").rights, Rights::default());
}

#[test]
fn odd_rights_are_refused() {
    check_service(
        "cap_add: [SYS_ADMN]\nsecurity_opt: ['seccomp:./profile.json', 'no']\npid: 'service:a'\nipc: 'container:a'\nuserns_mode: a\ndevices: [dev, '/dev/a:/dev/../b', '/dev/a:/dev/b:x']\nsysctls: {vm.swappiness: 1, net.x: }\ngroup_add: ['a:b']\n",
        &[
            "5:15: error: `SYS_ADMN` is not a capability such as `NET_ADMIN`, or `ALL`",
            "6:20: error: `seccomp:./profile.json` is not possible: of seccomp there are the engine's own profile and `unconfined`",
            "6:46: error: `no` is not a security option such as `no-new-privileges:true` or `seccomp:unconfined`",
            "7:10: error: `service:a` is not `host`: other containers may be on other hosts",
            "8:10: error: `container:a` is not `none`, `private`, `shareable` or `host`",
            "9:18: error: `a` is not `host`: other containers may be on other hosts",
            "10:15: error: `dev` is not a device such as `/dev/fuse` or `/dev/sda:/dev/xvda:r`",
            "10:20: error: `/dev/a:/dev/../b` is not a device such as `/dev/fuse` or `/dev/sda:/dev/xvda:r`",
            "10:40: error: `/dev/a:/dev/b:x` is not a device such as `/dev/fuse` or `/dev/sda:/dev/xvda:r`",
            "11:15: error: `vm.swappiness` is not a setting that a container has for itself\n  hint: set it on the hosts that the label `constraint` names",
            "11:33: error: `net.x` has no value",
            "12:17: error: `a:b` is not a group such as `staff` or `1000`",
        ],
    );
}

#[test]
fn lists_have_a_length() {
    let keys = |count: usize| format!("group_add: [{}]", vec!["1"; count].join(", "));
    check_service(&keys(100), &[]);
    check_service(&keys(101), &["5:16: error: the list has 101 items, at most 100 are allowed"]);
    check_service("ulimits: text", &["5:14: error: a map is needed here, but this is a text"]);
    check_service("cap_drop: ALL", &["5:15: error: a list is needed here, but this is a text"]);
}

#[test]
fn zero_is_no_limit() {
    let keys = "mem_limit: 0\nmem_reservation: 0\nmemswap_limit: 0\nkernel_memory: 0\nmemswap_reservation: 0\nshm_size: 0\ncpus: 0\npids_limit: 0\ncpu_shares: 0\ncpu_quota: 0\noom_kill_disable: false\nname: s1\ndeploy: {resources: {limits: {cpus: '0.0', memory: 0m, pids: 0}}}";
    check_service(keys, &[]);
    assert_eq!(container(keys), container(""));
    // The templates of the original's console say so in each service.
    check_service(
        "kernel_memory: 1g\nmemswap_reservation: 1g\nname: other\noom_kill_disable: true",
        &[
            "5:5: warning: `kernel_memory` has no effect: the kernel does not have it any more; `mem_limit` is the limit",
            "6:5: warning: `memswap_reservation` has no effect: engines do not have it; `mem_reservation` reserves memory",
            "7:5: warning: `name` has no effect: the service is called `s1`",
            "8:5: error: `oom_kill_disable` is not supported: a job without memory would hang for ever\n  hint: remove it, and write a larger `mem_limit`",
        ],
    );
}

#[test]
fn keys_of_the_original_have_its_names() {
    assert_eq!(container("net: host\ndns_options: ['ndots:2']"), container("network_mode: host\ndns_opt: ['ndots:2']"));
}

#[test]
fn platform_is_passed_on_as_the_engine_takes_it() {
    for (written, passed_on) in [
        ("linux/arm64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("windows", "windows"),
    ] {
        assert_eq!(container(&format!("platform: {written}")).platform.as_deref(), Some(passed_on));
    }
    for odd in ["a/b/c/d", "'linux/'", "'linux arm'"] {
        let text = odd.trim_matches('\'');
        let expect = format!("5:15: error: `{text}` is not a platform such as `linux/amd64`");
        check_service(&format!("platform: {odd}"), &[&expect]);
    }
}

#[test]
fn build_is_passed_over_beside_an_image_and_names_one_alone() {
    check_service(
        "build: .",
        &[
            "5:12: warning: `build` has no effect: hosts that lack the image `busybox` pull it\n  hint: `docker compose build --push` builds it and puts it into its registry",
        ],
    );
    let alone = "labels: {aliyun.project_type: batch}\nservices: {s1: {build: {context: .}}}\n";
    check(
        alone,
        &[
            "2:24: warning: `build` alone stands for the image `nightly-s1`, which every host must have: agents build none, and pull none that was built\n  hint: run `docker compose build` on each host, or name an `image` and push it",
        ],
    );
    let container = spec(alone).run().services[0].container.clone();
    assert_eq!((container.image.as_str(), container.pull_policy), ("nightly-s1", PullPolicy::Never));
    check_service(
        "build: .\npull_policy: build",
        &[
            "5:12: warning: `build` has no effect: hosts that lack the image `busybox` pull it\n  hint: `docker compose build --push` builds it and puts it into its registry",
            "6:18: warning: `pull_policy: build` is read as `never`: agents build no images, so hosts must have it",
        ],
    );
}
