//! An agent keeps up with its engine, and costs next to nothing while nothing happens. `TICKMESH_CAPACITY` has it measured with many
//! containers, and says how many; without it fewer are run, and less is asked, for the engine of a test has other things to do.

use std::{path::Path, time::Duration};

use tickmesh_tests::{
    capacity::{LONG, Plan, measure, measure_single},
    rival,
};

const FLEET: &str = env!("CARGO_BIN_EXE_fleet");
/// How many containers are measured.
const VARIABLE: &str = "TICKMESH_CAPACITY";
/// How many are brought up at once, if not as many as by default.
const AT_ONCE_VARIABLE: &str = "TICKMESH_CAPACITY_AT_ONCE";
/// Containers of the short form.
const FEW: usize = 48;
/// Rounds of many containers.
const ROUNDS: usize = 2;
/// What of the bare engine's throughput has to be left, of many containers and of few: of those the run's beginning and end, which
/// have no containers to bring up, are a larger part.
const RATIO_MIN: f64 = 0.92;
const RATIO_MIN_OF_FEW: f64 = 0.6;
/// Share of a core that the supervision of the long containers may take.
const SHARE_MAX: f64 = 0.01;
const SHARE_MAX_OF_FEW: f64 = 0.05;

/// Jobs by themselves, and how much longer than a bare container each may take: so many times as long, and so much more; where others
/// use the engine, too, only what is far off counts.
const SINGLES: usize = 21;
const SINGLE_TIMES: f64 = 1.10;
const SINGLE_MORE: Duration = Duration::from_millis(20);
const SINGLE_TIMES_OF_FEW: f64 = 3.0;
const SINGLE_MORE_OF_FEW: Duration = Duration::from_secs(2);

/// Replicas of a run beside a Swarm's job of as many, how often, and how many times as fast the run is to be. That is told; of few, and
/// beside others, what is far off is a failure.
const BESIDE_SWARM: [(usize, f64); 2] = [(10, 1.3), (50, 1.8)];
const BESIDE_SWARM_ROUNDS: usize = 5;
const BESIDE_SWARM_OF_FEW: (usize, f64) = (4, 0.4);

/// They share the engine that is measured, or the processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_up_with_its_engine() {
    let _alone = ALONE.lock().await;
    let (many, at_once) = (number(VARIABLE), number(AT_ONCE_VARIABLE));
    let (rounds, idle) = if many.is_some() { (ROUNDS, Duration::from_secs(30)) } else { (1, Duration::from_secs(5)) };
    let plan = Plan { containers: many.unwrap_or(FEW), rounds, at_once, idle };
    let figures = measure(Path::new(FLEET), plan).await;
    let (ratio, share) = (figures.ratio(), figures.share_of_idle);
    println!(
        "{} times {} containers, {} at once: {:.2}/s bare, {:.2}/s through the mesh, ratio {ratio:.3}",
        figures.rounds, figures.containers, figures.concurrency, figures.bare, figures.mesh,
    );
    println!(
        "the agent and its guard: {:.1} ms of processor for each container, {} KiB; {LONG} long ones take {:.2} % of a core",
        figures.cpu_per_container.as_secs_f64() * 1_000.0,
        figures.memory_kib,
        share * 100.0,
    );
    let (ratio_min, share_max) =
        if many.is_some() { (RATIO_MIN, SHARE_MAX) } else { (RATIO_MIN_OF_FEW, SHARE_MAX_OF_FEW) };
    assert!(ratio >= ratio_min, "{figures:?}");
    assert!(share <= share_max, "{figures:?}");
}

fn number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().map(|count| count.parse().expect("a number of containers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_takes_little_longer_than_one_container() {
    let _alone = ALONE.lock().await;
    let is_measured = number(VARIABLE).is_some();
    let figures = measure_single(Path::new(FLEET), if is_measured { SINGLES } else { 3 }).await;
    let (bare, mesh, start) = (figures.bare, figures.mesh, figures.mesh_start);
    println!("one container: {bare:.0?} bare, {mesh:.0?} as a run, {start:.0?} until its process starts");
    let (times, more) =
        if is_measured { (SINGLE_TIMES, SINGLE_MORE) } else { (SINGLE_TIMES_OF_FEW, SINGLE_MORE_OF_FEW) };
    assert!(mesh <= bare.mul_f64(times) + more, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_many_replicas_is_not_far_slower_than_a_job_of_a_swarm() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "an engine of one's own takes root");
        eprintln!("SKIPPED, for it takes root to have an engine of one's own");
        return;
    }
    let _alone = ALONE.lock().await;
    let is_measured = number(VARIABLE).is_some();
    let (sizes, rounds) =
        if is_measured { (&BESIDE_SWARM[..], BESIDE_SWARM_ROUNDS) } else { (&[BESIDE_SWARM_OF_FEW][..], 1) };
    for (replicas, times_min) in sizes {
        let beside = rival::measure(Path::new(FLEET), *replicas, rounds).await;
        let (swarm, mesh, times) = (beside.swarm, beside.mesh, beside.times());
        println!(
            "{replicas} replicas: {swarm:.1?} as a job of a Swarm, {mesh:.1?} as a run: {times:.2} times as fast, asked for {times_min}"
        );
        assert!(is_measured || times >= *times_min, "{beside:?}");
    }
}
