//! What an agent adds to the price of a container: many short ones through a mesh, beside as many through the bare API of the same engine,
//! as many whole lives at once, in one run. Everything has the speed and the settings of production.

mod bare;
mod long;
mod single;

use std::{path::Path, time::Duration};

use futures_util::StreamExt as _;
use tickmesh_core::timing::Timing;
use tickmesh_messaging::Start;
use tokio::time::{Instant, timeout};

pub(crate) use self::bare::Bare;
pub use self::{
    long::{LONG, Supervision, measure as measure_long},
    single::{Single, measure as measure_single},
};
use crate::{
    Child, World,
    children::{Agent, Slots, guards},
    usage::{machine_busy, processor_time},
    world::{PATIENCE, Part},
};

/// Slots of an agent: its default, for each core.
const SLOTS_PER_CORE: usize = 4;
const AGENT: &str = "host-1";
/// A run of short containers that has not ended by then has failed.
const RUN_MAX: Duration = Duration::from_secs(600);

/// No network: a bridge takes the engine half of each start and more, the same both ways.
const NETWORK: &str = "none";
const COMPOSE: &str = "\
labels:
  aliyun.project_type: batch
services:
  s1:
    image: busybox
    network_mode: none
    command: COMMAND
    stop_signal: KILL
    labels:
      tickmesh.scale: 'SCALE'
      tickmesh.remove_containers: remove-all
";

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Containers that go each way in each round.
    pub containers: usize,
    /// Rounds.
    pub rounds: usize,
    /// Slots of the agent, and whole lives at once of the bare ones; `None`: the agent's default.
    pub slots: Option<u32>,
}

/// What was measured. Medians of the rounds: the engine's own pace changes by a tenth from one minute to the next.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Whole lives at once.
    pub at_once: usize,
    /// How long all containers of a round take through the bare API.
    pub bare: Duration,
    /// And through the mesh: from when their app is published until the last of them is removed.
    pub mesh: Duration,
    /// What is left of the bare API's throughput: the median of each round's own.
    pub ratio: f64,
    /// Time on a processor that one container takes of the whole machine, bare.
    pub busy_for_bare: Duration,
    /// Time on a processor that the agent and its guard take for one.
    pub busy_for_agent: Duration,
}

/// Measures that. `fleet` is the binary of that name.
///
/// # Panics
///
/// If something does not happen that must.
pub async fn measure(fleet: &Path, plan: Plan) -> Figures {
    let Plan { containers, rounds, slots } = plan;
    let (world, scheduler, agent) = started(fleet, slots).await;
    let at_once = slots.map_or_else(slots_by_default, |slots| slots as usize);
    let (mut bare, mut mesh, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut busy_for_bare, mut busy_for_agent) = (Vec::new(), Vec::new());
    let count = u32::try_from(containers).unwrap_or(u32::MAX);
    for _ in 0..rounds {
        let half = async |count| {
            let busy = machine_busy();
            let took = bare::lives(&world.docker, count, at_once, NETWORK).await;
            (took, machine_busy() - busy)
        };
        // Half before and half after: a machine that gets slower or faster meanwhile favours neither.
        let before = half(containers / 2).await;
        let used = agent_time(&world, &agent);
        let through = through_the_mesh(&world, containers).await;
        busy_for_agent.push((agent_time(&world, &agent) - used) / count);
        let after = half(containers - containers / 2).await;
        busy_for_bare.push((before.1 + after.1) / count);
        ratios.push((before.0 + after.0).div_duration_f64(through));
        bare.push(before.0 + after.0);
        mesh.push(through);
    }
    agent.terminate(PATIENCE).await;
    scheduler.stop().await;
    ratios.sort_by(f64::total_cmp);
    Figures {
        at_once,
        bare: median(bare),
        mesh: median(mesh),
        ratio: ratios[ratios.len() / 2],
        busy_for_bare: median(busy_for_bare),
        busy_for_agent: median(busy_for_agent),
    }
}

/// A mesh as it ships, with one agent on the host's engine. `None`: with as many slots as it has by default.
async fn started(fleet: &Path, slots: Option<u32>) -> (World, Part, Child) {
    let mut world = World::new().await;
    world.timing = Timing::default();
    let scheduler = world.scheduler().await;
    let slots = slots.map_or(Slots::Default, Slots::Many);
    let agent = Agent { slots, is_production: true, ..Agent::new(AGENT) }.start(fleet, &world);
    world.wait_for_agent(AGENT).await;
    (world, scheduler, agent)
}

/// How long so many containers take that are queued on the agent.
async fn through_the_mesh(world: &World, containers: usize) -> Duration {
    // Told of the end, and not looking for it: who asks 40 times a second takes one part in twenty of the two cores that are measured.
    let mut history = world.mesh.history().follow(None, Start::New).await.expect("follow the history");
    let begun = Instant::now();
    world.apply("short", &compose("'true'", containers)).await;
    world.run("short").await;
    let run = timeout(RUN_MAX, history.next()).await.expect("the run ends").expect("an entry").expect("readable");
    world.containers_settle_at(0).await;
    let took = begun.elapsed();
    assert!(run.value.outcome.is_success(), "{:?}", run.value.outcome);
    took
}

/// Slots of an agent on this machine, if nobody says how many.
pub(crate) fn slots_by_default() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from) * SLOTS_PER_CORE
}

pub(crate) fn compose(command: &str, scale: usize) -> String {
    COMPOSE.replace("COMMAND", command).replace("SCALE", &scale.to_string())
}

/// A file whose containers use the engine's own network, and stay.
pub(crate) fn compose_kept(command: &str, scale: usize) -> String {
    let kept = compose(command, scale).replace("    network_mode: none\n", "").replace("remove-all", "remove-none");
    assert!(!kept.contains("network_mode") && kept.contains("remove-none"), "{kept}");
    kept
}

pub(crate) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

/// Time that the agent and its guard have been on a processor.
fn agent_time(world: &World, agent: &Child) -> Duration {
    let guards = guards(world, AGENT).into_iter().map(|guard| guard.as_raw_nonzero().get().unsigned_abs());
    guards.chain([agent.id()]).map(processor_time).sum()
}
