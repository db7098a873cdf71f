//! `make takeover`: how soon a standby leads a mesh of many apps after the leader is killed, and what a scheduler of so many
//! apps takes of memory.
//!
//! The leader is killed with -9; each time is that of a message as the server stamped it: the lease that the next one took, and its
//! word that it has taken over, by which it has every ledger in hand.
//!
//! ```text
//! take_over [APPS [distinct]]
//! ```
//!
//! Distinct apps have nothing in common; otherwise each has the same file, which a scheduler keeps once.

#![expect(clippy::print_stdout, reason = "a table for people is what this binary is for")]

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::MeshEvent;
use tickmesh_messaging::{Change, Entry, Following, LeaseRecord, Start};
use tickmesh_tests::{World, schedulers::Scheduler, until};

/// Apps, unless the command line says otherwise.
const APPS: usize = 100_000;
/// Times that the leader is killed.
const ROUNDS: usize = 5;
/// Applies under way at once.
const APPLIES_AT_ONCE: usize = 64;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Seconds of a day.
const DAY: usize = 86_400;

/// As the shipped program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let apps = match arguments.next() {
        Some(argument) => argument.parse().with_context(|| format!("`{argument}` is not a number of apps"))?,
        None => APPS,
    };
    let are_distinct = match arguments.next().as_deref() {
        Some("distinct") => true,
        Some(other) => anyhow::bail!("`{other}` is not `distinct`"),
        None => false,
    };
    let world = World::new().await;
    let mut events = world.mesh.events().follow(Start::New).await?;
    let mut leases = world.mesh.lease().follow().await?;
    let mut leader = Scheduler::start(&world, 0)?;
    led_by(&leader.id, &mut events).await?;
    println!("empty scheduler: {} MB", leader.megabytes()?);
    apply(&world, apps, are_distinct).await;
    until("all ledgers", PATIENCE, || async {
        (world.mesh.ledgers().last_sequence().await.ok()? >= apps as u64).then_some(())
    })
    .await;
    println!("{apps} apps, the leader: {} MB", leader.megabytes()?);
    println!("\n{:>8}{:>16}{:>18}{:>14}", "round", "kill to lease", "lease to leading", "standby");
    for round in 1..=ROUNDS {
        let standby = Scheduler::start(&world, round)?;
        until("a standby", PATIENCE, || async { standby.stands_by(&world).await.then_some(()) }).await;
        // The leader must have been heard on a connection that has lasted.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let memory = format!("{} MB", standby.megabytes()?);
        let killed = leader.kill();
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

async fn apply(world: &World, apps: usize, are_distinct: bool) {
    stream::iter(0..apps)
        .for_each_concurrent(APPLIES_AT_ONCE, |number| async move {
            world.apply(&format!("app-{number}"), &compose(if are_distinct { number } else { 0 })).await;
        })
        .await;
}

/// An app that is due once a year, on the first day of it. Those of different numbers differ in all that a scheduler keeps of them.
fn compose(number: usize) -> String {
    let (second, minute, hour) = (number % 60, number / 60 % 60, number % DAY / 3_600);
    format!(
        "version: \"2\"\nlabels:\n  aliyun.schedule: \"{second} {minute} {hour} 1 1 *\"\nservices:\n  s1:\n    image: busybox\n    \
         command: date {number}\n"
    )
}
