//! What a host refuses unless its agent was told otherwise: from keys of a compose file to the end of an attempt.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use std::{collections::BTreeMap, path::Path, process::Command};

use tickmesh_agent::{
    Config,
    policy::{Grant, HostPolicy},
};
use tickmesh_core::{
    compose::{self, ComposeFile, TIMEZONE_DEFAULT},
    message::{AttemptEvent, StartOrder},
    name::AppName,
    spec::ContainerSpec,
};

use crate::world::{World, script};

/// Keys that ask for something of the host; what is told of it; and what would have allowed it.
fn asking(folder: &Path) -> Vec<(String, String, String)> {
    let folder = folder.display();
    let row = |keys: &str, what: &str, flag: &str| (keys.to_owned(), what.to_owned(), flag.to_owned());
    vec![
        row("privileged: true", "privileged", "--allow privileged"),
        row("cap_add: [SYS_ADMIN]", "cap_add SYS_ADMIN", "--allow-cap SYS_ADMIN"),
        row("ulimits: {rtprio: 99}", "ulimits rtprio", "--allow-cap SYS_NICE"),
        row("ulimits: {nice: {soft: 20, hard: 40}}", "ulimits nice", "--allow-cap SYS_NICE"),
        row("devices: [/dev/null]", "device /dev/null", "--allow-device /dev/null"),
        row("pid: host", "pid host", "--allow host-pid"),
        row("ipc: host", "ipc host", "--allow host-ipc"),
        row("userns_mode: host", "userns_mode host", "--allow host-users"),
        row("network_mode: host", "network_mode host", "--allow host-network"),
        row(&format!("network_mode: '{}'", id_of_host_network()), "network_mode host", "--allow host-network"),
        row("security_opt: ['seccomp:unconfined']", "security_opt seccomp=unconfined", "--allow unconfined"),
        row(&format!("volumes: ['{folder}:/in']"), &format!("host path {folder}"), &format!("--allow-path {folder}")),
        row("secrets: [token]", &format!("host path {folder}/token"), &format!("--allow-path {folder}/token")),
    ]
}

/// The id by which the engine knows the network of the host, too.
fn id_of_host_network() -> String {
    let output = Command::new("docker").args(["network", "inspect", "host", "--format", "{{.Id}}"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn read(folder: &Path, keys: &str) -> ContainerSpec {
    let text = format!(
        "labels: {{aliyun.project_type: batch}}\nservices:\n  s1:\n    image: busybox:latest\n    command: 'true'\n    {keys}\nsecrets: {{token: {{file: '{}/token'}}}}\n",
        folder.display()
    );
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
    reading.spec.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics)).run().services[0].container.clone()
}

/// An order to run a container of these keys.
fn order(folder: &Path, keys: &str) -> StartOrder {
    StartOrder { container: read(folder, keys), ..script("true") }
}

/// A folder with a secret in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "secret").unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_does_not_allow_is_refused_for_good() {
    let (world, folder) = (World::new().await, folder());
    let running = world.start_agent().await;
    for (replica, (keys, what, flag)) in (0..).zip(asking(folder.path())) {
        world.order_start(replica, order(folder.path(), &keys)).await;
        let reason = format!("{what} is not allowed on this host: its agent was not started with `{flag}`");
        assert_eq!(world.end_of(replica).await, AttemptEvent::CouldNotStart { permanent: true, reason }, "{keys}");
    }
    assert!(world.containers().await.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_a_job_made_counts_for_where_it_leads() {
    let (world, folder) = (World::new().await, folder());
    let path = folder.path().canonicalize().unwrap();
    let running = world.start_agent_with(world.config_with_mount(&path)).await;
    let mount = |source: &str| order(folder.path(), &format!("volumes: ['{}/{source}:/in']", path.display()));
    let links = "cd /in && mkdir own && ln -s / out && ln -s own in";
    let container = ContainerSpec { volumes: mount("").container.volumes, ..script(links).container };
    world.order_start(0, StartOrder { container, ..script(links) }).await;
    assert!(matches!(world.end_of(0).await, AttemptEvent::Exited { exit_code: 0, .. }));
    for (replica, (source, target)) in (1..).zip([("out", "/"), ("out/etc", "/etc"), ("out/no-such", "/no-such")]) {
        world.order_start(replica, mount(source)).await;
        let reason = format!(
            "host path {}/{source} leads to {target}, which is not allowed on this host: its agent was not started with `--allow-path {target}`",
            path.display()
        );
        assert_eq!(world.end_of(replica).await, AttemptEvent::CouldNotStart { permanent: true, reason });
    }
    world.order_start(4, mount("in")).await;
    assert!(matches!(world.end_of(4).await, AttemptEvent::Exited { exit_code: 0, .. }));
    running.stop().await;
}

/// A volume that the test made as an administrator would, gone with it.
struct EngineVolume {
    name: String,
}

impl EngineVolume {
    fn new(options: &[&str]) -> Self {
        let name = format!("tickmesh-test-{}", world::nonce());
        let mut create = Command::new("docker");
        create.args(["volume", "create", "--driver", "local", "--label", "io.tickmesh.test=volume"]);
        for option in options {
            create.args(["--opt", option]);
        }
        assert!(create.arg(&name).output().unwrap().status.success());
        Self { name }
    }

    fn of_path(path: &Path) -> Self {
        Self::new(&["type=none", "o=bind", &format!("device={}", path.display())])
    }
}

impl Drop for EngineVolume {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["volume", "rm", "-f", &self.name]).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_stands_for_a_path_is_allowed_like_that_path() {
    let folder = folder();
    let path = folder.path().canonicalize().unwrap();
    for name in ["open", "shut"] {
        std::fs::create_dir(path.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(path.join("shut"), path.join("open/link")).unwrap();
    // Made before the world, whose containers use them: so they go after those.
    let volumes = ["open", "shut", "open/link"].map(|name| EngineVolume::of_path(&path.join(name)));
    let plain = EngineVolume::new(&[]);
    let world = World::new().await;
    let running = world.start_agent_with(world.config_with_mount(&path.join("open"))).await;
    let mount = |volume: &EngineVolume| order(folder.path(), &format!("volumes: ['{}:/in']", volume.name));
    let shut = path.join("shut").display().to_string();
    let refused = [
        format!("volume {} is host path {shut}", volumes[1].name),
        format!("host path {}/open/link leads to {shut}", path.display()),
    ];
    for (replica, (volume, what)) in (0..).zip(volumes[1..].iter().zip(refused)) {
        world.order_start(replica, mount(volume)).await;
        let flag = format!("--allow-path {shut}");
        let reason = format!("{what}, which is not allowed on this host: its agent was not started with `{flag}`");
        assert_eq!(world.end_of(replica).await, AttemptEvent::CouldNotStart { permanent: true, reason });
    }
    for (replica, volume) in (2..).zip([&volumes[0], &plain]) {
        world.order_start(replica, mount(volume)).await;
        assert!(matches!(world.end_of(replica).await, AttemptEvent::Exited { exit_code: 0, .. }));
    }
    world.wait_for_no_containers().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_allows_is_run() {
    let (world, folder) = (World::new().await, folder());
    let policy = HostPolicy {
        host_paths: vec![folder.path().to_owned()],
        devices: vec!["/dev".into()],
        capabilities: ["SYS_ADMIN", "SYS_NICE"].map(str::to_owned).into(),
        grants: Grant::ALL.into(),
    };
    let running = world.start_agent_with(Config { policy, slots: Some(16), ..world.config() }).await;
    let asking = asking(folder.path());
    for (replica, (keys, _, _)) in (0..).zip(&asking) {
        world.order_start(replica, order(folder.path(), keys)).await;
    }
    for (replica, (keys, _, _)) in (0..).zip(&asking) {
        let end = world.end_of(replica).await;
        match &end {
            AttemptEvent::Exited { exit_code: 0, .. } => {}
            // An engine that is itself shut in cannot give everything away: it was asked, then.
            AttemptEvent::CouldNotStart { permanent: false, .. }
                if keys == "privileged: true" || keys.starts_with("ulimits") => {}
            other => panic!("{keys}: {other:?}"),
        }
    }
    running.stop().await;
}
