//! `make bench`: how late orders reach their agents, beside the limits that are measured in the same run.
//!
//! Real servers, the shipped scheduler, and agents of the shipped crate, on engines in memory or on Docker, all on one machine and at the
//! speed of production. What is a good figure depends on the machine and on who else uses it; so each stands beside its limit, and a target that
//! is not met is told and is no failure. A run that is lost or doubled is one.
//!
//! ```text
//! bench
//! bench burst APPS [single|synced|cluster]
//! bench sustained APPS MINUTES
//! bench failover killed|terminated TIMES
//! bench takeover APPS [alike|distinct]
//! bench rest SECONDS
//! bench containers COUNT [SLOTS]
//! bench long
//! bench single TIMES
//! bench swarm REPLICAS ROUNDS
//! ```

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

mod burst;
mod confirm;
mod containers;
mod cpu;
mod failover;
mod heap;
mod neighbours;
mod rest;
mod spread;
mod stage;
mod sustained;
mod takeover;
mod targets;
mod watch;

use std::{fs, num::NonZeroUsize, path::Path, thread::available_parallelism};

use anyhow::{Context as _, bail, ensure};
use rustix::process::geteuid;

use self::{
    failover::Ending,
    stage::{Nats, Threads, threads},
    takeover::Files,
    targets::{Target, table},
};

/// As the shipped program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured, unless the command line says otherwise.
const ALL: [Measurement; 20] = [
    Measurement::Burst { apps: 100, nats: Nats::Single },
    Measurement::Burst { apps: 1_000, nats: Nats::Single },
    Measurement::Burst { apps: 10_000, nats: Nats::Single },
    Measurement::Burst { apps: 1_000, nats: Nats::Synced },
    Measurement::Burst { apps: 100, nats: Nats::Cluster },
    Measurement::Burst { apps: 1_000, nats: Nats::Cluster },
    Measurement::Burst { apps: 10_000, nats: Nats::Cluster },
    Measurement::Sustained { apps: 10_000, minutes: 2 },
    Measurement::Sustained { apps: 100_000, minutes: 2 },
    Measurement::Failover { ending: Ending::Killed, times: 50 },
    Measurement::Failover { ending: Ending::Terminated, times: 50 },
    Measurement::Takeover { apps: 100_000, files: Files::Alike },
    Measurement::Takeover { apps: 100_000, files: Files::Distinct },
    Measurement::Rest { seconds: 60 },
    Measurement::Containers { count: 200, slots: None },
    Measurement::Containers { count: 200, slots: Some(1) },
    Measurement::Containers { count: 200, slots: Some(16) },
    Measurement::Containers { count: 32, slots: None },
    Measurement::Long,
    Measurement::Single { times: 21 },
];
/// And beside a Swarm, for which it takes root.
const SWARM: [Measurement; 2] =
    [Measurement::Swarm { replicas: 10, rounds: 5 }, Measurement::Swarm { replicas: 50, rounds: 5 }];

/// One thing to be measured, on a mesh of its own.
#[derive(Debug, Clone, Copy)]
enum Measurement {
    /// Many apps due at once.
    Burst { apps: usize, nats: Nats },
    /// Apps due all the time.
    Sustained { apps: usize, minutes: usize },
    /// The leader ends again and again.
    Failover { ending: Ending, times: usize },
    /// The leader of many apps ends.
    Takeover { apps: usize, files: Files },
    /// Nothing happens.
    Rest { seconds: usize },
    /// Many short containers on Docker.
    Containers { count: usize, slots: Option<u32> },
    /// Many long ones.
    Long,
    /// One at a time.
    Single { times: usize },
    /// Many short ones beside a Swarm.
    Swarm { replicas: usize, rounds: usize },
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let measurements = parse(&arguments)?;
    let fleet = std::env::current_exe()?.with_file_name("fleet");
    ensure!(fleet.is_file(), "there is no {}: build the package's binaries", fleet.display());
    let (parts, bench) = (Threads::start()?, threads("bench")?);
    let cores = available_parallelism().map_or(0, usize::from);
    println!("{cores} cores, load before: {}\n", load()?);
    let (mut targets, mut failures) = (Vec::new(), Vec::new());
    for measurement in measurements {
        // One that fails must not cost the table of the others.
        match bench.block_on(measure(&parts, &fleet, measurement)) {
            Ok(measured) => targets.extend(measured),
            Err(error) => {
                println!("FAILED: {measurement:?}: {error:?}\n");
                failures.push(format!("{measurement:?}"));
            }
        }
    }
    println!("{}\n\nload after: {}", table(&targets), load()?);
    ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    Ok(())
}

async fn measure(parts: &Threads, fleet: &Path, measurement: Measurement) -> anyhow::Result<Vec<Target>> {
    match measurement {
        Measurement::Burst { apps, nats } => burst::measure(parts, nats, apps).await,
        Measurement::Sustained { apps, minutes } => sustained::measure(parts, apps, minutes).await,
        Measurement::Failover { ending, times } => failover::measure(parts, ending, times).await,
        Measurement::Takeover { apps, files } => takeover::measure(apps, files).await,
        Measurement::Rest { seconds } => rest::measure(seconds as u64).await,
        Measurement::Containers { count, slots } => Ok(containers::throughput(fleet, count, slots).await),
        Measurement::Long => Ok(containers::long(fleet).await),
        Measurement::Single { times } => Ok(containers::single(fleet, times).await),
        Measurement::Swarm { replicas, rounds } => Ok(containers::swarm(fleet, replicas, rounds).await),
    }
}

fn parse(arguments: &[String]) -> anyhow::Result<Vec<Measurement>> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Ok(match arguments[..] {
        [] if geteuid().is_root() => [&ALL[..], &SWARM].concat(),
        [] => ALL.to_vec(),
        ["burst", apps] => vec![Measurement::Burst { apps: number(apps)?, nats: Nats::Single }],
        ["burst", apps, nats] => vec![Measurement::Burst { apps: number(apps)?, nats: Nats::parse(nats)? }],
        ["sustained", apps, minutes] => {
            vec![Measurement::Sustained { apps: number(apps)?, minutes: number(minutes)? }]
        }
        ["failover", ending, times] => {
            vec![Measurement::Failover { ending: Ending::parse(ending)?, times: number(times)? }]
        }
        ["takeover", apps] => vec![Measurement::Takeover { apps: number(apps)?, files: Files::Alike }],
        ["takeover", apps, files] => {
            vec![Measurement::Takeover { apps: number(apps)?, files: Files::parse(files)? }]
        }
        ["rest", seconds] => vec![Measurement::Rest { seconds: number(seconds)? }],
        ["containers", count] => vec![Measurement::Containers { count: number(count)?, slots: None }],
        ["containers", count, slots] => {
            let slots = Some(number(slots)?.try_into().context("more slots than there can be")?);
            vec![Measurement::Containers { count: number(count)?, slots }]
        }
        ["long"] => vec![Measurement::Long],
        ["single", times] => vec![Measurement::Single { times: number(times)? }],
        ["swarm", replicas, rounds] => {
            vec![Measurement::Swarm { replicas: number(replicas)?, rounds: number(rounds)? }]
        }
        _ => bail!(
            "usage: bench | bench burst APPS [single|synced|cluster] | bench sustained APPS MINUTES | bench failover \
             killed|terminated TIMES | bench takeover APPS [alike|distinct] | bench rest SECONDS | bench containers COUNT \
             [SLOTS] | bench long | bench single TIMES | bench swarm REPLICAS ROUNDS"
        ),
    })
}

fn number(text: &str) -> anyhow::Result<usize> {
    let number: NonZeroUsize = text.parse().with_context(|| format!("`{text}` is not a number above 0"))?;
    Ok(number.get())
}

/// How many wanted a processor on average over the last 1, 5 and 15 minutes.
fn load() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("read the load")?;
    Ok(text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
