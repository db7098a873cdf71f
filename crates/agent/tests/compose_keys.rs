//! From a key of a compose file to what the engine says of the container: every key that is supported has a row here.
//!
//! The file is read by the real reader, the container made by the real engine code and looked at with docker's own command.
//! Most are never started: the last test starts one and has it tell what it sees.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::Duration,
};

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tickmesh_agent::engine::{ContainerEngine, ContainerId, ContainerRequest, Excerpt, docker::Docker};
use tickmesh_core::{
    compose::{self, ComposeFile, TIMEZONE_DEFAULT, service_keys},
    id::Nonce,
    name::AppName,
    spec::ContainerSpec,
};
use tokio::time::timeout;

/// A container on a loaded host takes seconds, not minutes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Keys that say nothing about the container itself, and who is told instead.
const NOT_FOR_THE_ENGINE: [(&str, &str); 4] = [
    ("platform", "the image: `image_of_another_platform_is_not_there`"),
    ("scale", "the leader: `core/src/ledger/run.rs`"),
    ("depends_on", "the leader: `core/src/ledger/run.rs`"),
    ("pull_policy", "the agent, before there is a container: `an_image_is_pulled_as_its_policy_says`"),
];

/// Version of the control groups of the engine's kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cgroups {
    One,
    Two,
}

/// What one key comes to.
struct Row {
    key: &'static str,
    /// The keys of the service.
    keys: String,
    /// Where the answer of `docker inspect` shows it.
    pointer: &'static str,
    expect: Expect,
}

enum Expect {
    /// It is this.
    Is(Value),
    /// It is a list with this among others.
    Has(Value),
}

fn is(key: &'static str, keys: impl Into<String>, pointer: &'static str, expect: Value) -> Row {
    Row { key, keys: keys.into(), pointer, expect: Expect::Is(expect) }
}

fn has(key: &'static str, keys: impl Into<String>, pointer: &'static str, expect: Value) -> Row {
    Row { expect: Expect::Has(expect), ..is(key, keys, pointer, Value::Null) }
}

/// All of them. `folder` is one of the host, `volume` a name that nobody else has.
fn rows(folder: &str, volume: &str, cgroups: Cgroups) -> Vec<Row> {
    let mount = |kind: &str, source: &str, target: &str| json!({"Type": kind, "Source": source, "Target": target});
    let read_only = |source: &str, target: &str| json!({"Type": "bind", "Source": format!("{folder}/{source}"), "Target": target, "ReadOnly": true});
    let device = json!({"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "r"});
    let limits = "deploy: {resources: {limits: {cpus: 0.5, memory: 64m, pids: 50}, reservations: {memory: 32m}}}";
    let devices = "deploy: {resources: {reservations: {devices: [{driver: nvidia, device_ids: ['0', '3'], capabilities: [gpu, utility], options: {a: b}}]}}}";
    let swap = "mem_limit: 64m\nmemswap_limit: 96m";
    // The second version has none, and the engine leaves it out with a warning.
    let swappiness = if cgroups == Cgroups::One { json!(10) } else { Value::Null };
    vec![
        // The program.
        is("image", "", "/Config/Image", json!("busybox:latest")),
        is("command", "command: date -u", "/Config/Cmd", json!(["date", "-u"])),
        is("entrypoint", "entrypoint: [env]", "/Config/Entrypoint", json!(["env"])),
        has("environment", "environment: {A: b=c}", "/Config/Env", json!("A=b=c")),
        has("env_file", "env_file: job.env", "/Config/Env", json!("FROM_FILE=1")),
        has("env_file", "env_file: job.env\nenvironment: {FROM_FILE: 2}", "/Config/Env", json!("FROM_FILE=2")),
        is("labels", "labels: {team: data}", "/Config/Labels/team", json!("data")),
        is("working_dir", "working_dir: /srv", "/Config/WorkingDir", json!("/srv")),
        is("user", "user: 1000:1000", "/Config/User", json!("1000:1000")),
        // Its beginning and end.
        is("init", "", "/HostConfig/Init", Value::Null),
        is("build", "build: .", "/Config/Image", json!("busybox:latest")),
        is("init", "init: true", "/HostConfig/Init", json!(true)),
        is("init", "init: false", "/HostConfig/Init", json!(false)),
        is("restart", "restart: always", "/HostConfig/RestartPolicy/MaximumRetryCount", json!(0)),
        is("restart", "restart: always", "/HostConfig/AutoRemove", json!(false)),
        is("stop_signal", "stop_signal: SIGINT", "/Config/StopSignal", json!("SIGINT")),
        is("stop_grace_period", "stop_grace_period: 1m30s", "/Config/StopTimeout", json!(90)),
        // What it may use.
        is("mem_limit", "mem_limit: 64m", "/HostConfig/Memory", json!(64 << 20)),
        is("mem_reservation", "mem_reservation: 32m", "/HostConfig/MemoryReservation", json!(32 << 20)),
        is("cpus", "cpus: 0.5", "/HostConfig/NanoCpus", json!(500_000_000)),
        is("gpus", "gpus: all", "/HostConfig/DeviceRequests/0/Count", json!(-1)),
        is("gpus", "gpus: all", "/HostConfig/DeviceRequests/0/Capabilities", json!([["gpu"]])),
        is("runtime", "runtime: nvidia", "/HostConfig/DeviceRequests/0/Count", json!(-1)),
        is("gpus", "gpus: 2", "/HostConfig/DeviceRequests/0/Count", json!(2)),
        is("gpus", "labels: {tickmesh.gpu: 3}", "/HostConfig/DeviceRequests/0/Count", json!(3)),
        is("deploy", devices, "/HostConfig/DeviceRequests/0/DeviceIDs", json!(["0", "3"])),
        is("deploy", devices, "/HostConfig/DeviceRequests/0/Driver", json!("nvidia")),
        is("deploy", devices, "/HostConfig/DeviceRequests/0/Capabilities", json!([["gpu", "utility"]])),
        is("deploy", devices, "/HostConfig/DeviceRequests/0/Options", json!({"a": "b"})),
        is("cpu_shares", "cpu_shares: 50", "/HostConfig/CpuShares", json!(50)),
        is("deploy", limits, "/HostConfig/NanoCpus", json!(500_000_000)),
        is("deploy", limits, "/HostConfig/Memory", json!(64 << 20)),
        is("deploy", limits, "/HostConfig/MemoryReservation", json!(32 << 20)),
        is("deploy", limits, "/HostConfig/PidsLimit", json!(50)),
        is("pids_limit", "pids_limit: 50", "/HostConfig/PidsLimit", json!(50)),
        is("memswap_limit", swap, "/HostConfig/MemorySwap", json!(96 << 20)),
        is("memswap_limit", "mem_limit: 64m\nmemswap_limit: -1", "/HostConfig/MemorySwap", json!(-1)),
        is("mem_swappiness", "mem_swappiness: 10", "/HostConfig/MemorySwappiness", swappiness),
        is("oom_score_adj", "oom_score_adj: 300", "/HostConfig/OomScoreAdj", json!(300)),
        is("cpuset", "cpuset: '0'", "/HostConfig/CpusetCpus", json!("0")),
        is("shm_size", "shm_size: 8m", "/HostConfig/ShmSize", json!(8 << 20)),
        is(
            "ulimits",
            "ulimits: {nofile: {soft: 128, hard: 256}, core: -1}",
            "/HostConfig/Ulimits",
            json!([{"Name": "core", "Soft": -1, "Hard": -1}, {"Name": "nofile", "Soft": 128, "Hard": 256}]),
        ),
        // What it sees.
        is("network_mode", "network_mode: none", "/HostConfig/NetworkMode", json!("none")),
        is("net", "net: none", "/HostConfig/NetworkMode", json!("none")),
        is("networks", "networks: [db]", "/HostConfig/NetworkMode", json!("tickmesh-test-db")),
        is(
            "networks",
            "networks: {db: {aliases: [job]}}",
            "/NetworkSettings/Networks/tickmesh-test-db/Aliases",
            json!(["job", "s1"]),
        ),
        is(
            "volumes",
            format!("volumes: ['{folder}:/in:ro']"),
            "/HostConfig/Binds",
            json!([format!("{folder}:/in:ro")]),
        ),
        is("volumes", format!("volumes: ['{volume}:/in']"), "/HostConfig/Mounts/0", mount("volume", volume, "/in")),
        is(
            "volumes",
            format!("volumes: ['{folder}:/in:ro,z']"),
            "/HostConfig/Binds",
            json!([format!("{folder}:/in:ro,z")]),
        ),
        is(
            "volumes",
            format!("volumes: ['{folder}:/in:rslave']"),
            "/HostConfig/Binds",
            json!([format!("{folder}:/in:rw,rslave")]),
        ),
        is(
            "volumes",
            format!("volumes: ['{volume}:/in:Z']"),
            "/HostConfig/Binds",
            json!([format!("{volume}:/in:rw,Z")]),
        ),
        is(
            "volumes",
            format!("volumes: ['{volume}:/in:nocopy']"),
            "/HostConfig/Mounts/0/VolumeOptions/NoCopy",
            json!(true),
        ),
        is(
            "volumes",
            "volumes: ['made:/in']",
            "/HostConfig/Mounts/0/VolumeOptions/DriverConfig",
            json!({"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}),
        ),
        is("volumes", "volumes: [/in]", "/HostConfig/Mounts/0", json!({"Type": "volume", "Target": "/in"})),
        is(
            "volumes",
            format!("volumes: [{{type: bind, source: '{folder}', target: /in, bind: {{create_host_path: false}}}}]"),
            "/HostConfig/Mounts/0",
            mount("bind", folder, "/in"),
        ),
        is(
            "volumes",
            "volumes: [{type: tmpfs, target: /in, tmpfs: {size: 64k}, read_only: true}]",
            "/HostConfig/Tmpfs/~1in",
            json!("size=65536,ro"),
        ),
        is("tmpfs", "tmpfs: '/run:size=64k,mode=700'", "/HostConfig/Tmpfs/~1run", json!("size=65536,mode=700")),
        is("tmpfs", "tmpfs: [/a, /b]", "/HostConfig/Tmpfs/~1b", json!("")),
        is("secrets", "secrets: [token]", "/HostConfig/Mounts/0", read_only("token", "/run/secrets/token")),
        is("configs", "configs: [motd]", "/HostConfig/Mounts/0", read_only("motd", "/motd")),
        // What it is called, and how it finds others.
        is("hostname", "hostname: job-1", "/Config/Hostname", json!("job-1")),
        is("domainname", "domainname: example.com", "/Config/Domainname", json!("example.com")),
        is("dns", "dns: [192.0.2.1, 192.0.2.2]", "/HostConfig/Dns", json!(["192.0.2.1", "192.0.2.2"])),
        is("dns_search", "dns_search: a.example", "/HostConfig/DnsSearch", json!(["a.example"])),
        is("dns_opt", "dns_opt: ['ndots:2']", "/HostConfig/DnsOptions", json!(["ndots:2"])),
        is("dns_options", "dns_options: ['ndots:2']", "/HostConfig/DnsOptions", json!(["ndots:2"])),
        is("extra_hosts", "extra_hosts: {db: 192.0.2.7}", "/HostConfig/ExtraHosts", json!(["db:192.0.2.7"])),
        // What it may do.
        is("privileged", "privileged: true", "/HostConfig/Privileged", json!(true)),
        is("cap_add", "cap_add: [CAP_SYS_ADMIN]", "/HostConfig/CapAdd", json!(["CAP_SYS_ADMIN"])),
        is("cap_drop", "cap_drop: [ALL]", "/HostConfig/CapDrop", json!(["ALL"])),
        is(
            "security_opt",
            "security_opt: ['no-new-privileges:true']",
            "/HostConfig/SecurityOpt",
            json!(["no-new-privileges=true"]),
        ),
        is("pid", "pid: host", "/HostConfig/PidMode", json!("host")),
        is("ipc", "ipc: host", "/HostConfig/IpcMode", json!("host")),
        is("userns_mode", "userns_mode: host", "/HostConfig/UsernsMode", json!("host")),
        is("devices", "devices: ['/dev/null:/dev/nil:r']", "/HostConfig/Devices", json!([device])),
        is("sysctls", "sysctls: {kernel.msgmax: 4096}", "/HostConfig/Sysctls", json!({"kernel.msgmax": "4096"})),
        is("group_add", "group_add: [4711]", "/HostConfig/GroupAdd", json!(["4711"])),
        is("read_only", "read_only: true", "/HostConfig/ReadonlyRootfs", json!(true)),
    ]
}

/// An engine, a folder of the host with files, and a label that only this test's containers carry.
struct Bench {
    engine: Docker,
    test: String,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let engine = Docker::connect().await.expect("these tests need a Docker engine");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "secret\n").unwrap();
        std::fs::write(folder.path().join("motd"), "hello\n").unwrap();
        Self { engine, test: Nonce::from_random(rand::random()).to_string(), folder }
    }

    fn volume(&self) -> String {
        format!("tickmesh-test-{}", self.test)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The container of the one service of a file, which has these keys.
    #[track_caller]
    fn read(&self, keys: &str) -> ContainerSpec {
        let folder = self.folder().display();
        let keys: String = keys.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "labels: {{aliyun.project_type: batch}}\nservices:\n  s1:\n    image: busybox:latest\n{keys}secrets: {{token: {{file: '{folder}/token'}}}}\nconfigs: {{motd: {{file: '{folder}/motd'}}}}\nnetworks: {{db: {{name: tickmesh-test-db}}}}\nvolumes: {{{volume}: , made: {{name: {volume}-made, driver_opts: {{type: tmpfs, device: tmpfs, o: size=1m}}}}}}\n",
            volume = self.volume(),
        );
        let env_files = BTreeMap::from([("job.env".to_owned(), "export FROM_FILE=1 # note".to_owned())]);
        let file = ComposeFile {
            dialect: compose::Dialect::PRESENT,
            app: &AppName::new("nightly").unwrap(),
            file_name: "f",
            text: &text,
            variables: &BTreeMap::new(),
            env_files: &env_files,
            timezone_default: TIMEZONE_DEFAULT,
        };
        let reading = compose::read(&file, &jiff::tz::TimeZoneDatabase::bundled());
        let spec = reading.spec.unwrap_or_else(|| panic!("{text}{:#?}", reading.diagnostics));
        spec.run().services[0].container.clone()
    }

    async fn create(&self, name: &str, spec: ContainerSpec) -> ContainerId {
        let mut labels = spec.labels.clone();
        labels.insert("io.tickmesh.test".to_owned(), self.test.clone());
        let name = format!("tickmesh-test.{}.{name}", self.test);
        let request = ContainerRequest { name, labels, environment: spec.environment.clone(), spec };
        self.engine.create(&request).await.unwrap_or_else(|error| panic!("{:?}: {error:?}", request.spec))
    }

    fn cgroups(&self) -> Cgroups {
        let found = Command::new("docker").args(["info", "--format", "{{.CgroupVersion}}"]).output().unwrap();
        if found.stdout.trim_ascii() == b"2" { Cgroups::Two } else { Cgroups::One }
    }

    /// What docker's own command says of containers.
    fn inspect(&self, ids: &[ContainerId]) -> Vec<Value> {
        let found = Command::new("docker").arg("inspect").args(ids.iter().map(|id| &id.0)).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        serde_json::from_slice(&found.stdout).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that fails unwinds through here; the engine's client is async, docker's own is not.
        let docker = |arguments: &[&str]| Command::new("docker").args(arguments).output();
        let found = docker(&["ps", "-aq", "--filter", &format!("label=io.tickmesh.test={}", self.test)]);
        let ids = found.map(|found| String::from_utf8_lossy(&found.stdout).into_owned()).unwrap_or_default();
        for id in ids.split_whitespace() {
            let removed = docker(&["rm", "-f", "-v", id]);
            assert!(removed.is_ok_and(|removed| removed.status.success()), "cannot remove container {id}");
        }
        let _ = docker(&["volume", "rm", "-f", &self.volume(), &format!("{}-made", self.volume())]);
    }
}

#[tokio::test]
async fn every_key_reaches_the_engine() {
    let bench = Bench::new().await;
    let rows = rows(&bench.folder().display().to_string(), &bench.volume(), bench.cgroups());
    let mut ids = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        ids.push(bench.create(&index.to_string(), bench.read(&row.keys)).await);
    }
    for (row, found) in rows.iter().zip(bench.inspect(&ids)) {
        let value = found.pointer(row.pointer).unwrap_or(&Value::Null);
        let holds = match &row.expect {
            Expect::Is(expect) => value == expect,
            Expect::Has(expect) => value.as_array().is_some_and(|values| values.contains(expect)),
        };
        let expect = match &row.expect {
            Expect::Is(expect) | Expect::Has(expect) => expect,
        };
        assert!(holds, "`{}` in {:?}: {} is {value} and not {expect}", row.key, row.keys, row.pointer);
    }
}

#[test]
fn every_key_that_is_supported_is_looked_at() {
    let rows = rows("/folder", "volume", Cgroups::Two);
    let looked_at = rows.iter().map(|row| row.key).chain(NOT_FOR_THE_ENGINE.map(|(key, _)| key));
    assert_eq!(looked_at.collect::<BTreeSet<_>>(), service_keys().collect::<BTreeSet<_>>());
}

/// Everything that shows inside, at once; and what the script says of it, line by line.
const SEEN: [(&str, &str, &str); 20] = [
    ("hostname: job-1", "hostname", "job-1"),
    ("extra_hosts: [db:192.0.2.7]", "awk '$2 == \"db\" {print $1}' /etc/hosts", "192.0.2.7"),
    ("dns: 192.0.2.1", "awk '/nameserver/ {print $2}' /etc/resolv.conf", "192.0.2.1"),
    ("dns_search: a.example", "awk '/search/ {print $2}' /etc/resolv.conf", "a.example"),
    ("dns_opt: ['ndots:2']", "awk '/options/ {print $2}' /etc/resolv.conf", "ndots:2"),
    ("shm_size: 8m", "df -k /dev/shm | awk 'END {print $2}'", "8192"),
    (
        "tmpfs: '/scratch:size=1m'",
        "df -k /scratch | awk 'END {print $2}'; touch /scratch/x && echo writable",
        "1024\nwritable",
    ),
    ("read_only: true", "touch /x 2>/dev/null || echo read-only", "read-only"),
    ("ulimits: {nofile: {soft: 128, hard: 256}}", "ulimit -Sn; ulimit -Hn", "128\n256"),
    ("group_add: [4711]", "id -G", "0 4711"),
    ("cap_drop: [ALL]", "", ""),
    ("cap_add: [CHOWN]", "awk '/CapBnd/ {print $2}' /proc/self/status", "0000000000000001"),
    ("security_opt: ['no-new-privileges:true']", "awk '/NoNewPrivs/ {print $2}' /proc/self/status", "1"),
    ("oom_score_adj: 300", "cat /proc/self/oom_score_adj", "300"),
    ("pids_limit: 50", "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max", "50"),
    ("init: false", "cat /proc/1/comm", "sh"),
    ("sysctls: {kernel.msgmax: 4096}", "cat /proc/sys/kernel/msgmax", "4096"),
    ("env_file: job.env", "echo $FROM_FILE", "1"),
    (
        "secrets: [token]",
        "cat /run/secrets/token; echo x 2>/dev/null >>/run/secrets/token || echo kept",
        "secret\nkept",
    ),
    ("devices: ['/dev/null:/dev/nil:r']", "test -c /dev/nil && echo device", "device"),
];

#[tokio::test]
async fn a_container_sees_what_its_keys_say() {
    let bench = Bench::new().await;
    let keys: Vec<&str> = SEEN.iter().map(|(key, _, _)| *key).collect();
    let script: String = SEEN.iter().map(|(_, script, _)| format!("{script}\n")).collect();
    let mut spec = bench.read(&format!("network_mode: none\n{}", keys.join("\n")));
    spec.command = Some(["sh", "-c", script.as_str()].map(str::to_owned).into());
    let id = bench.create("seen", spec).await;
    bench.engine.start(&id).await.unwrap();
    let exit = timeout(DEADLINE, bench.engine.wait(&id)).await.expect("it ends before the deadline").unwrap();
    let lines = timeout(DEADLINE, bench.engine.logs(&id, Excerpt::Stored { from: None }).try_collect::<Vec<_>>())
        .await
        .unwrap()
        .unwrap();
    let seen: String = lines.iter().map(|line| String::from_utf8_lossy(&line.output).into_owned()).collect();
    let expect: Vec<&str> = SEEN.iter().map(|(_, _, expect)| *expect).filter(|expect| !expect.is_empty()).collect();
    assert_eq!((seen.trim_end(), exit.code), (expect.join("\n").as_str(), 0));
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_and_not_made() {
    let bench = Bench::new().await;
    let secret = bench.folder().join("token");
    let spec = bench.read("secrets: [token]");
    std::fs::remove_file(&secret).unwrap();
    let labels = [("io.tickmesh.test".to_owned(), bench.test.clone())].into();
    let name = format!("tickmesh-test.{}.absent", bench.test);
    let request = ContainerRequest { name, labels, environment: BTreeMap::new(), spec };
    let refused = bench.engine.create(&request).await.unwrap_err().to_string();
    assert!(refused.contains("bind source path does not exist"), "{refused}");
    assert!(!secret.exists(), "the engine made a directory of it");
}
