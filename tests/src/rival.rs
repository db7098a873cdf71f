//! Another way to have many containers run once on a Docker engine: a replicated job of a Swarm, beside a run of as many replicas and as
//! many bare containers, on one engine that is nobody else's, with the network that every host's containers get.

use std::{collections::HashMap, path::Path, process::Command, time::Duration};

use bollard::{
    Docker,
    models::{
        ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicatedJob, TaskSpec, TaskSpecContainerSpec,
        TaskSpecRestartPolicy, TaskSpecRestartPolicyConditionEnum, TaskState,
    },
    query_parameters::ListTasksOptionsBuilder,
};
use futures_util::{StreamExt as _, stream};
use tickmesh_core::timing::Timing;
use tickmesh_messaging::Start;
use tickmesh_testkit::dockerd::Dockerd;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    World,
    capacity::{Bare, compose_kept, median, slots_by_default},
    children::{Agent, Slots},
    world::PATIENCE,
};

/// Pause between two looks at the tasks of a job: a twentieth of what one takes.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// The Swarm goes on cleaning up after a job that was removed, and should not do so beside the next one.
const SETTLING: Duration = Duration::from_secs(1);
const AGENT: &str = "host-1";
const APP: &str = "job";

/// How long each takes, medians: from when it is asked for through an API until whoever asked can see that all containers have exited.
/// None removes them.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// Create, start and wait, through the bare API, as many at once as an agent has slots.
    pub bare: Duration,
    /// The Swarm's replicated job.
    pub swarm: Duration,
    /// The run.
    pub mesh: Duration,
}

impl Beside {
    /// How many times as fast as the Swarm the run is.
    pub fn times(&self) -> f64 {
        self.swarm.div_duration_f64(self.mesh)
    }
}

/// One of the three ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Bare,
    Swarm,
    Mesh,
}

/// Measures them in alternation, each round in another order. It takes root.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, replicas: usize, rounds: usize) -> Beside {
    let engine = tokio::task::block_in_place(Dockerd::start_with_bridge);
    engine.init_swarm();
    let api = Docker::connect_with_host(&engine.host()).expect("an address");
    let api = api.negotiate_version().await.expect("the engine answers");
    let mut world = World::new().await;
    world.timing = Timing::default();
    let scheduler = world.scheduler().await;
    let docker = Some(engine.host());
    let agent = Agent { docker, slots: Slots::Default, is_production: true, ..Agent::new(AGENT) }.start(fleet, &world);
    world.wait_for_agent(AGENT).await;
    world.apply(APP, &compose_kept("'true'", replicas)).await;
    let mut ways = [Way::Bare, Way::Swarm, Way::Mesh];
    let (mut bare, mut swarm, mut mesh) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        for way in ways {
            match way {
                Way::Bare => bare.push(bare_containers(&api, replicas).await),
                Way::Swarm => swarm.push(replicated_job(&api, &format!("job-{round}"), replicas).await),
                Way::Mesh => mesh.push(run(&world).await),
            }
            remove_exited(&engine);
        }
        ways.rotate_left(1);
    }
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    Beside { bare: median(bare), swarm: median(swarm), mesh: median(mesh) }
}

async fn run(world: &World) -> Duration {
    let mut history = world.mesh.history().follow(None, Start::New).await.expect("follow the history");
    let begun = Instant::now();
    world.run(APP).await;
    let run = timeout(PATIENCE, history.next()).await.expect("the run ends").expect("an entry");
    let took = begun.elapsed();
    assert!(run.expect("readable").value.outcome.is_success());
    took
}

async fn bare_containers(api: &Docker, count: usize) -> Duration {
    let begun = Instant::now();
    let until_end = async |_| Bare::start(api, None).await.end().await;
    let all = stream::iter(0..count).for_each_concurrent(slots_by_default(), until_end);
    timeout(PATIENCE, all).await.expect("the containers end");
    begun.elapsed()
}

/// The job is removed afterwards, its containers stay.
async fn replicated_job(api: &Docker, name: &str, replicas: usize) -> Duration {
    let begun = Instant::now();
    let service = api.create_service(job(name, replicas), None).await.expect("create a service");
    timeout(PATIENCE, async {
        while completed(api, name).await < replicas {
            sleep(LOOK_PAUSE).await;
        }
    })
    .await
    .expect("the job ends");
    let took = begun.elapsed();
    api.delete_service(service.id.as_deref().unwrap_or(name)).await.expect("remove the service");
    sleep(SETTLING).await;
    took
}

/// What tickmesh gives its containers by default, too.
fn job(name: &str, replicas: usize) -> ServiceSpec {
    let container = TaskSpecContainerSpec {
        image: Some("busybox".to_owned()),
        command: Some(vec!["true".to_owned()]),
        init: Some(true),
        ..TaskSpecContainerSpec::default()
    };
    let once = TaskSpecRestartPolicy {
        condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
        ..TaskSpecRestartPolicy::default()
    };
    let count = Some(replicas as i64);
    let all = ServiceSpecModeReplicatedJob { max_concurrent: count, total_completions: count };
    ServiceSpec {
        name: Some(name.to_owned()),
        mode: Some(ServiceSpecMode { replicated_job: Some(all), ..ServiceSpecMode::default() }),
        task_template: Some(TaskSpec {
            container_spec: Some(container),
            restart_policy: Some(once),
            ..TaskSpec::default()
        }),
        ..ServiceSpec::default()
    }
}

fn remove_exited(engine: &Dockerd) {
    let prune = ["-H", &engine.host(), "container", "prune", "--force"];
    let done = tokio::task::block_in_place(|| Command::new("docker").args(prune).output()).expect("run docker");
    assert!(done.status.success(), "docker {prune:?}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn completed(api: &Docker, service: &str) -> usize {
    let filters = HashMap::from([("service", vec![service])]);
    let tasks = api.list_tasks(Some(ListTasksOptionsBuilder::default().filters(&filters).build())).await;
    let states = tasks.expect("list tasks").into_iter().filter_map(|task| task.status?.state);
    states.filter(|state| *state == TaskState::COMPLETE).count()
}
