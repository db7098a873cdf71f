//! `make takeover`: how soon a standby leads a mesh of many apps after the leader is killed, and what a scheduler of so many
//! apps takes of memory.
//!
//! The leader is killed with -9; each time is that of a message as the server stamped it: the lease that the next one took, and its
//! word that it has taken over, by which it has every ledger in hand.
//!
//! ```text
//! take_over [APPS]
//! ```

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::MeshEvent;
use tickmesh_messaging::{Change, Entry, Following, LeaseRecord, SchedulerRole, Start};
use tickmesh_tests::{World, until};

/// Apps, unless the command line says otherwise.
const APPS: usize = 100_000;
/// Times that the leader is killed.
const ROUNDS: usize = 5;
/// Applies under way at once.
const APPLIES_AT_ONCE: usize = 64;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// An app that is due once a year, in the first second of it.
const COMPOSE: &str = "version: \"2\"\nlabels:\n  aliyun.schedule: \"0 0 0 1 1 *\"\nservices:\n  s1:\n    \
                       image: busybox\n    command: date\n";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let apps = match std::env::args().nth(1) {
        Some(argument) => argument.parse().with_context(|| format!("`{argument}` is not a number of apps"))?,
        None => APPS,
    };
    let world = World::new().await;
    let mut events = world.mesh.events().follow(Start::New).await?;
    let mut leases = world.mesh.lease().follow().await?;
    let mut leader = Scheduler::start(&world, 0)?;
    led_by(&leader.id, &mut events).await?;
    println!("empty scheduler: {}", leader.memory()?);
    apply(&world, apps).await;
    until("all ledgers", PATIENCE, || async {
        (world.mesh.ledgers().last_sequence().await.ok()? >= apps as u64).then_some(())
    })
    .await;
    println!("{apps} apps, the leader: {}", leader.memory()?);
    println!("\n{:>8}{:>16}{:>18}{:>14}", "round", "kill to lease", "lease to leading", "standby");
    for round in 1..=ROUNDS {
        let standby = Scheduler::start(&world, round)?;
        until("a standby", PATIENCE, || async { standby.stands_by(&world).await.then_some(()) }).await;
        // The leader must have been heard on a connection that has lasted.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let memory = standby.memory()?;
        let killed = leader.kill()?;
        let took_over = led_by(&standby.id, &mut events).await?;
        let taken = taken_by(&standby.id, &mut leases).await?;
        let ms = |duration: SignedDuration| format!("{:.0} ms", duration.as_secs_f64() * 1_000.0);
        let (wait, work) = (taken.duration_since(killed), took_over.at.duration_since(taken));
        println!("{round:>8}{:>16}{:>18}{memory:>14}", ms(wait), ms(work));
        leader = standby;
    }
    Ok(())
}

/// A scheduler's word that it has taken over. Under the load of so many applies, the one before may have done so more than once.
async fn led_by(id: &str, events: &mut Following<Entry<MeshEvent>>) -> anyhow::Result<Entry<MeshEvent>> {
    loop {
        let entry = tokio::time::timeout(PATIENCE, events.next()).await?.context("the events ended")??;
        if let MeshEvent::LeaderChanged { leader, .. } = &entry.value
            && leader == id
        {
            return Ok(entry);
        }
    }
}

/// When a scheduler took the lease.
async fn taken_by(id: &str, leases: &mut Following<Change<LeaseRecord>>) -> anyhow::Result<Timestamp> {
    loop {
        let change = tokio::time::timeout(PATIENCE, leases.next()).await?.context("the lease's changes ended")??;
        if let Change::Entry(entry) = change
            && entry.value.holder == id
        {
            return Ok(entry.at);
        }
    }
}

async fn apply(world: &World, apps: usize) {
    stream::iter(0..apps)
        .for_each_concurrent(APPLIES_AT_ONCE, |number| async move {
            world.apply(&format!("app-{number}"), COMPOSE).await;
        })
        .await;
}

/// A scheduler process at production's speed. Dropped, it is killed.
struct Scheduler {
    id: String,
    child: Child,
}

impl Scheduler {
    fn start(world: &World, number: usize) -> anyhow::Result<Self> {
        let id = format!("scheduler-{number}");
        let fleet = std::env::current_exe()?.with_file_name("fleet");
        ensure!(fleet.is_file(), "there is no {}: build the package's binaries", fleet.display());
        let child = Command::new(fleet)
            .args(["scheduler", "--nats", &world.server.url(), "--namespace", world.namespace().as_str()])
            .args(["--id", &id, "--clocks", "production"])
            .stdin(Stdio::piped())
            .spawn()
            .context("start a scheduler")?;
        Ok(Self { id, child })
    }

    async fn stands_by(&self, world: &World) -> bool {
        let cards = world.mesh.schedulers().roll(Duration::from_millis(300)).await.unwrap_or_default();
        cards.iter().any(|card| card.id == self.id && card.role == SchedulerRole::StandingBy)
    }

    /// Kills it, and says when.
    fn kill(&mut self) -> anyhow::Result<Timestamp> {
        let now = Timestamp::now();
        self.child.kill().context("kill a scheduler")?;
        self.child.wait().context("wait for a scheduler")?;
        Ok(now)
    }

    /// What it has in memory.
    fn memory(&self) -> anyhow::Result<String> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is a number")?;
        Ok(format!("{} MB", kilobytes / 1_024))
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
