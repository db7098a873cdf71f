//! Another way to have many containers run once on a Docker engine: a replicated job of a Swarm, beside a run of as many replicas, on one
//! engine that is nobody else's.

use std::{collections::HashMap, path::Path, process::Command, time::Duration};

use bollard::{Docker, models::TaskState, query_parameters::ListTasksOptionsBuilder};
use futures_util::StreamExt as _;
use tickmesh_messaging::Start;
use tickmesh_testkit::dockerd::Dockerd;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    World,
    capacity::{compose, median},
    children::Agent,
    world::PATIENCE,
};

/// Pause between two looks at the tasks of a job.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
const AGENT: &str = "host-1";
const APP: &str = "job";

/// How long both take, medians: from when it is asked for until whoever asked can see that all containers have exited.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// The Swarm's replicated job.
    pub swarm: Duration,
    /// The run.
    pub mesh: Duration,
}

impl Beside {
    /// How many times as fast the run is.
    pub fn times(&self) -> f64 {
        self.swarm.div_duration_f64(self.mesh)
    }
}

/// Measures both in alternation. It takes root.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, replicas: usize, rounds: usize) -> Beside {
    let engine = tokio::task::block_in_place(Dockerd::start);
    engine.init_swarm();
    let api = Docker::connect_with_host(&engine.host()).expect("an address");
    let api = api.negotiate_version().await.expect("the engine answers");
    let world = World::new().await;
    let scheduler = world.scheduler().await;
    let agent = Agent { docker: Some(engine.host()), ..Agent::new(AGENT) }.start(fleet, &world);
    world.wait_for_agent(AGENT).await;
    // As the Swarm does it.
    let kept = compose("'true'", replicas).replace("remove-all", "remove-none");
    world.apply(APP, &kept).await;
    let mut history = world.mesh.history().follow(None, Start::New).await.expect("follow the history");
    let (mut swarm, mut mesh) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        swarm.push(replicated_job(&engine, &api, &format!("job-{round}"), replicas).await);
        let begun = Instant::now();
        world.run(APP).await;
        let run = timeout(PATIENCE, history.next()).await.expect("the run ends").expect("an entry");
        mesh.push(begun.elapsed());
        assert!(run.expect("readable").value.outcome.is_success());
        remove_exited(&engine);
    }
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    Beside { swarm: median(swarm), mesh: median(mesh) }
}

/// A job as somebody at a terminal would ask for it. It is removed afterwards.
async fn replicated_job(engine: &Dockerd, api: &Docker, name: &str, replicas: usize) -> Duration {
    let count = replicas.to_string();
    let begun = Instant::now();
    let job = ["service", "create", "--detach", "--mode", "replicated-job", "--replicas", &count];
    // What tickmesh gives its containers by default.
    let same = ["--init", "--restart-condition", "none", "--name", name, "busybox", "true"];
    docker(engine, &[&job[..], &same].concat());
    timeout(PATIENCE, async {
        while completed(api, name).await < replicas {
            sleep(LOOK_PAUSE).await;
        }
    })
    .await
    .expect("the job ends");
    let took = begun.elapsed();
    docker(engine, &["service", "rm", name]);
    remove_exited(engine);
    took
}

/// The containers of both stay.
fn remove_exited(engine: &Dockerd) {
    docker(engine, &["container", "prune", "--force"]);
}

fn docker(engine: &Dockerd, arguments: &[&str]) {
    let done = Command::new("docker").args(["-H", &engine.host()]).args(arguments).output().expect("run docker");
    assert!(done.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn completed(api: &Docker, service: &str) -> usize {
    let filters = HashMap::from([("service", vec![service])]);
    let tasks = api.list_tasks(Some(ListTasksOptionsBuilder::default().filters(&filters).build())).await;
    let states = tasks.expect("list tasks").into_iter().filter_map(|task| task.status?.state);
    states.filter(|state| *state == TaskState::COMPLETE).count()
}
