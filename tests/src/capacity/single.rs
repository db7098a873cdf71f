//! One job by itself, again and again, beside a bare container.

use std::{path::Path, time::Duration};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tickmesh_core::message::{AttemptEvent, AttemptReport};
use tickmesh_messaging::{Change, Following, Start};
use tokio::time::{Instant, timeout};

use super::{NETWORK, bare::Bare, compose, median, started};
use crate::world::PATIENCE;

/// Medians of both ways.
#[derive(Debug, Clone, Copy)]
pub struct Single {
    /// Create, start and wait, through the bare API.
    pub bare: Duration,
    /// From when somebody asks for the run until it is in the history.
    pub mesh: Duration,
    /// From when it is asked for until its process has started, by the engine's clock.
    pub mesh_start: Duration,
    /// From the instant of a schedule until its process has started, by the same.
    pub tick_start: Duration,
}

/// Measures them in alternation.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, rounds: usize) -> Single {
    let (world, scheduler, agent) = started(fleet, None).await;
    world.apply("single", &compose("'true'", 1)).await;
    let mut history = world.mesh.history().follow(None, Start::New).await.expect("follow the history");
    let mut reports = world.mesh.results().follow(0).await.expect("follow the results");
    let (mut bare, mut mesh, mut starts, mut ticks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        let container = Bare::start(&world.docker, Some(NETWORK)).await;
        container.end().await;
        bare.push(begun.elapsed());
        container.remove().await;
        let (asked, begun) = (Timestamp::now(), Instant::now());
        world.run("single").await;
        let run = timeout(PATIENCE, history.next()).await.expect("the run ends").expect("an entry");
        mesh.push(begun.elapsed());
        assert!(run.expect("readable").value.outcome.is_success());
        starts.push(since(asked, next_start(&mut reports).await));
        world.containers_settle_at(0).await;
    }
    world.apply("tick", &scheduled()).await;
    while ticks.len() < rounds {
        let run = timeout(PATIENCE, history.next()).await.expect("the run ends").expect("an entry");
        let instant = run.expect("readable").value.scheduled_at.expect("a schedule asked for it");
        ticks.push(since(instant, next_start(&mut reports).await));
    }
    world.remove("tick").await;
    world.containers_settle_at(0).await;
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    Single { bare: median(bare), mesh: median(mesh), mesh_start: median(starts), tick_start: median(ticks) }
}

/// Due every other second: a run is over by then.
fn scheduled() -> String {
    compose("'true'", 1).replacen("labels:\n", "labels:\n  aliyun.schedule: '*/2 * * * * *'\n", 1)
}

fn since(moment: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(moment)).unwrap_or_default()
}

/// When the next container that ends has started, by the engine's clock.
async fn next_start(reports: &mut Following<Change<AttemptReport>>) -> Timestamp {
    loop {
        let report = timeout(PATIENCE, reports.next()).await.expect("it is reported").expect("a report");
        if let Change::Entry(entry) = report.expect("readable")
            && let AttemptEvent::Exited { started_at, .. } = entry.value.event
        {
            return started_at.expect("it started");
        }
    }
}
