//! Plays one fault: an agent, a job of one container, and what goes wrong with it.

use std::time::Duration;

use rustix::process::Signal;
use tickmesh_agent::{
    engine::{ContainerEngine as _, ContainerId, ContainerStatus, docker::Docker},
    labels::Owner,
};
use tickmesh_core::{
    id::AttemptId,
    message::AttemptEvent,
    name::{AgentName, ServiceName},
};
use tickmesh_testkit::dockerd::Dockerd;
use tokio::time::{Instant, sleep};

use super::{Fault, Measured};
use crate::{
    World,
    wait::until,
    world::{PATIENCE, app},
};

const AGENT: &str = "host-1";
/// Long enough for an agent to see the fault, and for the job to end meanwhile.
const LASTS_AT_LEAST: Duration = Duration::from_secs(4);
/// Retries where the fault is over after some of them.
const RETRIES_OF_FULL_DISK: u32 = 20;

const COMPOSE: &str = "\
labels:
  aliyun.project_type: batch
services:
  s1:
    image: IMAGE
    network_mode: none
    mem_limit: 8m
    labels:
      tickmesh.retry_count: 'RETRIES'
      tickmesh.retry_backoff: 1s,1,1s
      tickmesh.remove_containers: remove-all
    command: COMMAND
";

/// The parts.
struct Stage {
    world: World,
    /// The engine that the agent uses.
    engine: Docker,
    /// It, if it is the test's own.
    own: Option<Dockerd>,
}

/// Plays a fault, which lasts for `lasts` if it is one that ends.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn play(fault: Fault, lasts: Duration) -> Measured {
    let start = if fault == Fault::DiskFull { Dockerd::start_on_small_disk } else { Dockerd::start };
    let own = fault.is_of_engine().then(|| tokio::task::block_in_place(start));
    let engine = match &own {
        Some(own) => Docker::connect_to(&own.host()).await,
        None => Docker::connect().await,
    };
    let mut stage = Stage { world: World::new().await, engine: engine.expect("the engine answers"), own };
    let scheduler = stage.world.scheduler().await;
    let agent = stage.world.agent_with(stage.world.agent_config(AGENT), stage.engine.clone()).await;
    stage.world.wait_for_agent(AGENT).await;
    stage.world.apply("job", &compose(fault)).await;
    let well = befall(&mut stage, fault, lasts.max(LASTS_AT_LEAST)).await;
    let (first, run) = tokio::join!(stage.end_of_first(), stage.world.history_of("job", 1));
    let (first, ended_at) = first;
    let known_at = if fault == Fault::DiskFull { Instant::now() } else { ended_at };
    let measured = Measured {
        first,
        run: run[0].outcome.clone(),
        attempts: run[0].replicas[0].attempts,
        known_after: known_at.saturating_duration_since(well),
    };
    // Before their engine goes: containers are removed after their end is told.
    until("no container", PATIENCE, || async { stage.container().await.is_none().then_some(()) }).await;
    agent.stop().await;
    scheduler.stop().await;
    measured
}

fn compose(fault: Fault) -> String {
    let image = if fault == Fault::ImageMissing { "127.0.0.1:9/nobody/has-this:1" } else { "busybox" };
    let retries = if fault == Fault::DiskFull { RETRIES_OF_FULL_DISK } else { 0 };
    let command = match fault.command() {
        Some(script) => format!("[sh, -c, '{script}']"),
        None => "no-such-command".to_owned(),
    };
    COMPOSE.replace("IMAGE", image).replace("RETRIES", &retries.to_string()).replace("COMMAND", &command)
}

/// Starts the job and lets the fault happen. Returns when everything is well again.
async fn befall(stage: &mut Stage, fault: Fault, lasts: Duration) -> Instant {
    if fault == Fault::DiskFull {
        stage.own().fill_disk();
    }
    stage.world.run("job").await;
    match fault {
        Fault::EngineRestarted => stage.restart(Signal::TERM).await,
        Fault::EngineKilled => stage.restart(Signal::KILL).await,
        Fault::EngineFrozen => {
            stage.running().await;
            stage.own().signal(Signal::STOP);
            sleep(lasts).await;
            stage.own().signal(Signal::CONT);
        }
        Fault::SocketGone => {
            stage.running().await;
            stage.own().hide_socket();
            sleep(lasts).await;
            stage.own().show_socket();
        }
        Fault::DiskFull => {
            stage.end_of_first().await;
            stage.own().empty_disk();
        }
        Fault::ImageMissing | Fault::BadCommand | Fault::OutOfMemory => {}
        Fault::RemovedByHand => {
            let container = stage.running().await;
            stage.engine.remove(&container).await.expect("remove the container");
        }
        Fault::KilledByHand => {
            let container = stage.running().await;
            stage.engine.kill(&container).await.expect("kill the container");
        }
    }
    Instant::now()
}

impl Stage {
    fn own(&self) -> &Dockerd {
        self.own.as_ref().expect("an engine of the test's own")
    }

    async fn restart(&mut self, signal: Signal) {
        self.running().await;
        let own = self.own.as_mut().expect("an engine of the test's own");
        tokio::task::block_in_place(|| own.restart_with(signal));
    }

    /// The container, once it runs.
    async fn running(&self) -> ContainerId {
        until("the container to run", PATIENCE, || async {
            let (id, status) = self.container().await?;
            (status == ContainerStatus::Running).then_some(id)
        })
        .await
    }

    async fn container(&self) -> Option<(ContainerId, ContainerStatus)> {
        let owner = Owner {
            mesh: self.world.mesh_id,
            namespace: self.world.namespace().clone(),
            agent: AgentName::new(AGENT).expect("an agent name"),
        };
        let listed = self.engine.list(&owner.filter()).await.expect("list containers");
        listed.into_iter().next().map(|container| (container.id, container.status))
    }

    /// How the first attempt ended, and when that was seen.
    async fn end_of_first(&self) -> (AttemptEvent, Instant) {
        let agent = AgentName::new(AGENT).expect("an agent name");
        until("the end of the first attempt", PATIENCE, || async {
            let attempt = self.first().await?;
            let last = self.world.mesh.results().last_of(&attempt, &agent).await.expect("read the results");
            let event = last.map(|entry| entry.value.event).filter(AttemptEvent::is_terminal)?;
            Some((event, Instant::now()))
        })
        .await
    }

    async fn first(&self) -> Option<AttemptId> {
        let ledger = self.world.ledger("job").await?;
        let active = ledger.active.first().map(|run| (run.number, run.uid));
        let (run, uid) = match active {
            Some(active) => active,
            None => self.world.history("job").await.first().map(|run| (run.run, run.uid))?,
        };
        let service = ServiceName::new("s1").expect("a service name");
        Some(AttemptId { app: app("job"), run, uid, service, replica: 0, attempt: 1 })
    }
}
