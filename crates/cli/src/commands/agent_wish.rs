//! Asks the leader for something about an agent, and says what is wrong if it will not.

use tickmesh_client::agents::{self, Wished};
use tickmesh_core::{agent_wish::AgentWish, name::AgentName};
use tickmesh_messaging::Mesh;

use crate::exit::BadInput;

/// A wish that is on the agent's key.
#[derive(Debug)]
pub(super) struct Granted {
    /// Sequence of the record that says so.
    pub(super) sequence: u64,
    /// The agent was stopped with nothing left.
    pub(super) is_gone: bool,
}

/// Has the leader carry out a wish.
pub(super) async fn ask(mesh: &Mesh, name: &AgentName, wish: AgentWish) -> anyhow::Result<Granted> {
    match agents::ask(mesh, name, wish).await? {
        Wished::Granted { sequence, stopped, held } => Ok(Granted { sequence, is_gone: stopped && held == 0 }),
        Wished::UnknownAgent => {
            let unknown = BadInput::new(format!("there is no agent `{name}`"));
            Err(unknown.hint("`tickmesh agents` lists them").into())
        }
        Wished::Refused { reason, hint } => Err(BadInput::new(reason).hint(hint).into()),
    }
}
