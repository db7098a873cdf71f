//! `make bench`: how late orders reach their agents, beside the limits that are measured in the same run.
//!
//! Real servers, the shipped scheduler, and agents of the shipped crate on engines in memory, all on one machine and at the speed of
//! production. What is a good figure depends on the machine and on who else uses it; so each stands beside its limit, and a target that
//! is not met is told and is no failure. A run that is lost or doubled is one.
//!
//! ```text
//! bench
//! bench burst APPS [single|synced|cluster]
//! bench sustained APPS MINUTES
//! bench failover killed|terminated TIMES
//! bench rest SECONDS
//! ```

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

mod burst;
mod confirm;
mod cpu;
mod failover;
mod heap;
mod neighbours;
mod rest;
mod spread;
mod stage;
mod sustained;
mod targets;
mod watch;

use std::{fs, num::NonZeroUsize, thread::available_parallelism};

use anyhow::{Context as _, bail};

use self::{
    failover::Ending,
    stage::{Nats, Threads, threads},
    targets::table,
};

/// As the shipped program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured, unless the command line says otherwise.
const ALL: [Measurement; 10] = [
    Measurement::Burst { apps: 100, nats: Nats::Single },
    Measurement::Burst { apps: 1_000, nats: Nats::Single },
    Measurement::Burst { apps: 10_000, nats: Nats::Single },
    Measurement::Burst { apps: 1_000, nats: Nats::Synced },
    Measurement::Burst { apps: 1_000, nats: Nats::Cluster },
    Measurement::Burst { apps: 10_000, nats: Nats::Cluster },
    Measurement::Sustained { apps: 10_000, minutes: 2 },
    Measurement::Failover { ending: Ending::Killed, times: 10 },
    Measurement::Failover { ending: Ending::Terminated, times: 10 },
    Measurement::Rest { seconds: 60 },
];

/// One thing to be measured, on a mesh of its own.
#[derive(Debug, Clone, Copy)]
enum Measurement {
    /// Many apps due at once.
    Burst { apps: usize, nats: Nats },
    /// Apps due all the time.
    Sustained { apps: usize, minutes: usize },
    /// The leader ends again and again.
    Failover { ending: Ending, times: usize },
    /// Nothing happens.
    Rest { seconds: usize },
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let measurements = parse(&arguments)?;
    let (parts, bench) = (Threads::start()?, threads("bench")?);
    let cores = available_parallelism().map_or(0, usize::from);
    println!("{cores} cores, load before: {}\n", load()?);
    let mut targets = Vec::new();
    for measurement in measurements {
        targets.extend(match measurement {
            Measurement::Burst { apps, nats } => bench.block_on(burst::measure(&parts, nats, apps)),
            Measurement::Sustained { apps, minutes } => bench.block_on(sustained::measure(&parts, apps, minutes)),
            Measurement::Failover { ending, times } => bench.block_on(failover::measure(&parts, ending, times)),
            Measurement::Rest { seconds } => bench.block_on(rest::measure(seconds as u64)),
        }?);
    }
    println!("{}\n\nload after: {}", table(&targets), load()?);
    Ok(())
}

fn parse(arguments: &[String]) -> anyhow::Result<Vec<Measurement>> {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Ok(match arguments[..] {
        [] => ALL.to_vec(),
        ["burst", apps] => vec![Measurement::Burst { apps: number(apps)?, nats: Nats::Single }],
        ["burst", apps, nats] => vec![Measurement::Burst { apps: number(apps)?, nats: Nats::parse(nats)? }],
        ["sustained", apps, minutes] => {
            vec![Measurement::Sustained { apps: number(apps)?, minutes: number(minutes)? }]
        }
        ["failover", ending, times] => {
            vec![Measurement::Failover { ending: Ending::parse(ending)?, times: number(times)? }]
        }
        ["rest", seconds] => vec![Measurement::Rest { seconds: number(seconds)? }],
        _ => bail!(
            "usage: bench | bench burst APPS [single|synced|cluster] | bench sustained APPS MINUTES | bench failover \
             killed|terminated TIMES | bench rest SECONDS"
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
