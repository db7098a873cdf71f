//! How late orders reach their agents, and runs their end, when many apps are due in the same second; and beside it, after each
//! round, what the same servers bring about without a mesh.

use std::{collections::BTreeSet, iter::repeat_n, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp, ToSpan as _, Unit};
use tokio::time::sleep;

use crate::{
    confirm::{self, Confirmed, Due, History},
    cpu::{self, CpuTimes, SERVER},
    neighbours::{CLIENT, Figures, Neighbours, Published, Sizes},
    spread::{Spread, milliseconds},
    stage::{AGENTS, Nats, Stage, Threads, app_name},
    targets::Target,
};

/// Instants at which every app is due.
const ROUNDS: usize = 3;
/// Seconds from one to the next, for a handful of apps, few and many: long enough for a round and all that is measured beside it.
const ROUND_SECONDS_HANDFUL: i64 = 12;
const ROUND_SECONDS_FEW: i64 = 20;
const ROUND_SECONDS_MANY: i64 = 60;
/// So many apps are no more than a handful, and so many are many.
const HANDFUL: usize = 250;
const MANY: usize = 2_000;
/// How long applying may take before the first instant: this, and so much for each app.
const APPLY_TIME: Duration = Duration::from_secs(4);
const APPLY_TIME_PER_APP: Duration = Duration::from_millis(3);
/// Where the disk is waited for.
const APPLY_TIME_PER_APP_SYNCED: Duration = Duration::from_millis(20);
/// What is left of a round for all that is measured beside it: this part.
const NEIGHBOURS_PART: f64 = 0.5;
/// After the last run has ended, somebody may still tidy up.
const REST: Duration = Duration::from_secs(1);
/// Once the processors' times have been read, the instant comes.
const EARLY: Duration = Duration::from_millis(200);
/// Burst sizes of which something is asked.
const ASKED_OF_P99: usize = 1_000;
const ASKED_OF_ALL: usize = 10_000;
/// How many times its limit a burst may take.
const ASKED: f64 = 2.0;

/// The instants, and how they are spread.
struct Plan {
    instants: Vec<Timestamp>,
    period: i64,
}

/// What was measured.
struct Measured {
    ordered: Vec<Spread>,
    confirmed: Confirmed,
    beside: Vec<Figures>,
    cpu: CpuTimes,
    sizes: Sizes,
}

/// Measures it, prints it, and returns what is to be compared.
pub(crate) async fn measure(threads: &Threads, nats: Nats, apps: usize) -> anyhow::Result<Vec<Target>> {
    let stage = Stage::start(threads, nats).await?;
    let neighbours = Neighbours::prepare(&stage.world).await?;
    let plan = Plan::new(nats, apps)?;
    stage.apply(repeat_n(plan.schedule(), apps)).await;
    ensure!(Timestamp::now() < plan.instants[0], "applying {apps} apps took until their first instant");
    let before = stage.world.stored().await;
    let measured = rounds(&stage, &neighbours, &plan, apps).await?;
    let runs = apps * ROUNDS;
    print(&stage, nats, apps, &measured);
    println!("processor time for one run: {}", measured.cpu.per_run(runs));
    println!("processor time for one publish: {}", cost(&measured.beside, |it| &it.publish, runs));
    println!("processor time for two publishes: {}", cost(&measured.beside, |it| &it.two_publishes, runs));
    let stored = stage.world.stored().await.since(&before);
    println!("messages stored for {runs} runs, and bytes kept\n{}\n", stored.table(runs as u64));
    stage.stop().await;
    Ok(targets(nats, apps, &measured))
}

impl Plan {
    /// All instants are in one minute, or each in a minute of its own: so no app is due at any other within the hour.
    fn new(nats: Nats, apps: usize) -> anyhow::Result<Self> {
        let per_app = match nats {
            Nats::Single | Nats::Cluster => APPLY_TIME_PER_APP,
            Nats::Synced => APPLY_TIME_PER_APP_SYNCED,
        };
        let period = if apps <= HANDFUL {
            ROUND_SECONDS_HANDFUL
        } else if apps <= MANY {
            ROUND_SECONDS_FEW
        } else {
            ROUND_SECONDS_MANY
        };
        let lead = APPLY_TIME + per_app * u32::try_from(apps)?;
        let soon = (Timestamp::now() + lead).round(Unit::Second)?;
        let fits = |first: &Timestamp| period == ROUND_SECONDS_MANY || first.as_second() % 60 + 2 * period < 60;
        let candidates = (0..60).map(|seconds: i64| soon + seconds.seconds());
        let first = candidates.into_iter().find(fits).context("a minute has such a second")?;
        let instants = (0..ROUNDS).map(|round| Ok(first + (period * i64::try_from(round)?).seconds()));
        Ok(Self { instants: instants.collect::<anyhow::Result<_>>()?, period })
    }

    /// A schedule that is due at these instants.
    fn schedule(&self) -> String {
        let list = |unit: i64| {
            let mut values: Vec<_> = self.instants.iter().map(|instant| instant.as_second() / unit % 60).collect();
            values.dedup();
            values.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
        };
        format!("{} {} * * * *", list(1), list(60))
    }
}

async fn rounds(stage: &Stage, neighbours: &Neighbours, plan: &Plan, apps: usize) -> anyhow::Result<Measured> {
    let (mut beside, mut cpu) = (Vec::new(), CpuTimes::default());
    let mut sizes = Sizes { order: 0, ledger: 0 };
    let patience = Duration::from_secs(plan.period.unsigned_abs()).mul_f64(1.0 - NEIGHBOURS_PART);
    for (round, instant) in plan.instants.iter().enumerate() {
        let wait = Duration::try_from(instant.duration_since(Timestamp::now())).unwrap_or_default();
        ensure!(wait > EARLY, "what was measured beside a round took until the next");
        sleep(wait - EARLY).await;
        let cpu_before = stage.cpu()?;
        stage
            .ended((apps * (round + 1)) as u64, EARLY + patience)
            .await
            .with_context(|| format!("round {}", round + 1))?;
        cpu = cpu.plus(stage.cpu()?.since(&cpu_before));
        sleep(REST).await;
        let ledger = stage.world.ledger(&app_name(0)).await.context("the first app has a ledger")?;
        sizes = Sizes { order: stage.watch.order_bytes(), ledger: serde_json::to_vec(&ledger)?.len() };
        beside.push(neighbours.measure(apps, sizes).await?);
    }
    let due: BTreeSet<Due> =
        (0..apps).flat_map(|app| plan.instants.iter().map(move |instant| (app_name(app), *instant))).collect();
    let confirmed = confirm::confirm(stage, &mut History::default(), &due, Timestamp::MIN..Timestamp::MAX).await?;
    let mut ordered = Vec::new();
    for instant in &plan.instants {
        let late = stage.watch.lateness(|it| it == *instant)?;
        ensure!(late.len() == apps, "{} first orders of {apps} were seen for {instant}", late.len());
        ordered.push(Spread::of(late));
    }
    Ok(Measured { ordered, confirmed, beside, cpu, sizes })
}

fn print(stage: &Stage, nats: Nats, apps: usize, measured: &Measured) {
    let Measured { ordered, confirmed, beside, sizes, .. } = measured;
    let version = stage.world.mesh.server_version();
    println!("## {apps} apps due in the same second\n");
    println!("{AGENTS} agents, 1 scheduler, nats-server {version} ({})\n", nats.as_str());
    println!("{:<48}{:>10}{:>10}{:>10}", "milliseconds after the instant", "p50", "p99", "max");
    let row = |what: &str, spread: Spread| println!("{what:<48}{spread}");
    for (round, spread) in ordered.iter().enumerate() {
        row(&format!("round {}: the agent has the order", round + 1), *spread);
    }
    row("median: the agent has the order", Spread::median(ordered));
    row("the container starts, all rounds", Spread::of(confirmed.started.clone()));
    row("the run is in the history, all rounds", Spread::of(confirmed.ended.clone()));
    row("limit: heap with one timer", median(beside, |it| it.heap));
    row(&format!("limit: one publish each ({} bytes)", sizes.order), median(beside, |it| it.publish.late));
    row(
        &format!("limit: two publishes each (first {} bytes)", sizes.ledger),
        median(beside, |it| it.two_publishes.late),
    );
    row("rival: the server's own schedules", median(beside, |it| it.schedules));
    println!("\nconfirmed: {} runs and as many containers, none lost, none doubled", confirmed.ended.len());
}

fn median(rounds: &[Figures], figure: impl Fn(&Figures) -> Spread) -> Spread {
    Spread::median(&rounds.iter().map(figure).collect::<Vec<_>>())
}

/// What the client, which publishes and reads, and the servers used for each of so many messages.
fn cost(rounds: &[Figures], published: impl Fn(&Figures) -> &Published, messages: usize) -> String {
    let cpu = rounds.iter().map(|round| published(round).cpu.clone()).fold(CpuTimes::default(), CpuTimes::plus);
    let microseconds = |name| cpu::milliseconds(cpu.of(name)) * 1_000.0 / messages as f64;
    format!("client {:.1} us, {SERVER} {:.1} us", microseconds(CLIENT), microseconds(SERVER))
}

fn targets(nats: Nats, apps: usize, measured: &Measured) -> Vec<Target> {
    let ordered = Spread::median(&measured.ordered);
    let beside = |figure: fn(&Figures) -> Spread| median(&measured.beside, figure);
    let target = |what: &str, figure: SignedDuration, limit: SignedDuration, limit_is, asked: bool| Target {
        what: format!("{apps} at once, {}: {what}, ms", nats.as_str()),
        figure: milliseconds(figure),
        limit: milliseconds(limit),
        limit_is,
        asked: asked.then_some(ASKED),
    };
    let (of_p99, of_all) = (apps == ASKED_OF_P99 && nats == Nats::Single, apps == ASKED_OF_ALL && nats != Nats::Synced);
    let least = beside(|it| it.heap).p99 + beside(|it| it.publish.late).max;
    vec![
        target("p99", ordered.p99, least, "heap's p99 + one publish each", of_p99),
        target("p99", ordered.p99, beside(|it| it.schedules).p99, "p99 of the server's own schedules", of_p99),
        target("all", ordered.max, beside(|it| it.two_publishes.late).max, "two publishes each", of_all),
    ]
}
