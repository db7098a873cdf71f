//! Three agents on real Docker: one whose engine answers nobody any more, one that allows nothing, and a good one. Nothing waits
//! for the first, and nothing fails because of the second. Judged by the engine's containers and the jobs' own journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use tickmesh_agent::{engine::docker::Docker, policy::HostPolicy};
use tickmesh_core::{
    history::RunSummary,
    id::RunToken,
    ledger::{Ledger, ReplicaState},
    message::{AgentRecord, AttemptEvent},
    name::AgentName,
    outcome::Outcome,
};
use tickmesh_tests::{Journal, World, containers, until, world::PATIENCE};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

/// How long an engine may be silent here.
const NO_ENGINE: Duration = Duration::from_secs(3);
/// By then what was claimed on the sick host runs elsewhere: the silence, a heartbeat and a probe, and the ten seconds that are
/// promised.
const ELSEWHERE: Duration = Duration::from_secs(15);
/// Replicas of each run: more than the agents, so that each agent that may gets some.
const SCALE: usize = 6;

/// A socket that passes everything on to the engine, until it answers nobody any more.
struct Socket {
    path: PathBuf,
    answers: watch::Sender<bool>,
    _acceptor: AbortOnDropHandle<()>,
}

impl Socket {
    fn before_engine(world: &World) -> Self {
        let path = world.journal.folder().join("engine.sock");
        let listener = UnixListener::bind(&path).expect("listen on a socket");
        let (answers, watched) = watch::channel(true);
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, watched.clone()));
            }
        });
        Self { path, answers, _acceptor: AbortOnDropHandle::new(acceptor) }
    }
}

/// Passes everything on while the engine answers. After that the connection stays open and nothing comes, until the engine
/// answers again: then whoever asked has given up, or hears that nobody is there.
async fn pass(mut client: UnixStream, mut answers: watch::Receiver<bool>) {
    if *answers.borrow() {
        let passing = async {
            if let Ok(mut engine) = UnixStream::connect("/var/run/docker.sock").await {
                let _ = copy_bidirectional(&mut client, &mut engine).await;
            }
        };
        tokio::select! {
            () = passing => return,
            _ = answers.wait_for(|answers| !answers) => {}
        }
    }
    let _ = answers.wait_for(|answers| *answers).await;
}

/// An app by hand whose jobs need the journal, and write its name there, or need nothing.
fn compose(world: &World, name: &str, mounts: bool) -> String {
    let volumes = if mounts { format!("    volumes: [\"{}\"]\n", world.journal.volume()) } else { String::new() };
    let script = if mounts { Journal::write(name).replace('$', "$$") } else { "exit 0".to_owned() };
    format!(
        "labels: {{aliyun.project_type: batch}}\nservices:\n  s:\n    image: busybox\n    network_mode: none\n    entrypoint: [sh, -c]\n    command: ['{script}']\n\
         {volumes}    labels: {{tickmesh.scale: {SCALE}, tickmesh.retry_count: 0, tickmesh.remove_containers: remove-none}}\n"
    )
}

/// The agents whose containers the engine has, by app.
async fn hosts_of(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for container in world.containers().await {
        let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
        hosts.entry(label("io.tickmesh.app")).or_default().insert(label("io.tickmesh.agent"));
    }
    hosts
}

async fn record_of(world: &World, agent: &str) -> AgentRecord {
    world.mesh.agents().read(agent).await.expect("read the agent").expect("the agent is known").value
}

fn ran(summary: &RunSummary) -> Duration {
    Duration::try_from(summary.finished_at.duration_since(summary.started_at)).expect("it ended after it began")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_dead_engine_or_fails_because_of_a_strict_host() {
    let world = World::new().await;
    let socket = Socket::before_engine(&world);
    let scheduler = world.scheduler().await;
    let config = |name: &str| {
        let mut config = world.agent_config(name);
        config.timing.no_engine = NO_ENGINE;
        config
    };
    let engine = Docker::connect_to(&format!("unix://{}", socket.path.display())).await.expect("connect by the socket");
    let sick = world.agent_with(config("sick"), engine).await;
    let mut strict_config = config("strict");
    strict_config.policy = HostPolicy::default();
    let docker = || async { Docker::connect().await.expect("the Docker engine answers") };
    let strict = world.agent_with(strict_config, docker().await).await;
    let good = world.agent_with(config("good"), docker().await).await;
    for name in ["sick", "strict", "good"] {
        world.wait_for_agent(name).await;
    }
    let apps = [("mount1", true), ("mount2", true), ("free1", false), ("free2", false)];
    for (name, mounts) in apps {
        world.apply(name, &compose(&world, name, mounts)).await;
    }

    socket.answers.send_replace(false);
    let silenced = Instant::now();
    for (name, _) in apps {
        world.run(name).await;
    }
    let mut returned = 0;
    for (name, _) in apps {
        let run = world.history_of(name, 1).await.remove(0);
        assert_eq!(run.outcome, Outcome::Succeeded, "{run:?}");
        assert!(ran(&run) <= ELSEWHERE, "{name} took {:?}", ran(&run));
        returned += returned_of(&world, &run).await;
    }
    println!("all runs had ended {:?} after the engine fell silent", silenced.elapsed());
    let trouble = record_of(&world, "sick").await.engine_trouble.expect("the heartbeat says so");
    assert!(trouble.lasting, "{trouble:?}");
    println!("{returned} attempts were given back");
    assert!(returned > 0, "something was claimed there, and given back");

    // Those who come later do not even look at it.
    for (name, _) in apps {
        world.run(name).await;
    }
    for (name, mounts) in apps {
        let run = world.history_of(name, 2).await.pop().expect("two runs");
        assert_eq!(run.outcome, Outcome::Succeeded, "{run:?}");
        let hosts: BTreeSet<&str> =
            run.replicas.iter().filter_map(|it| it.agent.as_ref()).map(AgentName::as_str).collect();
        let expected: BTreeSet<&str> = if mounts { ["good"].into() } else { ["good", "strict"].into() };
        assert_eq!(hosts, expected, "{name}");
        assert!(run.replicas.iter().all(|replica| replica.attempts == 1), "{run:?}");
    }
    // The engine itself says the same of all of them.
    let hosts = hosts_of(&world).await;
    assert_eq!(hosts["mount1"], ["good".to_owned()].into());
    assert_eq!(hosts["free1"], ["good", "strict"].map(str::to_owned).into());
    for name in ["mount1", "mount2"] {
        let lines = world.journal.with(name);
        let replicas: BTreeSet<_> = lines.iter().map(|line| (line.run, line.replica)).collect();
        assert_eq!((lines.len(), replicas.len()), (2 * SCALE, 2 * SCALE), "each replica of both runs ran once");
    }

    // It takes work again once its engine answers.
    socket.answers.send_replace(true);
    until("an engine that answers again", PATIENCE, || async {
        record_of(&world, "sick").await.engine_trouble.is_none().then_some(())
    })
    .await;
    world.run("free1").await;
    let run = world.history_of("free1", 3).await.pop().expect("three runs");
    assert!(run.replicas.iter().any(|it| it.agent.as_ref().is_some_and(|agent| agent.as_str() == "sick")), "{run:?}");
    for part in [scheduler, sick, strict, good] {
        part.stop().await;
    }
    containers::remove_all(&world.docker, world.mesh_id).await;
}

/// Attempts of a run that were given back.
async fn returned_of(world: &World, run: &RunSummary) -> usize {
    let reports =
        world.mesh.results().of_run(&run.app, RunToken::new(run.run, run.uid)).await.expect("read the results");
    reports.entries.iter().filter(|report| matches!(report.value.event, AttemptEvent::Returned { .. })).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_no_host_allows_waits_for_one_that_does() {
    let world = World::new().await;
    let (scheduler, strict) = (world.scheduler().await, world.agent("strict").await);
    world.wait_for_agent("strict").await;
    let file = compose(&world, "whole", true).replace("    image:", "    cap_add: [SYS_NICE]\n    image:");
    world.apply("whole", &file).await;
    world.run("whole").await;
    let waits = |ledger: &Ledger| {
        let run = ledger.active.first()?;
        run.replicas().all(|(_, _, it)| matches!(it.state, ReplicaState::Pending { .. })).then_some(())
    };
    world.ledger_when("whole", "a run that waits", waits).await;
    let mut config = world.agent_config("allows");
    config.policy.capabilities = ["SYS_NICE".to_owned()].into();
    let allows = world.agent_with(config, Docker::connect().await.expect("the Docker engine answers")).await;
    let run = world.history_of("whole", 1).await.remove(0);
    assert_eq!(run.outcome, Outcome::Succeeded);
    let only = AgentName::new("allows").expect("a name");
    assert!(run.replicas.iter().all(|replica| replica.agent.as_ref() == Some(&only)), "{run:?}");
    for part in [scheduler, strict, allows] {
        part.stop().await;
    }
    containers::remove_all(&world.docker, world.mesh_id).await;
}
