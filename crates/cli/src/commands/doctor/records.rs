//! Records that cannot be read: found, and mended one by one. What one of them does reaches no further than what it names.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tickmesh_client::{read::ROLL_PATIENCE, when};
use tickmesh_core::{
    id::Epoch,
    ledger::{Ledger, NUMBERS_AHEAD, WriteStamp},
    message::{AppRecord, SCHEMA},
    name::AppName,
};
use tickmesh_messaging::{Cas, Edit, Entry, Mesh, ORDER_AGE, SchedulerRole, StreamKind, UnreadableRecord};
use tokio::time::sleep;

use super::loss::{Held, Roll, Whose, remains, stop_strangers, wait_for_agents};
use crate::{commands::Session, connect::who, consent, exit::BadInput, views::doctor::Check};

const NAME: &str = "records";

/// One finding for each record that cannot be read.
pub(super) async fn check(mesh: &Mesh) -> anyhow::Result<Vec<Check>> {
    let unreadable = mesh.unreadable().await?;
    if unreadable.is_empty() {
        return Ok(vec![Check::ok(NAME, "all can be read")]);
    }
    Ok(unreadable.iter().map(finding).collect())
}

/// What a record that cannot be read means, and what mends it.
fn finding(record: &UnreadableRecord) -> Check {
    let UnreadableRecord { stream, key, .. } = record;
    let repair = format!("`tickmesh doctor --repair {}/{key}`", stream.as_str());
    let newer = if record.error.is_newer() { "use the release that wrote it, or " } else { "" };
    match stream {
        StreamKind::Ledger => Check::wrong(NAME, format!("app {key} is frozen: {record}"), format!("{newer}{repair}")),
        StreamKind::Apps => {
            let text = format!("no run of app {key} begins: {record}");
            Check::wrong(NAME, text, format!("{newer}apply its file again, or {repair}"))
        }
        StreamKind::Agents => {
            let hint = "an agent that lives writes over it within seconds; once its host will not come back: ";
            Check::wrong(NAME, record.to_string(), format!("{hint}`tickmesh agent forget {key}`"))
        }
        StreamKind::Lease => {
            let hint = "a leader writes over it within a second; if nobody leads: `tickmesh doctor --accept-loss`";
            Check::wrong(NAME, record.to_string(), hint)
        }
        StreamKind::Meta => Check::wrong(
            NAME,
            record.to_string(),
            "a scheduler that runs writes it anew within 15 s: start none meanwhile",
        ),
        StreamKind::Ticks | StreamKind::History => {
            Check::warning(NAME, record.to_string(), "it is left out, and goes with the next ten messages of its app")
        }
        StreamKind::Commands
        | StreamKind::Orders
        | StreamKind::Results
        | StreamKind::Notices
        | StreamKind::Logs
        | StreamKind::Mesh => Check::warning(NAME, record.to_string(), "it is left out, and goes with its age"),
    }
}

/// Mends the record that `key` names: `ledger/APP` or `apps/APP`.
pub(super) async fn repair(session: &Session, mesh: &Mesh, key: &str, yes: bool) -> anyhow::Result<()> {
    let unreadable = mesh.unreadable().await?;
    let is_meant = |record: &&UnreadableRecord| key == format!("{}/{}", record.stream.as_str(), record.key);
    let Some(record) = unreadable.iter().find(is_meant) else {
        let hint = "see `tickmesh doctor` for those that cannot";
        return Err(BadInput::new(format!("`{key}` is no record that cannot be read")).hint(hint).into());
    };
    match record.stream {
        StreamKind::Ledger => repair_ledger(session, mesh, record, yes).await,
        StreamKind::Apps => repair_app(session, mesh, record, yes).await,
        StreamKind::Meta
        | StreamKind::Lease
        | StreamKind::Agents
        | StreamKind::Commands
        | StreamKind::Ticks
        | StreamKind::Orders
        | StreamKind::Results
        | StreamKind::History
        | StreamKind::Notices
        | StreamKind::Logs
        | StreamKind::Mesh => {
            let check = finding(record);
            let hint = check.hint.unwrap_or_default();
            Err(BadInput::new(format!("`{key}` is not mended by hand")).hint(hint).into())
        }
    }
}

/// Writes a ledger anew from what the other streams have of its app. The leader reads it at once.
async fn repair_ledger(session: &Session, mesh: &Mesh, record: &UnreadableRecord, yes: bool) -> anyhow::Result<()> {
    let app = AppName::new(record.key.clone()).with_context(|| format!("`{}` is no app's name", record.key))?;
    if !yes {
        let what = format!(
            "write the ledger of {app} anew: its active run is stopped, its queue, counters and pause are forgotten, its run \
             numbers go on {NUMBERS_AHEAD} higher"
        );
        consent::ask(session, &what)?;
    }
    let revisions = mesh.apps().history(app.as_str()).await?;
    let Some(oldest) = revisions.first() else {
        bail!("app `{app}` has no revision that can be read: apply its file first");
    };
    let epoch = leading_epoch(mesh).await?;
    wait_for_orders(session, mesh, record.at).await?;
    wait_for_agents(session, mesh, Roll::Stored).await?;
    stop_strangers(session, mesh, epoch, Whose::App(&app)).await?;
    let remains = remains(mesh, &app, &Ledger::new(0, oldest.at), &Held::new()).await?;
    let mut ledger = Ledger::rebuilt(&app, oldest.at, remains);
    ledger.write = WriteStamp { epoch, number: 0 };
    match mesh.ledgers().compare_and_set(app.as_str(), &ledger, record.sequence).await? {
        Cas::Stored { .. } => session.output.line(&format!("the ledger of {app} is written anew")),
        Cas::Refused { .. } => bail!("somebody has written the ledger of `{app}` meanwhile: see `tickmesh doctor`"),
    }
}

/// Orders count only in the tenure of the leader.
async fn leading_epoch(mesh: &Mesh) -> anyhow::Result<Epoch> {
    let cards = mesh.schedulers().roll(ROLL_PATIENCE).await?;
    let leading = cards.iter().find_map(|card| match card.role {
        SchedulerRole::Leading { epoch, .. } => Some(epoch),
        SchedulerRole::Preparing | SchedulerRole::StandingBy { .. } | SchedulerRole::Refusing { .. } => None,
    });
    leading.context("nobody leads, and only a leader's agents can be told to stop: start `tickmesh scheduler`")
}

/// Waits until no agent takes an order any more that was sent before the ledger was damaged.
async fn wait_for_orders(session: &Session, mesh: &Mesh, damaged_at: Timestamp) -> anyhow::Result<()> {
    let agents = mesh.agents().list().await?;
    let expected = agents.iter().any(|agent| !agent.value.stopped && !agent.value.forgotten);
    let left = ORDER_AGE.saturating_sub(when::between(damaged_at, mesh.agents().clock().await?));
    if expected && !left.is_zero() {
        session.output.talk(&format!("waiting {} s: an agent may still take an older order", left.as_secs() + 1));
        sleep(left).await;
    }
    Ok(())
}

/// Writes the newest revision that can be read over one that cannot.
async fn repair_app(session: &Session, mesh: &Mesh, record: &UnreadableRecord, yes: bool) -> anyhow::Result<()> {
    let app = AppName::new(record.key.clone()).with_context(|| format!("`{}` is no app's name", record.key))?;
    let revisions = mesh.revisions(&app).await?;
    let Some(newest) = revisions.last() else {
        bail!("app `{app}` has no revision that can be read: apply its file");
    };
    if !yes {
        let by = &newest.value.by;
        consent::ask(session, &format!("apply revision {} of {app} by {by} again", number(newest)))?;
    }
    let edit = AppRecord { schema: SCHEMA, by: who(), number: None, source: newest.value.source.clone() };
    let edits = mesh.edits();
    match edits.write(&app, &edit, &edits.current(&app).await?).await? {
        Edit::Stored { number: new, .. } => {
            session.output.line(&format!("revision {} of {app} is applied again, as {new}", number(newest)))
        }
        Edit::Refused { .. } => bail!("somebody has changed app `{app}` meanwhile: see `tickmesh doctor`"),
    }
}

/// Number of a revision among those of its app.
fn number(revision: &Entry<AppRecord>) -> u64 {
    revision.value.number.unwrap_or(revision.sequence)
}
