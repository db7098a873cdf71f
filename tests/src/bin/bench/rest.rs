//! What a mesh costs in which nothing happens: a scheduler without apps, and an agent on the Docker engine with nothing to run.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tickmesh_tests::{
    World,
    children::{Child, guards},
    schedulers::Scheduler,
    until,
    usage::resident_kib,
    world::PATIENCE,
};
use tokio::time::sleep;

use crate::{cpu, targets::Target};

/// What an agent's start takes is not part of its rest.
const SETTLING: Duration = Duration::from_secs(10);
const AGENT: &str = "h1";
/// What is asked of an agent at rest: part of a core, in percent, and memory in megabytes.
const ASKED_PERCENT: f64 = 0.2;
const ASKED_MEGABYTES: f64 = 20.0;

/// Measures it for so many seconds, prints it, and returns what is to be compared.
pub(crate) async fn measure(seconds: u64) -> anyhow::Result<Vec<Target>> {
    let mut world = World::new().await;
    world.timing = tickmesh_core::timing::Timing::default();
    let fleet = std::env::current_exe()?.with_file_name("fleet");
    ensure!(fleet.is_file(), "there is no {}: build the package's binaries", fleet.display());
    let scheduler = Scheduler::start(&world, 0)?;
    let agent = Child::agent_at_rest(&fleet, &world, AGENT);
    world.wait_for_agent(AGENT).await;
    until("a guard", PATIENCE, || async { (!guards(&world, AGENT).is_empty()).then_some(()) }).await;
    sleep(SETTLING).await;
    let guard = guards(&world, AGENT).first().context("a guard")?.as_raw_nonzero().get().unsigned_abs();
    let processes = [("scheduler", scheduler.process()), ("agent", agent.id()), ("its guard", guard)];
    let before = processes.map(|(_, process)| cpu::of_process(process));
    sleep(Duration::from_secs(seconds)).await;
    println!("## At rest, for {seconds} s\n");
    println!("{:<16}{:>16}{:>8}", "", "% of a core", "MB");
    let mut agents = (0.0, 0.0);
    for ((name, process), before) in processes.into_iter().zip(before) {
        let used = cpu::of_process(process)?.saturating_sub(before?);
        let percent = used.as_secs_f64() * 100.0 / seconds as f64;
        let megabytes = resident_kib(process) as f64 / 1_024.0;
        println!("{name:<16}{percent:>16.3}{megabytes:>8.1}");
        if name != "scheduler" {
            agents = (agents.0 + percent, agents.1 + megabytes);
        }
    }
    println!();
    let target = |what: &str, figure, limit| Target {
        what: format!("agent and guard at rest: {what}"),
        figure,
        limit,
        limit_is: "a fixed one",
        asked: Some(1.0),
    };
    Ok(vec![target("% of a core", agents.0, ASKED_PERCENT), target("MB", agents.1, ASKED_MEGABYTES)])
}
