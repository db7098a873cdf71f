//! The Docker engine against a real daemon, with an image named `busybox:latest`.
//!
//! Every test labels its containers with a mesh of its own and removes what it made, also when it fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{collections::BTreeMap, time::Duration};

use futures_util::TryStreamExt;
use tickmesh_agent::engine::{
    ContainerEngine, ContainerId, ContainerRequest, ContainerStatus, ContainerView, Error, Excerpt, ExitState, Image,
    LabelFilter, LogLine, docker::Docker,
};
use tickmesh_core::{
    id::Nonce,
    message::LogStream,
    spec::{ContainerSpec, MountOptions, Volume, VolumeSource},
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

const IMAGE: &str = "busybox:latest";
/// Every wait of these tests ends by then: the slowest start measured on a loaded host took 4 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// A connection, and a label that only this test's containers carry.
struct Bench {
    engine: Docker,
    test: String,
}

impl Bench {
    async fn new() -> Self {
        let engine = Docker::connect().await.expect("these tests need a Docker engine");
        let present = engine.image_present(&IMAGE.into()).await.unwrap();
        assert!(present, "these tests need the image {IMAGE}: scripts/setup makes it");
        Self { engine, test: unique() }
    }

    fn filter(&self) -> LabelFilter {
        [("io.tickmesh.test".to_owned(), self.test.clone())].into()
    }

    fn request(&self, name: &str, script: &str) -> ContainerRequest {
        ContainerRequest {
            name: format!("tickmesh-test.{}.{name}", self.test),
            labels: self.filter(),
            environment: BTreeMap::from([("GREETING".to_owned(), "hello world".to_owned())]),
            spec: spec(&["sh", "-c", script]),
        }
    }

    async fn create(&self, script: &str) -> ContainerId {
        self.engine.create(&self.request("job", script)).await.unwrap()
    }

    async fn run(&self, script: &str) -> ContainerId {
        let id = self.create(script).await;
        self.engine.start(&id).await.unwrap();
        id
    }

    async fn wait(&self, id: &ContainerId) -> Result<ExitState, Error> {
        timeout(DEADLINE, self.engine.wait(id)).await.expect("the container ends before the deadline")
    }

    async fn logs(&self, id: &ContainerId) -> Vec<LogLine> {
        self.excerpt(id, Excerpt::Follow { from: None }).await
    }

    async fn excerpt(&self, id: &ContainerId, excerpt: Excerpt) -> Vec<LogLine> {
        let lines = self.engine.logs(id, excerpt).try_collect();
        timeout(DEADLINE, lines).await.expect("the output ends before the deadline").unwrap()
    }

    /// Waits for the container to write `text`: then its script has got that far.
    async fn wait_for_output(&self, id: &ContainerId, text: &str) {
        let seen = async {
            let mut lines = self.engine.logs(id, Excerpt::Follow { from: None });
            while let Some(line) = lines.try_next().await.unwrap() {
                if line.output.starts_with(text.as_bytes()) {
                    return;
                }
            }
            panic!("the container ended without writing {text:?}");
        };
        timeout(DEADLINE, seen).await.expect("the container writes before the deadline");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // A test that fails unwinds through here; the engine's client is async, docker's own is not.
        let label = format!("label=io.tickmesh.test={}", self.test);
        let found = std::process::Command::new("docker").args(["ps", "-aq", "--filter", &label]).output();
        let ids = found.map(|found| String::from_utf8_lossy(&found.stdout).into_owned()).unwrap_or_default();
        for id in ids.split_whitespace() {
            let removed = std::process::Command::new("docker").args(["rm", "-f", "-v", id]).output();
            assert!(removed.is_ok_and(|removed| removed.status.success()), "cannot remove container {id}");
        }
    }
}

fn spec(command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        command: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        network_mode: Some("none".to_owned()),
        ..ContainerSpec::new(IMAGE)
    }
}

#[tokio::test]
async fn a_process_knows_whether_it_is_in_a_container() {
    let bench = Bench::new().await;
    let id = bench.run("cat /proc/self/mountinfo").await;
    bench.wait(&id).await.unwrap();
    let lines = bench.logs(&id).await;
    let mounts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.output)).collect();
    let mounts = mounts.concat();
    let name = format!("tickmesh-test.{}.job", bench.test);
    assert_eq!(bench.engine.container_of(&mounts).await.unwrap(), Some(name));
    bench.engine.remove(&id).await.unwrap();
    assert_eq!(bench.engine.container_of(&mounts).await.unwrap(), None, "a container of no or another engine");
    assert_eq!(bench.engine.own_container().await.unwrap(), None, "tests run on the host of their engine");
}

#[tokio::test]
async fn the_engine_says_what_it_offers() {
    let info = Bench::new().await.engine.describe().await.unwrap();
    assert!(!info.version.is_empty());
    assert!(info.cores >= 1);
    assert!(info.memory_bytes > 64 * 1024 * 1024);
}

#[tokio::test]
async fn exit_codes_and_times_come_through() {
    let bench = Bench::new().await;
    for (index, code) in [0, 3, 255].into_iter().enumerate() {
        // Of a process that ends at once the engine notes the end before the beginning, now and then.
        let request = bench.request(&index.to_string(), &format!("sleep 0.3; exit {code}"));
        let id = bench.engine.create(&request).await.unwrap();
        bench.engine.start(&id).await.unwrap();
        let exit = bench.wait(&id).await.unwrap();
        assert_eq!(exit.code, code);
        assert!(!exit.oom_killed);
        assert!(exit.started_at.unwrap() <= exit.finished_at.unwrap());
    }
}

#[tokio::test]
async fn the_container_gets_what_the_request_says() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "echo $GREETING; pwd; id -u; ls -d /cache /scratch; cat /host/f");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "from the host\n").unwrap();
    request.spec.working_dir = Some("/tmp".to_owned());
    request.spec.user = Some("1234:1234".to_owned());
    request.spec.memory_bytes = Some(64 * 1024 * 1024);
    request.spec.cpu_millis = Some(500);
    request.spec.volumes = vec![
        volume(VolumeSource::Anonymous, "/scratch"),
        volume(VolumeSource::Anonymous, "/cache"),
        volume(VolumeSource::HostPath(folder.path().display().to_string()), "/host"),
    ];
    let id = bench.engine.create(&request).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    let exit = bench.wait(&id).await.unwrap();
    let output: Vec<_> =
        bench.logs(&id).await.iter().map(|line| String::from_utf8_lossy(&line.output).into_owned()).collect();
    assert_eq!(output, ["hello world\n", "/tmp\n", "1234\n", "/cache\n", "/scratch\n", "from the host\n"]);
    assert_eq!(exit.code, 0);
}

fn unique() -> String {
    Nonce::from_random(rand::random()).to_string()
}

fn volume(source: VolumeSource, target: &str) -> Volume {
    Volume { source, target: target.to_owned(), read_only: false, options: MountOptions::default() }
}

#[tokio::test]
async fn a_container_that_has_run_is_never_run_again() {
    let bench = Bench::new().await;
    let id = bench.run("echo ran").await;
    bench.wait(&id).await.unwrap();
    assert!(matches!(bench.engine.start(&id).await, Err(Error::CouldNotStart { .. })));
    assert_eq!(bench.logs(&id).await.len(), 1, "it ran once");
}

#[tokio::test]
async fn starting_a_running_container_changes_nothing() {
    let bench = Bench::new().await;
    let id = bench.run("echo ran; sleep 60").await;
    bench.wait_for_output(&id, "ran").await;
    bench.engine.start(&id).await.unwrap();
    assert_eq!(bench.engine.inspect(&id).await.unwrap().status, ContainerStatus::Running);
}

#[tokio::test]
async fn a_missing_image_is_told_from_a_missing_container() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "true");
    request.spec.image = "tickmesh.invalid/no-such-image:1".to_owned();
    assert!(!bench.engine.image_present(&Image::of(&request.spec)).await.unwrap());
    assert!(matches!(bench.engine.create(&request).await, Err(Error::NoSuchImage { .. })));
    let nobody = ContainerId(format!("tickmesh-test.{}", bench.test));
    assert!(matches!(bench.engine.inspect(&nobody).await, Err(Error::NotFound { .. })));
    assert!(matches!(bench.engine.start(&nobody).await, Err(Error::NotFound { .. })));
    assert!(matches!(bench.wait(&nobody).await, Err(Error::NotFound { .. })));
}

/// One image has one name for all platforms, and an engine keeps one of them.
#[tokio::test]
async fn image_of_another_platform_is_not_there() {
    let bench = Bench::new().await;
    let own = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    for (platform, expect) in [(own, true), ("linux/s390x", false), ("windows/amd64", false)] {
        let image = Image { platform: Some(platform.to_owned()), ..IMAGE.into() };
        assert_eq!(bench.engine.image_present(&image).await.unwrap(), expect, "{platform}");
    }
    let mut request = bench.request("job", "true");
    request.spec.platform = Some("linux/s390x".to_owned());
    assert!(matches!(bench.engine.create(&request).await, Err(Error::NoSuchImage { .. })));
    request.spec.platform = Some(own.to_owned());
    let created = bench.engine.create(&request).await.unwrap();
    bench.engine.remove(&created).await.unwrap();
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_a_refusal_with_its_reason() {
    let bench = Bench::new().await;
    let progress = watch::Sender::default();
    let pulled = timeout(DEADLINE, bench.engine.pull(&"tickmesh.invalid/no-such-image:1".into(), &progress)).await;
    match pulled.expect("the pull ends before the deadline") {
        Err(Error::CouldNotStart { message, .. }) => assert!(!message.is_empty()),
        other => panic!("expected a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_taken_name_is_told_and_its_owner_found() {
    let bench = Bench::new().await;
    let id = bench.create("true").await;
    let request = bench.request("job", "true");
    assert!(matches!(bench.engine.create(&request).await, Err(Error::NameTaken { .. })));
    let found = bench.engine.find(&request.name).await.unwrap();
    assert_eq!((found.id, found.name), (id, request.name));
    assert_eq!(found.status, ContainerStatus::Created);
    assert_eq!(found.labels.get("io.tickmesh.test"), Some(&bench.test));
}

#[tokio::test]
async fn what_cannot_start_says_why_and_stays_created() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "true");
    request.spec.user = Some("nobody-of-that-name".to_owned());
    let id = bench.engine.create(&request).await.unwrap();
    match bench.engine.start(&id).await {
        Err(Error::CouldNotStart { message, .. }) => assert!(message.contains("nobody-of-that-name"), "{message}"),
        other => panic!("expected a refusal: {other:?}"),
    }
    assert_eq!(bench.engine.inspect(&id).await.unwrap().status, ContainerStatus::Created);
    bench.engine.remove(&id).await.unwrap();
}

#[tokio::test]
async fn another_container_that_is_missing_is_a_refusal() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "true");
    let other = format!("tickmesh-test.{}.db", bench.test);
    request.spec.network_mode = Some(format!("container:{other}"));
    let id = bench.engine.create(&request).await.unwrap();
    match bench.engine.start(&id).await {
        Err(Error::CouldNotStart { message, .. }) => assert!(message.contains(&other), "{message}"),
        unexpected => panic!("expected a refusal: {unexpected:?}"),
    }
    bench.engine.remove(&id).await.unwrap();
    assert!(matches!(bench.engine.start(&id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_an_exit_with_127() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "");
    request.spec.command = Some(vec!["no-such-command".to_owned()]);
    let id = bench.engine.create(&request).await.unwrap();
    // The init process exists, the command does not: a shell says 127 as well.
    bench.engine.start(&id).await.unwrap();
    assert_eq!(bench.wait(&id).await.unwrap().code, 127);
}

/// An image that says who it is: `echo entrypoint` by its entrypoint, `echo command` by its command.
struct BuiltImage {
    name: String,
}

impl BuiltImage {
    /// Without `entrypoint` the image has only its command.
    async fn new(bench: &Bench, entrypoint: Option<&str>) -> Self {
        let container = bench.create("true").await;
        let image = Self { name: format!("tickmesh-test-{}:1", bench.test) };
        let mut commit = std::process::Command::new("docker");
        commit.args(["commit", "--change", r#"CMD ["echo", "command"]"#]);
        let entrypoint = format!("ENTRYPOINT {}", entrypoint.unwrap_or("[]"));
        commit.args(["--change", &entrypoint, &container.0, &image.name]);
        let made = commit.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        bench.engine.remove(&container).await.unwrap();
        image
    }
}

impl Drop for BuiltImage {
    fn drop(&mut self) {
        // By force: after a failed test its container may be there still, and goes with the bench.
        let _ = std::process::Command::new("docker").args(["rmi", "-f", &self.name]).output();
    }
}

/// Asks for `entrypoint` and `command` on an image that has both, or only a command. Expected is the output, or the refusal.
async fn check_words(
    image_entrypoint: Option<&str>,
    entrypoint: Option<&[&str]>,
    command: Option<&[&str]>,
    expected: Result<&str, &str>,
) {
    let bench = Bench::new().await;
    let image = BuiltImage::new(&bench, image_entrypoint).await;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut request = bench.request("words", "");
    request.spec.image = image.name.clone();
    request.spec.entrypoint = entrypoint.map(words);
    request.spec.command = command.map(words);
    let found = match bench.engine.create(&request).await {
        Ok(id) => {
            bench.engine.start(&id).await.unwrap();
            bench.wait(&id).await.unwrap();
            let lines = bench.logs(&id).await;
            bench.engine.remove(&id).await.unwrap();
            Ok(lines.iter().map(|line| String::from_utf8_lossy(&line.output).into_owned()).collect::<String>())
        }
        Err(Error::CouldNotStart { message, .. }) => Err(message),
        Err(error) => panic!("{error:?}"),
    };
    let found = found.as_deref().map_err(String::as_str);
    assert_eq!(found, expected, "image {image_entrypoint:?}, entrypoint {entrypoint:?}, command {command:?}");
}

const BOTH: Option<&str> = Some(r#"["echo", "entrypoint"]"#);

#[tokio::test]
async fn words_that_are_not_given_are_the_images() {
    check_words(BOTH, None, None, Ok("entrypoint echo command\n")).await;
    check_words(BOTH, None, Some(&["mine"]), Ok("entrypoint mine\n")).await;
    check_words(BOTH, Some(&["echo", "mine"]), None, Ok("mine\n")).await;
}

#[tokio::test]
async fn an_empty_entrypoint_takes_the_images_away() {
    check_words(BOTH, Some(&[]), None, Ok("command\n")).await;
    check_words(BOTH, Some(&[]), Some(&["echo", "mine"]), Ok("mine\n")).await;
}

#[tokio::test]
async fn an_empty_command_takes_the_images_away() {
    check_words(BOTH, None, Some(&[]), Ok("entrypoint\n")).await;
    check_words(BOTH, Some(&["echo", "mine"]), Some(&[]), Ok("mine\n")).await;
}

#[tokio::test]
async fn without_any_word_there_is_nothing_to_run() {
    check_words(BOTH, Some(&[]), Some(&[]), Err("No command specified")).await;
    check_words(None, None, Some(&[]), Err("No command specified")).await;
}

#[tokio::test]
async fn init_passes_the_signal_on_to_a_process_without_a_handler() {
    let bench = Bench::new().await;
    let id = bench.run("echo up; exec sleep 60").await;
    bench.wait_for_output(&id, "up").await;
    let begun = Instant::now();
    bench.engine.stop(&id).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "the grace of 10 s was not needed: {:?}", begun.elapsed());
    assert_eq!(bench.wait(&id).await.unwrap().code, 143);
}

#[tokio::test]
async fn the_containers_own_stop_signal_is_used() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done");
    request.spec.stop_signal = Some("SIGUSR1".to_owned());
    let id = bench.engine.create(&request).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    bench.wait_for_output(&id, "up").await;
    bench.engine.stop(&id).await.unwrap();
    assert_eq!(bench.wait(&id).await.unwrap().code, 9);
}

#[tokio::test]
async fn a_process_that_ignores_the_signal_is_killed_after_its_grace() {
    let bench = Bench::new().await;
    let mut request = bench.request("job", "trap '' TERM; echo up; while :; do sleep 0.05; done");
    request.spec.stop_grace = Duration::from_secs(1);
    let id = bench.engine.create(&request).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    bench.wait_for_output(&id, "up").await;
    let begun = Instant::now();
    bench.engine.stop(&id).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "the grace was waited for: {:?}", begun.elapsed());
    assert_eq!(bench.wait(&id).await.unwrap().code, 137);
}

#[tokio::test]
async fn stopping_and_removing_what_is_gone_is_success() {
    let bench = Bench::new().await;
    let id = bench.run("true").await;
    bench.wait(&id).await.unwrap();
    bench.engine.stop(&id).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    bench.engine.stop(&id).await.unwrap();
    assert!(matches!(bench.engine.inspect(&id).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_wait_learns_that_the_container_was_removed_by_hand() {
    let bench = Bench::new().await;
    let id = bench.run("echo up; sleep 60").await;
    bench.wait_for_output(&id, "up").await;
    let (waited, removed) = tokio::join!(bench.wait(&id), async {
        // The wait is registered first: it is polled first, and inspects before it is told.
        tokio::task::yield_now().await;
        bench.engine.remove(&id).await
    });
    removed.unwrap();
    assert!(matches!(waited, Err(Error::NotFound { .. })), "{waited:?}");
}

#[tokio::test]
async fn output_comes_by_stream_with_its_instants() {
    let bench = Bench::new().await;
    let id = bench.run("echo out; echo err >&2; printf 'no newline'").await;
    bench.wait(&id).await.unwrap();
    let lines = bench.logs(&id).await;
    let of = |stream| {
        let wanted = lines.iter().filter(|line| line.stream == stream);
        wanted.map(|line| String::from_utf8_lossy(&line.output).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(LogStream::Stdout), ["out\n", "no newline"]);
    assert_eq!(of(LogStream::Stderr), ["err\n"]);
}

#[tokio::test]
async fn output_is_read_from_an_instant_on_and_backwards() {
    let bench = Bench::new().await;
    let id = bench.run("for i in 1 2 3 4 5; do echo $i; done").await;
    bench.wait(&id).await.unwrap();
    let all = bench.logs(&id).await;
    assert_eq!(all.len(), 5);
    let from = Some(all[2].at);
    assert_eq!(bench.excerpt(&id, Excerpt::Follow { from }).await, all[2..]);
    assert_eq!(bench.excerpt(&id, Excerpt::Stored { from }).await, all[2..]);
    assert_eq!(bench.excerpt(&id, Excerpt::Last { lines: 2 }).await, all[3..]);
}

/// The engine's default driver replaces what is not UTF-8.
#[tokio::test]
async fn every_byte_comes_through() {
    let bench = Bench::new().await;
    let bytes = "for i in 0 1 2 3; do for j in 0 1 2 3 4 5 6 7; do for k in 0 1 2 3 4 5 6 7; do printf \\\\$i$j$k; done; done; done";
    let id = bench.run(&format!("{bytes}; {bytes} >&2; head -c 300000 /dev/zero")).await;
    bench.wait(&id).await.unwrap();
    let lines = bench.logs(&id).await;
    let of = |stream| lines.iter().filter(move |line| line.stream == stream).flat_map(|line| line.output.to_vec());
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(of(LogStream::Stderr).collect::<Vec<_>>(), all);
    assert_eq!(of(LogStream::Stdout).collect::<Vec<_>>(), [all, vec![0; 300_000]].concat());
}

#[tokio::test]
async fn a_list_has_exactly_what_carries_every_label() {
    let bench = Bench::new().await;
    let mine = bench.create("true").await;
    let mut other = bench.request("other", "true");
    other.labels.insert("io.tickmesh.kind".to_owned(), "other".to_owned());
    bench.engine.create(&other).await.unwrap();
    let ids = |views: Vec<_>| {
        views.into_iter().map(|view: tickmesh_agent::engine::ContainerView| view.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(bench.engine.list(&bench.filter()).await.unwrap()).len(), 2);
    let mut narrow = bench.filter();
    narrow.insert("io.tickmesh.kind".to_owned(), "other".to_owned());
    let found = ids(bench.engine.list(&narrow).await.unwrap());
    assert_eq!(found.len(), 1);
    assert_ne!(found[0], mine);
}

#[tokio::test]
async fn what_has_not_ended_is_listed_as_it_is_looked_at() {
    let bench = Bench::new().await;
    let create = async |name, script| bench.engine.create(&bench.request(name, script)).await.unwrap();
    let (ended, created) = (create("ended", "exit 3").await, create("created", "true").await);
    let running = create("running", "sleep 600").await;
    bench.engine.start(&ended).await.unwrap();
    bench.wait(&ended).await.unwrap();
    bench.engine.start(&running).await.unwrap();
    let mut listed = bench.engine.list_unended(&bench.filter()).await.unwrap();
    let mut looked_at = Vec::new();
    for id in [&created, &running] {
        // Whose the labels are, only a list finds out.
        looked_at.push(ContainerView { labels_are_own: true, ..bench.engine.inspect(id).await.unwrap() });
    }
    listed.sort_by_key(|view| view.id.clone());
    looked_at.sort_by_key(|view| view.id.clone());
    assert_eq!(listed, looked_at);
    assert!(bench.engine.kill(&running).await.unwrap());
    bench.wait(&running).await.unwrap();
    assert!(!bench.engine.kill(&running).await.unwrap() && !bench.engine.kill(&created).await.unwrap());
    assert_eq!(bench.engine.list_unended(&bench.filter()).await.unwrap().len(), 1);
}

fn docker(arguments: &[&str]) -> String {
    let done = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(done.status.success(), "docker {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Labels are a container's own, whatever it is called; those of an image that was made from it are not.
#[tokio::test]
async fn labels_are_told_from_those_of_an_image() {
    let bench = Bench::new().await;
    let first = bench.run("sleep 60").await;
    docker(&["rename", &first.0, &format!("tickmesh-test.{}.by-hand", bench.test)]);
    let image = BuiltImage { name: docker(&["commit", "--pause=false", &first.0]) };
    docker(&["run", "-d", "--network", "none", &image.name, "sleep", "60"]);
    for listed in [bench.engine.list(&bench.filter()).await, bench.engine.list_unended(&bench.filter()).await] {
        let mut found: Vec<_> = listed.unwrap().into_iter().map(|it| (it.id == first, it.labels_are_own)).collect();
        found.sort();
        assert_eq!(found, [(false, false), (true, true)]);
    }
    drop(bench);
    drop(image);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/no.sock", folder.path().display());
    let connected = Docker::connect_to(&host).await;
    assert!(matches!(connected, Err(Error::Unavailable { .. })), "{connected:?}");
}
