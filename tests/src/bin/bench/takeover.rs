//! How soon a standby leads a mesh of many apps after the leader is killed with -9, and what a scheduler of so many apps takes of memory.
//! Each time is that of a message as the server stamped it: the lease that the next one took, and its word that it has taken over, by which
//! it has every ledger in hand.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use tickmesh_core::message::MeshEvent;
use tickmesh_messaging::{Change, Entry, Following, LeaseRecord, Start};
use tickmesh_tests::{World, schedulers::Scheduler, until};
use tokio::time::{sleep, timeout};

use crate::{spread::milliseconds, targets::Target};

/// Times that the leader is killed.
const ROUNDS: usize = 5;
/// Applies under way at once.
const APPLIES_AT_ONCE: usize = 64;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The leader must have been heard on a connection that has lasted.
const SETTLING: Duration = Duration::from_secs(3);
/// What is asked of 100,000 apps: megabytes above a scheduler that has none, and milliseconds from the kill to leading.
const ASKED_MEGABYTES: f64 = 60.0;
const ASKED_MS: f64 = 2_000.0;
const APPS_ASKED: usize = 100_000;
/// Seconds of a day.
const DAY: usize = 86_400;

/// What apps have in common: a scheduler keeps that once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// All have the same file.
    Alike,
    /// Each has a schedule and a command of its own.
    Distinct,
}

impl Files {
    const ALL: [Self; 2] = [Self::Alike, Self::Distinct];

    fn as_str(self) -> &'static str {
        match self {
            Self::Alike => "alike",
            Self::Distinct => "distinct",
        }
    }

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|files| files.as_str() == text);
        found.with_context(|| format!("`{text}` is neither `alike` nor `distinct`"))
    }

    /// An app that is due once a year, on the first day of it.
    fn compose(self, number: usize) -> String {
        let number = match self {
            Self::Alike => 0,
            Self::Distinct => number,
        };
        let (second, minute, hour) = (number % 60, number / 60 % 60, number % DAY / 3_600);
        format!(
            "version: \"2\"\nlabels:\n  aliyun.schedule: \"{second} {minute} {hour} 1 1 *\"\nservices:\n  s1:\n    image: busybox\n    \
             command: date {number}\n"
        )
    }
}

/// Measures it, prints it, and returns what is to be compared.
pub(crate) async fn measure(apps: usize, files: Files) -> anyhow::Result<Vec<Target>> {
    let world = World::new().await;
    let mut events = world.mesh.events().follow(Start::New).await?;
    let mut leases = world.mesh.lease().follow().await?;
    let mut leader = Scheduler::start(&world, 0)?;
    led_by(&leader.id, &mut events).await?;
    let empty = leader.megabytes();
    apply(&world, apps, files).await;
    until("all ledgers", PATIENCE, || async {
        (world.mesh.ledgers().last_sequence().await.ok()? >= apps as u64).then_some(())
    })
    .await;
    let full = leader.megabytes();
    println!("## A take-over: {apps} apps, {}\n", files.as_str());
    println!("The leader has {full:.1} MB, and {empty:.1} MB without apps.\n");
    println!("{:>8}{:>16}{:>18}{:>18}{:>14}", "round", "kill to lease", "lease to leading", "leader then", "standby");
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let standby = Scheduler::start(&world, round)?;
        until("a standby", PATIENCE, || async { standby.stands_by(&world).await.then_some(()) }).await;
        sleep(SETTLING).await;
        let memory = standby.megabytes();
        let killed = leader.kill();
        let took_over = led_by(&standby.id, &mut events).await?;
        let taken = taken_by(&standby.id, &mut leases).await?;
        let (wait, work) = (taken.duration_since(killed), took_over.at.duration_since(taken));
        let (wait, work) = (milliseconds(wait), milliseconds(work));
        let leads = standby.megabytes();
        println!("{round:>8}{wait:>13.0} ms{work:>15.0} ms{leads:>15.1} MB{memory:>11.1} MB");
        times.push(took_over.at.duration_since(killed));
        leader = standby;
    }
    println!();
    times.sort_unstable();
    let is_asked = apps == APPS_ASKED;
    let target = |what: &str, figure, limit| Target {
        what: format!("{apps} apps, {}: {what}", files.as_str()),
        figure,
        limit,
        limit_is: "a fixed one",
        asked: is_asked.then_some(1.0),
    };
    Ok(vec![
        target("MB above a scheduler without apps", full - empty, ASKED_MEGABYTES),
        target("killed to leading, median, ms", median_ms(&times), ASKED_MS),
    ])
}

fn median_ms(times: &[SignedDuration]) -> f64 {
    times.get(times.len() / 2).copied().map_or(f64::NAN, milliseconds)
}

/// A scheduler's word that it has taken over. Under the load of so many applies, the one before may have done so more than once.
async fn led_by(id: &str, events: &mut Following<Entry<MeshEvent>>) -> anyhow::Result<Entry<MeshEvent>> {
    loop {
        let entry = timeout(PATIENCE, events.next()).await?.context("the events ended")??;
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
        let change = timeout(PATIENCE, leases.next()).await?.context("the lease's changes ended")??;
        if let Change::Entry(entry) = change
            && entry.value.holder == id
        {
            return Ok(entry.at);
        }
    }
}

async fn apply(world: &World, apps: usize, files: Files) {
    stream::iter(0..apps)
        .for_each_concurrent(APPLIES_AT_ONCE, |number| async move {
            world.apply(&format!("app-{number}"), &files.compose(number)).await;
        })
        .await;
}
