//! What people write on an agent's key, and what to say if there is no such agent.

use tickmesh_client::agents;
pub(super) use tickmesh_client::agents::Wish;
use tickmesh_core::{message::AgentRecord, name::AgentName};
use tickmesh_messaging::{Entry, Mesh};

use crate::exit::BadInput;

/// Writes a wish, which may be asked for again as heartbeats come in between. Returned is the sequence of the record that has it.
pub(super) async fn write(
    mesh: &Mesh,
    name: &AgentName,
    wish: impl FnMut(&Entry<AgentRecord>) -> anyhow::Result<Wish>,
) -> anyhow::Result<u64> {
    let written = agents::write(mesh, name, wish).await?;
    let unknown = || BadInput::new(format!("there is no agent `{name}`")).hint("`tickmesh agents` lists them");
    Ok(written.ok_or_else(unknown)?)
}
