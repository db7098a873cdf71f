//! Lost data: found, and accepted. Only here are ledgers written by anybody but a leader, and only while nobody leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tickmesh_client::{read::ROLL_PATIENCE, when};
use tickmesh_core::{
    id::{AttemptId, Epoch},
    ledger::{Ledger, NUMBERS_AHEAD, Published, Remains, WriteStamp, orphans},
    message::{MachineDigest, Order, OrderKind, SCHEMA},
    name::{AgentName, AppName},
    timing::Timing,
};
use tickmesh_messaging::{
    Cas, Entry, LEASE_KEY, LeaseRecord, Mesh, SchedulerCard, SchedulerRole,
    lease::{ACCEPTANCE_SHIFT, Loss, StreamMarks, first_loss, without_lease},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::lost_apps;
use crate::{commands::Session, connect::host, views::doctor::Check};

/// Ledgers that are looked after at once.
const LEDGERS_AT_ONCE: usize = 32;
/// How long agents have to stop what nobody knows any more: longer than a container may take to end when it is told to.
const STOPPING_MAX: Duration = Duration::from_secs(60);
/// A lease that was not renewed for so long is nobody's.
const LEASE_OLD: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Ledgers are written one after the other, and the lease only then. That numbers are moved twice does no harm.
const HALF_DONE: &str =
    "run and attempt numbers are moved ahead, but the loss is not accepted: run `tickmesh doctor --accept-loss` again";
const RESTORING: &str =
    "a restore, or the acceptance of a loss, is under way or has failed half-way: nobody leads before it is complete";
const RESTORE_AGAIN: &str =
    "wait for it, or run `tickmesh restore FILE` again; to go on with what is there: `tickmesh doctor --accept-loss`";
const ACCEPT: &str = "if that is how it must be: `tickmesh doctor --accept-loss`";

/// Whether the streams are what the lease says of them.
pub(super) async fn check(mesh: &Mesh) -> anyhow::Result<Check> {
    let (lease, _) = stored_lease(mesh).await?;
    if lease.as_ref().is_some_and(|lease| lease.value.restoring) {
        return Ok(Check::wrong("data", RESTORING, RESTORE_AGAIN));
    }
    let found = mesh.stream_marks().await?;
    if let Some(loss) = recorded_loss(lease.as_ref(), &found) {
        return Ok(Check::wrong("data", loss.to_string(), ACCEPT));
    }
    // Ledgers come first: whatever they have folded was stored before.
    let lost = lost_apps::of(mesh, &mesh.ledgers().list().await?).await?;
    Ok(match lost_apps::finding(&lost) {
        Some(check) => check,
        None if lease.is_none() => Check::ok("data", "nobody has led yet"),
        None => Check::ok("data", "the streams hold all that the lease knows of"),
    })
}

/// The lease, if it can be read, and the revision of what is stored in its place; 0: nothing is.
async fn stored_lease(mesh: &Mesh) -> anyhow::Result<(Option<Entry<LeaseRecord>>, u64)> {
    match mesh.lease().read(LEASE_KEY).await {
        Ok(lease) => {
            let revision = lease.as_ref().map_or(0, |entry| entry.sequence);
            Ok((lease, revision))
        }
        Err(error) => match error.unreadable_at() {
            Some(revision) => Ok((None, revision)),
            None => Err(error.into()),
        },
    }
}

/// What the lease shows to be missing.
fn recorded_loss(lease: Option<&Entry<LeaseRecord>>, found: &StreamMarks) -> Option<Loss> {
    match lease {
        Some(lease) => first_loss(&lease.value.streams, found),
        None => without_lease(found),
    }
}

/// What those have seen who knew the mesh before it was restored.
#[derive(Debug, Default)]
pub(in crate::commands) struct Before {
    /// How often lost data had been accepted.
    acceptance: u64,
}

impl Before {
    /// Asks the schedulers that answered, and the lease if there is one that can be read.
    pub(in crate::commands) async fn of(cards: &[SchedulerCard], mesh: &Mesh) -> Self {
        let lease = stored_lease(mesh).await.ok().and_then(|(lease, _)| lease);
        Self { acceptance: next_acceptance(cards, lease.as_ref(), &[]) - 1 }
    }
}

/// Lets nobody lead before numbers are moved ahead and what runs unknown has ended. A scheduler that knows the mesh gives a restored one
/// its identity back as soon as all else is there, and would lead on what it finds, as would one that is started then; and where an app
/// was lost, its tombstone makes the data look whole.
pub(in crate::commands) async fn withhold(mesh: &Mesh, before: &Before) -> anyhow::Result<()> {
    let (Some(lease), revision) = stored_lease(mesh).await? else { return Ok(()) };
    let acceptance = beyond(next_acceptance(&[], Some(&lease), &[]), before);
    let record = lease.value.withheld(&process_id(), &host(), Timestamp::now(), acceptance);
    match mesh.lease().compare_and_set(LEASE_KEY, &record, revision).await? {
        Cas::Stored { .. } => Ok(()),
        Cas::Refused { .. } => bail!("a scheduler has taken the lease meanwhile: look at `tickmesh leader`"),
    }
}

/// The holder that a lease names which a person has written.
fn process_id() -> String {
    format!("doctor-{}", Uuid::now_v7())
}

/// Lets a mesh go on that was made of a backup. It is older than what was seen of it, whether anybody is left who knows or not.
pub(in crate::commands) async fn accept_restored(
    session: &Session,
    mesh: &Mesh,
    before: &Before,
) -> anyhow::Result<()> {
    go_on(session, mesh, before, Roll::Unknown).await
}

/// Goes on with what is left. `is_known`: somebody has found already that data is lost.
pub(super) async fn accept(session: &Session, mesh: &Mesh, is_known: bool) -> anyhow::Result<()> {
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    let (lease, _) = stored_lease(mesh).await?;
    let is_known = is_known || !lost_apps::of(mesh, &mesh.ledgers().list().await?).await?.is_empty();
    ensure_needed(mesh, &cards, lease.as_ref(), is_known).await?;
    let was_restoring = lease.is_some_and(|lease| lease.value.restoring);
    go_on(session, mesh, &Before::default(), if was_restoring { Roll::Unknown } else { Roll::Stored }).await
}

/// Moves all numbers ahead and writes the lease with which somebody may lead again.
async fn go_on(session: &Session, mesh: &Mesh, before: &Before, roll: Roll) -> anyhow::Result<()> {
    wait_for_agents(session, mesh, roll).await?;
    // A record that is stored anew may be all that schedulers missed.
    withhold(mesh, before).await?;
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    let (lease, revision) = stored_lease(mesh).await?;
    let mut ledgers = mesh.ledgers().list().await?;
    lost_apps::accept(session, mesh, &mut ledgers).await?;
    let acceptance = beyond(next_acceptance(&cards, lease.as_ref(), &ledgers), before);
    let stamp = WriteStamp { epoch: Epoch(acceptance << ACCEPTANCE_SHIFT), number: 0 };
    let held = held(mesh).await?;
    let moved = stream::iter(ledgers.iter())
        .map(|entry| move_ahead(mesh, entry, stamp, &held))
        .buffer_unordered(LEDGERS_AT_ONCE);
    let ahead: Vec<()> = moved.try_collect().await.context(HALF_DONE)?;
    session.output.line(&format!("{} apps: run and attempt numbers moved ahead by {NUMBERS_AHEAD}", ahead.len()))?;
    take_lease(session, mesh, (lease.as_ref(), revision), acceptance, stamp.epoch).await.context(HALF_DONE)
}

/// Lets a scheduler lead again, once nothing runs any more that nobody knows.
async fn take_lease(
    session: &Session,
    mesh: &Mesh,
    (lease, revision): (Option<&Entry<LeaseRecord>>, u64),
    acceptance: u64,
    epoch: Epoch,
) -> anyhow::Result<()> {
    stop_strangers(session, mesh, epoch, Whose::ReadableApps).await?;
    let previous = lease.map(|entry| &entry.value);
    let record = LeaseRecord::accepting(previous, &process_id(), &host(), mesh.stream_marks().await?, acceptance);
    match mesh.lease().compare_and_set(LEASE_KEY, &record, revision).await? {
        Cas::Stored { .. } => session.output.line("accepted: the next scheduler that stands by leads"),
        Cas::Refused { .. } => bail!("a scheduler has taken the lease meanwhile: look at `tickmesh leader`"),
    }
}

/// Nothing is accepted that nobody has missed.
async fn ensure_needed(
    mesh: &Mesh,
    cards: &[SchedulerCard],
    lease: Option<&Entry<LeaseRecord>>,
    is_known: bool,
) -> anyhow::Result<()> {
    ensure_unled(cards)?;
    let found = mesh.stream_marks().await?;
    if let Some(lease) = lease.filter(|lease| !lease.value.released) {
        ensure_abandoned(mesh, lease).await?;
    }
    let refused = cards.iter().any(|card| matches!(card.role, SchedulerRole::Refusing { data_lost: true, .. }));
    if recorded_loss(lease, &found).is_none() && !refused && !is_known {
        bail!("no data is missing, as far as the lease and the schedulers that answer know");
    }
    Ok(())
}

/// Whoever leads misses nothing.
pub(super) fn ensure_unled(cards: &[SchedulerCard]) -> anyhow::Result<()> {
    match cards.iter().find(|card| matches!(card.role, SchedulerRole::Leading { .. })) {
        Some(leader) => bail!("scheduler {} on {} leads: no data is missing", leader.id, leader.host),
        None => Ok(()),
    }
}

/// Nobody may hold the lease. One that came back with an older copy can look as if it was just renewed.
async fn ensure_abandoned(mesh: &Mesh, lease: &Entry<LeaseRecord>) -> anyhow::Result<()> {
    while when::between(lease.at, mesh.lease().clock().await?) < LEASE_OLD {
        sleep(LOOK_AGAIN).await;
        if mesh.lease().read(LEASE_KEY).await?.map(|it| it.sequence) != Some(lease.sequence) {
            let LeaseRecord { holder, host, .. } = &lease.value;
            bail!("scheduler {holder} on {host} holds the lease: stop it first, and see `tickmesh leader`");
        }
    }
    Ok(())
}

/// Higher than anybody has seen.
fn next_acceptance(cards: &[SchedulerCard], lease: Option<&Entry<LeaseRecord>>, ledgers: &[Entry<Ledger>]) -> u64 {
    let of_lease = lease.map_or(0, |lease| lease.value.acceptance);
    let of_schedulers = cards.iter().map(|card| match card.role {
        SchedulerRole::Refusing { acceptance, .. } => acceptance,
        SchedulerRole::Preparing | SchedulerRole::StandingBy { .. } | SchedulerRole::Leading { .. } => 0,
    });
    let of_ledgers = ledgers.iter().map(|entry| entry.value.write.epoch.0 >> ACCEPTANCE_SHIFT);
    of_schedulers.chain(of_ledgers).fold(of_lease, u64::max) + 1
}

/// An acceptance that is higher than what was known before, too.
fn beyond(acceptance: u64, before: &Before) -> u64 {
    acceptance.max(before.acceptance + 1).max(minutes(Timestamp::now()))
}

/// Beyond every acceptance until now, also those that nobody is left to know of: where one copy is put back twice, agents that
/// have lived through it would refuse every order of the second time. In minutes, so that a tenure's number is exact in JSON.
fn minutes(now: Timestamp) -> u64 {
    const YEAR_2026: i64 = 1_767_225_600;
    u64::try_from((now.as_second() - YEAR_2026) / 60).unwrap_or(0)
}

/// Attempts that agents hold, and the machines that they are on.
pub(super) type Held = BTreeMap<(AttemptId, AgentName), MachineDigest>;

/// What agents said last that they hold.
async fn held(mesh: &Mesh) -> anyhow::Result<Held> {
    let agents = mesh.agents().list().await?;
    let held = agents.iter().flat_map(|agent| {
        let record = &agent.value;
        let machine = record.machine.digest();
        record.held.iter().map(move |attempt| ((attempt.clone(), record.agent.clone()), machine))
    });
    Ok(held.collect())
}

async fn move_ahead(mesh: &Mesh, entry: &Entry<Ledger>, stamp: WriteStamp, held: &Held) -> anyhow::Result<()> {
    let app = AppName::new(entry.key.clone()).with_context(|| format!("ledger `{}` has no app's name", entry.key))?;
    let mut ledger = entry.value.clone();
    let remains = remains(mesh, &app, &ledger, held).await?;
    ledger.move_ahead(&app, remains);
    ledger.write = stamp;
    match mesh.ledgers().compare_and_set(app.as_str(), &ledger, entry.sequence).await? {
        Cas::Stored { .. } => Ok(()),
        Cas::Refused { .. } => bail!("a scheduler has written the ledger of `{app}` meanwhile"),
    }
}

/// What the other streams still have of an app.
pub(super) async fn remains(mesh: &Mesh, app: &AppName, ledger: &Ledger, held: &Held) -> anyhow::Result<Remains> {
    let tick = mesh.ticks().newest(app).await?.map(|it| Published { message: it.value, sequence: it.sequence });
    let summary = mesh.history().newest(app).await?.map(|it| Published { message: it.value, sequence: it.sequence });
    let mut claims_lost = Vec::new();
    for (attempt, open) in ledger.active.iter().flat_map(|run| run.open_attempts(app)) {
        let key = (attempt, open.agent.clone());
        let machine = open.claim().map(|claim| claim.machine).or_else(|| held.get(&key).copied());
        let (attempt, agent) = key;
        if let Some(machine) = machine
            && mesh.results().last_of(&attempt, &agent).await?.is_none()
        {
            claims_lost.push((attempt, machine));
        }
    }
    Ok(Remains { tick, summary, claims_lost })
}

/// Whether the store says which agents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roll {
    /// It has the last word of each.
    Stored,
    /// It was made of a backup, which has none. One that is cut off is not even missed.
    Unknown,
}

/// Waits until every agent was heard since now, so that nothing is overlooked that runs. One that is not heard for as long as its
/// fence has stopped its containers by itself.
pub(super) async fn wait_for_agents(session: &Session, mesh: &Mesh, roll: Roll) -> anyhow::Result<()> {
    let timing = Timing::default();
    let (begun, since) = (Instant::now(), mesh.agents().clock().await?);
    let guarded = timing.fence + timing.kill_margin;
    let mut told = roll == Roll::Unknown;
    if told {
        session
            .output
            .talk(&format!("waiting for {guarded:?}: by then an agent that is cut off has stopped what it ran"));
    }
    loop {
        let agents = mesh.agents().list().await?;
        let expected = agents.iter().filter(|agent| !agent.value.stopped && !agent.value.forgotten);
        let unheard = expected.filter(|agent| agent.at < since).map(|agent| agent.value.agent.as_str());
        let unheard: Vec<_> = unheard.collect();
        // Some may not even be known: what is left may be older than they are.
        let waited = begun.elapsed();
        let are_all_heard = roll == Roll::Stored && waited >= timing.stale && unheard.is_empty();
        if waited >= guarded || are_all_heard {
            return Ok(());
        }
        if !unheard.is_empty() && waited >= timing.stale && !told {
            told = true;
            let names = unheard.join(", ");
            session
                .output
                .talk(&format!("waiting for {names}: not heard; after {guarded:?} it has stopped what it ran"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Whose attempts are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    /// Of every app but those whose ledger cannot be read: it may know them.
    ReadableApps,
    /// Of this app, whose ledger cannot be read and is about to be written anew.
    App(&'a AppName),
}

/// Has agents stop what runs and no ledger knows, before anything new may run beside it.
pub(super) async fn stop_strangers(
    session: &Session,
    mesh: &Mesh,
    epoch: Epoch,
    whose: Whose<'_>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut told = BTreeSet::new();
    loop {
        let strangers = strangers(mesh, whose).await?;
        if strangers.is_empty() {
            return Ok(());
        }
        for (attempt, agent) in &strangers {
            if told.insert(attempt.to_string()) {
                session.output.talk(&format!("{attempt} on {agent} is not known any more, and is being stopped"));
            }
            let (attempt, agent) = (attempt.clone(), agent.clone());
            mesh.orders().send(&Order { schema: SCHEMA, epoch, agent, attempt, kind: OrderKind::Stop }).await?;
        }
        if begun.elapsed() > STOPPING_MAX {
            let left: Vec<_> = strangers.iter().map(|(attempt, agent)| format!("{attempt} on {agent}")).collect();
            bail!("still running after {STOPPING_MAX:?}: {}", left.join(", "));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What agents hold that may still run, and no ledger has open.
async fn strangers(mesh: &Mesh, whose: Whose<'_>) -> anyhow::Result<Vec<(AttemptId, AgentName)>> {
    let (agents, listed, now) =
        (mesh.agents().list().await?, mesh.ledgers().list().await?, mesh.agents().clock().await?);
    let ledgers: BTreeMap<&str, &Ledger> = listed.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect();
    let agents = agents.iter().map(|entry| (&entry.value, entry.at));
    let mut found = orphans(agents, &ledgers, now, &Timing::default());
    found.retain(|(attempt, _)| match whose {
        Whose::ReadableApps => listed.unreadable.iter().all(|ledger| ledger.key != attempt.app.as_str()),
        Whose::App(app) => attempt.app == *app,
    });
    Ok(found)
}
