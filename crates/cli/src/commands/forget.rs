//! `tickmesh agent forget`: a host that will not come back. Its agent leaves the lists, and what may go on there without the mesh
//! (`on_disconnect: continue`) is not waited for any more.

use tickmesh_core::{agent_wish::AgentWish, name::AgentName};

use super::{Session, agent_wish::ask};
use crate::{
    exit::Exit,
    output::FormatArgs,
    views::done::{Done, DoneView},
};

/// What `agent forget` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgetArgs {
    /// The agent
    #[arg(add = crate::completion::agents())]
    name: AgentName,
    #[command(flatten)]
    form: FormatArgs,
}

/// Has the leader write a last heartbeat in the agent's place: one that has seen every result, and holds nothing.
pub(crate) async fn forget(session: &Session, args: &ForgetArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    ask(&mesh, &args.name, AgentWish::Forget).await?;
    let text = format!("agent {} is forgotten", args.name);
    session.output.show(&DoneView::agent(Done::Forgotten, &args.name, text), args.form.format)?;
    Ok(Exit::Success)
}
