//! Plays one cell: a job on the host that will fail, another host that could take it over, and the fault.

use std::{net::SocketAddr, path::Path, time::Duration};

use jiff::Timestamp;
use rustix::process::Signal;
use tickmesh_testkit::{dockerd::Dockerd, proxy::Proxy};
use tokio::time::{Instant, sleep};

use super::{Back, Cell, Fault, Measured, sightings::Sightings, speed};
use crate::{
    Child, World,
    children::{Agent, signal_guard},
    wait::until,
    world::{PATIENCE, app},
};

/// The job, at the speed of the test: longer than a loss takes (60 s at that of production).
const JOB_SECONDS: u32 = 15;
/// How often a crash loop crashes: after the agent has begun to look for the mesh.
const CRASH_PERIOD: Duration = Duration::from_millis(700);
/// How long an engine that is not back before the run has ended stands still: then it must be, for the run waits for it.
const FROZEN_FOR_EVER: Duration = Duration::from_secs(20);

const COMPOSE: &str = "\
labels:
  aliyun.project_type: batch
services:
  s1:
    image: busybox
    network_mode: none
    command: sleep SECONDS
";

/// The hosts.
struct Stage<'a> {
    world: World,
    fleet: &'a Path,
    /// Between the mesh and the host that fails.
    network: Proxy,
    /// That host's own engine, where it is what fails.
    engine: Option<Dockerd>,
}

impl Stage<'_> {
    /// An agent on the host that fails.
    fn start_victim(&self) -> Child {
        let nats = Some(format!("nats://{}", self.network.address()));
        let docker = self.engine.as_ref().map(Dockerd::host);
        Agent { nats, docker, ..Agent::new("victim") }.start(self.fleet, &self.world)
    }
}

/// Plays a cell. `fleet` is the binary of that name.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn play(fleet: &Path, cell: Cell) -> Measured {
    let world = World::new().await;
    let server: SocketAddr = world.server.url().trim_start_matches("nats://").parse().expect("the server's address");
    let engine = (cell.fault == Fault::EngineFrozen).then(|| tokio::task::block_in_place(Dockerd::start));
    let stage = Stage { network: Proxy::to(server).await, world, fleet, engine };
    let mut sightings = Sightings::default();
    sightings.watch(stage.world.docker.clone(), stage.world.mesh_id);
    if let Some(engine) = &stage.engine {
        let docker = bollard::Docker::connect_with_host(&engine.host()).expect("connect to the test's own engine");
        sightings.watch(docker, stage.world.mesh_id);
    }
    let scheduler = stage.world.scheduler().await;
    let victim = stage.start_victim();
    stage.world.wait_for_agent("victim").await;
    stage.world.apply("job", &COMPOSE.replace("SECONDS", &JOB_SECONDS.to_string())).await;
    stage.world.run("job").await;
    until("the first container", PATIENCE, || async { sightings.any().then_some(()) }).await;
    let spare = Agent::new("spare").start(fleet, &stage.world);
    stage.world.wait_for_agent("spare").await;

    let (begun, begun_at) = (Instant::now(), Timestamp::now());
    let survivor = befall(&stage, cell, victim).await;
    let history = stage.world.history_of("job", 1).await;
    let ended_after = begun.elapsed();
    let run = &history[0];
    let measured = Measured {
        overlap: sightings.longest_overlap(),
        outcome: run.outcome.clone(),
        attempts: run.replicas[0].attempts,
        containers: sightings.count(),
        first_ended_after: sightings.first_end().and_then(|end| Duration::try_from(end.duration_since(begun_at)).ok()),
        ended_after,
    };
    if let Some(survivor) = survivor {
        // It may stand still; and its guard, left alone, would look for ever for an engine that is gone with this test.
        survivor.signal(Signal::CONT);
        survivor.terminate(PATIENCE).await;
    }
    spare.terminate(PATIENCE).await;
    scheduler.stop().await;
    measured
}

/// Lets the fault happen, and be over. Returns the agent that is there then.
async fn befall(stage: &Stage<'_>, cell: Cell, victim: Child) -> Option<Child> {
    match cell.fault {
        Fault::AgentKilled => {
            victim.kill();
            come_back(stage, cell.back).await
        }
        Fault::AgentStopped => {
            victim.signal(Signal::STOP);
            if lasts(cell.back, stage).await {
                victim.signal(Signal::CONT);
            }
            Some(victim)
        }
        Fault::CrashLoopInPartition => {
            stage.network.cut();
            let mut agent = victim;
            let end = tokio::time::timeout(duration(cell.back), run_ended(stage));
            tokio::pin!(end);
            loop {
                agent.kill();
                agent = stage.start_victim();
                tokio::select! {
                    _ = &mut end => break,
                    () = sleep(CRASH_PERIOD) => {}
                }
            }
            stage.network.mend();
            Some(agent)
        }
        Fault::AgentTerminated => {
            victim.terminate(PATIENCE).await;
            come_back(stage, cell.back).await
        }
        Fault::AgentAndGuardKilled => {
            signal_guard(&stage.world, "victim", Signal::KILL);
            victim.kill();
            come_back(stage, cell.back).await
        }
        Fault::EngineFrozen => {
            let engine = stage.engine.as_ref().expect("an engine of its own");
            engine.signal(Signal::STOP);
            sleep(if cell.back == Back::Never { FROZEN_FOR_EVER } else { duration(cell.back) }).await;
            engine.signal(Signal::CONT);
            Some(victim)
        }
        Fault::NetworkCut => {
            stage.network.cut();
            if lasts(cell.back, stage).await {
                stage.network.mend();
            }
            Some(victim)
        }
    }
}

async fn come_back(stage: &Stage<'_>, back: Back) -> Option<Child> {
    lasts(back, stage).await.then(|| stage.start_victim())
}

/// Waits until it is over; `false`: it is not, and the run has ended.
async fn lasts(back: Back, stage: &Stage<'_>) -> bool {
    tokio::time::timeout(duration(back), run_ended(stage)).await.is_err()
}

async fn run_ended(stage: &Stage<'_>) {
    until("the end of the run", PATIENCE, || async {
        let history = stage.world.mesh.history().last(&app("job")).await.expect("read the history");
        (!history.is_empty()).then_some(())
    })
    .await;
}

fn duration(back: Back) -> Duration {
    match back {
        Back::Never => PATIENCE * 2,
        Back::After(pause) => pause.div_f64(speed()),
    }
}
