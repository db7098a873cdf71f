//! `tickmesh agent prune`: kept containers of this host go before their runs leave the history.

use anyhow::Context as _;
use tickmesh_agent::{
    engine::ContainerEngine as _,
    labels::Owner,
    prune::{Kept, kept},
};
use tickmesh_core::name::AgentName;

use super::Session;
use crate::{connect::host, exit::Exit, parts};

/// What `agent prune` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Name of the agent [default: the host's]
    #[arg(long, value_name = "NAME")]
    name: Option<AgentName>,
    /// Only say which
    #[arg(long)]
    dry_run: bool,
}

/// Removes what the agent of this host has kept for people to look at. It need not run.
pub(crate) async fn prune(session: &Session, args: &PruneArgs) -> anyhow::Result<Exit> {
    let mesh = session.mesh.open().await?;
    let agent = match &args.name {
        Some(name) => name.clone(),
        None => parts::agent_name_from(&host())?,
    };
    let owner = Owner { mesh: mesh.open().await?, namespace: mesh.names().namespace().clone(), agent };
    let engine = parts::docker().await?;
    let found = kept(&engine, &mesh, owner).await?;
    let mut failures = Vec::new();
    for Kept { container, name } in &found {
        let removed = if args.dry_run { Ok(()) } else { engine.remove(container).await };
        match removed {
            Ok(()) => session.output.line(name)?,
            Err(error) => failures.push(error),
        }
    }
    let done = if args.dry_run { "would be removed" } else { "removed" };
    session.output.talk(&format!("{} {done}", count(found.len() - failures.len())));
    let failed = failures.len();
    match failures.into_iter().next() {
        None => Ok(Exit::Success),
        Some(first) => Err(first).with_context(|| format!("{} could not be removed, the first of them", count(failed))),
    }
}

fn count(containers: usize) -> String {
    match containers {
        1 => "1 container".to_owned(),
        count => format!("{count} containers"),
    }
}
