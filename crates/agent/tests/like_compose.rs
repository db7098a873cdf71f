//! Containers are those that docker compose makes: a table of services is created by docker-compose and
//! by us, and what the engine says of both is compared, field by field. Nothing is started.
//!
//! Three differences are known and have no row. A variable that has no value anywhere is left out
//! here, and passed by compose as a name alone, which takes one of the image away. A number such as
//! `1.50` is `1.50` here, and `1.5` for compose. `command: []` takes the command of the image away
//! here, as for compose 2, and leaves it for compose 1.
//!
//! Where docker-compose is missing, the test says so and passes over the comparison.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tickmesh_agent::engine::{ContainerEngine, ContainerId, ContainerRequest, docker::Docker};
use tickmesh_core::{
    compose::{self, ComposeFile, TIMEZONE_DEFAULT},
    id::Nonce,
    name::AppName,
};

/// Services, by the keys that each has beside its image. `@` stands for a name that nobody else
/// has.
const SERVICES: &[&str] = &[
    "command: date -u",
    "command: [sh, -c, 'echo a  b']",
    "command: sh -c 'echo \"a b\"' c\\ d",
    "entrypoint: [env]\ncommand: A=1",
    "entrypoint: /bin/sh -c\ncommand: date",
    "environment: {A: 1, B: 'b=c', C: ''}",
    "environment: [A=1, B=b=c, C=]",
    "environment: {A: 'true', B: 1.5, C: 'x y'}",
    "labels: {team: data, n: 5}",
    "labels: [team=data, bare]",
    "working_dir: /srv",
    "user: '1000:1000'",
    "user: daemon",
    "init: true",
    "init: false",
    "stop_signal: SIGINT",
    "stop_grace_period: 1m30s",
    "mem_limit: 64m",
    "mem_limit: 64m\nmem_reservation: 32m",
    "mem_limit: 64m\nmemswap_limit: 96m",
    "mem_limit: 64m\nmemswap_limit: -1",
    "mem_limit: 0\ncpus: 0\npids_limit: 0\nshm_size: 0\nmemswap_limit: 0",
    "mem_limit: 67108864",
    "cpus: 0.5",
    "cpus: 1.25",
    "cpu_shares: 512",
    "cpuset: '0'",
    "pids_limit: 50",
    "pids_limit: -1",
    "shm_size: 8m",
    "oom_score_adj: 300",
    "ulimits: {nofile: {soft: 128, hard: 256}, nproc: 64}",
    "tmpfs: /scratch",
    "tmpfs: ['/run:size=64k,mode=700', /scratch]",
    "volumes: ['/usr/share:/in:ro']",
    "volumes: ['/usr/share:/in']",
    "volumes: ['/usr/share:/in:ro,z']",
    "volumes: ['/usr/share:/in:rslave']",
    "volumes: ['cache:/in']",
    "volumes: ['cache:/in:ro']",
    "volumes: ['cache:/in:nocopy']",
    "volumes: [{type: bind, source: /usr/share, target: /in, read_only: true}]",
    "volumes: [{type: volume, source: cache, target: /in}]",
    "volumes: [{type: tmpfs, target: /in, tmpfs: {size: 65536}}]",
    "volumes: [/in]",
    "network_mode: none",
    "network_mode: host",
    "network_mode: bridge",
    "networks: [front]",
    "networks: {front: {aliases: [job, other]}}",
    "networks: {front: {priority: 1}, back: {priority: 10, aliases: [b]}}",
    "hostname: job-1\ndomainname: example.com",
    "dns: 192.0.2.1",
    "dns: [192.0.2.1, 192.0.2.2]\ndns_search: a.example\ndns_opt: ['ndots:2']",
    "extra_hosts: ['db:192.0.2.7']",
    "extra_hosts: {db: 192.0.2.7}",
    "privileged: true",
    "cap_add: [SYS_ADMIN]\ncap_drop: [CHOWN]",
    "cap_drop: [ALL]",
    "security_opt: ['seccomp:unconfined']",
    "pid: host",
    "ipc: host",
    "userns_mode: host",
    "devices: ['/dev/null:/dev/nil:r', /dev/zero]",
    "sysctls: {net.core.somaxconn: 128}",
    "group_add: ['7', daemon]",
    "read_only: true",
    "restart: 'no'",
    "mem_swappiness: 10",
    "runtime: runc",
    "labels: ['a=b=c', 'd=']",
    "command: ['']",
    "entrypoint: []\ncommand: date",
    "entrypoint: ''\ncommand: date",
    "command: echo $$HOME",
    "environment: {A: '$$B', C: 'say \"yes\"'}",
    "volumes: [{type: bind, source: /usr/share, target: /in, bind: {propagation: rslave}}]",
    "volumes: [{type: volume, source: cache, target: /in, volume: {nocopy: true}}]",
    "volumes: ['cache:/in', '/usr/share:/in/share:ro']",
    "ulimits: {core: 0, memlock: {soft: -1, hard: -1}}",
    "sysctls: ['net.core.somaxconn=128']",
    "extra_hosts: ['here:host-gateway', 'v6:::1']",
    "networks: [front, back]",
    "mem_limit: 0.5g",
    "shm_size: 1gb",
    "stop_grace_period: 45s",
    "user: '65534'\ngroup_add: ['0']",
    "devices: ['/dev/null']",
    "image: busybox",
];

/// As many rows at least as were once promised.
const SERVICES_MIN: usize = 80;
const _: () = assert!(SERVICES.len() >= SERVICES_MIN, "the table has lost rows");

/// Differences that are meant, by the beginnings of their places.
const MEANT: &[(&str, &str)] = &[
    ("/Config/Labels/com.docker.compose", "compose knows its containers by them"),
    ("/Config/Labels/io.tickmesh", "so does an agent"),
    ("/Config/Hostname", "without a name of its own it is the container's id"),
    ("/Config/StopTimeout", "an agent writes down the default, too: the next one stops the container alike"),
    ("/HostConfig/LogConfig", "the agent collects the output"),
    ("/HostConfig/NetworkMode", "compose makes a network for every file; without one here it is the engine's default"),
    ("/HostConfig/VolumesFrom", "compose says that there are none"),
    ("/HostConfig/Tmpfs", "a `tmpfs` in its long form is a mount for compose, and the same memory"),
    ("/HostConfig/Mounts", "volumes are mounts here, and binds for compose 1"),
    ("/HostConfig/Binds", "as above"),
    ("/HostConfig/SecurityOpt", "`=` and `:` are one for the engine"),
    ("/Config/Volumes", "compose lists volumes for the image as well"),
    ("/Config/Attach", "nobody is attached"),
    ("/Config/OnBuild", "empty either way"),
    ("/HostConfig/RestartPolicy", "compose names the policy; none is none"),
    ("/HostConfig/CapAdd", "with `CAP_` and without are one for the engine"),
    ("/HostConfig/CapDrop", "as above"),
];

/// A project of docker-compose with one service for each row, and networks and a volume that exist.
struct Project {
    name: String,
    folder: tempfile::TempDir,
}

/// Returns what a program printed; `None`: it failed, and said why on stderr.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).stderr(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Project {
    fn new() -> Self {
        let name = format!("tickmeshtest{}", Nonce::from_random(rand::random()));
        let project = Self { name, folder: tempfile::tempdir().unwrap() };
        for network in ["front", "back"] {
            project.docker(&["network", "create", &project.of(network)]).unwrap();
        }
        project.docker(&["volume", "create", &project.of("cache")]).unwrap();
        project
    }

    fn of(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn docker(&self, arguments: &[&str]) -> Option<String> {
        run("docker", arguments, self.folder.path())
    }

    /// The file of all rows, without what only tickmesh reads.
    fn file(&self) -> String {
        let service = |(index, keys): (usize, &&str)| {
            let image = if keys.contains("image:") { "" } else { "    image: busybox:latest\n" };
            let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
            format!("  s{index}:\n{image}{keys}")
        };
        let services: String = SERVICES.iter().enumerate().map(service).collect();
        let external = |name: &str| format!("{name}: {{external: true, name: {}}}", self.of(name));
        format!(
            "version: '2.4'\nservices:\n{services}networks: {{{}, {}}}\nvolumes: {{{}}}\n",
            external("front"),
            external("back"),
            external("cache")
        )
    }

    fn inspect(&self, ids: &[String]) -> Vec<Value> {
        let arguments: Vec<&str> = ["inspect"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        serde_json::from_str(&self.docker(&arguments).unwrap()).unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for label in [format!("com.docker.compose.project={}", self.name), format!("io.tickmesh.test={}", self.name)] {
            let ids = self.docker(&["ps", "-aq", "--filter", &format!("label={label}")]).unwrap_or_default();
            for id in ids.split_whitespace() {
                self.docker(&["rm", "-f", "-v", id]);
            }
        }
        self.docker(&["network", "rm", &self.of("front"), &self.of("back"), &format!("{}_default", self.name)]);
        self.docker(&["volume", "rm", "-f", &self.of("cache")]);
    }
}

/// What differs, with the place of each. Nothing, an empty list and zero are one.
fn differences(place: &str, theirs: &Value, ours: &Value, found: &mut Vec<(String, Value, Value)>) {
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    };
    if let (Value::Object(theirs), Value::Object(ours)) = (theirs, ours) {
        let keys: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let get = |fields: &serde_json::Map<String, Value>| fields.get(key).cloned().unwrap_or_default();
            differences(&format!("{place}/{key}"), &get(theirs), &get(ours), found);
        }
    } else if sorted(theirs) != sorted(ours) && !(is_nothing(theirs) && is_nothing(ours)) {
        found.push((place.to_owned(), theirs.clone(), ours.clone()));
    }
}

/// The engine keeps variables and the like in the order in which they came.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items = items.clone();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// Names under which a container is found, by network, without the one that the engine makes of its
/// id.
fn aliases(container: &Value) -> BTreeMap<String, Vec<String>> {
    let id = container["Id"].as_str().unwrap_or_default();
    let networks = container["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
    let names = |network: &Value| {
        let all = network["Aliases"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = all.iter().filter_map(|alias| alias.as_str().map(str::to_owned)).collect();
        names.retain(|alias| !id.starts_with(alias.as_str()));
        names.sort();
        names.dedup();
        names
    };
    networks.iter().map(|(name, network)| (name.clone(), names(network))).collect()
}

/// Where mounts lead, and whether they may be written: what binds, mounts and memory come to.
fn mounts(container: &Value) -> Vec<String> {
    let list = container["Mounts"].as_array().cloned().unwrap_or_default();
    let mount = |it: &Value| {
        // The name of an anonymous volume is chance.
        let name = it["Name"].as_str().filter(|name| name.len() < 64).unwrap_or_default();
        let source = if it["Type"] == "bind" { it["Source"].as_str().unwrap_or_default() } else { name };
        format!("{}:{source}:{}:{}:{}", it["Type"], it["Destination"], it["RW"], it["Propagation"])
    };
    let mut mounts: Vec<String> = list.iter().map(mount).collect();
    mounts.sort();
    mounts
}

async fn ours(project: &Project, text: &str) -> Vec<String> {
    let engine = Docker::connect().await.expect("these tests need a Docker engine");
    let text = format!("labels: {{tickmesh.project_type: batch}}\n{text}");
    let file = ComposeFile {
        dialect: compose::Dialect::PRESENT,
        app: &AppName::new("nightly").unwrap(),
        file_name: "f",
        text: &text,
        variables: &BTreeMap::new(),
        env_files: &BTreeMap::new(),
        timezone_default: TIMEZONE_DEFAULT,
    };
    let reading = compose::read(&file, &jiff::tz::TimeZoneDatabase::bundled());
    let spec = reading.spec.unwrap_or_else(|| panic!("{text}{:#?}", reading.diagnostics));
    let mut ids = Vec::new();
    for service in &spec.run().services {
        let container = service.container.clone();
        let mut labels = container.labels.clone();
        labels.insert("io.tickmesh.test".to_owned(), project.name.clone());
        let name = format!("{}.{}", project.name, service.name);
        let request = ContainerRequest { name, labels, environment: container.environment.clone(), spec: container };
        let ContainerId(id) = engine.create(&request).await.unwrap_or_else(|error| panic!("{request:?}: {error:?}"));
        engine.connect(&ContainerId(id.clone()), &request).await.unwrap();
        ids.push(id);
    }
    ids
}

#[tokio::test]
async fn containers_are_those_that_docker_compose_makes() {
    let project = Project::new();
    let text = project.file();
    std::fs::write(project.folder.path().join("docker-compose.yml"), &text).unwrap();
    let compose = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["-p", &project.name].into_iter().chain(arguments.iter().copied()).collect();
        run("docker-compose", &arguments, project.folder.path())
    };
    if Command::new("docker-compose").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "docker-compose is missing: scripts/setup-compose brings it");
        println!("not compared: there is no docker-compose");
        return;
    }
    compose(&["up", "--no-start"]).expect("docker-compose takes the file");
    let listed =
        project.docker(&["ps", "-aq", "--filter", &format!("label=com.docker.compose.project={}", project.name)]);
    let theirs = project.inspect(&listed.unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let ours = project.inspect(&ours(&project, &text).await);
    let mut wrong = Vec::new();
    for (index, keys) in SERVICES.iter().enumerate() {
        let service = format!("s{index}");
        let their = theirs.iter().find(|it| it["Config"]["Labels"]["com.docker.compose.service"] == service.as_str());
        let (their, our) = (their.unwrap(), &ours[index]);
        let mut found = Vec::new();
        for part in ["Config", "HostConfig"] {
            differences(&format!("/{part}"), &their[part], &our[part], &mut found);
        }
        found.retain(|(place, ..)| !MEANT.iter().any(|(meant, _)| place.starts_with(meant)));
        wrong.extend(found.into_iter().map(|found| format!("{keys:?}: {found:?}")));
        if keys.contains("networks")
            && keys.lines().count() == 1
            && !keys.contains("back")
            && aliases(their) != aliases(our)
        {
            wrong.push(format!("{keys:?}: aliases {:?} and {:?}", aliases(their), aliases(our)));
        }
        if mounts(their) != mounts(our) && !keys.contains("tmpfs") {
            wrong.push(format!("{keys:?}: mounts {:?} and {:?}", mounts(their), mounts(our)));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
