//! Whole files, made at random and by hand: what we make of them, and what `docker-compose config` does.
//!
//! A file that both take is one app to both, and a file that one of them refuses is refused by both. Not
//! compared are keys with a dollar sign, which `config` writes twice, and booleans with a variable, which
//! docker-compose takes since version 2, hosts that both files name, of which version 2 keeps both
//! addresses, and a dollar sign before what is no name, which version 2 leaves as it is.

use std::thread;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::like_compose::{HEAD, of_compose_or_refused, project, reading, same_app};
use crate::command::Place;

/// Pairs of files that are made at random.
const PAIRS: u64 = 40;
/// Services of each.
const SERVICES: usize = 6;
/// Calls of docker-compose at a time: each takes half a second of a core.
const AT_ONCE: usize = 4;

/// Keys of a service, with spellings of their values.
const KEYS: &[(&str, &[&str])] = &[
    (
        "environment",
        &[
            "{A: 1, B: '$T_ONE'}",
            "[A=2, 'C=${T_NONE:-d}']",
            "{B: , A: 'x$$y'}",
            "['D=$$x', 'E=${T_TWO}', 'F=${T_EMPTY-e}']",
            "{G: '${T_EMPTY:-x y}', H: '1.50'}",
            "{I: \"a: b\", J: 'true'}",
        ],
    ),
    ("labels", &["{a: b}", "[a=c, d=e=f]", "{d: '$T_ONE', g: ''}", "['h=${T_TWO:-x}']", "{a: 1, b: '2.50'}"]),
    (
        "volumes",
        &[
            "['/a:/x']",
            "['/b:/x:ro', 'vol:/v']",
            "['./c:/y']",
            "[{type: bind, source: /d, target: /x}]",
            "['/$T_ONE:/z', '/e']",
            "[{type: volume, source: vol, target: /v, volume: {nocopy: true}}]",
            "[{type: tmpfs, target: /t, tmpfs: {size: 1024}}]",
        ],
    ),
    (
        "command",
        &[
            "a b 'c d'",
            "[e, '$$f']",
            "sh -c 'echo $$T_ONE ${T_ONE}'",
            "\"x \\\"y z\\\"\"",
            ">\n      folded\n      text",
        ],
    ),
    ("entrypoint", &["[a, b]", "c 'd e'", "/bin/$T_ONE"]),
    ("user", &["'1000'", "'${T_ONE}'", "me:1"]),
    ("working_dir", &["/a", "/b/$T_ONE"]),
    ("hostname", &["a", "${T_ONE}"]),
    ("tmpfs", &["/a", "[/b, /c]", "['/a:size=1m']"]),
    ("cap_add", &["[NET_ADMIN]", "[SYS_PTRACE, NET_ADMIN]"]),
    ("cap_drop", &["[ALL]", "[MKNOD]"]),
    ("dns", &["1.1.1.1", "[8.8.8.8, 1.1.1.1]"]),
    ("dns_search", &["a.example", "[b.example]"]),
    ("extra_hosts", &["['a:10.0.0.1']", "{b: 10.0.0.2}", "['d:10.0.0.3', 'c:10.0.0.4']"]),
    ("ulimits", &["{nofile: 5}", "{nofile: {soft: 6, hard: 7}, nproc: 9}", "{core: -1}"]),
    ("sysctls", &["{net.core.somaxconn: 5}", "[net.ipv4.tcp_syncookies=0]"]),
    ("security_opt", &["[no-new-privileges]", "[seccomp=unconfined]"]),
    ("devices", &["['/dev/null:/dev/x']", "['/dev/zero:/dev/y:r', '/dev/full']"]),
    ("init", &["true", "false"]),
    ("read_only", &["true", "false"]),
    ("stop_signal", &["SIGINT", "SIGQUIT"]),
    ("stop_grace_period", &["3s", "1m30s"]),
    ("shm_size", &["64m", "1048576", "1g"]),
    ("pid", &["host"]),
    ("ipc", &["host", "private"]),
    (
        "deploy",
        &[
            "{resources: {limits: {cpus: '1.5', memory: 64M}}}",
            "{resources: {limits: {memory: 128M}, reservations: {memory: 32M}}}",
            "{replicas: 3}",
            "{placement: {constraints: [node.hostname == a]}}",
            "{labels: {tickmesh.retry_count: '2'}}",
        ],
    ),
    ("secrets", &["[one]", "[{source: two, target: three}]"]),
    ("image", &["busybox:$T_ONE", "'${T_ONE}/x:${T_NONE:-1}'"]),
];

/// Files of one service, by hand, with keys that both read alike or refuse alike.
const BY_HAND: &[&str] = &[
    "command: echo $T_ONE",
    "command: echo ${T_ONE}",
    "command: echo ${T_NONE:-a b}",
    "command: echo ${T_NONE-a}${T_EMPTY-b}${T_EMPTY:-c}",
    "command: echo $${T_ONE} $$T_ONE $$$$",
    "command: ['${T_TWO}', '$T_TWO']",
    "environment: {A: '${T_NONE:?must be set}'}",
    "environment: {A: '${T_EMPTY:?must not be empty}'}",
    "environment: {A: '${T_EMPTY?may be empty}'}",
    "environment: {A: '${T_ONE:?is set}'}",
    "environment: {A: '${T_ONE'}",
    "environment: {A: '${}'}",
    "environment: {A: '${5}'}",
    "environment: {A: '${-}'}",
    "environment: {A: '${T ONE}'}",
    "environment: {A: 'a$T_ONE.b-$T_ONE/c'}",
    "environment: {A: '${T_NONE:-x:y-z}'}",
    "environment: {A: '${T_NONE:-/path/to}'}",
    "environment: {T_ONE: }",
    "environment: [T_ONE, T_TWO=x=y]",
    "environment: ['A=$T_ONE', 'B=\"${T_TWO}\"']",
    "environment: {A: |-\n      line $T_ONE\n      next}",
    "labels: ['a=${T_ONE}', 'b=$$c']",
    "labels: {a: '${T_NONE:-}'}",
    "user: ${T_ONE}:${T_NONE:-0}",
    "deploy: {resources: {limits: {memory: '${T_SIZE:-64}M'}}}",
    "volumes: ['/${T_ONE}/${T_NONE:-d}:/x:ro']",
    "volumes: ['${T_NONE:-vol}:/v']",
    "stop_grace_period: ${T_NONE:-5}s",
    "hostname: $T_ONE-$T_ONE",
    "image: busybox:${T_NONE:-1.36}",
    "image: ${T_ONE}",
    "extra_hosts: ['${T_ONE}:10.0.0.1']",
    "ulimits: {nofile: '${T_NUMBER:-5}'}",
];

fn pick<'t, T>(random: &mut StdRng, items: &'t [T]) -> &'t T {
    &items[random.random_range(0..items.len())]
}

/// Two files of the same services, each with a few keys.
fn pair(seed: u64) -> (String, String) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut file = |with_image: bool| {
        let services = (0..SERVICES).map(|at| {
            let mut keys: Vec<(&str, &str)> = Vec::new();
            for _ in 0..random.random_range(1..8) {
                let (key, spellings): (&str, &[&str]) = *pick(&mut random, KEYS);
                if keys.iter().all(|(known, _)| *known != key) {
                    keys.push((key, *pick(&mut random, spellings)));
                }
            }
            if with_image && keys.iter().all(|(key, _)| *key != "image") {
                keys.push(("image", "busybox"));
            }
            let keys: String = keys.iter().map(|(key, value)| format!("    {key}: {value}\n")).collect();
            format!("  s{at}:\n{keys}")
        });
        let services: String = services.collect();
        format!("{HEAD}{services}")
    };
    let (first, second) = (file(true), file(false));
    let shared = "volumes: {vol: }\nsecrets: {one: {file: ./one}, two: {file: ./sub/two}}\n";
    (format!("{first}{shared}"), second)
}

/// Runs a check for each item on a few threads, and returns what was found wrong.
fn in_parallel<T: Sync>(items: &[T], check: impl Fn(usize, &T) -> Option<String> + Sync) -> Vec<String> {
    let check = &check;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                let own = items.iter().enumerate().skip(worker).step_by(AT_ONCE);
                scope.spawn(move || own.filter_map(|(at, item)| check(at, item)).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// What differs between what both make of files; `None`: nothing.
fn difference(arguments: &[&str], files: &[(&str, &str)]) -> Option<String> {
    let place = Place::alone();
    for (name, text) in files {
        place.write(name, text);
    }
    let overrides: Vec<&str> = files.iter().skip(1).map(|(name, _)| *name).collect();
    let ours = reading(files[0].1, &project(&place, &files[1..], &overrides));
    let theirs = of_compose_or_refused(&place, arguments)?;
    let said: Vec<String> = ours.diagnostics.iter().map(ToString::to_string).collect();
    let wrong = match (&ours.spec, &theirs) {
        (None, Err(_)) => return None,
        (Some(spec), Ok(text)) => same_app(spec, text).err()?,
        (Some(_), Err(refused)) => format!("only docker-compose refuses it: {refused}"),
        (None, Ok(_)) => format!("only we refuse it: {said:?}"),
    };
    let texts: Vec<&str> = files.iter().map(|(_, text)| *text).collect();
    Some(format!("{wrong}\n{}", texts.join("---\n")))
}

#[test]
fn random_files_are_merged_as_docker_compose_merges_them() {
    let pairs: Vec<(String, String)> = (0..PAIRS).map(pair).collect();
    let wrong = in_parallel(&pairs, |seed, (first, second)| {
        let files = [("first.yml", first.as_str()), ("second.yml", second.as_str())];
        difference(&["-f", "first.yml", "-f", "second.yml"], &files).map(|wrong| format!("seed {seed}: {wrong}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_are_interpolated_as_docker_compose_does_it() {
    let files: Vec<String> = BY_HAND
        .iter()
        .map(|keys| {
            let image = if keys.starts_with("image") { "" } else { "    image: busybox\n" };
            format!("{HEAD}  s0:\n{image}    {keys}\nvolumes: {{vol: }}\n")
        })
        .collect();
    let wrong = in_parallel(&files, |_, text| difference(&["-f", "f.yml"], &[("f.yml", text)]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
