//! What stands between a request and a container, on the host's own Docker engine, beside the engine's bare API; and beside a Swarm.

use std::{path::Path, time::Duration};

use tickmesh_tests::{
    capacity::{self, LONG, Plan},
    rival,
};

use crate::targets::Target;

const ROUNDS: usize = 3;
/// Part of the bare API's throughput that must be left.
const ASKED_RATIO: f64 = 0.92;
/// Of the processor time of a container, what the agent and its guard may take besides.
const ASKED_SHARE: f64 = 0.03;
/// How long the long containers are watched, and what is asked of the agent then: part of a core, in percent, and memory in megabytes.
const WATCHED: Duration = Duration::from_secs(30);
const ASKED_PERCENT: f64 = 1.0;
const ASKED_MEGABYTES: f64 = 20.0;
/// A job by itself may take so many times as long as a container, and so much more.
const SINGLE_TIMES: f64 = 1.10;
const SINGLE_MORE_MS: f64 = 20.0;
/// Replicas of a run, and how many times as fast as a Swarm's job of as many it is to be.
const ASKED_OF_SWARM: [(usize, f64); 2] = [(10, 1.3), (50, 1.8)];

/// So many containers at once through an agent of so many slots; `None`: as it is by default.
pub(crate) async fn throughput(fleet: &Path, containers: usize, slots: Option<u32>) -> Vec<Target> {
    let figures = capacity::measure(fleet, Plan { containers, rounds: ROUNDS, slots }).await;
    let at_once = figures.at_once;
    let rate = |took: Duration| containers as f64 / took.as_secs_f64();
    let (bare, mesh) = (rate(figures.bare), rate(figures.mesh));
    let (for_bare, for_agent) = (ms(figures.busy_for_bare), ms(figures.busy_for_agent));
    println!("## {containers} containers, {at_once} at once{}\n", if slots.is_none() { ", as by default" } else { "" });
    println!(
        "{bare:.2} a second bare, {mesh:.2} through the mesh, {:.3} of it (medians of {ROUNDS} rounds)",
        figures.ratio
    );
    println!(
        "Of processor time a bare one takes {for_bare:.0} ms, the agent and its guard {for_agent:.1} ms besides\n"
    );
    vec![
        Target {
            what: format!("{containers} containers, {at_once} at once: seconds a container through the mesh"),
            figure: 1.0 / figures.ratio,
            limit: 1.0,
            limit_is: "the bare API",
            asked: Some(1.0 / ASKED_RATIO),
        },
        Target {
            what: format!(
                "{containers} containers, {at_once} at once: ms of processor of the agent and its guard for one"
            ),
            figure: for_agent,
            limit: for_bare,
            limit_is: "a bare container",
            asked: Some(ASKED_SHARE),
        },
    ]
}

/// Long containers that are watched.
pub(crate) async fn long(fleet: &Path) -> Vec<Target> {
    let figures = capacity::measure_long(fleet, WATCHED).await;
    let percent = figures.share * 100.0;
    let (agent, guard) = (mib(figures.agent_kib), mib(figures.guard_kib));
    println!("## {LONG} long containers, watched for {WATCHED:?}\n");
    println!("{percent:.2} % of a core, the agent has {agent:.1} MB and its guard {guard:.1} MB\n");
    let target = |what: &str, figure, limit| Target {
        what: format!("{LONG} long containers: {what}"),
        figure,
        limit,
        limit_is: "a fixed one",
        asked: Some(1.0),
    };
    vec![
        target("agent and guard, % of a core", percent, ASKED_PERCENT),
        target("agent, MB", agent, ASKED_MEGABYTES),
        target("agent and guard, MB", agent + guard, ASKED_MEGABYTES),
    ]
}

/// Jobs by themselves.
pub(crate) async fn single(fleet: &Path, times: usize) -> Vec<Target> {
    let figures = capacity::measure_single(fleet, times).await;
    let (bare, mesh) = (ms(figures.bare), ms(figures.mesh));
    println!("## One job by itself, {times} times\n");
    println!("{bare:.0} ms bare: create, start, wait; {mesh:.0} ms as a run, from the request to the history");
    println!("{:.0} ms from the request until its process starts", ms(figures.mesh_start));
    println!("{:.0} ms from the instant of a schedule until its process starts\n", ms(figures.tick_start));
    let target =
        |what: &str, figure, limit, limit_is, asked| Target { what: what.to_owned(), figure, limit, limit_is, asked };
    let allowed = bare * SINGLE_TIMES + SINGLE_MORE_MS;
    vec![
        target("one job: request to history, ms", mesh, allowed, "1.1 times bare + 20 ms", Some(1.0)),
        target("one tick: instant to its process, ms", ms(figures.tick_start), bare, "bare: create, start, wait", None),
    ]
}

/// A run beside a Swarm's job.
pub(crate) async fn swarm(fleet: &Path, replicas: usize, rounds: usize) -> Vec<Target> {
    let figures = rival::measure(fleet, replicas, rounds).await;
    let (bare, swarm, mesh) = (ms(figures.bare), ms(figures.swarm), ms(figures.mesh));
    println!("## {replicas} replicas beside a Swarm, {rounds} rounds\n");
    println!("{bare:.0} ms bare, {swarm:.0} ms as a job of a Swarm, {mesh:.0} ms as a run\n");
    let asked = ASKED_OF_SWARM.into_iter().find(|(of, _)| *of == replicas).map(|(_, times)| 1.0 / times);
    let target = |figure, limit, limit_is, asked| Target {
        what: format!("{replicas} replicas: a run, ms"),
        figure,
        limit,
        limit_is,
        asked,
    };
    vec![target(mesh, swarm, "a Swarm's job", asked), target(mesh, bare, "the bare API", None)]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
