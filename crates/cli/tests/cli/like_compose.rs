//! Files merged by us and by `docker-compose config`: what both make of them is read as an app, and both apps are one.
//!
//! Each row is a service that two files have, or that one of them extends. docker-compose 1.29 is what distributions
//! package; it knows neither `!reset` nor `include`, which have tests of their own in the core.

use std::{collections::BTreeMap, process::Command};

use jiff::tz::TimeZoneDatabase;
use tickmesh_core::{
    compose::{ComposeFile, Dialect, Project, Reading, TIMEZONE_DEFAULT, read, read_in},
    name::AppName,
    spec::AppSpec,
};

use crate::command::Place;

/// The keys of a service in the first file, and in the second.
const ROWS: &[(&str, &str)] = &[
    // Variables, in all their forms.
    ("environment: {A: 1}", "environment: {B: 2}"),
    ("environment: {A: 1, B: 2}", "environment: {B: 3}"),
    ("environment: {A: 1, B: 2}", "environment: [B=3, C=4]"),
    ("environment: [A=1, B=2]", "environment: {B: 3}"),
    ("environment: [A=1, B=2]", "environment: [B=3]"),
    ("environment: ['A=x=y']", "environment: ['B= z ']"),
    ("environment: {A: 'x$$y'}", "environment: [B=1]"),
    ("environment: ['A=x$$y']", "environment: {B: 'a$$b'}"),
    ("environment: {A: '$T_ONE'}", "environment: ['B=${T_TWO}']"),
    ("environment: {A: '${T_NONE:-d}'}", "environment: {B: '${T_EMPTY:-e}', C: '${T_EMPTY-f}'}"),
    ("environment: {A: '${T_NONE-x y}'}", "environment: ['B=${T_ONE:-no}']"),
    ("environment: {A: '${T_ONE}${T_TWO}-$T_ONE.x'}", "user: me"),
    ("environment: {A: 1}", "environment: {}"),
    ("environment: [T_ONE]", "environment: [B=1]"),
    ("environment: {T_ONE: }", "environment: [B=1]"),
    ("environment: {A: 1}", "environment: [T_TWO]"),
    ("environment: {A: '1.50'}", "environment: {B: '05'}"),
    ("environment: {A: ''}", "environment: [B=]"),
    // Programs.
    ("command: [a, b]", "command: [c]"),
    ("command: [a, b]", "command: c d"),
    ("command: a 'b c'", "user: me"),
    ("command: a b", "command: [c, '$$d']"),
    ("command: sh -c 'echo $$T_ONE ${T_ONE}'", "init: true"),
    ("entrypoint: [a]", "entrypoint: b c"),
    ("entrypoint: a b", "command: [x]"),
    ("user: a", "user: b"),
    ("working_dir: /a", "working_dir: /b"),
    ("user: '${T_ONE}'", "working_dir: /$T_TWO"),
    ("hostname: a", "hostname: b"),
    ("stop_signal: SIGINT", "stop_signal: SIGQUIT"),
    ("stop_grace_period: 3s", "stop_grace_period: 1m30s"),
    ("read_only: true", "read_only: false"),
    ("init: true", "init: false"),
    // Labels.
    ("labels: {a: b}", "labels: {a: c}"),
    ("labels: [a=b, c=d]", "labels: {c: e}"),
    ("labels: {a: b}", "labels: [c=d]"),
    ("labels: [a=b]", "labels: [a=c, 'd=e=f']"),
    ("labels: {tickmesh.scale: '2'}", "labels: [tickmesh.scale=3]"),
    ("labels: {tickmesh.retry_count: '1'}", "labels: {tickmesh.scale: '2'}"),
    // Mounts.
    ("volumes: ['/a:/x']", "volumes: ['/b:/x']"),
    ("volumes: ['/a:/x']", "volumes: ['/b:/y:ro']"),
    ("volumes: ['/a:/x:ro', 'vol:/v']", "volumes: ['/b:/x']"),
    ("volumes: ['./a:/x']", "volumes: ['../b:/y']"),
    ("volumes: ['./a:/x']", "volumes: ['./b/../c:/x']"),
    ("volumes: [{type: bind, source: /a, target: /x}]", "volumes: ['/b:/y']"),
    ("volumes: ['/$T_ONE:/x']", "volumes: ['/b:/${T_TWO}']"),
    ("tmpfs: /a", "tmpfs: /b"),
    ("tmpfs: [/a]", "tmpfs: [/b, /c]"),
    // Lists.
    ("cap_add: [NET_ADMIN]", "cap_add: [SYS_PTRACE]"),
    ("cap_add: [NET_ADMIN]", "cap_add: [NET_ADMIN, SYS_PTRACE]"),
    ("cap_drop: [ALL]", "cap_drop: [ALL]"),
    ("dns: 1.1.1.1", "dns: 8.8.8.8"),
    ("dns: [1.1.1.1]", "dns: 8.8.8.8"),
    ("dns_search: a.example", "dns_search: [b.example]"),
    ("extra_hosts: ['a:10.0.0.1']", "extra_hosts: ['b:10.0.0.2']"),
    ("devices: ['/dev/null:/dev/x']", "devices: ['/dev/zero:/dev/y']"),
    ("security_opt: [no-new-privileges]", "security_opt: [seccomp=unconfined]"),
    // Maps.
    ("ulimits: {nofile: 5}", "ulimits: {nproc: 6}"),
    ("ulimits: {nofile: 5}", "ulimits: {nofile: 6}"),
    ("ulimits: {nofile: 5}", "ulimits: {nofile: {soft: 6, hard: 7}}"),
    ("sysctls: {net.core.somaxconn: 5}", "sysctls: [net.ipv4.tcp_syncookies=0]"),
    ("deploy: {resources: {limits: {cpus: '1'}}}", "deploy: {resources: {limits: {memory: 64M}}}"),
    ("deploy: {resources: {limits: {cpus: '1'}}}", "deploy: {resources: {limits: {cpus: '2'}}}"),
    // Dependencies.
    ("depends_on: [first]", "depends_on: [second]"),
    ("depends_on: [first]", "depends_on: {second: {condition: service_completed_successfully}}"),
    ("depends_on: {first: {condition: service_completed_successfully}}", "depends_on: [second]"),
    // Grants.
    ("secrets: [one]", "secrets: [two]"),
    ("secrets: [one]", "secrets: [{source: two, target: three}]"),
];

/// The beginning of every file.
pub(crate) const HEAD: &str = "version: '3.9'\nservices:\n";

const VARIABLES: [(&str, &str); 3] = [("T_ONE", "one"), ("T_TWO", "two 2"), ("T_EMPTY", "")];

/// What both files have at their ends.
const SHARED: &str = "volumes: {vol: }\nsecrets: {one: {file: ./one}, two: {file: ./sub/two}}\n";

/// The services of the rows: in the first file, in the second one, and in one that extends the first.
fn files() -> (String, String, String) {
    let service = |at: usize, keys: &str, image: bool| {
        let image = if image { "\n    image: busybox" } else { "" };
        format!("  s{at}:{image}\n    {keys}\n")
    };
    let rows = || ROWS.iter().enumerate();
    let first: String = rows().map(|(at, (keys, _))| service(at, keys, true)).collect();
    let second: String = rows().map(|(at, (_, keys))| service(at, keys, false)).collect();
    // Services that others need cannot be extended there.
    let can_extend = |keys: &str| !keys.starts_with("depends_on") && !keys.starts_with("secrets");
    let extending: String = rows()
        .filter(|(_, (first, second))| can_extend(first) && can_extend(second))
        .map(|(at, (_, keys))| {
            service(at, &format!("extends: {{file: base/compose.yml, service: s{at}}}\n    {keys}"), false)
        })
        .collect();
    let others = "  first: {image: busybox}\n  second: {image: busybox}\n";
    let base = format!("{HEAD}{first}{others}{SHARED}");
    (base, format!("{HEAD}{second}"), format!("{HEAD}{extending}{SHARED}"))
}

fn each_once<T: Clone + PartialEq>(items: &[T]) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    kept
}

/// What is said of an app, without what no order and no spelling changes.
fn told(spec: &AppSpec) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for service in &spec.run().services {
        let mut service = service.clone();
        service.container.volumes.sort_by(|one, other| one.target.cmp(&other.target));
        service.depends.sort();
        // Sets to the engine, which docker-compose 1 puts into an order of its own.
        let rights = &mut service.container.rights;
        rights.cap_add.sort();
        rights.cap_drop.sort();
        rights.security.sort();
        rights.devices.sort_by(|one, other| one.target.cmp(&other.target));
        // Since version 2 it names each server once.
        let naming = &mut service.container.naming;
        naming.extra_hosts.sort();
        naming.dns = each_once(&naming.dns);
        naming.dns_search = each_once(&naming.dns_search);
        told.insert(service.name.to_string(), format!("{service:#?}"));
    }
    told
}

/// What we read in files.
pub(crate) fn reading(text: &str, project: &Project) -> Reading {
    let (app, env_files) = (AppName::new("job").unwrap(), BTreeMap::new());
    let variables = VARIABLES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let text = format!("{text}x-tickmesh: {{project_type: batch}}\n");
    let file = ComposeFile {
        app: &app,
        dialect: Dialect::PRESENT,
        file_name: "f.yml",
        text: &text,
        variables: &variables,
        env_files: &env_files,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let zones = TimeZoneDatabase::bundled();
    if project.is_alone() { read(&file, &zones) } else { read_in(&file, project, &zones) }
}

fn read_file(text: &str, project: &Project) -> AppSpec {
    let reading = reading(text, project);
    reading.spec.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
}

/// Says where an app differs from what docker-compose wrote of it.
pub(crate) fn same_app(ours: &AppSpec, theirs: &str) -> Result<(), String> {
    let read = reading(theirs, Project::ALONE);
    let Some(spec) = &read.spec else {
        return Err(format!("what docker-compose writes is refused: {:?}", read.diagnostics));
    };
    let (ours, theirs) = (told(ours), told(spec));
    for (name, ours) in &ours {
        let theirs = theirs.get(name).map(String::as_str).unwrap_or_default();
        let mut lines = ours.lines().zip(theirs.lines()).filter(|(ours, theirs)| ours != theirs);
        if let Some((ours, theirs)) = lines.next() {
            return Err(format!("{name}: {} is {} to docker-compose", ours.trim(), theirs.trim()));
        }
        if ours != theirs {
            return Err(format!("{name}: {ours} is {theirs} to docker-compose"));
        }
    }
    Ok(())
}

/// What docker-compose makes of the files; `None`: it is not installed.
fn of_compose(place: &Place, arguments: &[&str]) -> Option<String> {
    of_compose_or_refused(place, arguments).map(|written| written.unwrap())
}

/// The same, or why docker-compose refuses them; `None`: it is not installed.
pub(crate) fn of_compose_or_refused(place: &Place, arguments: &[&str]) -> Option<Result<String, String>> {
    let mut command = Command::new("docker-compose");
    let command = command.args(arguments).arg("config").current_dir(&place.folder).envs(VARIABLES);
    let Ok(output) = command.output() else {
        assert!(std::env::var_os("CI").is_none(), "docker-compose is missing: scripts/setup-compose brings it");
        return None;
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some(if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) })
}

#[track_caller]
fn check(place: &Place, arguments: &[&str], text: &str, project: &Project) {
    let Some(merged) = of_compose(place, arguments) else { return };
    let theirs = told(&read_file(&merged, Project::ALONE));
    let ours = told(&read_file(text, project));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let mut differences = Vec::new();
    for (name, ours) in ours.iter().filter(|(name, ours)| theirs[*name] != **ours) {
        let row = name.strip_prefix('s').and_then(|at| ROWS.get(at.parse::<usize>().ok()?));
        let lines = ours.lines().zip(theirs[name].lines()).filter(|(ours, theirs)| ours != theirs);
        differences.push(format!("{row:?}: {:?}", lines.take(4).collect::<Vec<_>>()));
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// The project of a folder, with these files in it.
pub(crate) fn project(place: &Place, files: &[(&str, &str)], overrides: &[&str]) -> Project {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    Project {
        folder: Some(place.folder.path().canonicalize().unwrap().display().to_string()),
        files: files.iter().map(owned).collect(),
        overrides: overrides.iter().map(|path| (*path).to_owned()).collect(),
        ..Project::default()
    }
}

#[test]
fn two_files_are_merged_as_docker_compose_merges_them() {
    let place = Place::alone();
    let (first, second, _) = files();
    place.write("first.yml", &first);
    place.write("second.yml", &second);
    let project = project(&place, &[("second.yml", &second)], &["second.yml"]);
    check(&place, &["-f", "first.yml", "-f", "second.yml"], &first, &project);
}

#[test]
fn services_are_extended_as_docker_compose_extends_them() {
    let place = Place::alone();
    let (base, _, extending) = files();
    std::fs::create_dir(place.folder.path().join("base")).unwrap();
    place.write("base/compose.yml", &base);
    place.write("job.yml", &extending);
    let project = project(&place, &[("base/compose.yml", &base)], &[]);
    check(&place, &["-f", "job.yml"], &extending, &project);
}
