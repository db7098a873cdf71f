//! `tickmesh agents`: the Docker hosts, and what they carry.

use jiff::Timestamp;
use tickmesh_client::{read, views::agent::AgentsView};
use tickmesh_core::name::AgentName;
use tickmesh_messaging::Mesh;

use super::{Session, watch::WatchArgs};
use crate::{
    exit::{BadInput, Exit},
    output::FormatArgs,
};

/// What `agents` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these agents
    #[arg(value_name = "AGENT", add = crate::completion::agents())]
    agents: Vec<AgentName>,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists agents.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let read = async |mesh: &Mesh| -> anyhow::Result<_> { Ok(read::agents(mesh).await?) };
    let show = async |(agents, now): (AgentsView, Timestamp)| {
        session.output.show_at(&args.wanted(agents)?, args.form.format, now)
    };
    args.watch.look(session, read, show).await
}

impl Args {
    /// Returns the agents that were asked for, or an error if one of them is not known.
    fn wanted(&self, AgentsView(mut agents): AgentsView) -> anyhow::Result<AgentsView> {
        if let Some(missing) = self.agents.iter().find(|name| agents.iter().all(|agent| agent.name != name.as_str())) {
            let unknown = BadInput::new(format!("there is no agent `{missing}`")).hint("`tickmesh agents` lists them");
            return Err(unknown.into());
        }
        agents.retain(|agent| self.agents.is_empty() || self.agents.iter().any(|name| name.as_str() == agent.name));
        Ok(AgentsView(agents))
    }
}
