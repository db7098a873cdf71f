//! How soon the next tick is dispatched when the leader is gone, of apps of which one is due every few milliseconds: so what is
//! measured is the change of leaders, and not the wait for the next instant.

mod judged;

use std::time::Duration;

use anyhow::{bail, ensure};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tickmesh_core::id::Epoch;
use tickmesh_tests::{chaos::judge::Verdict, schedulers::Scheduler, until, world::PATIENCE};
use tokio::time::{Instant, sleep};

use self::judged::Seen;
use crate::{
    spread::{Spread, milliseconds},
    stage::{AGENTS, Nats, Stage, Threads},
    targets::Target,
};

/// Apps that are due each second, each in its own part of it: one every 20 ms.
const APPS: usize = 50;
const EACH_SECOND: &str = "* * * * * *";
/// Seconds from one instant of an app to the next.
const PERIOD: i64 = 1;
const SPREAD_OVER_IT: &str = "  aliyun.jitter: \"999ms\"\n";
/// So much later than its instant an app falls due at most.
const JITTER_MAX: SignedDuration = SignedDuration::from_millis(999);
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
    let (mut seen, begun) = (Seen::begin(&stage), Timestamp::now());
    let mut leader = Scheduler::start(&stage.world, 0)?;
    stage.apply_labelled((0..APPS).map(|_| EACH_SECOND.to_owned()), SPREAD_OVER_IT).await;
    let (mut gaps, mut epoch) = (Vec::new(), Epoch::default());
    seen.outage(begun, next_tick(&stage, epoch).await?);
    for round in 1..=rounds {
        let standby = Scheduler::start(&stage.world, round)?;
        until("a standby", PATIENCE, || async { standby.stands_by(&stage.world).await.then_some(()) }).await;
        sleep(SETTLING + Duration::from_millis(rand::rng().random_range(0..MOMENTS_MS))).await;
        epoch = stage.watch.newest_epoch()?.unwrap_or(epoch);
        let ended = match ending {
            Ending::Killed => leader.kill(),
            Ending::Terminated => leader.terminate().await,
        };
        let next = next_tick(&stage, epoch).await?;
        gaps.push(next.duration_since(ended));
        seen.outage(ended, next);
        leader = standby;
    }
    let ended = leader.terminate().await;
    epoch = stage.watch.newest_epoch()?.unwrap_or(epoch);
    let begun = Timestamp::now();
    let last = Scheduler::start(&stage.world, rounds + 1)?;
    let next = next_tick(&stage, epoch).await?;
    let start_up = next.duration_since(begun);
    seen.outage(ended, next);
    let Verdict { instants, coalesced, dropped, .. } = seen.confirm(&stage).await?;
    last.terminate().await;
    let spread = Spread::of(gaps);
    println!("## The leader {}, {rounds} times, with {APPS} apps due each second\n", ending.as_str());
    println!("{AGENTS} agents, two schedulers, nats-server {} (single)\n", stage.world.mesh.server_version());
    println!("{:<48}{:>10}{:>10}{:>10}", "milliseconds", "p50", "p99", "max");
    println!("{:<48}{spread}", "from its end to the next order at an agent");
    println!("{:<48}{:>10.1}", "start-up alone, to the first order at an agent", milliseconds(start_up));
    let runs = instants - coalesced - dropped;
    println!(
        "\nconfirmed: {instants} instants decided once each: {coalesced} folded into a later one, {dropped} without a run, and"
    );
    println!("{runs} runs of one container each, which exited by itself\n");
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
