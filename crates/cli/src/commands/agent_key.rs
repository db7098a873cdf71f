//! What people write on an agent's key, between two of its heartbeats: the agent reads it when its own next one is refused.

use anyhow::bail;
use tickmesh_core::{message::AgentRecord, name::AgentName};
use tickmesh_messaging::{Cas, Entry, Mesh};

use crate::exit::BadInput;

/// How often the write is tried: heartbeats come every two seconds, and each try takes milliseconds.
const TRIES_MAX: usize = 20;

/// What somebody wants an agent's key to say.
#[derive(Debug)]
pub(super) enum Wish {
    /// What it says already.
    Granted,
    /// This.
    Write(Box<AgentRecord>),
}

/// Writes a wish, which may be asked for again as heartbeats come in between. Returned is the sequence of the record that has it.
pub(super) async fn write(
    mesh: &Mesh,
    name: &AgentName,
    mut wish: impl FnMut(&Entry<AgentRecord>) -> anyhow::Result<Wish>,
) -> anyhow::Result<u64> {
    let agents = mesh.agents();
    let unknown = || BadInput::new(format!("there is no agent `{name}`")).hint("`tickmesh agents` lists them");
    let mut current = agents.read(name.as_str()).await?;
    for _ in 0..TRIES_MAX {
        let entry = current.filter(|entry| !entry.value.forgotten).ok_or_else(unknown)?;
        let wished = match wish(&entry)? {
            Wish::Granted => return Ok(entry.sequence),
            Wish::Write(wished) => wished,
        };
        match agents.compare_and_set(name.as_str(), &wished, entry.sequence).await? {
            Cas::Stored { sequence } => return Ok(sequence),
            Cas::Refused { current: newer } => current = newer,
        }
    }
    bail!("failed to reach agent `{name}`: its key changed {TRIES_MAX} times while it was being written")
}
