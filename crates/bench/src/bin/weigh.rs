//! What a scheduler needs for each app, of memory and of time, without a mesh: apps are read from their files, told to a dispatcher as a
//! take-over tells them, and looked at in the end.
//!
//! ```text
//! weigh [APPS]
//! ```

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

use std::{fs, sync::Arc, time::Instant};

use anyhow::{Context as _, ensure};
use jiff::{Timestamp, tz::TimeZoneDatabase};
use rand::{SeedableRng as _, rngs::StdRng};
use tickmesh_core::{
    compose::{self, ComposeFile},
    decide::{AppContent, Tenure},
    id::Epoch,
    interning::Interned,
    ledger::Ledger,
    name::AppName,
    spec::AppSpec,
    timing::Timing,
};
use tickmesh_scheduler::{
    clock::Moment,
    dispatcher::{Dispatcher, Event, StateChange},
};

const APPS: usize = 100_000;

fn main() -> anyhow::Result<()> {
    let apps = match std::env::args().nth(1) {
        Some(argument) => argument.parse().with_context(|| format!("`{argument}` is not a number of apps"))?,
        None => APPS,
    };
    let zones = TimeZoneDatabase::bundled();
    let (mut scale, mut shared) = (Scale::new()?, Interned::default());
    let specs = (0..apps).map(|number| read(number, &zones, &mut shared)).collect::<anyhow::Result<Vec<_>>>()?;
    scale.weigh("files read", apps)?;
    let at: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let ledgers: Vec<_> = specs.iter().map(|_| Box::new(Ledger::new(1, at))).collect();
    scale.weigh("ledgers", apps)?;
    let moment = Moment { wall: at, uptime: std::time::Duration::from_secs(1) };
    let tenure = Tenure { epoch: Epoch(1), since: at };
    let mut dispatcher = Dispatcher::new(tenure, Timing::default(), StdRng::seed_from_u64(1));
    for (spec, ledger) in specs.iter().zip(ledgers) {
        dispatcher.handle(
            Event::Changed(StateChange::Ledger { app: spec.name.clone(), revision: 1, ledger: Ok(ledger) }),
            moment,
        )?;
    }
    scale.weigh("told of ledgers", apps)?;
    for spec in specs {
        let content = AppContent::Applied(spec.clone());
        dispatcher
            .handle(Event::Changed(StateChange::App { app: spec.name.clone(), revision: 1, at, content }), moment)?;
    }
    scale.weigh("told of apps", apps)?;
    let mut effects = dispatcher.handle(Event::Loaded { results_end: 0 }, moment)?.effects.len();
    while dispatcher.wake_in(moment).is_some_and(|wake_in| wake_in.is_zero()) {
        effects += dispatcher.handle(Event::Woken, moment)?.effects.len();
    }
    scale.weigh("taken over", apps)?;
    println!("{effects} effects");
    Ok(())
}

fn read(number: usize, zones: &TimeZoneDatabase, shared: &mut Interned) -> anyhow::Result<Arc<AppSpec>> {
    let app = AppName::new(format!("app-{number}"))?;
    let text = format!(
        "version: \"2\"\nlabels:\n  aliyun.schedule: \"{} {} {} * * *\"\nservices:\n  s1:\n    image: busybox\n    \
         command: date\n    environment:\n      JOB: nightly\n    labels:\n      aliyun.scale: \"3\"\n      aliyun.retry_count: \"2\"\n",
        number % 60,
        number / 60 % 60,
        number / 3600 % 24
    );
    let file = ComposeFile {
        dialect: compose::Dialect::PRESENT,
        app: &app,
        file_name: "docker-compose.yml",
        text: &text,
        variables: &Default::default(),
        env_files: &Default::default(),
        timezone_default: "Asia/Shanghai",
    };
    let reading = compose::read(&file, zones);
    ensure!(reading.spec.is_some(), "{:?}", reading.diagnostics);
    Ok(Arc::new(reading.spec.context("no app")?.packed(shared)))
}

/// Weighs this process.
struct Scale {
    bytes: u64,
    at: Instant,
}

impl Scale {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { bytes: resident()?, at: Instant::now() })
    }

    /// Tells what came since the last time, for one of so many apps.
    fn weigh(&mut self, what: &str, apps: usize) -> anyhow::Result<()> {
        let (bytes, at) = (resident()?, Instant::now());
        let grown = bytes as f64 - self.bytes as f64;
        let took = at.duration_since(self.at).as_secs_f64();
        println!(
            "{what:<20}{:>10.1} MB{:>10.0} bytes an app{:>10.2} s{:>10.1} us an app",
            bytes as f64 / 1e6,
            grown / apps as f64,
            took,
            took * 1e6 / apps as f64
        );
        *self = Self { bytes, at: Instant::now() };
        Ok(())
    }
}

fn resident() -> anyhow::Result<u64> {
    let statistics = fs::read_to_string("/proc/self/statm").context("read /proc/self/statm")?;
    let pages: u64 = statistics.split(' ').nth(1).context("no resident pages")?.parse()?;
    Ok(pages * 4_096)
}
