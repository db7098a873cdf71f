//! What many long containers cost an agent while nothing happens.

use std::{path::Path, time::Duration};

use tickmesh_core::message::CommandKind;
use tokio::time::{Instant, sleep};

use super::{AGENT, agent_time, compose, started};
use crate::{children::guards, usage::resident_kib, wait::until, world::PATIENCE};

/// Containers that are supervised.
pub const LONG: u32 = 64;
/// What starting them costs is over by then.
const SETTLING: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Supervision {
    /// Share of one core that the agent and its guard take while so many containers run.
    pub share: f64,
    /// Memory of the agent then, in KiB.
    pub agent_kib: u64,
    pub guard_kib: u64,
}

/// Watches them for so long.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, watched: Duration) -> Supervision {
    let (world, scheduler, agent) = started(fleet, Some(LONG)).await;
    world.apply("long", &compose("sleep 3600", LONG as usize)).await;
    world.run("long").await;
    until("all long containers to run", PATIENCE * 2, || async {
        (world.containers().await.iter().filter(|it| it.state == "running").count() == LONG as usize).then_some(())
    })
    .await;
    sleep(SETTLING).await;
    let (before, begun) = (agent_time(&world, &agent), Instant::now());
    sleep(watched).await;
    let share = (agent_time(&world, &agent) - before).div_duration_f64(begun.elapsed());
    let guard = guards(&world, AGENT).into_iter().map(|guard| guard.as_raw_nonzero().get().unsigned_abs());
    let (agent_kib, guard_kib) = (resident_kib(agent.id()), guard.map(resident_kib).sum());
    world.command("long", CommandKind::Cancel { run: None, force: false }).await;
    world.containers_settle_at(0).await;
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    Supervision { share, agent_kib, guard_kib }
}
