//! `tickmesh agent drain` and `undrain`: whether an agent takes new attempts. The wish is written into the agent's key, between two
//! heartbeats; the agent repeats it from then on, and so does its next process.

use anyhow::{Context, bail};
use futures_util::StreamExt as _;
use tickmesh_core::{message::AgentRecord, name::AgentName};
use tickmesh_messaging::{Cas, Change, Entry, Mesh};

use super::Session;
use crate::exit::{BadInput, Exit};

/// How often the write is tried: heartbeats come every two seconds, and each try takes milliseconds.
const TRIES_MAX: usize = 20;

/// What `agent drain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DrainArgs {
    /// The agent
    name: AgentName,
    /// Wait until nothing runs there any more
    #[arg(long)]
    wait: bool,
}

/// What `agent undrain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct UndrainArgs {
    /// The agent
    name: AgentName,
}

/// Lets an agent take no new attempts. What runs there goes on to its end.
pub(crate) async fn drain(session: &Session, args: &DrainArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let record = wish(&mesh, &args.name, true).await?;
    session.output.line(&format!("agent {} is draining: {}", args.name, what_runs(&record)))?;
    if args.wait && !record.held.is_empty() {
        session.output.flush()?;
        until_empty(&mesh, &args.name).await?;
        session.output.line(&format!("agent {} has nothing left", args.name))?;
    }
    Ok(Exit::Success)
}

/// Lets an agent take new attempts again.
pub(crate) async fn undrain(session: &Session, args: &UndrainArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    wish(&mesh, &args.name, false).await?;
    session.output.line(&format!("agent {} takes new work", args.name))?;
    Ok(Exit::Success)
}

/// Writes the wish. Returned is the record with it.
async fn wish(mesh: &Mesh, name: &AgentName, draining: bool) -> anyhow::Result<AgentRecord> {
    let agents = mesh.agents();
    let unknown = || BadInput::new(format!("there is no agent `{name}`")).hint("`tickmesh agents` lists them");
    let mut current = agents.read(name.as_str()).await?;
    for _ in 0..TRIES_MAX {
        let Entry { sequence, value, .. } = current.ok_or_else(unknown)?;
        if value.draining == draining {
            return Ok(value);
        }
        let wished = AgentRecord { draining, ..value };
        match agents.compare_and_set(name.as_str(), &wished, sequence).await? {
            Cas::Stored { .. } => return Ok(wished),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    bail!("failed to reach agent `{name}`: its key changed {TRIES_MAX} times while it was being written")
}

async fn until_empty(mesh: &Mesh, name: &AgentName) -> anyhow::Result<()> {
    let mut changes = mesh.agents().follow_key(name.as_str()).await?;
    while let Some(change) = changes.next().await {
        match change? {
            Change::Entry(entry) if entry.value.held.is_empty() => return Ok(()),
            Change::Entry(_) | Change::SnapshotEnd { .. } => {}
            Change::Unreadable { error, .. } => {
                return Err(error).with_context(|| format!("failed to read the heartbeat of agent `{name}`"));
            }
        }
    }
    bail!("the heartbeats of agent `{name}` are not told any more")
}

fn what_runs(record: &AgentRecord) -> String {
    match record.held.len() {
        0 => "nothing runs there".to_owned(),
        1 => "1 container still runs there".to_owned(),
        count => format!("{count} containers still run there"),
    }
}
