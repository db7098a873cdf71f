//! An agent keeps up with its engine, and costs next to nothing while nothing happens. This is the short form, on an engine that may have
//! other things to do: only what is far off fails. `make capacity` measures (docs/evidence/performance.md).

use std::{path::Path, time::Duration};

use tickmesh_tests::{
    capacity::{LONG, Plan, measure, measure_long, measure_single},
    rival,
};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// Containers, and what of the bare engine's throughput has to be left: of so few the run's beginning and end, which have no containers to
/// bring up, are a large part.
const CONTAINERS: usize = 48;
const RATIO_MIN: f64 = 0.6;
/// How long the long containers are watched, and the share of a core that their supervision may take.
const WATCHED: Duration = Duration::from_secs(5);
const SHARE_MAX: f64 = 0.05;
/// What an agent that supervises them may take: three times what it should, for here it is a debug build.
const AGENT_KIB_MAX: u64 = 60 * 1_024;
/// Jobs by themselves, and how much longer than a bare container each may take.
const SINGLES: usize = 3;
const SINGLE_TIMES: u32 = 2;
const SINGLE_MORE: Duration = Duration::from_millis(500);
/// Replicas of a run beside a Swarm's job of as many, and how many times as fast the run must be.
const BESIDE_SWARM: usize = 4;
const BESIDE_SWARM_TIMES: f64 = 0.5;

/// They share the engine that is measured, or the processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_up_with_its_engine() {
    let _alone = ALONE.lock().await;
    let figures = measure(Path::new(FLEET), Plan { containers: CONTAINERS, rounds: 1, slots: None }).await;
    println!("{CONTAINERS} containers: {figures:?}");
    assert!(figures.ratio >= RATIO_MIN, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_next_to_nothing_while_its_containers_run() {
    let _alone = ALONE.lock().await;
    let figures = measure_long(Path::new(FLEET), WATCHED).await;
    println!("{LONG} long containers: {figures:?}");
    assert!(figures.share <= SHARE_MAX, "{figures:?}");
    assert!(figures.agent_kib <= AGENT_KIB_MAX, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_takes_little_longer_than_one_container() {
    let _alone = ALONE.lock().await;
    let figures = measure_single(Path::new(FLEET), SINGLES).await;
    println!("one by itself: {figures:?}");
    assert!(figures.mesh <= figures.bare * SINGLE_TIMES + SINGLE_MORE, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_many_replicas_is_not_far_slower_than_a_job_of_a_swarm() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "an engine of one's own takes root");
        eprintln!("SKIPPED, for it takes root to have an engine of one's own");
        return;
    }
    let _alone = ALONE.lock().await;
    let beside = rival::measure(Path::new(FLEET), BESIDE_SWARM, 1).await;
    println!("{BESIDE_SWARM} replicas: {beside:?}");
    assert!(beside.times() >= BESIDE_SWARM_TIMES, "{beside:?}");
}
