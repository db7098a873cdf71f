//! What people write on an agent's key, between two of its heartbeats: the agent reads it when its own next one is refused.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tickmesh_core::{message::AgentRecord, name::AgentName};
use tickmesh_messaging::{Cas, Entry, Mesh};

use crate::when;

/// How often the write is tried: heartbeats come every two seconds, and each try takes milliseconds.
const TRIES_MAX: usize = 20;

/// What somebody wants an agent's key to say.
#[derive(Debug)]
pub enum Wish {
    /// What it says already.
    Granted,
    /// This.
    Write(Box<AgentRecord>),
}

/// Writes a wish, which may be asked for again as heartbeats come in between. Returned is the sequence of the record that has it;
/// `None`: there is no such agent.
pub async fn write(
    mesh: &Mesh,
    name: &AgentName,
    mut wish: impl FnMut(&Entry<AgentRecord>) -> anyhow::Result<Wish>,
) -> anyhow::Result<Option<u64>> {
    let agents = mesh.agents();
    let mut current = agents.read(name.as_str()).await?;
    for _ in 0..TRIES_MAX {
        let Some(entry) = current.filter(|entry| !entry.value.forgotten) else { return Ok(None) };
        let wished = match wish(&entry)? {
            Wish::Granted => return Ok(Some(entry.sequence)),
            Wish::Write(wished) => wished,
        };
        match agents.compare_and_set(name.as_str(), &wished, entry.sequence).await? {
            Cas::Stored { sequence } => return Ok(Some(sequence)),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    bail!("failed to reach agent `{name}`: its key changed {TRIES_MAX} times while it was being written")
}

/// That it takes no new attempts, and stops what still runs after `deadline`, if there is one. `now` is the store's clock
/// ([`tickmesh_messaging::Bucket::clock`]).
///
/// The deadline is an instant of the host's clock, so that the agent's next process keeps it too. What that clock says now is known
/// from the last heartbeat, and from how long ago it was stored.
pub fn draining(current: &Entry<AgentRecord>, deadline: Option<Duration>, now: Timestamp) -> anyhow::Result<Wish> {
    let host_time = current.value.at.saturating_add(when::between(current.at, now))?;
    let by = deadline.map(|deadline| host_time.checked_add(deadline)).transpose();
    Ok(wished(current, true, by.context("the deadline is later than any clock can tell")?))
}

/// That it takes new attempts again.
pub fn not_draining(current: &Entry<AgentRecord>) -> Wish {
    wished(current, false, None)
}

fn wished(current: &Entry<AgentRecord>, draining: bool, drain_by: Option<Timestamp>) -> Wish {
    let record = &current.value;
    if record.draining == draining && record.drain_by == drain_by {
        return Wish::Granted;
    }
    Wish::Write(Box::new(AgentRecord { draining, drain_by, ..record.clone() }))
}
