//! `tickmesh version`: which build this is, and which builds the members of the mesh run.

use tickmesh_client::{
    read,
    views::agent::{AgentState, AgentsView},
};

use super::Session;
use crate::{
    build::build,
    exit::{Exit, chain},
    output::FormatArgs,
    views::version::{MemberBuild, VersionView},
};

/// What `version` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show this program only, and ask no mesh
    #[arg(long)]
    client: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Shows the build of this program, and those of the mesh if there is one.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mut view = VersionView::of(&build());
    if !args.client {
        match members(session).await {
            Ok(members) => view.members = Some(members),
            // Most who ask want to know what they have installed: a mesh that is away is no failure.
            Err(error) => session.output.talk(&format!("no mesh to ask: {}", chain(&error))),
        }
    }
    session.output.show(&view, args.form.format)?;
    Ok(Exit::Success)
}

/// The members that answer, and agents that were not stopped.
async fn members(session: &Session) -> anyhow::Result<Vec<MemberBuild>> {
    let mesh = session.mesh.open().await?;
    let schedulers = read::schedulers(&mesh).await?.0.into_iter();
    let schedulers = schedulers
        .filter_map(|it| Some(MemberBuild { member: "scheduler", name: it.host, id: Some(it.id), build: it.build? }));
    let (AgentsView(agents), _) = read::agents(&mesh).await?;
    let agents = agents.into_iter().filter(|agent| agent.state != AgentState::Stopped);
    let agents = agents.map(|it| MemberBuild { member: "agent", name: it.name, id: None, build: it.build });
    Ok(schedulers.chain(agents).collect())
}
