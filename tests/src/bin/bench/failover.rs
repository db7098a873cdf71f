//! How soon the next tick is dispatched when the leader is gone, of apps of which one is due every few milliseconds: so what is
//! measured is the change of leaders, and not the wait for the next instant.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tickmesh_core::id::Epoch;
use tickmesh_tests::{schedulers::Scheduler, until, world::PATIENCE};
use tokio::time::{Instant, sleep};

use crate::{
    spread::{Spread, milliseconds},
    stage::{AGENTS, Nats, Stage, Threads, app_name},
    targets::Target,
};

/// Apps that are due each second, each in its own part of it: one every 20 ms.
const APPS: usize = 50;
const EACH_SECOND: &str = "* * * * * *";
const SPREAD_OVER_IT: &str = "  aliyun.jitter: \"999ms\"\n";
/// A leader must have been heard on a connection that has lasted before its end is noticed at once. Then it ends at some moment of
/// a second.
const SETTLING: Duration = Duration::from_secs(3);
const MOMENTS_MS: u64 = 1_000;
/// How long the next tick may take.
const NEXT_TICK: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// What is asked of either end, in milliseconds: half of the ticks, and all but one of a hundred.
const ASKED_P50_MS: f64 = 500.0;
const ASKED_P99_KILLED_MS: f64 = 4_000.0;
const ASKED_P99_TERMINATED_MS: f64 = 500.0;

/// How a leader ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Killed with `-9`.
    Killed,
    /// Asked to stop.
    Terminated,
}

impl Ending {
    pub(crate) const ALL: [Self; 2] = [Self::Killed, Self::Terminated];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Terminated => "terminated",
        }
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        match Self::ALL.into_iter().find(|it| it.as_str() == text) {
            Some(ending) => Ok(ending),
            None => bail!("`{text}` is not one of killed, terminated"),
        }
    }
}

/// Measures it, prints it, and returns what is to be compared.
pub(crate) async fn measure(threads: &Threads, ending: Ending, rounds: usize) -> anyhow::Result<Vec<Target>> {
    let stage = Stage::with_agents(threads, Nats::Single).await?;
    let mut leader = Scheduler::start(&stage.world, 0)?;
    stage.apply_labelled((0..APPS).map(|_| EACH_SECOND.to_owned()), SPREAD_OVER_IT).await;
    let (mut gaps, mut epoch) = (Vec::new(), Epoch::default());
    for round in 1..=rounds {
        let standby = Scheduler::start(&stage.world, round)?;
        until("a standby", PATIENCE, || async { standby.stands_by(&stage.world).await.then_some(()) }).await;
        sleep(SETTLING + Duration::from_millis(rand::rng().random_range(0..MOMENTS_MS))).await;
        epoch = stage.watch.newest_epoch()?.unwrap_or(epoch);
        let ended = match ending {
            Ending::Killed => leader.kill(),
            Ending::Terminated => leader.terminate().await,
        };
        gaps.push(next_tick(&stage, epoch).await?.duration_since(ended));
        leader = standby;
    }
    leader.terminate().await;
    epoch = stage.watch.newest_epoch()?.unwrap_or(epoch);
    let begun = Timestamp::now();
    let last = Scheduler::start(&stage.world, rounds + 1)?;
    let start_up = next_tick(&stage, epoch).await?.duration_since(begun);
    last.terminate().await;
    let (runs, containers) = confirm(&stage)?;
    let spread = Spread::of(gaps);
    println!("## The leader {}, {rounds} times, with {APPS} apps due each second\n", ending.as_str());
    println!("{AGENTS} agents, two schedulers, nats-server {} (single)\n", stage.world.mesh.server_version());
    println!("{:<48}{:>10}{:>10}{:>10}", "milliseconds", "p50", "p99", "max");
    println!("{:<48}{spread}", "from its end to the next order at an agent");
    println!("{:<48}{:>10.1}", "start-up alone, to the first order at an agent", milliseconds(start_up));
    println!("\nconfirmed: {containers} containers of {runs} runs, none of them had two\n");
    stage.stop().await;
    Ok(targets(ending, spread))
}

/// When the first order of a later tenure came.
async fn next_tick(stage: &Stage, epoch: Epoch) -> anyhow::Result<Timestamp> {
    let deadline = Instant::now() + NEXT_TICK;
    loop {
        if let Some(at) = stage.watch.first_after(epoch)? {
            return Ok(at);
        }
        ensure!(Instant::now() < deadline, "no order came for {NEXT_TICK:?} after tenure {epoch}");
        sleep(LOOK_PAUSE).await;
    }
}

/// Counts runs and containers; fails if a run had two containers, or an app none.
fn confirm(stage: &Stage) -> anyhow::Result<(usize, usize)> {
    let mut containers: BTreeMap<String, usize> = BTreeMap::new();
    let mut apps = BTreeSet::new();
    for life in stage.lives() {
        *containers.entry(life.attempt.uid).or_default() += 1;
        apps.insert(life.attempt.app);
    }
    let doubled = containers.iter().find(|(_, count)| **count > 1);
    ensure!(doubled.is_none(), "a run had more than one container: {doubled:?}");
    let idle = (0..APPS).map(app_name).find(|app| !apps.contains(app));
    ensure!(idle.is_none(), "{} never ran", idle.context("an app")?);
    Ok((containers.len(), containers.values().sum()))
}

fn targets(ending: Ending, spread: Spread) -> Vec<Target> {
    let target = |percentile: &str, figure: SignedDuration, limit| Target {
        what: format!("leader {}, to the next tick: {percentile}, ms", ending.as_str()),
        figure: milliseconds(figure),
        limit,
        limit_is: "a fixed one",
        asked: Some(1.0),
    };
    match ending {
        Ending::Killed => {
            vec![target("p50", spread.p50, ASKED_P50_MS), target("p99", spread.p99, ASKED_P99_KILLED_MS)]
        }
        Ending::Terminated => vec![target("p99", spread.p99, ASKED_P99_TERMINATED_MS)],
    }
}
