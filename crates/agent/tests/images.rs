//! Images from a registry that the test serves: when they are pulled, by whom, and what is said if they cannot be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[expect(dead_code, reason = "shared with the other tests of the agent")]
mod world;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use tempfile::TempDir;
use tickmesh_agent::{
    Config,
    engine::{
        ContainerEngine, Error,
        docker::{Credentials, Docker},
    },
};
use tickmesh_core::{
    message::{AgentRecord, AttemptEvent, Awaited, StartOrder},
    spec::{ContainerSpec, PullPolicy, RemoveContainers},
};
use tickmesh_testkit::registry::Registry;
use tokio::{sync::watch, time::timeout};

use crate::world::{World, eventually, output_text, script};

/// Every pull of these tests ends by then.
const DEADLINE: Duration = Duration::from_secs(60);
/// Characters whose base64 is another in the URL-safe alphabet, in every place that they can have.
const PASSWORD: &str = "~~~???>>>";

/// A job that writes which image it runs from.
fn marker_of(image: &str, pull_policy: PullPolicy) -> StartOrder {
    let order = script("cat /marker");
    let container = ContainerSpec { image: image.to_owned(), pull_policy, ..order.container };
    StartOrder { container, remove_containers: RemoveContainers::RemoveAll, ..order }
}

/// What the job of a replica wrote, once it has succeeded.
async fn written(world: &World, replica: u32) -> String {
    let end = world.end_of(replica).await;
    assert!(matches!(end, AttemptEvent::Exited { exit_code: 0, .. }), "{end:?}");
    output_text(&world.stored_output(replica).await)
}

/// Why a replica could not be started; that another try may help is part of it.
async fn refused(world: &World, replica: u32) -> String {
    match world.end_of(replica).await {
        AttemptEvent::CouldNotStart { reason, permanent: false } => reason,
        other => panic!("expected that it could not start: {other:?}"),
    }
}

/// Attempts that wait for an image of which some has arrived, and not all.
fn seen_pulling(record: &AgentRecord) -> usize {
    let is_under_way = |awaited: &Awaited| match awaited {
        Awaited::Pulling(progress) => (1..progress.total_bytes).contains(&progress.done_bytes),
        Awaited::Queued => false,
    };
    record.preparing.iter().filter(|it| is_under_way(&it.awaited)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_says_when_an_image_is_pulled() {
    let registry = Registry::start().await;
    let world = World::new().await;
    let running = world.start_agent().await;
    let image = registry.put("team/job", "1", "first");
    world.order_start(0, marker_of(&image, PullPolicy::Never)).await;
    let reason = format!("the host does not have image `{image}`, and `pull_policy` is `never`");
    assert_eq!(refused(&world, 0).await, reason);
    assert_eq!(registry.manifest_requests(), 0);
    world.order_start(1, marker_of(&image, PullPolicy::Missing)).await;
    assert_eq!(written(&world, 1).await, "first");
    let pulled_once = registry.manifest_requests();
    registry.put("team/job", "1", "second");
    world.order_start(2, marker_of(&image, PullPolicy::Missing)).await;
    assert_eq!(written(&world, 2).await, "first");
    world.order_start(3, marker_of(&image, PullPolicy::Never)).await;
    assert_eq!(written(&world, 3).await, "first");
    assert_eq!(registry.manifest_requests(), pulled_once, "nobody asked for what is there");
    world.order_start(4, marker_of(&image, PullPolicy::Always)).await;
    assert_eq!(written(&world, 4).await, "second");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_replicas_cost_one_pull_and_show_how_far_it_is() {
    const REPLICAS: u32 = 20;
    let registry = Registry::start().await;
    let world = World::new().await;
    let running = world.start_agent_with(Config { slots: Some(2 * REPLICAS), ..world.config() }).await;
    let alone = registry.put("alone", "1", "one");
    world.order_start(REPLICAS, marker_of(&alone, PullPolicy::Missing)).await;
    assert_eq!(written(&world, REPLICAS).await, "one");
    let of_one_pull = registry.manifest_requests();
    let shared = registry.put("shared", "1", "many");
    registry.hold_layers();
    for replica in 0..REPLICAS {
        world.order_start(replica, marker_of(&shared, PullPolicy::Missing)).await;
    }
    let all = REPLICAS as usize;
    world.wait_for_heartbeat("the pull that all wait for", |record| seen_pulling(record) == all).await;
    registry.release_layers();
    for replica in 0..REPLICAS {
        assert_eq!(written(&world, replica).await, "many");
    }
    assert_eq!(registry.manifest_requests(), 2 * of_one_pull);
    world.wait_for_heartbeat("that nothing is prepared", |record| record.preparing.is_empty()).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_goes_on_until_the_last_who_waits_for_it_is_stopped() {
    let registry = Registry::start().await;
    let world = World::new().await;
    let running = world.start_agent().await;
    registry.hold_layers();
    let image = registry.put("job", "1", "shared");
    for replica in 0..2 {
        world.order_start(replica, marker_of(&image, PullPolicy::Missing)).await;
    }
    world.wait_for_heartbeat("both pulling", |record| seen_pulling(record) == 2).await;
    world.order_stop(0).await;
    assert_eq!(world.end_of(0).await, AttemptEvent::Cancelled { exit_code: None });
    world.wait_for_heartbeat("one pulling", |record| record.held.len() == 1 && seen_pulling(record) == 1).await;
    let of_one_pull = registry.manifest_requests();
    registry.release_layers();
    assert_eq!(written(&world, 1).await, "shared");
    assert_eq!(registry.manifest_requests(), of_one_pull);
    registry.hold_layers();
    let image = registry.put("job", "2", "given up");
    world.order_start(2, marker_of(&image, PullPolicy::Missing)).await;
    world.wait_for_heartbeat("one pulling", |record| seen_pulling(record) == 1).await;
    world.order_stop(2).await;
    assert_eq!(world.end_of(2).await, AttemptEvent::Cancelled { exit_code: None });
    world.wait_for_heartbeat("that nothing is held", |record| record.held.is_empty()).await;
    assert_eq!(registry.manifest_requests(), 2 * of_one_pull);
    // Nothing is left to join.
    world.order_start(3, marker_of(&image, PullPolicy::Missing)).await;
    eventually("another pull", async || (registry.manifest_requests() > 2 * of_one_pull).then_some(())).await;
    registry.release_layers();
    assert_eq!(written(&world, 3).await, "given up");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_fails_all_who_wait_and_the_next_try_begins_anew() {
    let registry = Registry::start().await;
    let world = World::new().await;
    let running = world.start_agent().await;
    let image = registry.put("job", "1", "at last");
    let absent = format!("{}/job:none", registry.name());
    registry.fail(500);
    world.order_start(0, marker_of(&image, PullPolicy::Missing)).await;
    let said = format!("cannot pull image `{image}` from registry `{}` without credentials: ", registry.name());
    let reason = refused(&world, 0).await;
    assert!(reason.starts_with(&said) && reason.contains("500"), "{reason}");
    registry.recover();
    world.order_start(1, marker_of(&absent, PullPolicy::Missing)).await;
    let reason = refused(&world, 1).await;
    assert!(reason.contains(&absent) && reason.contains("registry says 404"), "{reason}");
    world.order_start(2, marker_of(&image, PullPolicy::Missing)).await;
    assert_eq!(written(&world, 2).await, "at last");
    running.stop().await;
}

/// A registry that needs a login, an image in it, and an engine that looks for credentials in a folder of the test's.
struct Login {
    registry: Registry,
    image: String,
    folder: TempDir,
    engine: Docker,
}

impl Login {
    async fn new() -> Self {
        let registry = Registry::start().await;
        registry.require_login("ann", PASSWORD);
        let image = registry.put("job", "1", "secret");
        let folder = tempfile::tempdir().unwrap();
        let credentials = Credentials::of(folder.path(), &[folder.path().join("bin")]);
        let engine = Docker::connect().await.expect("these tests need a Docker engine").with_credentials(credentials);
        Self { registry, image, folder, engine }
    }

    fn write(&self, config: &serde_json::Value) {
        fs::write(self.folder.path().join("config.json"), config.to_string()).unwrap();
    }

    /// The message if the pull failed.
    async fn pull(&self) -> Result<(), String> {
        let progress = watch::Sender::default();
        let pulled = timeout(DEADLINE, self.engine.pull(&self.image.as_str().into(), &progress)).await;
        pulled.expect("the pull ends before the deadline").map_err(|error| {
            assert!(matches!(error, Error::CouldNotStart { .. }), "{error:?}");
            assert!(!error.to_string().contains(PASSWORD), "{error}");
            error.to_string()
        })
    }

    #[track_caller]
    fn check_refused(&self, pulled: Result<(), String>, manner: &str, said: &str) {
        let reason = pulled.unwrap_err();
        let Self { image, registry, .. } = self;
        let begin = format!("cannot pull image `{image}` from registry `{}`{manner}: ", registry.name());
        assert!(reason.starts_with(&begin) && reason.contains(said), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_dockers_own_file_is_used_from_the_next_pull_on() {
    let login = Login::new().await;
    login.check_refused(login.pull().await, " without credentials", "no basic auth credentials");
    // Not JSON: a warning, and then as without.
    fs::write(login.folder.path().join("config.json"), "{").unwrap();
    login.check_refused(login.pull().await, " without credentials", "no basic auth credentials");
    let with = |password: &str| {
        let entry = serde_json::json!({ "username": "ann", "password": password });
        serde_json::json!({ "auths": { login.registry.name(): entry } })
    };
    login.write(&with("wrong"));
    login.check_refused(login.pull().await, " with credentials", "registry says 401");
    login.write(&with(PASSWORD));
    login.pull().await.unwrap();
}

/// Puts a credential program there. Copied by a process of its own: a file that this one has open for writing, or a child of it
/// that was forked meanwhile, cannot be run.
fn install(folder: &Path, name: &str, script: &str) {
    let (source, bin) = (folder.join("source"), folder.join("bin"));
    fs::create_dir_all(&bin).unwrap();
    fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
    let target = bin.join(format!("docker-credential-{name}"));
    assert!(std::process::Command::new("cp").arg(&source).arg(&target).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_program_is_asked_for_its_registry() {
    let login = Login::new().await;
    let helper = |name: &str| serde_json::json!({ "credHelpers": { login.registry.name(): name } });
    login.write(&helper("missing"));
    login.check_refused(
        login.pull().await,
        "",
        "`docker-credential-missing` gave no credentials: there is no such program",
    );
    install(login.folder.path(), "sealed", "echo the vault is sealed; exit 1");
    login.write(&helper("sealed"));
    login.check_refused(login.pull().await, "", "`docker-credential-sealed` gave no credentials: the vault is sealed");
    install(login.folder.path(), "empty", "echo credentials not found in native keychain; exit 1");
    login.write(&helper("empty"));
    login.check_refused(login.pull().await, " without credentials", "no basic auth credentials");
    let answer = serde_json::json!({ "ServerURL": "", "Username": "ann", "Secret": PASSWORD });
    let registry = login.registry.name();
    install(
        login.folder.path(),
        "vault",
        &format!("read -r server; [ \"$1 $server\" = 'get {registry}' ] && echo '{answer}'"),
    );
    login.write(&serde_json::json!({ "credsStore": "vault" }));
    login.pull().await.unwrap();
}
